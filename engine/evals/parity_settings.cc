// tests/parity/<address>.yml, and which groups there are.
#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/evals/parity.h"
#include "sabir/schema/validator.h"
#include "shape.h"

namespace sabir::evals {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostCases = 10'000;

Result<GoldenCase> read_case(const json::value& value, const Shape& shape, const std::string& at) {
  if (!value.is_object()) return fail(shape.wrong(at, "a case must be a mapping, not " + kind_of(value), "Write `- args: {name: value}`."));
  const auto& object = value.get_object();
  if (auto ok = shape.only(object, {"args", "gives", "fails"}, at); !ok) return fail(std::move(ok.error()));
  GoldenCase out;
  out.line = shape.at(at).first;
  auto arguments = shape.mapping(object, "args", at);
  if (!arguments) return fail(std::move(arguments.error()));
  if (!*arguments) return fail(shape.wrong(at, "a case needs 'args', a mapping of arguments"));
  out.arguments = std::move(**arguments);
  if (const auto* gives = object.if_contains("gives")) out.gives = *gives;
  if (const auto* fails = object.if_contains("fails")) {
    if (!fails->is_bool()) return fail(shape.wrong(below(at, "fails"), "fails must be true or false, not " + kind_of(*fails)));
    out.fails = fails->get_bool();
  }
  if (out.fails && out.gives) return fail(shape.wrong(at, "a case that fails gives nothing", "Leave 'gives' or 'fails' away."));
  return out;
}

}  // namespace

Result<ParitySettings> parse_parity_settings(std::string_view text, const std::string& file) {
  Shape shape;
  shape.file = file;
  auto read = project::parse_yaml(text, file, &shape.positions);
  if (!read) return fail(std::move(read.error()));
  ParitySettings out;
  out.file = file;
  if (read->is_null()) return out;
  if (!read->is_object()) return fail(shape.wrong("", "this must be a mapping, not " + kind_of(*read)));
  const auto& object = read->get_object();
  if (auto ok = shape.only(object, {"cases", "equal", "skip", "reason", "effects", "schemas", "runs", "inputs", "timeout"}, ""); !ok) return fail(std::move(ok.error()));
  if (const auto* cases = object.if_contains("cases")) {
    if (!cases->is_array()) return fail(shape.wrong("/cases", "cases must be a list, not " + kind_of(*cases)));
    if (cases->get_array().size() > kMostCases) return fail(shape.wrong("/cases", "more than " + std::to_string(kMostCases) + " cases"));
    for (std::size_t i = 0; i < cases->get_array().size(); ++i) {
      auto one = read_case(cases->get_array()[i], shape, "/cases/" + std::to_string(i));
      if (!one) return fail(std::move(one.error()));
      out.cases.push_back(std::move(*one));
    }
  }
  auto equal = shape.mapping(object, "equal", "");
  if (!equal) return fail(std::move(equal.error()));
  if (*equal) {
    if (auto ok = shape.only(**equal, {"tolerance"}, "/equal"); !ok) return fail(std::move(ok.error()));
    auto tolerance = shape.number(**equal, "tolerance", "/equal", 0, 1);
    if (!tolerance) return fail(std::move(tolerance.error()));
    out.tolerance = tolerance->value_or(0);
  }
  auto skip = shape.texts(object, "skip", "");
  if (!skip) return fail(std::move(skip.error()));
  out.skip = std::move(*skip);
  auto reason = shape.text(object, "reason", "");
  if (!reason) return fail(std::move(reason.error()));
  out.reason = reason->value_or("");
  if (!out.skip.empty() && out.reason.empty()) return fail(shape.wrong("/skip", "languages that are left out need a reason", "Add `reason: …`."));
  auto effects = shape.text(object, "effects", "");
  if (!effects) return fail(std::move(effects.error()));
  if (*effects && **effects != "allowed") return fail(shape.wrong("/effects", "effects must be `allowed`, not " + kind_of(object.at("effects")), "Leave it away where functions that write must not be called."));
  out.effects_allowed = effects->has_value();
  auto schemas = shape.text(object, "schemas", "");
  if (!schemas) return fail(std::move(schemas.error()));
  if (*schemas && **schemas != "same" && **schemas != "may_differ") return fail(shape.wrong("/schemas", "schemas must be `same` or `may_differ`, not " + kind_of(object.at("schemas"))));
  out.schemas_same = *schemas && **schemas == "same";
  auto runs = shape.whole(object, "runs", "", 0, 100'000);
  if (!runs) return fail(std::move(runs.error()));
  if (*runs) out.runs = static_cast<int>(**runs);
  auto inputs = shape.mapping(object, "inputs", "");
  if (!inputs) return fail(std::move(inputs.error()));
  if (*inputs) {
    for (const auto& member : **inputs) {
      if (!member.value().is_object()) return fail(shape.wrong(below("/inputs", member.key()), "inputs." + std::string(member.key()) + " must be a JSON Schema, not " + kind_of(member.value())));
      if (auto valid = schema::Validator::compile(member.value().get_object()); !valid) return fail(shape.wrong(below("/inputs", member.key()), valid.error().message, valid.error().hint));
    }
    out.inputs = std::move(**inputs);
  }
  auto timeout = shape.duration_ms(object, "timeout", "");
  if (!timeout) return fail(std::move(timeout.error()));
  if (*timeout) out.timeout = std::chrono::milliseconds(**timeout);
  return out;
}

Result<std::vector<ParityGroup>> parity_groups(const functions::Registry& registry, const fs::path& root) {
  std::map<std::string, std::vector<const functions::Function*>> by_address;
  for (const auto& function : registry.functions()) by_address[function.address].push_back(&function);
  std::vector<ParityGroup> out;
  std::vector<std::string> names;
  for (auto& [address, members] : by_address) {
    if (members.size() < 2) continue;
    names.push_back(address);
    out.push_back({address, std::move(members), {}});
  }
  std::error_code ec;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(root / kParityFolder, ec), end; !ec && it != end; it.increment(ec)) {
    const auto extension = it->path().extension();
    if (it->is_regular_file(ec) && (extension == ".yml" || extension == ".yaml" || extension == ".json")) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    const std::string relative = std::string(kParityFolder) + "/" + path.filename().string();
    auto text = read_file(path, std::size_t{1} << 20U);
    if (!text) return fail(std::move(text.error()));
    auto settings = parse_parity_settings(*text, relative);
    if (!settings) return fail(std::move(settings.error()));
    const std::string address = path.stem().string();
    const auto found = std::find_if(out.begin(), out.end(), [&](const auto& group) { return group.address == address; });
    if (found == out.end()) {
      std::string hint = did_you_mean(address, names);
      if (hint.empty()) hint = by_address.contains(address) ? "It is there in one language alone." : "The file is named after the address: tests/parity/module.function.yml.";
      return fail(Error(ErrorCode::kNotFound, "no functions of several languages have the address " + address, std::move(hint)).at(relative));
    }
    if (!found->settings.file.empty()) return fail(Error(ErrorCode::kConfig, address + " has settings in " + found->settings.file + " already", "Keep one of the files.").at(relative));
    for (const auto& language : settings->skip) {
      if (std::none_of(found->members.begin(), found->members.end(), [&](const auto* member) { return member->language == language; })) {
        return fail(Error(ErrorCode::kConfig, "skip: there is no " + language + "/" + address, "").at(relative));
      }
    }
    found->settings = std::move(*settings);
  }
  return out;
}

}  // namespace sabir::evals

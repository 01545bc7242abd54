#include "sabir/functions/introspect.h"

#include <algorithm>
#include <chrono>

#include "describe_program.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/registry.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/validator.h"

namespace sabir::functions {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;                   // of the file that keeps what was told
constexpr std::chrono::seconds kLongest{120};  // large packages take their time to load
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;
constexpr std::size_t kMostDepends = 1000;

bool needs_it(const schema::FunctionSchema& function) {
  return function.result_unresolved ||
         std::any_of(function.parameters.begin(), function.parameters.end(), [](const auto& parameter) { return parameter.unresolved; });
}

fs::path kept_file(const fs::path& root, const std::string& language) { return root / ".sabir" / "introspected" / (language + ".json"); }

// What every answer of a language's program hangs on: the program itself and the packages.
std::string ground_of(const fs::path& root, const project::Language& language) {
  std::string all = languages::fingerprint_of_folder(language.resources) + "\n" + join(language.introspect, "\n");
  for (const auto& file : language.introspect_files) {
    if (const auto text = read_file(root / file)) all += "\n" + file + ":" + fingerprint(*text);
  }
  return fingerprint(all);
}

std::string content_of(const fs::path& root, const project::SourceFile& source, const schema::Description& description) {
  const auto text = read_file(source.path, kMostSource);
  std::string all = text ? fingerprint(*text) + "-" + std::to_string(text->size()) : "";
  for (const auto& other : description.depends) {
    if (const auto more = read_file(root / other, kMostSource)) all += "\n" + other + ":" + fingerprint(*more);
  }
  return fingerprint(all);
}

json::object object_or_empty(const json::object& from, std::string_view key) {
  const auto* value = from.if_contains(key);
  return value && value->is_object() ? value->get_object() : json::object();
}

// {"path": {"content", "depends": {path: stamp}, "functions": […]}}
json::object kept_answers(const fs::path& root, const project::Language& language, const std::string& ground) {
  const auto text = read_file(kept_file(root, language.name), kMostAnswer);
  if (!text) return {};
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return {};
  const auto* format = value->get_object().if_contains("format");
  if (!format || *format != kFormat || string_or(value->get_object(), "ground") != ground) return {};
  return object_or_empty(value->get_object(), "files");
}

bool holds(const fs::path& root, const json::object& entry, const std::string& content) {
  if (string_or(entry, "content") != content) return false;
  for (const auto& [path, when] : object_or_empty(entry, "depends")) {
    if (!when.is_string() || std::string_view(when.get_string()) != file_stamp(root, path)) return false;
  }
  return true;
}

const json::object* told_of(const json::object& entry, const schema::FunctionSchema& function) {
  const auto* functions = entry.if_contains("functions");
  if (!functions || !functions->is_array()) return nullptr;
  for (const auto& one : functions->get_array()) {
    const auto* object = one.if_object();
    if (object && string_or(*object, "name") == function.name && string_or(*object, "receiver") == function.receiver) return object;
  }
  return nullptr;
}

// The told schema, its definitions moved to `definitions`; nothing where it is none.
std::optional<json::object> schema_in(const json::object& told, json::object& definitions) {
  const auto* value = told.if_contains("schema");
  if (!value || !value->is_object() || !schema::Validator::compile(value->get_object())) return std::nullopt;
  json::object out = value->get_object();
  for (const auto& [name, definition] : object_or_empty(out, "$defs")) definitions[name] = definition;
  out.erase("$defs");
  return out;
}

void drop_warning(schema::FunctionSchema& function, const std::string& beginning) {
  std::erase_if(function.warnings, [&](const std::string& warning) { return warning.starts_with(beginning); });
}

void put_in(schema::FunctionSchema& function, const json::object& told) {
  json::object definitions = object_or_empty(function.input_schema, "$defs");
  const json::object parameters = object_or_empty(told, "parameters");
  for (auto& parameter : function.parameters) {
    if (!parameter.unresolved) continue;
    auto resolved = schema_in(object_or_empty(parameters, parameter.name), definitions);
    if (!resolved) continue;
    parameter.schema = std::move(*resolved);
    if (parameter.kind == schema::ParameterKind::kVariadic) parameter.schema = json::object{{"type", "array"}, {"items", std::move(parameter.schema)}};
    parameter.unresolved = false;
    function.introspected = true;
    drop_warning(function, "parameter '" + parameter.name + "'");
  }
  schema::make_input_schema(function);
  if (!definitions.empty()) function.input_schema["$defs"] = std::move(definitions);
  if (!function.result_unresolved) return;
  json::object of_result;
  auto resolved = schema_in(object_or_empty(told, "result"), of_result);
  if (!resolved) return;
  function.output_schema = function.is_generator ? json::object{{"type", "array"}, {"items", std::move(*resolved)}} : std::move(*resolved);
  if (!of_result.empty()) function.output_schema["$defs"] = std::move(of_result);
  function.result_unresolved = false;
  function.introspected = true;
  drop_warning(function, "result: ");
}

struct Asked {
  const Registry::Described* described;
  std::string content;
};

json::array question(const std::vector<Asked>& asked) {
  json::array files;
  for (const auto& one : asked) {
    json::array functions;
    for (const auto& function : one.described->description.functions) {
      if (!needs_it(function)) continue;
      json::array names;
      for (const auto& parameter : function.parameters) {
        if (parameter.unresolved) names.push_back(json::value(parameter.name));
      }
      functions.push_back(json::object{{"name", function.name}, {"receiver", function.receiver}, {"parameters", std::move(names)},
                                       {"result", function.result_unresolved}});
    }
    files.push_back(json::object{{"path", one.described->source.relative}, {"functions", std::move(functions)}});
  }
  return files;
}

Result<json::array> ask(const project::Project& project, const project::Language& language, const std::vector<Asked>& asked) {
  auto interpreter = languages::find_interpreter(language, project.root);
  if (!interpreter) return fail(std::move(interpreter.error()));
  process::SpawnSpec spec;
  spec.argv = languages::filled(language.introspect, languages::usual_values(language, project.root, *interpreter));
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}, {"SABIR_PROJECT", project.root.string()}});
  spec.directory = project.root;
  spec.input = compact_json(json::object{{"version", 1}, {"project", project.root.string()}, {"files", question(asked)}});
  spec.separate_errors = true;
  auto run = process::run(std::move(spec), kLongest, kMostAnswer);
  if (!run) return fail(std::move(run.error()));
  const std::string what = "the introspect program of " + language.name;
  if (run->timed_out) return fail(ErrorCode::kTimeout, what + " took more than " + std::to_string(kLongest.count()) + " s");
  if (run->status.code != 0) {
    const auto lines = split_lines(trim(run->errors));
    return fail(ErrorCode::kUnavailable, what + " " + run->status.text() + (lines.empty() ? "" : ": " + std::string(lines.back())));
  }
  auto answer = parse_json(run->output);
  auto* files = answer && answer->is_object() ? answer->get_object().if_contains("files") : nullptr;
  if (!files || !files->is_array() || files->get_array().size() != asked.size()) {
    return fail(ErrorCode::kProtocol, what + " must answer {\"version\": 1, \"files\": […]} with one entry for each file");
  }
  return std::move(files->get_array());
}

void introspect_language(const project::Project& project, const project::Language& language, const Registry& registry,
                         std::vector<IntrospectReport>& out) {
  std::vector<Asked> asked;
  json::object next;
  json::object kept;
  std::string ground;
  for (const auto& described : registry.described()) {
    const auto& functions = described.description.functions;
    if (described.source.language != language.name) continue;
    // A registry whose functions have been told of already has no unresolved ones; `introspected` says which those are.
    const bool told_before = std::any_of(functions.begin(), functions.end(), [](const auto& function) { return function.introspected; });
    if (!told_before && std::none_of(functions.begin(), functions.end(), needs_it)) continue;
    if (ground.empty()) {
      ground = ground_of(project.root, language);
      kept = kept_answers(project.root, language, ground);
    }
    Asked one{&described, content_of(project.root, described.source, described.description)};
    auto* entry = kept.if_contains(described.source.relative);
    if (entry && entry->is_object() && holds(project.root, entry->get_object(), one.content)) {
      const auto told = std::count_if(functions.begin(), functions.end(), [](const auto& function) { return function.introspected; });
      out.push_back({language.name, described.source.relative, static_cast<int>(told), true, ""});
      next[described.source.relative] = std::move(*entry);
    } else {
      asked.push_back(std::move(one));
    }
  }
  if (!asked.empty()) {
    auto answers = ask(project, language, asked);
    if (!answers) {
      out.push_back({language.name, "", 0, false, answers.error().message});
      return;
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto& relative = asked[i].described->source.relative;
      const json::object told = (*answers)[i].is_object() ? (*answers)[i].get_object() : json::object();
      const json::object error = object_or_empty(told, "error");
      if (!error.empty()) {
        // Not kept: what is missing may be there next time.
        out.push_back({language.name, relative, 0, false, std::string(string_or(error, "message", "it cannot be imported"))});
        continue;
      }
      json::object depends;
      if (const auto* files = told.if_contains("depends"); files && files->is_array()) {
        for (const auto& file : files->get_array()) {
          if (file.is_string() && depends.size() < kMostDepends) depends[file.get_string()] = file_stamp(project.root, file.get_string());
        }
      }
      const auto* functions = told.if_contains("functions");
      json::object entry{{"content", asked[i].content}, {"functions", functions && functions->is_array() ? *functions : json::array()}};
      if (!depends.empty()) entry["depends"] = std::move(depends);
      IntrospectReport report{language.name, relative, 0, false, ""};
      for (auto function : asked[i].described->description.functions) {
        if (!needs_it(function)) continue;
        if (const auto* one = told_of(entry, function)) put_in(function, *one);
        report.told += function.introspected ? 1 : 0;
      }
      out.push_back(std::move(report));
      next[relative] = std::move(entry);
    }
  }
  if (ground.empty()) return;
  std::error_code ignored;
  fs::create_directories(kept_file(project.root, language.name).parent_path(), ignored);
  // Where it cannot be kept, the next setup asks again.
  (void)write_file(kept_file(project.root, language.name),
                   compact_json(json::object{{"format", kFormat}, {"ground", ground}, {"files", std::move(next)}}));
}

}  // namespace

struct Introspected::State {
  fs::path root;
  Inputs inputs;
  json::object kept;
};

Introspected::Introspected(const project::Project& project, const project::Language& language) : state_(std::make_unique<State>()) {
  state_->root = project.root;
  if (language.introspect.empty()) return;
  std::error_code ignored;
  const auto file = kept_file(project.root, language.name);
  const bool there = fs::exists(file, ignored);
  state_->inputs.add(file, there);
  if (!there) return;
  for (const auto& name : language.introspect_files) state_->inputs.add(project.root / name, fs::exists(project.root / name, ignored));
  state_->kept = kept_answers(project.root, language, ground_of(project.root, language));
  for (const auto& [path, entry] : state_->kept) {
    if (!entry.is_object()) continue;
    for (const auto& [name, when] : object_or_empty(entry.get_object(), "depends")) {
      state_->inputs.add(project.root / std::string(name), fs::exists(project.root / std::string(name), ignored));
    }
  }
}
Introspected::~Introspected() = default;
Introspected::Introspected(Introspected&&) noexcept = default;

void Introspected::add_inputs(Inputs& inputs) const { inputs.add(state_->inputs); }

void Introspected::apply(const project::SourceFile& source, schema::Description& description) const {
  const auto* entry = state_->kept.if_contains(source.relative);
  if (!entry || !entry->is_object() || !holds(state_->root, entry->get_object(), content_of(state_->root, source, description))) return;
  for (auto& function : description.functions) {
    if (!needs_it(function)) continue;
    if (const auto* told = told_of(entry->get_object(), function)) put_in(function, *told);
  }
}

std::vector<IntrospectReport> introspect(const project::Project& project, const std::vector<project::Language>& languages,
                                         const Registry& registry) {
  std::vector<IntrospectReport> out;
  for (const auto& language : languages) {
    if (!language.introspect.empty()) introspect_language(project, language, registry, out);
  }
  return out;
}

}  // namespace sabir::functions

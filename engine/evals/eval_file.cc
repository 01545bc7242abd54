#include "sabir/evals/eval_file.h"

#include <algorithm>
#include <set>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/evals/expect.h"
#include "sabir/recordings/recordings.h"
#include "sabir/schema/validator.h"
#include "shape.h"

namespace sabir::evals {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostCases = 100'000;
constexpr std::size_t kMostFileBytes = std::size_t{16} << 20U;

// ---- {{ name }} ------------------------------------------------------------------------------------------------------

// Where a text is nothing but `{{ name }}`, the variable itself, of whatever kind. Errors: kConfig without a place.
Result<json::value> filled(const json::value& value, const json::object& vars);

Result<json::value> filled_text(std::string_view text, const json::object& vars) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const auto open = text.find("{{", at);
    if (open == std::string_view::npos) break;
    const auto close = text.find("}}", open);
    if (close == std::string_view::npos) return fail(ErrorCode::kConfig, "'{{' is not closed by '}}'");
    const std::string name(trim(text.substr(open + 2, close - open - 2)));
    const auto* found = vars.if_contains(name);
    if (found == nullptr) {
      std::vector<std::string> names;
      for (const auto& member : vars) names.emplace_back(member.key());
      const auto hint = did_you_mean(name, names);
      return fail(ErrorCode::kConfig, "the case has no variable '" + name + "'", hint.empty() ? "It has " + join(names, ", ") + "." : hint);
    }
    if (open == 0 && close + 2 == text.size()) return *found;
    out += text.substr(at, open - at);
    out += found->is_string() ? std::string(found->get_string()) : compact_json(*found);
    at = close + 2;
  }
  out += text.substr(at);
  return json::value(out);
}

Result<json::value> filled(const json::value& value, const json::object& vars) {
  if (vars.empty()) return value;
  if (value.is_string()) return filled_text({value.get_string().data(), value.get_string().size()}, vars);
  if (value.is_array()) {
    json::array out;
    for (const auto& one : value.get_array()) {
      auto made = filled(one, vars);
      if (!made) return made;
      out.push_back(std::move(*made));
    }
    return out;
  }
  if (value.is_object()) {
    json::object out;
    for (const auto& member : value.get_object()) {
      auto made = filled(member.value(), vars);
      if (!made) return made;
      out[member.key()] = std::move(*made);
    }
    return out;
  }
  return value;
}

// ---- expect ----------------------------------------------------------------------------------------------------------

struct ExpectReader {
  const Shape& shape;
  const Eval& eval;
  std::string judge_model;
  double judge_pass = 0.7;

  Place place(const std::string& pointer) const {
    const auto [line, column] = shape.at(pointer);
    return {shape.file, line, column};
  }

  Result<void> texts(const json::object& object, const char* key, const std::string& at, std::vector<TextExpectation>& out) const {
    auto list = shape.texts(object, key, at);
    if (!list) return fail(std::move(list.error()));
    const std::string own = below(at, key);
    const bool many = object.contains(key) && object.at(key).is_array();
    for (std::size_t i = 0; i < list->size(); ++i) {
      if ((*list)[i].empty()) return fail(shape.wrong(own, std::string(key) + " has an empty text"));
      out.push_back({(*list)[i], place(many ? below(own, std::to_string(i)) : own)});
    }
    return {};
  }

  Result<void> called(const json::value& value, const std::string& at, std::vector<Called>& out) const {
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        if (value.get_array()[i].is_array()) return fail(shape.wrong(below(at, std::to_string(i)), "a called function must be a text or a mapping, not a list"));
        if (auto ok = called(value.get_array()[i], below(at, std::to_string(i)), out); !ok) return ok;
      }
      return {};
    }
    Called one;
    one.place = place(at);
    if (value.is_string()) {
      one.function = value.get_string();
    } else if (value.is_object()) {
      const auto& object = value.get_object();
      if (auto ok = shape.only(object, {"function", "with", "times"}, at); !ok) return ok;
      auto function = shape.text(object, "function", at);
      if (!function) return fail(std::move(function.error()));
      if (!*function) return fail(shape.wrong(at, "called needs 'function', an address"));
      one.function = std::move(**function);
      auto with = shape.mapping(object, "with", at);
      if (!with) return fail(std::move(with.error()));
      if (*with) one.with = std::move(**with);
      for (const auto& argument : one.with) {
        if (auto problem = problem_of(argument.value())) return fail(shape.wrong(below(below(at, "with"), argument.key()), *problem));
      }
      auto times = shape.whole(object, "times", at, 0, 1000);
      if (!times) return fail(std::move(times.error()));
      if (*times) one.times = static_cast<int>(**times);
    } else {
      return fail(shape.wrong(at, "called must be a function's address or a mapping, not " + kind_of(value), "Write `called: {function: module.name, with: {argument: value}}`."));
    }
    if (one.function.empty()) return fail(shape.wrong(at, "called names no function"));
    out.push_back(std::move(one));
    return {};
  }

  Result<void> cost(const json::object& object, const std::string& at, Expect& out) const {
    const auto* value = object.if_contains("cost");
    if (value == nullptr) return {};
    const std::string own = below(at, "cost");
    json::object limits;
    if (value->is_number()) limits["usd"] = *value;
    else if (value->is_object()) limits = value->get_object();
    else return fail(shape.wrong(own, "cost must be an amount of USD, or {usd, tokens}, not " + kind_of(*value)));
    if (auto ok = shape.only(limits, {"usd", "tokens"}, own); !ok) return ok;
    auto usd = shape.number(limits, "usd", own, 0, 1e6);
    if (!usd) return fail(std::move(usd.error()));
    if (*usd) out.most_usd = std::pair(**usd, place(own));
    auto tokens = shape.whole(limits, "tokens", own, 0, 1'000'000'000);
    if (!tokens) return fail(std::move(tokens.error()));
    if (*tokens) out.most_tokens = std::pair(**tokens, place(own));
    return {};
  }

  Result<void> judge(const json::object& object, const std::string& at, Expect& out) const {
    const auto* value = object.if_contains("judge");
    if (value == nullptr) return {};
    const std::string own = below(at, "judge");
    json::object rule;
    if (value->is_string()) rule["rubric"] = *value;
    else if (value->is_object()) rule = value->get_object();
    else return fail(shape.wrong(own, "judge must be a rubric, or {model, rubric, pass}, not " + kind_of(*value)));
    if (auto ok = shape.only(rule, {"model", "rubric", "pass"}, own); !ok) return ok;
    auto rubric = shape.text(rule, "rubric", own);
    if (!rubric) return fail(std::move(rubric.error()));
    if (!*rubric || trim(**rubric).empty()) return fail(shape.wrong(own, "a judge needs a 'rubric': what makes an answer good"));
    auto model = shape.text(rule, "model", own);
    if (!model) return fail(std::move(model.error()));
    auto pass = shape.number(rule, "pass", own, 0, 1);
    if (!pass) return fail(std::move(pass.error()));
    out.judge = JudgeRule{model->value_or(judge_model), std::move(**rubric), pass->value_or(judge_pass), place(own)};
    return {};
  }

  // Adds to `out`; what both say once, the later says.
  Result<void> read(const json::object& object, const std::string& at, Expect& out) const {
    if (auto ok = shape.only(object, {"contains", "not_contains", "regex", "equals", "json", "schema", "called", "not_called", "order", "calls", "cost", "latency", "steps", "judge"}, at); !ok) return ok;
    if (auto ok = texts(object, "contains", at, out.contains); !ok) return ok;
    if (auto ok = texts(object, "not_contains", at, out.not_contains); !ok) return ok;
    const auto before = out.regex.size();
    if (auto ok = texts(object, "regex", at, out.regex); !ok) return ok;
    for (std::size_t i = before; i < out.regex.size(); ++i) {
      if (auto valid = found(out.regex[i].text, ""); !valid) return fail(Error(ErrorCode::kConfig, valid.error().message, valid.error().hint).at(shape.file, out.regex[i].place.line, out.regex[i].place.column));
    }
    if (const auto* equals = object.if_contains("equals")) out.equals = std::pair(*equals, place(below(at, "equals")));
    if (const auto* json = object.if_contains("json")) {
      if (*json == false) return fail(shape.wrong(below(at, "json"), "json is `true`, or what the answer's JSON has to fit"));
      if (auto problem = problem_of(*json)) return fail(shape.wrong(below(at, "json"), *problem));
      out.json = std::pair(*json, place(below(at, "json")));
    }
    auto schema = shape.mapping(object, "schema", at);
    if (!schema) return fail(std::move(schema.error()));
    if (*schema) {
      if (auto valid = schema::Validator::compile(**schema); !valid) return fail(shape.wrong(below(at, "schema"), "no JSON Schema: " + valid.error().message));
      out.schema = std::pair(std::move(**schema), place(below(at, "schema")));
    }
    if (const auto* value = object.if_contains("called")) {
      if (auto ok = called(*value, below(at, "called"), out.called); !ok) return ok;
    }
    if (auto ok = texts(object, "not_called", at, out.not_called); !ok) return ok;
    if (auto ok = texts(object, "order", at, out.order); !ok) return ok;
    auto calls = shape.whole(object, "calls", at, 0, 10'000);
    if (!calls) return fail(std::move(calls.error()));
    if (*calls) out.most_calls = std::pair(**calls, place(below(at, "calls")));
    auto steps = shape.whole(object, "steps", at, 0, 10'000);
    if (!steps) return fail(std::move(steps.error()));
    if (*steps) out.most_steps = std::pair(**steps, place(below(at, "steps")));
    auto latency = shape.duration_ms(object, "latency", at);
    if (!latency) return fail(std::move(latency.error()));
    if (*latency) out.most_ms = std::pair(**latency, place(below(at, "latency")));
    if (auto ok = cost(object, at, out); !ok) return ok;
    return judge(object, at, out);
  }
};

// ---- The file --------------------------------------------------------------------------------------------------------

struct EvalReader {
  Shape shape;
  Eval eval;
  json::object top;
  std::string judge_model;
  double judge_pass = 0.7;

  ExpectReader expect_reader(const Shape& of) const { return {of, eval, judge_model, judge_pass}; }

  Result<void> read_top() {
    if (auto ok = shape.only(top, {"description", "assistant", "prompt", "model", "with", "ask", "samples", "pass_rate", "budget", "judge", "approve", "expect", "cases"}, ""); !ok) return ok;
    const auto take = [&](const char* key, std::string& out) -> Result<void> {
      auto text = shape.text(top, key, "");
      if (!text) return fail(std::move(text.error()));
      if (*text && (*text)->empty()) return fail(shape.wrong(below("", key), std::string(key) + " is empty"));
      out = text->value_or("");
      return {};
    };
    if (auto ok = take("assistant", eval.assistant); !ok) return ok;
    if (auto ok = take("prompt", eval.prompt); !ok) return ok;
    if (auto ok = take("model", eval.model); !ok) return ok;
    if (eval.assistant.empty() == eval.prompt.empty()) return fail(shape.wrong("", eval.assistant.empty() ? "an eval asks an assistant or a prompt: name one" : "an eval asks an assistant or a prompt, and not both", "Write `assistant: NAME` or `prompt: NAME`."));
    if (!eval.prompt.empty() && top.contains("ask")) return fail(shape.wrong("/ask", "a prompt is not asked: it has variables, `with`"));
    if (!eval.assistant.empty() && top.contains("with")) return fail(shape.wrong("/with", "an assistant has no variables: it is asked, `ask`"));
    auto approve = shape.texts(top, "approve", "");
    if (!approve) return fail(std::move(approve.error()));
    eval.approve = std::move(*approve);
    auto budget = shape.number(top, "budget", "", 0, 1e6);
    if (!budget) return fail(std::move(budget.error()));
    eval.budget_usd = *budget;
    auto judge = shape.mapping(top, "judge", "");
    if (!judge) return fail(std::move(judge.error()));
    if (*judge) {
      if (auto ok = shape.only(**judge, {"model", "pass"}, "/judge"); !ok) return ok;
      auto model = shape.text(**judge, "model", "/judge");
      if (!model) return fail(std::move(model.error()));
      judge_model = model->value_or("");
      auto pass = shape.number(**judge, "pass", "/judge", 0, 1);
      if (!pass) return fail(std::move(pass.error()));
      judge_pass = pass->value_or(0.7);
    }
    return {};
  }

  // A case as `of` has it at `at`; "" where it is a whole line of a table.
  Result<void> add_case(const json::object& given, const Shape& of, const std::string& at, std::set<std::string>& ids) {
    const auto number = eval.cases.size() + 1;
    EvalCase out;
    const auto [line, column] = of.at(at);
    out.place = {of.file, line, column};
    auto vars = of.mapping(given, "vars", at);
    if (!vars) return fail(std::move(vars.error()));
    const json::object variables = *vars ? std::move(**vars) : json::object();
    const auto fill = [&](const json::value& value, const Shape& shape_of, const std::string& pointer) -> Result<json::value> {
      auto made = filled(value, variables);
      if (!made) return fail(shape_of.wrong(pointer, made.error().message, made.error().hint));
      return made;
    };
    auto id = of.text(given, "id", at);
    if (!id) return fail(std::move(id.error()));
    out.id = id->value_or("case " + std::to_string(number));
    if (out.id.empty() || out.id.size() > 100) return fail(of.wrong(at, "a case's id has 1 to 100 bytes"));
    if (!ids.insert(out.id).second) return fail(of.wrong(at, "there is a case '" + out.id + "' already", "Each case has an id of its own: recordings are kept by it."));
    auto skip = of.text(given, "skip", at);
    if (!skip) return fail(std::move(skip.error()));
    out.skip = skip->value_or("");
    if (*skip && out.skip.empty()) return fail(of.wrong(below(at, "skip"), "skip says why"));

    if (!eval.assistant.empty()) {
      if (given.contains("with")) return fail(of.wrong(below(at, "with"), "an assistant has no variables: it is asked, `ask`"));
      const bool own = given.contains("ask");
      if (!own && !top.contains("ask")) return fail(of.wrong(at, "the case asks nothing: it needs 'ask'"));
      const Shape& from = own ? of : shape;
      const json::object& holder = own ? given : top;
      auto asked = fill(holder.at("ask"), from, below(own ? at : "", "ask"));
      if (!asked) return fail(std::move(asked.error()));
      json::object whole{{"ask", std::move(*asked)}};
      auto asks = from.texts(whole, "ask", own ? at : "");
      if (!asks) return fail(std::move(asks.error()));
      if (asks->empty()) return fail(from.wrong(below(own ? at : "", "ask"), "ask is empty"));
      out.asks = std::move(*asks);
    } else {
      if (given.contains("ask")) return fail(of.wrong(below(at, "ask"), "a prompt is not asked: it has variables, `with`"));
      for (const auto& [holder, from, pointer] : {std::tuple<const json::object*, const Shape*, std::string>(&top, &shape, ""), {&given, &of, at}}) {
        auto with = from->mapping(*holder, "with", pointer);
        if (!with) return fail(std::move(with.error()));
        if (!*with) continue;
        auto made = fill(**with, *from, below(pointer, "with"));
        if (!made) return fail(std::move(made.error()));
        for (const auto& member : made->get_object()) out.with[member.key()] = member.value();
      }
      // Where nothing else is said, a table's columns are the prompt's variables.
      if (!top.contains("with") && !given.contains("with")) out.with = variables;
    }
    for (const auto& [holder, from, pointer] : {std::tuple<const json::object*, const Shape*, std::string>(&top, &shape, ""), {&given, &of, at}}) {
      auto expect = from->mapping(*holder, "expect", pointer);
      if (!expect) return fail(std::move(expect.error()));
      if (!*expect) continue;
      auto made = fill(**expect, *from, below(pointer, "expect"));
      if (!made) return fail(std::move(made.error()));
      if (auto ok = expect_reader(*from).read(made->get_object(), below(pointer, "expect"), out.expect); !ok) return ok;
    }
    if (out.expect.empty()) return fail(of.wrong(at, "the case expects nothing, and could not fail", "Say what has to come of it: `expect: {contains: …}`."));
    for (const auto& [holder, from, pointer] : {std::tuple<const json::object*, const Shape*, std::string>(&top, &shape, ""), {&given, &of, at}}) {
      auto samples = from->whole(*holder, "samples", pointer, 1, 100);
      if (!samples) return fail(std::move(samples.error()));
      if (*samples) out.samples = static_cast<int>(**samples);
      auto rate = from->number(*holder, "pass_rate", pointer, 0, 1);
      if (!rate) return fail(std::move(rate.error()));
      if (*rate) out.pass_rate = **rate;
    }
    eval.cases.push_back(std::move(out));
    return {};
  }

  Result<void> read_table(const json::object& table, const ReadTable& read, std::set<std::string>& ids) {
    if (auto ok = shape.only(table, {"file"}, "/cases"); !ok) return ok;
    auto path = shape.text(table, "file", "/cases");
    if (!path) return fail(std::move(path.error()));
    if (!*path || (*path)->empty()) return fail(shape.wrong("/cases", "cases must be a list, or name a table: `cases: {file: cases.csv}`"));
    const fs::path named(**path);
    const auto extension = named.extension();
    if (extension != ".csv" && extension != ".jsonl") return fail(shape.wrong("/cases/file", "a table is a file .csv or .jsonl, not '" + **path + "'"));
    if (named.is_absolute() || (*path)->find("..") != std::string::npos) return fail(shape.wrong("/cases/file", "a table lies beside the eval or below it"));
    auto text = read(**path);
    if (!text) return fail(shape.wrong("/cases/file", text.error().message, text.error().hint));
    Shape own;
    own.file = (fs::path(shape.file).parent_path() / named).string();
    auto rows = extension == ".csv" ? parse_csv(*text, own.file) : parse_jsonl(*text, own.file);
    if (!rows) return fail(std::move(rows.error()));
    for (auto& row : *rows) {
      own.line = row.line;
      // Columns that mean nothing else are variables.
      json::object given;
      json::object vars;
      for (auto& member : row.members) {
        static const std::vector<std::string> kKnown = {"id", "ask", "with", "vars", "expect", "samples", "pass_rate", "skip"};
        const bool known = extension == ".csv" ? member.key() == "id" || member.key() == "ask" : std::find(kKnown.begin(), kKnown.end(), std::string(member.key())) != kKnown.end();
        (known ? given : vars)[member.key()] = std::move(member.value());
      }
      if (const auto* more = given.if_contains("vars"); more != nullptr && more->is_object()) {
        for (const auto& member : more->get_object()) vars[member.key()] = member.value();
      }
      if (given.contains("id") && given.at("id").is_int64()) given["id"] = compact_json(given.at("id"));
      given["vars"] = std::move(vars);
      if (auto ok = add_case(given, own, "", ids); !ok) return ok;
    }
    return {};
  }
};

bool is_eval(const fs::path& path) { return path.extension() == ".yml" || path.extension() == ".yaml"; }

}  // namespace

Result<Eval> parse_eval(std::string_view text, const std::string& file, const std::string& name, const ReadTable& read_table) {
  EvalReader reader;
  reader.shape.file = file;
  reader.eval.file = file;
  reader.eval.name = name;
  auto read = project::parse_yaml(text, file, &reader.shape.positions);
  if (!read) return fail(std::move(read.error()));
  if (!read->is_object()) return fail(reader.shape.wrong("", "an eval must be a mapping, not " + kind_of(*read)));
  reader.top = std::move(read->get_object());
  if (auto ok = reader.read_top(); !ok) return fail(std::move(ok.error()));
  const auto* cases = reader.top.if_contains("cases");
  if (cases == nullptr) return fail(reader.shape.wrong("", "the eval has no 'cases'"));
  std::set<std::string> ids;
  if (cases->is_object()) {
    if (auto ok = reader.read_table(cases->get_object(), read_table, ids); !ok) return fail(std::move(ok.error()));
  } else if (cases->is_array()) {
    if (cases->get_array().size() > kMostCases) return fail(reader.shape.wrong("/cases", "more than " + std::to_string(kMostCases) + " cases"));
    for (std::size_t i = 0; i < cases->get_array().size(); ++i) {
      const std::string at = "/cases/" + std::to_string(i);
      const auto& one = cases->get_array()[i];
      if (!one.is_object()) return fail(reader.shape.wrong(at, "a case must be a mapping, not " + kind_of(one)));
      if (auto ok = reader.shape.only(one.get_object(), {"id", "ask", "with", "vars", "expect", "samples", "pass_rate", "skip"}, at); !ok) return fail(std::move(ok.error()));
      if (auto ok = reader.add_case(one.get_object(), reader.shape, at, ids); !ok) return fail(std::move(ok.error()));
    }
  } else {
    return fail(reader.shape.wrong("/cases", "cases must be a list, or name a table: `cases: {file: cases.csv}`, not " + kind_of(*cases)));
  }
  if (reader.eval.cases.empty()) return fail(reader.shape.wrong("/cases", "the eval has no case"));
  // Two names may become one file.
  std::map<std::string, std::string> files;
  for (const auto& one : reader.eval.cases) {
    for (int sample = 1; sample <= one.samples; ++sample) {
      const auto own = recording_name(reader.eval, one, sample);
      const auto [at, fresh] = files.emplace(recordings::file_name(own), own);
      if (!fresh) return fail(Error(ErrorCode::kConfig, "the cases '" + one.id + "' and '" + at->second + "' would share one recording", "Give one of them another id.").at(one.place.file, one.place.line, one.place.column));
    }
  }
  return std::move(reader.eval);
}

std::string recording_name(const Eval& eval, const EvalCase& one, int sample) { return eval.file + "::" + one.id + (sample > 1 ? "#" + std::to_string(sample) : ""); }

Result<std::vector<Eval>> load_evals(const fs::path& root, const std::vector<std::string>& words) {
  const fs::path folder = root / kEvalFolder;
  std::vector<fs::path> files;
  std::error_code ec;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->is_regular_file(ec) && is_eval(it->path())) files.push_back(it->path());
    if (files.size() > 10'000) return fail(ErrorCode::kLimit, std::string(kEvalFolder) + " has more than 10,000 evals");
  }
  std::sort(files.begin(), files.end());
  const auto name_of = [&](const fs::path& path) { return path.lexically_relative(folder).replace_extension().generic_string(); };
  if (!words.empty()) {
    std::vector<fs::path> named;
    for (const auto& word : words) {
      const auto before = named.size();
      const fs::path given = fs::absolute(word, ec).lexically_normal();
      for (const auto& path : files) {
        const bool below_it = path.generic_string().starts_with(given.generic_string() + "/");
        if (name_of(path) == word || name_of(path) + ".yml" == word || path.lexically_normal() == given || (below_it && fs::is_directory(given, ec))) named.push_back(path);
      }
      if (named.size() > before) continue;
      std::vector<std::string> names;
      for (const auto& path : files) names.push_back(name_of(path));
      const auto hint = did_you_mean(word, names);
      return fail(ErrorCode::kNotFound, "there is no eval '" + word + "' in " + kEvalFolder + "/", !hint.empty() ? hint : names.empty() ? "" : "There are " + join(names, ", ") + ".");
    }
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    files = std::move(named);
  }
  std::vector<Eval> out;
  for (const auto& path : files) {
    auto text = read_file(path, kMostFileBytes);
    if (!text) return fail(std::move(text.error()));
    auto eval = parse_eval(*text, path.lexically_relative(root).generic_string(), name_of(path), [&](const std::string& table) { return read_file(path.parent_path() / table, kMostFileBytes); });
    if (!eval) return fail(std::move(eval.error()));
    out.push_back(std::move(*eval));
  }
  return out;
}

}  // namespace sabir::evals

#include "checking.h"

#include <algorithm>
#include <array>

#include "budget.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "shape.h"

namespace sabir::completions {
namespace {

const json::object* object_at(const json::object& front_matter, std::string_view key, std::string_view member) {
  const auto* outer = front_matter.if_contains(key);
  const auto* inner = outer == nullptr ? nullptr : outer->get_object().if_contains(member);
  return inner == nullptr ? nullptr : inner->if_object();
}

const json::array& list_at(const json::object& facts, std::string_view key) { return facts.at(key).as_array(); }

// "customer.name", "turns[…].text", as the steps lead.
std::string path_text(std::string_view name, const json::array& steps, std::size_t count) {
  std::string out(name);
  for (std::size_t i = 0; i < count; ++i) {
    if (steps[i].is_string()) {
      out += "." + std::string(steps[i].get_string());
    } else {
      out += "[…]";
    }
  }
  return out;
}

// Sentences beside each other; one that is empty is left out.
std::string hint_of(std::string first, std::string_view second) {
  if (!first.empty() && !second.empty()) first += " ";
  return first.append(second);
}

std::string types_text(const std::set<std::string>& types) { return join(std::vector<std::string>(types.begin(), types.end()), " or "); }

// Violations of `value` by `schema`; empty where it fits or the schema is none.
json::array violations_of(const json::value& schema, const json::value& value) {
  const std::string text = json::serialize(schema);
  const std::string given = json::serialize(value);
  std::shared_ptr<sb_schema> compiled(sb_schema_compile({text.data(), text.size()}, nullptr), sb_schema_free);
  if (!compiled) return {};
  sb_buf out{nullptr, 0};
  const int status = sb_schema_validate(compiled.get(), {given.data(), given.size()}, &out);
  const std::string told(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  auto list = parse_json(told);
  return status == 1 && list && list->is_array() ? std::move(list->get_array()) : json::array();
}

}  // namespace

std::string_view to_text(Severity severity) {
  return severity == Severity::kError ? "error" : severity == Severity::kWarning ? "warning" : "note";
}

std::size_t CheckReport::count(Severity severity) const {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [&](const Finding& finding) { return finding.severity == severity; }));
}

json::object to_json(const CheckReport& report) {
  json::array problems;
  for (const auto& finding : report.findings) {
    json::array prompts;
    for (const auto& prompt : finding.prompts) prompts.push_back(json::value(prompt));
    problems.push_back({{"severity", to_text(finding.severity)}, {"code", finding.code}, {"message", finding.message}, {"hint", finding.hint}, {"file", finding.file},
                        {"line", finding.line}, {"column", finding.column}, {"prompts", std::move(prompts)}});
  }
  return {{"ok", report.count(Severity::kError) == 0}, {"prompts", report.prompts}, {"parts", report.parts}, {"problems", std::move(problems)}};
}

struct Checking::Prompt {
  std::string name;
  const PromptFacts& is;
  const json::object& front_matter;
  const json::object* defaults;  // may be null
  const json::object* schema;    // of the input; may be null
  Shape shape;                   // of the variables; of nothing where there is no schema
  std::set<std::string, std::less<>> read;  // variables that something reads

  Prompt(const PromptInfo& info, const PromptFacts& facts)
      : name(info.name), is(facts), front_matter(facts.file->front_matter), defaults(object_at(front_matter, "input", "defaults")),
        schema(object_at(front_matter, "input", "schema")), shape(root(), root()) {
    for (const auto& read_here : list_at(facts.facts, "reads")) read.emplace(string_or(read_here.as_object(), "name"));
  }
  const json::value& root() const {
    static const json::value nothing;
    return schema == nullptr ? nothing : front_matter.at("input").at("schema");
  }

  bool has_default(std::string_view variable) const { return defaults != nullptr && defaults->contains(variable); }
  std::vector<std::string> declared() const {
    std::vector<std::string> names = shape.members();
    if (defaults != nullptr) {
      for (const auto& member : *defaults) {
        if (std::find(names.begin(), names.end(), member.key()) == names.end()) names.emplace_back(member.key());
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // Whether all that it includes is known before rendering.
  bool is_whole() const { return list_at(is.facts, "unknown").empty() && is.facts.at("partial") == false; }
};

Checking::Checking(const CheckOptions& options, std::function<Tokens(const std::string&)> tokens_of, std::string mark, std::size_t mark_size)
    : options_(options), tokens_of_(std::move(tokens_of)), mark_(std::move(mark)), mark_size_(mark_size) {}

json::object Checking::choices_of(const TemplateFile& file) {
  json::object choices;
  const auto* schema = object_at(file.front_matter, "input", "schema");
  const auto* members = schema == nullptr ? nullptr : schema->if_contains("properties");
  if (members == nullptr || !members->is_object()) return choices;
  for (const auto& member : members->get_object()) {
    const auto* one = member.value().if_object();
    const auto* options = one == nullptr ? nullptr : one->if_contains("enum");
    if (options == nullptr || !options->is_array()) continue;
    const auto& list = options->get_array();
    if (std::all_of(list.begin(), list.end(), [](const json::value& option) { return option.is_string(); })) choices[member.key()] = list;
  }
  return choices;
}

void Checking::add(const PromptInfo& info, const Error& error) {
  find(info.name, {Severity::kError, error.code == ErrorCode::kLimit ? "limit" : "invalid", error.message, error.hint, error.file.empty() ? info.file : error.file,
                   std::max(error.line, 1), error.column, {}});
  is_use_known_ = is_use_known_ && info.is_part;
}

void Checking::add(const PromptInfo& info, const PromptFacts& facts) {
  const Prompt prompt(info, facts);
  check_problems(prompt);
  if (info.is_part) return;
  is_use_known_ = is_use_known_ && prompt.is_whole();
  for (const auto& use : list_at(facts.facts, "uses")) {
    if (const auto place = facts.places.find(use.as_string()); place != facts.places.end()) used_files_.insert(place->second.file);
  }
  check_front_matter(prompt);
  check_budget(prompt);
  for (const auto& read : list_at(facts.facts, "reads")) check_read(prompt, read.as_object());
  check_unused(prompt);
}

void Checking::find(const std::string& prompt, Finding finding) {
  const auto [found, is_new] = findings_.try_emplace({finding.file, finding.line, finding.column, finding.code, finding.message}, std::move(finding));
  auto& prompts = found->second.prompts;
  if (std::find(prompts.begin(), prompts.end(), prompt) == prompts.end()) prompts.push_back(prompt);
}

void Checking::find_at(const Prompt& prompt, Finding finding, const json::object& place) {
  const auto at = prompt.is.places.find(string_or(place, "template"));
  const TemplatePlace where = at == prompt.is.places.end() ? TemplatePlace{prompt.is.file->found.file, prompt.is.file->lines_before} : at->second;
  finding.file = where.file;
  finding.line = place.at("line").to_number<int>() + where.lines_before;
  finding.column = place.at("column").to_number<int>();
  find(prompt.name, std::move(finding));
}

void Checking::find_in_front_matter(const Prompt& prompt, Finding finding, const std::string& pointer) {
  finding.file = prompt.is.file->found.file;
  std::tie(finding.line, finding.column) = project::position_of(prompt.is.file->positions, pointer);
  find(prompt.name, std::move(finding));
}

// ---- Templates -------------------------------------------------------------------------------------------------------

void Checking::check_problems(const Prompt& prompt) {
  for (const auto& value : list_at(prompt.is.facts, "problems")) {
    const auto& problem = value.as_object();
    Finding finding;
    const std::string code(string_or(problem, "code"));
    finding.code = code == "no_block" ? "unreachable" : code == "isolated" ? "undefined" : code;
    finding.message = string_or(problem, "message");
    finding.hint = string_or(problem, "hint");
    std::vector<std::string> known;
    for (const auto& name : problem.at("known").as_array()) known.emplace_back(name.as_string());
    if (code == "no_block" || code == "not_exported") finding.hint = did_you_mean(string_or(problem, "name"), known);
    if (code == "isolated") finding.hint = "Give it to the macro as an argument, or write `with context` behind the import or include.";
    if (code == "unreachable") finding.hint = "Take it out, or mend the condition.";
    if (code == "syntax") finding.message = "template syntax: " + finding.message;
    // A file that a template uses and that cannot be read has its own place.
    if (const auto* file = problem.if_contains("file")) {
      finding.file = file->as_string();
      finding.line = problem.at("file_line").to_number<int>();
      finding.column = problem.at("file_column").to_number<int>();
      find(prompt.name, std::move(finding));
    } else {
      find_at(prompt, std::move(finding), problem);
    }
  }
  for (const auto& value : list_at(prompt.is.facts, "unknown")) {
    const auto& unknown = value.as_object();
    find_at(prompt, {Severity::kNote, "unknown",
                     "which template `" + std::string(string_or(unknown, "expression")) + "` names is known at rendering only, so unused variables and parts are not told", "",
                     "", 0, 0, {}},
            unknown);
  }
  if (prompt.is.facts.at("partial") == true) {
    find(prompt.name, {Severity::kNote, "unknown", "the prompt's templates are too many to be looked through whole", "", prompt.is.file->found.file, 1, 0, {}});
  }
}

void Checking::check_read(const Prompt& prompt, const json::object& read) {
  const std::string name(string_or(read, "name"));
  const auto& lacks = list_at(read, "lacks");
  const bool may_lack = std::any_of(lacks.begin(), lacks.end(), [](const json::value& length) { return length.to_number<std::size_t>() == 0; });
  const bool is_default = prompt.has_default(name);
  if (!is_default && prompt.shape.member(name) != Shape::Has::kYes && !may_lack) {
    const auto declared = prompt.declared();
    if (prompt.schema != nullptr && prompt.shape.is_declared()) {
      return find_at(prompt, {Severity::kError, "undefined", "'" + name + "' is not declared in input.schema",
                              hint_of(did_you_mean(name, declared), declared.empty() ? "" : "Declared: " + join(declared, ", ") + "."), "", 0, 0, {}},
                     read);
    }
    // Nothing says that there are no others; but a name beside which a declared one lies unread is that one.
    if (const auto near = nearest_names(name, declared); !near.empty()) {
      const bool is_unread = !prompt.read.contains(near.front()) && prompt.is_whole();
      return find_at(prompt, {is_unread ? Severity::kError : Severity::kWarning, "undefined", "'" + name + "' is not declared under input", did_you_mean(name, declared), "", 0, 0, {}},
                     read);
    }
    return;
  }
  if (!is_default && !may_lack && prompt.shape.is_declared() && !prompt.shape.requires_member(name) && told_optional_.emplace(prompt.name, name).second) {
    find_at(prompt, {Severity::kWarning, "optional", "'" + name + "' may be left out by input.schema, and is read here as if it were there",
                     "Name it under `required`, give it a value under input.defaults, or write `" + name + " | default(…)`.", "", 0, 0, {}},
            read);
  }
  check_path(prompt, read, name);
}

void Checking::check_path(const Prompt& prompt, const json::object& read, const std::string& name) {
  if (prompt.shape.member(name) != Shape::Has::kYes) return;
  const auto& steps = list_at(read, "steps");
  const auto& lacks = list_at(read, "lacks");
  Shape shape = prompt.shape.at_member(name);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool may_lack = std::any_of(lacks.begin(), lacks.end(), [&](const json::value& length) { return length.to_number<std::size_t>() == i + 1; });
    if (steps[i].is_string()) {
      const std::string member(steps[i].get_string());
      const auto has = shape.member(member);
      if (has == Shape::Has::kNo && !may_lack) {
        const std::string owner = path_text(name, steps, i);
        const auto members = shape.members();
        const bool is_object = shape.may_be("object");
        return find_at(prompt, {Severity::kError, "mismatch",
                                is_object ? "'" + owner + "' has no '" + member + "' in input.schema" : "'" + owner + "' is " + types_text(shape.types()) + " in input.schema, and has no '" + member + "'",
                                is_object ? hint_of(did_you_mean(member, members), members.empty() ? "" : "It has " + join(members, ", ") + ".") : "", "", 0, 0, {}},
                       read);
      }
      if (has != Shape::Has::kYes) return;
      shape = shape.at_member(member);
    } else if (steps[i].is_int64() || steps[i].is_uint64()) {
      if (!shape.may_be("array")) return;
      shape = shape.at_element();
    } else if (steps[i].is_bool()) {
      shape = shape.at_value();
    } else {
      return;
    }
  }
  if (string_or(read, "purpose") != "iterate" || shape.may_be("array") || shape.may_be("object")) return;
  const bool is_text = shape.may_be("string");
  find_at(prompt, {is_text ? Severity::kWarning : Severity::kError, "mismatch",
                   "'" + path_text(name, steps, steps.size()) + "' is " + types_text(shape.types()) + " in input.schema" +
                       (is_text ? ": the loop goes through its characters" : ", and cannot be looped over"),
                   "", "", 0, 0, {}},
          read);
}

void Checking::check_unused(const Prompt& prompt) {
  if (!prompt.is_whole()) return;
  for (const auto& name : prompt.declared()) {
    if (prompt.read.contains(name)) continue;
    const bool is_member = prompt.shape.member(name) == Shape::Has::kYes;
    const auto& front = prompt.is.file->positions;
    const std::string in_schema = "/input/schema/properties/" + name;
    const bool is_there = is_member && front.contains(in_schema);
    std::vector<std::string> unknown;
    for (const auto& read : prompt.read) {
      if (prompt.shape.member(read) != Shape::Has::kYes && !prompt.has_default(read)) unknown.push_back(read);
    }
    find_in_front_matter(prompt, {Severity::kError, "unused", "'" + name + "' is declared, and read nowhere", did_you_mean(name, unknown), "", 0, 0, {}},
                         is_there ? in_schema : prompt.has_default(name) ? "/input/defaults/" + name : "/input/schema");
  }
}

// ---- Front matter ----------------------------------------------------------------------------------------------------

void Checking::check_front_matter(const Prompt& prompt) {
  const std::string model(string_or(prompt.front_matter, "model"));
  if (options_.models && !model.empty() && encoding_of(model).empty() &&
      std::find(options_.models->begin(), options_.models->end(), model) == options_.models->end()) {
    find_in_front_matter(prompt, {Severity::kError, "model", "there is no model '" + model + "' in config/openai_config.yml",
                                  hint_of(did_you_mean(model, *options_.models), "There are " + join(*options_.models, ", ") + "."), "", 0, 0, {}},
                         "/model");
  }
  if (const auto* schema = object_at(prompt.front_matter, "output", "schema")) {
    const std::string text = json::serialize(*schema);
    sb_buf problem{nullptr, 0};
    const std::shared_ptr<sb_schema> compiled(sb_schema_compile({text.data(), text.size()}, &problem), sb_schema_free);
    const auto told = parse_json(std::string_view(problem.data == nullptr ? "" : problem.data, problem.size));
    sb_free(problem);
    if (!compiled) {
      const std::string why(told && told->is_object() ? string_or(told->get_object(), "message") : "");
      find_in_front_matter(prompt, {Severity::kError, "invalid", "output.schema is not a JSON Schema: " + why, "", "", 0, 0, {}}, "/output/schema");
    }
  }
  if (prompt.defaults == nullptr || prompt.schema == nullptr) return;
  for (const auto& value : violations_of(prompt.root(), *prompt.defaults)) {
    const auto& violation = value.as_object();
    const std::string path(string_or(violation, "path"));
    // Of the object as a whole no more is asked than that it has no members too many: the caller gives the others.
    if (path.empty() && !violation.contains("names")) continue;
    if (path.empty() && string_or(violation, "keyword") == "required") continue;
    std::string pointer = "/input/defaults" + path;
    if (path.empty()) pointer += "/" + std::string(violation.at("names").at(0).as_string());
    const std::string shown = path.empty() ? std::string(violation.at("names").at(0).as_string()) : path.substr(1);
    find_in_front_matter(prompt, {Severity::kError, "mismatch", "the default of '" + shown + "' does not fit input.schema: " + std::string(string_or(violation, "message")), "", "",
                                  0, 0, {}},
                         pointer);
  }
}

void Checking::check_budget(const Prompt& prompt) {
  const auto* declared = prompt.front_matter.if_contains("parts");
  std::vector<std::string> there;
  for (const auto& part : list_at(prompt.is.facts, "parts")) there.emplace_back(part.as_string());
  if (declared != nullptr && prompt.is_whole()) {
    for (const auto& part : declared->get_object()) {
      if (std::find(there.begin(), there.end(), part.key()) != there.end()) continue;
      const std::string name(part.key());
      find_in_front_matter(prompt, {Severity::kError, "unreachable", "the prompt has no part '" + name + "'",
                                    hint_of(did_you_mean(name, there), "A part is a block of that name, or an included template."), "", 0, 0, {}},
                           "/parts/" + name);
    }
  }
  const auto budget = budget_of(prompt.front_matter);
  if (!budget) {
    if (declared != nullptr) {
      find_in_front_matter(prompt, {Severity::kWarning, "budget", "without a budget no part is ever shortened or left out", "Set budget.tokens.", "", 0, 0, {}}, "/parts");
    }
    return;
  }
  const std::string alias(string_or(prompt.front_matter, "model"));
  const Tokens tokens = tokens_of_ ? tokens_of_(alias) : Tokens(alias);
  // At least: what stands before and after a piece may take a token off each of its ends.
  std::size_t least = kTokensBeforeReply;
  bool has_heading = false;
  bool has_text = false;
  const auto add = [&](std::string_view text) {
    const std::string_view trimmed = trim(text);
    if (trimmed.empty()) return false;
    has_text = true;
    const std::size_t count = tokens.count(trimmed);
    least += count > 2 ? count - 2 : 0;
    return true;
  };
  for (const auto& value : list_at(prompt.is.facts, "fixed")) {
    const auto& parts = value.at("parts").as_array();
    if (declared != nullptr && std::any_of(parts.begin(), parts.end(), [&](const json::value& part) { return declared->get_object().contains(part.as_string()); })) continue;
    std::string_view text = value.at("text").as_string();
    for (std::size_t at = text.find(mark_); at != std::string_view::npos; at = text.find(mark_)) {
      add(text.substr(0, at));
      text.remove_prefix(std::min(at + mark_size_, text.size()));
      if (!trim(text.substr(0, text.find(mark_))).empty()) least += kTokensPerMessage + 1;
      has_heading = true;
    }
    add(text);
  }
  if (!has_heading && has_text) least += kTokensPerMessage + 1;
  const std::string about = tokens.is_exact() ? "" : "about ";
  if (least > budget->tokens) {
    return find_in_front_matter(prompt, {Severity::kError, "budget",
                                         "the text that is always there has at least " + about + std::to_string(least) + " tokens, and the budget " + std::to_string(budget->tokens),
                                         "Raise it, or declare under `parts` what else may be shortened or left out.", "", 0, 0, {}},
                                "/budget/tokens");
  }
  for (const auto& part : budget->parts) {
    if (least + part.min_tokens <= budget->tokens) continue;
    find_in_front_matter(prompt, {Severity::kError, "budget",
                                  "shortened, '" + part.name + "' has at least " + std::to_string(part.min_tokens) + " tokens, and beside the text that is always there " + about +
                                      std::to_string(budget->tokens - least) + " of " + std::to_string(budget->tokens) + " are left",
                                  "It is left out whole whenever it is too long. Lower `min_tokens`, or raise the budget.", "", 0, 0, {}},
                         "/parts/" + part.name + "/min_tokens");
  }
}

// ---- Parts -----------------------------------------------------------------------------------------------------------

void Checking::add_unused_parts(const std::vector<PromptInfo>& parts) {
  if (!is_use_known_) return;
  for (const auto& part : parts) {
    if (used_files_.contains(part.file)) continue;
    Finding finding{Severity::kError, "unused", "no prompt uses this part", "Include it, or delete it.", part.file, 1, 1, {}};
    findings_.try_emplace({finding.file, finding.line, finding.column, finding.code, finding.message}, std::move(finding));
  }
}

CheckReport Checking::report(std::size_t prompts, std::size_t parts) {
  CheckReport report{prompts, parts, {}};
  for (auto& [key, finding] : findings_) report.findings.push_back(std::move(finding));
  return report;
}

}  // namespace sabir::completions

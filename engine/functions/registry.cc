#include "sabir/functions/registry.h"

#include <algorithm>

#include "describe_program.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::functions {

std::shared_ptr<const Registry> Registry::build(const project::Project& project, const std::vector<project::Language>& languages) {
  auto registry = std::make_shared<Registry>();
  const auto rank = [&](const std::string& language) {
    return std::find(project.preference.begin(), project.preference.end(), language) - project.preference.begin();
  };
  auto sources = project.sources;
  std::stable_sort(sources.begin(), sources.end(), [&](const auto& a, const auto& b) { return rank(a.language) < rank(b.language); });
  const auto by_program = describe_by_programs(project, languages);
  for (const auto& source : sources) {
    const auto language = std::find_if(languages.begin(), languages.end(), [&](const auto& l) { return l.name == source.language; });
    const auto refuse = [&](Error error) {
      if (error.file.empty()) error.file = source.relative;
      registry->unavailable_.push_back({source.relative, source.language, "", std::move(error)});
    };
    if (language == languages.end()) {
      refuse(Error(ErrorCode::kUnavailable, "no language '" + source.language + "' is installed"));
      continue;
    }
    auto description = [&]() -> Result<schema::Description> {
      if (const auto told = by_program.find(source.relative); told != by_program.end()) return told->second;
      auto text = read_file(source.path, kMostSource);
      if (!text) return fail(std::move(text.error()));
      return schema::describe(language->grammar, *text, source.relative);
    }();
    if (!description) {
      refuse(std::move(description.error()));
      continue;
    }
    registry->add_file(source, std::move(*description));
  }
  std::stable_sort(registry->functions_.begin(), registry->functions_.end(), [](const auto& a, const auto& b) {
    return a.address != b.address ? a.address < b.address : a.preferred > b.preferred;
  });
  for (std::size_t i = 0; i < registry->functions_.size(); ++i) {
    const auto& function = registry->functions_[i];
    if (function.preferred) {
      registry->by_address_[function.address] = i;
      registry->by_name_[function.schema.canonical].push_back(i);
    }
    registry->by_address_[function.language + "/" + function.address] = i;
  }
  registry->name_tools();
  return registry;
}

void Registry::add_file(const project::SourceFile& source, schema::Description description) {
  for (const auto& missing : description.unavailable) {
    unavailable_.push_back({source.relative, source.language, missing.name,
                            Error(ErrorCode::kUnavailable, missing.name + " cannot be called: " + missing.reason)
                                .at(source.relative, missing.line)});
  }
  if (source.kind == project::SourceKind::kAssistant) {
    Assistant assistant{source.module, source.language, source, description.constants, false, {}};
    for (const auto& function : description.functions) {
      if (function.canonical != "respond") continue;
      assistant.has_respond = true;
      for (const auto& parameter : function.parameters) {
        if (parameter.is_context) assistant.respond_context_parameter = parameter.name;
      }
      if (assistant.respond_context_parameter.empty() && function.parameters.size() > 1) {
        assistant.respond_context_parameter = function.parameters[1].name;
      }
    }
    const bool taken = std::any_of(assistants_.begin(), assistants_.end(), [&](const auto& a) { return a.name == assistant.name; });
    if (!taken) assistants_.push_back(std::move(assistant));
  } else {
    for (const auto& function : description.functions) {
      const std::string address = source.module + "." + function.canonical;
      const bool taken = std::any_of(functions_.begin(), functions_.end(), [&](const auto& f) { return f.address == address; });
      functions_.push_back({address, {}, source.language, source, function, !taken});
    }
  }
  described_.push_back({source, std::move(description)});
}

void Registry::name_tools() {
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    if (!functions_[i].preferred) continue;
    std::string name;
    for (const char c : functions_[i].address) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      name += plain ? c : '_';
    }
    // The function's own name reads best where it is the only one.
    const auto same = by_name_.find(functions_[i].schema.canonical);
    if (same != by_name_.end() && same->second.size() == 1 && functions_[i].schema.canonical.size() <= 64) {
      name = functions_[i].schema.canonical;
    }
    if (name.size() > 64) name = name.substr(0, 55) + "_" + fingerprint(functions_[i].address).substr(0, 8);
    while (by_tool_.contains(name)) {
      name = name.substr(0, 55) + "_" + fingerprint(functions_[i].address + name).substr(0, 8);
    }
    functions_[i].tool_name = name;
    by_tool_[name] = i;
  }
}

Result<const Function*> Registry::find(const std::string& given) const {
  std::string language;
  std::string rest = given;
  if (const std::size_t slash = given.find('/'); slash != std::string::npos) {
    language = given.substr(0, slash);
    rest = given.substr(slash + 1);
  }
  // Each part on its own: "Orders.lookupOrder" and "orders.lookup_order" meet.
  std::string canonical;
  std::size_t begin = 0;
  while (begin <= rest.size()) {
    const std::size_t dot = std::min(rest.find('.', begin), rest.size());
    if (!canonical.empty()) canonical += '.';
    canonical += to_snake_case(rest.substr(begin, dot - begin));
    begin = dot + 1;
  }
  const std::string prefix = language.empty() ? std::string() : language + "/";
  if (const auto found = by_address_.find(prefix + canonical); found != by_address_.end()) return &functions_[found->second];
  if (const auto found = by_address_.find(prefix + canonical + "." + canonical); found != by_address_.end()) {
    return &functions_[found->second];
  }
  if (canonical.find('.') == std::string::npos) {
    std::vector<std::string> matches;
    const Function* match = nullptr;
    for (const auto& function : functions_) {
      if (function.schema.canonical != canonical || (language.empty() ? !function.preferred : function.language != language)) continue;
      matches.push_back(function.address);
      match = &function;
    }
    if (matches.size() == 1) return match;
    if (matches.size() > 1) {
      return fail(ErrorCode::kUnknownFunction, "'" + given + "' is the name of " + std::to_string(matches.size()) + " functions",
                  "Say which: " + join(matches, ", ") + ".");
    }
  }
  for (const auto& missing : unavailable_) {
    std::string module = missing.relative.substr(missing.relative.rfind('/') + 1);
    module = to_snake_case(module.substr(0, module.find('.')));
    if (!language.empty() && missing.language != language) continue;
    const bool whole_file = missing.name.empty() && (canonical == module || canonical.starts_with(module + "."));
    const bool this_name = !missing.name.empty() && (canonical == module + "." + to_snake_case(missing.name) || canonical == to_snake_case(missing.name));
    if (whole_file || this_name) return fail(missing.error);
  }
  std::vector<std::string> addresses;
  for (const auto& function : functions_) {
    if (function.preferred) addresses.push_back(function.address);
  }
  std::string hint = did_you_mean(canonical, addresses);
  if (hint.empty()) hint = "`sabir functions` lists them all.";
  return fail(ErrorCode::kUnknownFunction, "there is no function '" + given + "'", hint);
}

const Function* Registry::by_tool_name(const std::string& tool_name) const {
  const auto found = by_tool_.find(tool_name);
  return found == by_tool_.end() ? nullptr : &functions_[found->second];
}

Result<const Assistant*> Registry::find_assistant(const std::string& given) const {
  std::string language;
  std::string name = given;
  if (const std::size_t slash = given.find('/'); slash != std::string::npos) {
    language = given.substr(0, slash);
    name = given.substr(slash + 1);
  }
  std::vector<std::string> names;
  for (const auto& assistant : assistants_) {
    if (assistant.name == to_snake_case(name) && (language.empty() || language == assistant.language)) return &assistant;
    names.push_back(assistant.name);
  }
  for (const auto& missing : unavailable_) {
    if (missing.relative.starts_with("assistants/") && missing.name.empty() &&
        missing.relative.find("/" + name + ".") != std::string::npos) {
      return fail(missing.error);
    }
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = names.empty() ? "Write one in assistants/python/" + name + ".py." : "There are: " + join(names, ", ") + ".";
  return fail(ErrorCode::kNotFound, "there is no assistant '" + given + "'", hint);
}

json::object to_json(const Function& function) {
  json::object out;
  out["address"] = function.address;
  out["language"] = function.language;
  out["tool_name"] = function.tool_name;
  out["file"] = function.source.relative;
  out["line"] = function.schema.line;
  out["summary"] = function.schema.summary;
  out["effect"] = schema::effect_name(function.schema.effect);
  out["preferred"] = function.preferred;
  out["input_schema"] = function.schema.input_schema;
  out["output_schema"] = function.schema.output_schema;
  json::array warnings;
  for (const auto& warning : function.schema.warnings) warnings.push_back(json::value(warning));
  if (!warnings.empty()) out["warnings"] = std::move(warnings);
  return out;
}

}  // namespace sabir::functions

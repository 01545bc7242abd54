#include "sabir/functions/registry.h"

#include <algorithm>

#include "describe_program.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/introspect.h"
#include "sabir/schema/parsed_files.h"

namespace sabir::functions {

namespace {

constexpr std::size_t kMostNames = 1000;

// The names of the files of a folder and below, one a line.
Result<std::string> names_below(const std::filesystem::path& folder, Inputs& inputs) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end && names.size() < kMostNames; it.increment(error)) {
    if (it->is_symlink(error)) inputs.places.insert(it->path());
    if (it->is_directory(error)) inputs.contents.insert(it->path());
    if (it->is_regular_file(error)) names.push_back(it->path().lexically_relative(folder).string());
  }
  if (error) return fail(ErrorCode::kNotFound, folder.string() + ": " + error.message());
  std::sort(names.begin(), names.end());
  return join(names, "\n");
}

}  // namespace

std::shared_ptr<const Registry> Registry::build(const project::Project& project, const std::vector<project::Language>& languages,
                                                const Registry* previous, const std::set<std::string>& frozen, const Provided* provided) {
  auto registry = std::make_shared<Registry>();
  const auto rank = [&](const std::string& language) {
    return std::find(project.preference.begin(), project.preference.end(), language) - project.preference.begin();
  };
  auto sources = project.sources;
  std::stable_sort(sources.begin(), sources.end(), [&](const auto& a, const auto& b) { return rank(a.language) < rank(b.language); });
  // The languages' own programs read while the engine does.
  Describing describing(project, languages);
  registry->inputs_ = project.inputs;
  // What several files take their types from is read and parsed once.
  const schema::ParsedFiles parsed;
  std::map<std::string, std::optional<std::string>> others;
  const schema::ReadOther read_other = [&](const std::string& relative) {
    auto found = others.find(relative);
    if (found == others.end()) {
      const auto path = project.root / relative;
      auto text = relative.ends_with('/') ? names_below(path, registry->inputs_) : read_file(path, kMostSource);
      std::error_code error;
      registry->inputs_.add(path, text || std::filesystem::exists(path, error));
      found = others.emplace(relative, text ? std::optional(std::move(*text)) : std::nullopt).first;
    }
    return found->second;
  };
  const auto language_of = [&](const project::SourceFile& source) {
    return std::find_if(languages.begin(), languages.end(), [&](const auto& l) { return l.name == source.language; });
  };
  std::map<std::string, Result<schema::Description>> read;  // by the source's relative path
  for (const auto& source : sources) {
    const auto language = language_of(source);
    if (language == languages.end() || !language->describe.empty()) continue;
    auto text = read_file(source.path, kMostSource);
    registry->settled_ = registry->settled_ && text;
    read.emplace(source.relative, text ? schema::describe(language->grammar, *text, source.relative, read_other,
                                                          source.origin ? schema::Written::kBefore : schema::Written::kForTheProject)
                                       : Result<schema::Description>(fail(std::move(text.error()))));
  }
  Told told = describing.take();
  read.merge(told.files);
  registry->inputs_.add(told.inputs);
  registry->settled_ = registry->settled_ && told.settled;
  std::map<std::string, Introspected> introspected;
  std::unordered_map<std::string, std::size_t> taken;
  for (const auto& source : sources) {
    const auto language = language_of(source);
    const auto refuse = [&](Error error) {
      if (error.file.empty()) error.file = source.relative;
      registry->unavailable_.push_back({source.relative, source.language, "", std::move(error)});
    };
    if (language == languages.end()) {
      refuse(Error(ErrorCode::kUnavailable, "no language '" + source.language + "' is installed"));
      continue;
    }
    auto& description = read.at(source.relative);
    if (!description) {
      refuse(std::move(description.error()));
      if (frozen.contains(source.language)) registry->unavailable_.back().error.hint = "The last good version keeps serving.";
      continue;
    }
    if (frozen.contains(source.language)) continue;
    if (!language->introspect.empty()) introspected.try_emplace(language->name, project, *language).first->second.apply(source, *description);
    registry->add_file(source, std::move(*description), taken);
  }
  for (const auto& [name, one] : introspected) one.add_inputs(registry->inputs_);
  if (previous) {
    for (const auto& one : previous->described_) {
      if (frozen.contains(one.source.language)) registry->add_file(one.source, one.description, taken);
    }
  }
  if (provided) registry->add_provided(*provided, taken);
  registry->tell_unmatched(project);
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

std::shared_ptr<const Registry> Registry::with_disabled(std::shared_ptr<const Registry> registry, const DisabledFunctions::ByAddress& disabled) {
  if (disabled.empty() && std::none_of(registry->functions_.begin(), registry->functions_.end(), [](const Function& function) { return function.disabled != nullptr; })) return registry;
  auto out = std::make_shared<Registry>(*registry);
  for (auto& function : out->functions_) {
    const auto found = disabled.find(function.language + "/" + function.address);
    function.disabled = found == disabled.end() ? nullptr : found->second;
  }
  return out;
}

std::map<std::string, std::vector<Error>> Registry::newly_broken(const Registry& previous) const {
  std::map<std::string, std::vector<Error>> out;
  for (const auto& missing : unavailable_) {
    if (!missing.name.empty()) continue;
    const bool was_good = std::any_of(previous.described_.begin(), previous.described_.end(), [&](const auto& d) { return d.source.relative == missing.relative; });
    if (was_good) out[missing.language].push_back(missing.error);
  }
  return out;
}

namespace {

// "Billing::RefundService" or "acme::geo" as the address's "billing.refund_service" or "acme.geo".
std::string module_of_receiver(std::string_view receiver) {
  if (receiver.ends_with(".new")) receiver.remove_suffix(4);
  std::string out;
  while (!receiver.empty()) {
    const std::size_t end = std::min(receiver.find_first_of(":.\\"), receiver.size());
    if (end > 0) out += (out.empty() ? "" : ".") + to_snake_case(receiver.substr(0, end));
    receiver.remove_prefix(std::min(end + 1, receiver.size()));
  }
  return out;
}

// What is called by its class or namespace in its own language is found by it here as well.
std::string address_of(const project::SourceFile& source, const schema::FunctionSchema& function) {
  std::string module = source.module;
  if (source.origin && !function.receiver.empty()) {
    module = module_of_receiver(function.receiver);
    if (!source.origin->prefix.empty()) module = source.origin->prefix + "." + module;
  }
  return module + "." + function.canonical;
}

// Names that an entry of `expose` may have for a function.
std::vector<std::string> names_of(const std::string& address, const schema::FunctionSchema& function) {
  std::vector<std::string> out{address, function.name};
  if (!function.receiver.empty()) {
    std::string receiver = function.receiver;
    if (receiver.ends_with(".new")) receiver.resize(receiver.size() - 4);
    out.push_back(receiver + "." + function.name);
    out.push_back(receiver + "::" + function.name);
    out.push_back(receiver + "#" + function.name);
  }
  return out;
}

}  // namespace

bool Registry::is_exposed(const project::SourceFile& source, const std::string& address, const schema::FunctionSchema& function) {
  if (!source.origin || source.origin->expose.empty()) return true;
  bool exposed = false;
  const auto names = names_of(address, function);
  for (const auto& pattern : source.origin->expose) {
    if (std::none_of(names.begin(), names.end(), [&](const auto& name) { return project::name_matches(pattern, name); })) continue;
    exposed = true;
    matched_.insert({source.origin.get(), pattern});
  }
  return exposed;
}

// An exposed name that nothing has is a mistake in sabir.yml, unless a file of the source could not be read.
void Registry::tell_unmatched(const project::Project& project) {
  for (const auto& origin : project.origins) {
    const bool unread = std::any_of(unavailable_.begin(), unavailable_.end(), [&](const auto& u) {
      return u.name.empty() && std::any_of(project.sources.begin(), project.sources.end(), [&](const auto& s) { return s.origin == origin && s.relative == u.relative; });
    });
    for (const auto& pattern : origin->expose) {
      if (unread || origin->path.empty() || matched_.contains({origin.get(), pattern})) continue;
      unavailable_.push_back({"sabir.yml", origin->language, pattern,
                              Error(ErrorCode::kUnavailable, "no function of " + origin->relative + " is called '" + pattern + "', which `expose` names",
                                    "Names are as written (RefundService.call) or addresses; `*` is any text.")
                                  .at("sabir.yml", origin->line)});
    }
  }
  matched_.clear();
}

void Registry::add_file(const project::SourceFile& source, schema::Description description, std::unordered_map<std::string, std::size_t>& first) {
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
    std::erase_if(description.functions, [&](const auto& function) { return !is_exposed(source, address_of(source, function), function); });
    for (const auto& function : description.functions) {
      const std::string address = address_of(source, function);
      const auto [at, is_first] = first.try_emplace(address, functions_.size());
      const Function* const taken = is_first ? nullptr : &functions_[at->second];
      if (taken && taken->language == source.language) {
        unavailable_.push_back({source.relative, source.language, function.name,
                                Error(ErrorCode::kUnavailable, "the address " + address + " is taken by " + taken->source.relative + ":" + std::to_string(taken->schema.line),
                                      source.origin ? "Give the source a `prefix` in sabir.yml, or say with `expose` which one is meant." : "Rename one of them.")
                                    .at(source.relative, function.line)});
        continue;
      }
      functions_.push_back({address, {}, source.language, source, function, is_first});
    }
  }
  described_.push_back({source, std::move(description)});
}

void Registry::add_provided(const Provided& provided, std::unordered_map<std::string, std::size_t>& first) {
  for (const auto& one : provided.functions) {
    const auto [at, is_first] = first.try_emplace(one.address, functions_.size());
    functions_.push_back({one.address, {}, one.source.language, one.source, one.schema, is_first});
  }
  unavailable_.insert(unavailable_.end(), provided.unavailable.begin(), provided.unavailable.end());
  inputs_.add(provided.inputs);
  settled_ = settled_ && provided.settled;
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
  // As it is listed, which nearly all calls write.
  if (const auto found = by_address_.find(given); found != by_address_.end()) return &functions_[found->second];
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
    if (missing.address.empty() || (!language.empty() && missing.language != language)) continue;
    const bool below = missing.address.ends_with('.') && (canonical + ".").starts_with(missing.address);
    if (below || canonical == missing.address) return fail(missing.error);
  }
  for (const auto& missing : unavailable_) {
    if (!missing.address.empty()) continue;
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
  if (function.disabled) out["disabled"] = to_json(*function.disabled);
  if (function.schema.introspected) out["introspected"] = true;
  if (function.schema.timeout_ms > 0) out["timeout_ms"] = function.schema.timeout_ms;
  if (function.schema.concurrency > 0) out["concurrency"] = function.schema.concurrency;
  if (function.schema.retries > 0) out["retries"] = function.schema.retries;
  if (!function.schema.secrets.empty()) {
    json::array secrets;
    for (const auto& secret : function.schema.secrets) secrets.push_back(json::value(secret));
    out["secrets"] = std::move(secrets);
  }
  out["input_schema"] = function.schema.input_schema;
  out["output_schema"] = function.schema.output_schema;
  json::array warnings;
  for (const auto& warning : function.schema.warnings) warnings.push_back(json::value(warning));
  if (!warnings.empty()) out["warnings"] = std::move(warnings);
  return out;
}

}  // namespace sabir::functions

#include "sabir/deploy/facts.h"

#include <algorithm>
#include <map>
#include <set>

#include "digest.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/project/config_values.h"
#include "sabir/project/secret_names.h"

namespace sabir::deploy {
namespace {

constexpr std::size_t kMostShown = 120;

const json::object& member(const json::object& object, std::string_view key) {
  static const json::object none;
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? value->get_object() : none;
}

std::set<std::string> texts(const json::object& object, std::string_view key) {
  std::set<std::string> out;
  const auto* value = object.if_contains(key);
  if (!value || !value->is_array()) return out;
  for (const auto& one : value->get_array()) {
    if (one.is_string()) out.emplace(one.get_string());
  }
  return out;
}

std::string brief(std::string text) {
  if (text.size() <= kMostShown) return text;
  std::size_t end = kMostShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

json::array array_of(const std::vector<std::string>& list) {
  std::vector<std::string> sorted(list);
  std::sort(sorted.begin(), sorted.end());
  json::array out;
  for (const auto& one : sorted) out.push_back(json::value(one));
  return out;
}

// "(city: string, days?: integer) -> object", enough to see what changed.
std::string signature(const schema::FunctionSchema& schema) {
  const auto kind = [](const json::object& type) {
    const auto* name = type.if_contains("type");
    if (name && name->is_string()) return std::string(name->get_string());
    return name ? compact_json(*name) : std::string("any");
  };
  std::string out = "(";
  const auto needed = texts(schema.input_schema, "required");
  bool first = true;
  for (const auto& [name, type] : member(schema.input_schema, "properties")) {
    if (!std::exchange(first, false)) out += ", ";
    out += std::string(name) + (needed.contains(std::string(name)) ? "" : "?") + ": " + (type.is_object() ? kind(type.get_object()) : "any");
  }
  return out + ")" + (schema.output_schema.empty() ? "" : " -> " + kind(schema.output_schema));
}

void compare_sets(const std::string& section, const std::string& prefix, const std::set<std::string>& before, const std::set<std::string>& after, std::vector<Difference>& out) {
  for (const auto& one : after) {
    if (!before.contains(one)) out.push_back({section, Sign::kAdded, prefix + one, ""});
  }
  for (const auto& one : before) {
    if (!after.contains(one)) out.push_back({section, Sign::kRemoved, prefix + one, ""});
  }
}

// Two mappings of objects; `tell` says how one changed.
template <typename Tell>
void compare(const std::string& section, const json::object& before, const json::object& after, const Tell& tell, std::vector<Difference>& out) {
  std::set<std::string> names;
  for (const auto& [name, _] : before) names.emplace(name);
  for (const auto& [name, _] : after) names.emplace(name);
  for (const auto& name : names) {
    const auto* old_one = before.if_contains(name);
    const auto* new_one = after.if_contains(name);
    if (old_one && new_one && *old_one == *new_one) continue;
    out.push_back({section, !old_one ? Sign::kAdded : !new_one ? Sign::kRemoved : Sign::kChanged, name, tell(old_one ? *old_one : json::value(), new_one ? *new_one : json::value())});
  }
}

std::string field(const json::value& value, std::string_view key) {
  if (!value.is_object()) return "";
  const auto* one = value.get_object().if_contains(key);
  return !one ? "" : one->is_string() ? std::string(one->get_string()) : compact_json(*one);
}

}  // namespace

Result<json::object> facts_of(const FactSources& sources) {
  const auto& project = sources.project;
  json::object files;
  for (const auto& file : sources.bundle.files) files[file.path] = file.link.empty() ? file.sha256.substr(0, 16) + (file.executable ? "x" : "") : "-> " + file.link;
  json::object functions;
  for (const auto& one : sources.registry.functions()) {
    functions[one.language + "/" + one.address] = json::object{{"signature", signature(one.schema)}, {"effect", schema::effect_name(one.schema.effect)},
                                                               {"schema", sha256(compact_json(one.schema.input_schema) + compact_json(one.schema.output_schema)).substr(0, 16)}};
  }
  json::object exposure;
  if (project.exposure.everything) exposure["everything"] = json::array{"this is development, where everything is reached"};
  for (const auto door : {project::Door::kRest, project::Door::kMcp, project::Door::kModel}) exposure[project::door_name(door)] = array_of(project.exposure.entries(door));
  auto values = project::config_values(project.root, project.environment);
  if (!values) return fail(std::move(values.error()));
  json::object config;
  for (const auto& one : *values) config[one.key] = json::object{{"value", sources.redact ? sources.redact(one.value) : one.value}, {"source", one.source}};
  return json::object{{"format", 1},
                      {"commit", sources.commit},
                      {"engine", json::object{{"version", sources.bundle.engine_version}, {"sha256", sources.bundle.engine_hash}}},
                      {"languages", array_of(sources.bundle.languages)},
                      {"files", std::move(files)},
                      {"functions", std::move(functions)},
                      {"exposure", std::move(exposure)},
                      {"config", std::move(config)},
                      {"secrets", array_of(sources.secret_names)}};
}

std::vector<Difference> differences(const json::object& before, const json::object& after) {
  std::vector<Difference> out;
  const auto& old_engine = member(before, "engine");
  const auto& new_engine = member(after, "engine");
  if (old_engine != new_engine) {
    const auto shown = [](const json::object& engine) { return std::string(string_or(engine, "version")) + " (" + std::string(string_or(engine, "sha256").substr(0, 12)) + ")"; };
    out.push_back({"engine", old_engine.empty() ? Sign::kAdded : new_engine.empty() ? Sign::kRemoved : Sign::kChanged, "sabir", old_engine.empty() ? shown(new_engine) : new_engine.empty() ? shown(old_engine) : shown(old_engine) + " -> " + shown(new_engine)});
  }
  compare_sets("languages", "", texts(before, "languages"), texts(after, "languages"), out);
  compare("functions", member(before, "functions"), member(after, "functions"),
          [](const json::value& old_one, const json::value& new_one) {
            const std::string was = field(old_one, "signature");
            const std::string is = field(new_one, "signature");
            if (was.empty() || is.empty()) return was + is;
            std::string text;
            if (was != is) text = was + " -> " + is;
            else if (field(old_one, "schema") != field(new_one, "schema")) text = "its schema changed: " + is;
            if (const auto old_effect = field(old_one, "effect"), new_effect = field(new_one, "effect"); old_effect != new_effect) text += (text.empty() ? "" : ", ") + ("effect " + old_effect) + " -> " + new_effect;
            return text;
          },
          out);
  for (const char* door : {"everything", "rest", "mcp", "model"}) compare_sets("exposure", std::string(door) + ": ", texts(member(before, "exposure"), door), texts(member(after, "exposure"), door), out);
  compare("config", member(before, "config"), member(after, "config"),
          [](const json::value& old_one, const json::value& new_one) {
            const auto shown = [](const json::value& one) { return one.is_null() ? std::string() : brief(field(one, "value")) + " (" + field(one, "source") + ")"; };
            if (old_one.is_null() || new_one.is_null()) return shown(old_one) + shown(new_one);
            return shown(old_one) + " -> " + shown(new_one);
          },
          out);
  compare_sets("secrets", "", texts(before, "secrets"), texts(after, "secrets"), out);
  compare("files", member(before, "files"), member(after, "files"), [](const json::value&, const json::value&) { return std::string(); }, out);
  return out;
}

json::array to_json(const std::vector<Difference>& list) {
  json::array out;
  for (const auto& one : list) {
    json::object row{{"section", one.section}, {"change", one.sign == Sign::kAdded ? "added" : one.sign == Sign::kRemoved ? "removed" : "changed"}, {"what", one.what}};
    if (!one.detail.empty()) row["detail"] = one.detail;
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::vector<std::string>> secret_names_of(const project::Project& project, const functions::Registry& registry) {
  auto named = project::secret_names(project.root, project.environment);
  if (!named) return fail(std::move(named.error()));
  std::set<std::string> out;
  for (const auto& [name, files] : *named) out.insert(name);
  for (const auto& one : registry.functions()) out.insert(one.schema.secrets.begin(), one.schema.secrets.end());
  return std::vector<std::string>(out.begin(), out.end());
}

std::string commit_of(const std::filesystem::path& root) {
  const auto git = [&](std::vector<std::string> words) -> std::string {
    process::SpawnSpec spec;
    spec.argv = {"git", "-C", root.string()};
    spec.argv.insert(spec.argv.end(), words.begin(), words.end());
    spec.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}});
    spec.separate_errors = true;
    auto done = process::run(std::move(spec), std::chrono::seconds(20));
    return done && !done->timed_out && done->status.code == 0 ? std::string(trim(done->output)) : std::string();
  };
  if (process::find_program("git").empty()) return "";
  const std::string commit = git({"rev-parse", "--short=12", "HEAD"});
  if (commit.empty()) return "";
  return commit + (git({"status", "--porcelain", "--", "."}).empty() ? "" : "+");
}

}  // namespace sabir::deploy

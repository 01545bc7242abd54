#include "sabir/project/project.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

constexpr int kMostWorkers = 256;

// Engine versions as sabir.yml pins them: "1.2.3".
std::optional<std::array<int, 3>> parse_version(std::string_view text) {
  std::array<int, 3> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::size_t digits = 0;
    while (digits < text.size() && digits < 6 && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) {
      parts[i] = parts[i] * 10 + (text[digits++] - '0');
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    if (i + 1 < parts.size()) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty() && text.front() != '-') return std::nullopt;
  return parts;
}

}  // namespace

bool is_environment_name(std::string_view name) {
  if (name.empty() || name.size() > 32 || !std::islower(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

namespace {

Result<void> read_engine(const json::value& value, const Shape& shape) {
  const auto text = value.is_string() ? std::string(value.get_string()) : std::string();
  const auto wanted = parse_version(text);
  if (!wanted) {
    return fail(shape.wrong("/engine", "engine must be a version such as " SABIR_VERSION ", not " + kind_of(value)));
  }
  if (*wanted > *parse_version(SABIR_VERSION)) {
    return fail(shape.wrong("/engine", "this project is written for Sabir " + text + "; this is " SABIR_VERSION,
                            "Install that version, or set engine: " SABIR_VERSION " if the project works with it."));
  }
  return {};
}

Result<void> read_languages(const json::value& value, const Shape& shape, const std::vector<Language>& languages,
                            Project& project) {
  auto listed = shape.texts(value, "/languages");
  if (!listed) return fail(std::move(listed.error()));
  std::vector<std::string> known;
  for (const auto& language : languages) known.push_back(language.name);
  for (std::size_t i = 0; i < listed->size(); ++i) {
    const std::string& name = (*listed)[i];
    const std::string pointer = "/languages/" + std::to_string(i);
    if (std::find(listed->begin(), listed->begin() + static_cast<std::ptrdiff_t>(i), name) !=
        listed->begin() + static_cast<std::ptrdiff_t>(i)) {
      return fail(shape.wrong(pointer, "the language '" + name + "' is listed twice"));
    }
    if (!known.empty() && std::find(known.begin(), known.end(), name) == known.end()) {
      std::string hint = did_you_mean(name, known);
      if (hint.empty()) hint = "This engine serves " + join(known, ", ") + ".";
      return fail(shape.wrong(pointer, "no language called '" + name + "'", hint));
    }
  }
  project.preference = std::move(*listed);
  return {};
}

Result<void> read_pools(const json::value& value, const Shape& shape, const std::vector<Language>& languages,
                        Project& project) {
  if (!value.is_object()) {
    return fail(shape.wrong("/pools", "pools must be a mapping, not " + kind_of(value), "Write pools: {python: {max: 2}}."));
  }
  std::vector<std::string> known;
  for (const auto& language : languages) known.push_back(language.name);
  if (!known.empty()) {
    if (auto ok = refuse_unknown_keys(value.get_object(), known, shape.file, shape.positions, "/pools"); !ok) return ok;
  }
  for (const auto& member : value.get_object()) {
    const std::string pointer = "/pools/" + std::string(member.key());
    if (!member.value().is_object()) {
      return fail(shape.wrong(pointer, "pools." + std::string(member.key()) + " must be a mapping, not " + kind_of(member.value()),
                              "Write {min: 1, max: 2}."));
    }
    const auto& object = member.value().get_object();
    PoolLimits limits;
    if (const auto* least = object.if_contains("min")) {
      auto number = shape.whole(*least, pointer + "/min", 0, kMostWorkers);
      if (!number) return fail(std::move(number.error()));
      limits.min = *number;
    }
    if (const auto* most = object.if_contains("max")) {
      auto number = shape.whole(*most, pointer + "/max", 1, kMostWorkers);
      if (!number) return fail(std::move(number.error()));
      limits.max = *number;
    }
    struct Whole {
      const char* key;
      std::optional<int>* target;
      int most;
    };
    for (const auto& [key, target, most] : {Whole{"queue", &limits.queue, 1'000'000}, Whole{"max_calls", &limits.max_calls, 1'000'000'000}}) {
      const auto* found = object.if_contains(key);
      if (!found) continue;
      auto number = shape.whole(*found, pointer + "/" + key, 1, most);
      if (!number) return fail(std::move(number.error()));
      *target = *number;
    }
    for (const auto& [key, target] : {std::pair("idle", &limits.idle_ms), std::pair("max_age", &limits.max_age_ms)}) {
      const auto* found = object.if_contains(key);
      if (!found) continue;
      auto time = shape.duration_ms(*found, pointer + "/" + key);
      if (!time) return fail(std::move(time.error()));
      *target = *time;
    }
    if (const auto* found = object.if_contains("max_memory")) {
      const auto bytes = parse_bytes(found->is_string() ? std::string_view(found->get_string()) : std::string_view(json::serialize(*found)));
      if (!bytes) {
        return fail(shape.wrong(pointer + "/max_memory", "pools." + std::string(member.key()) + ".max_memory must be a size such as 512MB or 2GB, not " + kind_of(*found),
                                "1 MB is the least."));
      }
      limits.max_memory = *bytes;
    }
    if (limits.min && limits.max && *limits.min > *limits.max) {
      return fail(shape.wrong(pointer + "/min", "pools." + std::string(member.key()) + ".min is above its max"));
    }
    project.pools[std::string(member.key())] = limits;
  }
  return {};
}

Result<void> read_config(Project& project, const std::vector<Language>& languages) {
  auto read = read_configuration(project.root, *find_config_file("sabir.yml"), project.environment);
  if (!read) return fail(std::move(read.error()));
  project.inputs.add(read->inputs);
  if (read->files.empty() || read->files.front() != "sabir.yml") {
    return fail(ErrorCode::kNoProject, project.root.string() + " has no sabir.yml", "Make a project with: sabir new PATH --languages python,ruby,cpp");
  }
  if (auto good = read->check(); !good) return good;
  const Shape shape{"sabir.yml", std::move(read->positions)};
  project.config = std::move(read->value);
  const auto& config = project.config;
  if (const auto* engine = config.if_contains("engine")) {
    if (auto ok = read_engine(*engine, shape); !ok) return ok;
  }
  if (const auto* name = config.if_contains("name")) {
    auto text = shape.text(*name, "/name");
    if (!text) return fail(std::move(text.error()));
    project.name = std::move(*text);
  }
  if (auto ok = read_serving(config.if_contains("serve"), shape, project); !ok) return ok;
  if (auto ok = read_exposure(config.if_contains("expose"), shape, project); !ok) return ok;
  if (auto ok = read_approvals(config.if_contains("approvals"), shape, project); !ok) return ok;
  if (const auto* list = config.if_contains("languages")) {
    if (auto ok = read_languages(*list, shape, languages, project); !ok) return ok;
  }
  if (const auto* pools = config.if_contains("pools")) {
    if (auto ok = read_pools(*pools, shape, languages, project); !ok) return ok;
  }
  if (const auto* isolation = config.if_contains("isolation")) {
    if (auto ok = read_isolation(*isolation, shape, languages, project); !ok) return ok;
  }
  // Variables of the engine's environment that workers see too; runtime/ reads the list.
  if (const auto* names = config.if_contains("environment")) {
    if (auto listed = shape.texts(*names, "/environment"); !listed) return fail(std::move(listed.error()));
  }
  if (const auto* sources = config.if_contains("sources")) {
    if (auto ok = read_sources(*sources, shape, languages, project); !ok) return ok;
  }
  if (auto ok = read_tracing(config.if_contains("tracing"), shape, project); !ok) return ok;
  if (auto ok = read_mcp(config.if_contains("mcp"), shape, project); !ok) return ok;
  if (const auto* timeout = config.if_contains("timeout")) {
    auto ms = shape.duration_ms(*timeout, "/timeout");
    if (!ms) return fail(std::move(ms.error()));
    project.timeout_ms = *ms;
  }
  if (const auto* tests = config.if_contains("tests")) {
    if (!tests->is_object()) {
      return fail(shape.wrong("/tests", "tests must be a mapping, not " + kind_of(*tests), "Write tests: {timeout: 10m}."));
    }
    if (const auto* timeout = tests->get_object().if_contains("timeout")) {
      auto ms = shape.duration_ms(*timeout, "/tests/timeout");
      if (!ms) return fail(std::move(ms.error()));
      project.test_timeout_ms = *ms;
    }
  }
  return {};
}

}  // namespace

std::string_view folder_of(SourceKind kind) {
  switch (kind) {
    case SourceKind::kAssistant: return "assistants";
    case SourceKind::kMemory: return "memory";
    default: return "functions";
  }
}

Result<fs::path> find_root(const fs::path& start) {
  std::error_code error;
  fs::path folder = fs::weakly_canonical(start, error);
  if (error) folder = fs::absolute(start, error);
  // A path has a bounded number of components, so the walk ends.
  for (fs::path at = folder;; at = at.parent_path()) {
    if (fs::is_regular_file(at / "sabir.yml", error)) return at;
    if (at == at.parent_path() || at.empty()) break;
  }
  return fail(ErrorCode::kNoProject, "no sabir.yml in " + folder.string() + " or above it",
              "Go into a project's folder, or make one with: sabir new PATH --languages python,ruby,cpp");
}

Result<Project> load(const fs::path& root, const std::string& environment, const std::vector<Language>& languages) {
  std::error_code error;
  Project project;
  project.root = fs::canonical(root, error);
  if (error) {
    return fail(ErrorCode::kNoProject, root.string() + ": no such folder",
                "Make a project with: sabir new PATH --languages python,ruby,cpp");
  }
  project.environment = environment;
  project.name = project.root.filename().string();
  if (auto ok = read_config(project, languages); !ok) return fail(std::move(ok.error()));
  if (auto ok = read_mcp_servers(project); !ok) return fail(std::move(ok.error()));
  if (auto ok = walk_tree(project, languages); !ok) return fail(std::move(ok.error()));
  for (const auto& source : project.sources) {
    auto& order = project.preference;
    if (std::find(order.begin(), order.end(), source.language) == order.end()) order.push_back(source.language);
  }
  return project;
}

}  // namespace sabir::project

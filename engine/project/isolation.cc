#include <algorithm>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

constexpr int kMostProcesses = 4096;
// What interpreters and version managers read, and nobody keeps a secret in.
constexpr std::string_view kNotHidden[] = {".venv", ".bundle", ".ruby-version", ".python-version", ".node-version", ".nvmrc",
                                           ".tool-versions", ".rspec"};

// A path below the project's root in its plain form; "" for one that leaves it or names all of it.
std::string inside(const std::string& text) {
  const fs::path plain = fs::path(text).lexically_normal();
  std::string path = plain.string();
  while (path.ends_with('/')) path.pop_back();
  return plain.is_absolute() || path.empty() || path == "." || path == ".." || path.starts_with("../") ? std::string() : path;
}

Result<std::vector<std::string>> read_grants(const json::value& value, const Shape& shape, const std::string& at, bool write) {
  auto texts = shape.texts(value, at);
  if (!texts) return fail(std::move(texts.error()));
  for (std::size_t i = 0; i < texts->size(); ++i) {
    std::string& text = (*texts)[i];
    const std::string pointer = at + "/" + std::to_string(i);
    if (text.starts_with('/')) {
      text = fs::path(text).lexically_normal().string();
      while (text.size() > 1 && text.ends_with('/')) text.pop_back();
      static constexpr std::string_view kWhole[] = {"/", "/home", "/root", "/etc", "/proc", "/sys", "/dev", "/run", "/var", "/var/run", "/tmp"};
      if (std::find(std::begin(kWhole), std::end(kWhole), text) != std::end(kWhole)) {
        return fail(shape.wrong(pointer, "a sandbox cannot be granted all of " + text, "Grant the folder inside it that the functions need."));
      }
      continue;
    }
    const std::string path = inside(text);
    if (path.empty()) {
      return fail(shape.wrong(pointer, "'" + text + "' is no path below the project's folder", "Write one such as data/in, or an absolute path."));
    }
    const fs::path plain(path);
    const auto first = *plain.begin();
    const bool config = first == "config" && std::next(plain.begin()) != plain.end() && hidden_in_sandbox_config(std::next(plain.begin())->string());
    if (config || hidden_in_sandbox(first.string())) {
      return fail(shape.wrong(pointer, path + " is hidden from every sandbox", "Keep what the functions need in a folder of its own."));
    }
    // What is written there would run outside the sandbox, or decide what does.
    static constexpr std::string_view kCode[] = {"functions", "assistants", "memory", "languages", "config", "completions", ".venv", "sabir.yml"};
    if (write && std::find(std::begin(kCode), std::end(kCode), first.string()) != std::end(kCode)) {
      return fail(shape.wrong(pointer, "a sandbox cannot be granted to write " + path, "The engine itself reads " + first.string() + "; grant a folder of its own such as data/out."));
    }
    if (path == "config") return fail(shape.wrong(pointer, "a sandbox cannot be granted all of config/", "It sees what is not secret there; grant a folder of its own."));
    text = path;
  }
  return texts;
}

Result<void> read_level(const json::value& value, const Shape& shape, const std::string& at, IsolationRule& rule) {
  auto level = shape.text(value, at);
  if (!level) return fail(std::move(level.error()));
  if (*level == "process") {
    rule.level = Isolation::kProcess;
  } else if (*level == "sandbox") {
    rule.level = Isolation::kSandbox;
  } else if (*level == "in_process") {
    rule.level = Isolation::kInProcess;
  } else {
    return fail(shape.wrong(at, "no isolation level '" + *level + "'", "The levels are process, sandbox and in_process."));
  }
  return {};
}

Result<void> read_bytes(const json::object& object, const char* key, const Shape& shape, const std::string& at, std::optional<std::uint64_t>& target) {
  const auto* found = object.if_contains(key);
  if (!found) return {};
  const auto bytes = parse_bytes(found->is_string() ? std::string(found->get_string()) : json::serialize(*found));
  if (!bytes) return fail(shape.wrong(at + "/" + key, std::string(key) + " must be a size such as 512MB, not " + kind_of(*found), "1 MB is the least."));
  target = *bytes;
  return {};
}

Result<void> read_rule(const json::value& value, const Shape& shape, const std::string& at, IsolationRule& rule) {
  if (!value.is_object()) return read_level(value, shape, at, rule);
  const auto& object = value.get_object();
  const auto* level = object.if_contains("level");
  if (!level) return fail(shape.wrong(at, "the key 'level' is missing", "Write level: sandbox."));
  if (auto ok = read_level(*level, shape, at + "/level", rule); !ok) return ok;
  if (rule.level != Isolation::kSandbox && object.size() > 1) {
    return fail(shape.wrong(at, "paths, network, environment, memory, tmp, cores and processes are a sandbox's", "Write level: sandbox, or leave them out."));
  }
  if (const auto* paths = object.if_contains("paths")) {
    const std::string pointer = at + "/paths";
    if (!paths->is_object()) return fail(shape.wrong(pointer, "paths must be a mapping, not " + kind_of(*paths), "Write paths: {read: [data], write: [out]}."));
    for (const auto& [key, target] : {std::pair("read", &rule.read), std::pair("write", &rule.write)}) {
      const auto* list = paths->get_object().if_contains(key);
      if (!list) continue;
      auto grants = read_grants(*list, shape, pointer + "/" + key, target == &rule.write);
      if (!grants) return fail(std::move(grants.error()));
      *target = std::move(*grants);
    }
  }
  if (const auto* network = object.if_contains("network")) {
    if (!network->is_bool()) return fail(shape.wrong(at + "/network", "network must be true or false, not " + kind_of(*network)));
    rule.network = network->get_bool();
  }
  if (const auto* names = object.if_contains("environment")) {
    auto listed = shape.texts(*names, at + "/environment");
    if (!listed) return fail(std::move(listed.error()));
    rule.environment = std::move(*listed);
  }
  if (auto ok = read_bytes(object, "memory", shape, at, rule.memory); !ok) return ok;
  if (auto ok = read_bytes(object, "tmp", shape, at, rule.tmp); !ok) return ok;
  for (const auto& [key, target] : {std::pair("cores", &rule.cores), std::pair("processes", &rule.processes)}) {
    const auto* found = object.if_contains(key);
    if (!found) continue;
    auto number = shape.whole(*found, at + "/" + key, 1, kMostProcesses);
    if (!number) return fail(std::move(number.error()));
    *target = *number;
  }
  return {};
}

// A name nobody has would leave functions unconfined that were meant to be confined, so it is refused.
Result<void> read_where(const std::string& key, const Shape& shape, const std::string& at, Project& project,
                        const std::vector<Language>& languages, IsolationRule& rule) {
  if (key == "*") return {};
  const bool is_language = std::any_of(languages.begin(), languages.end(), [&](const auto& l) { return l.name == key; });
  if (is_language || (languages.empty() && key.find('/') == std::string::npos)) {
    rule.where = key;
    return {};
  }
  rule.where = inside(key);
  const auto depth = std::count(rule.where.begin(), rule.where.end(), '/');
  const bool kind = rule.where.starts_with("functions/") || rule.where.starts_with("assistants/") || rule.where.starts_with("memory/");
  std::error_code ignored;
  if (!kind || depth < 1) {
    std::vector<std::string> known{"*"};
    for (const auto& language : languages) known.push_back(language.name);
    std::string hint = did_you_mean(key, known);
    return fail(shape.wrong(at, "'" + key + "' is neither a language nor a path of functions",
                            hint.empty() ? "Write a language, or a file or folder such as functions/python/uploads." : hint));
  }
  project.inputs.places.insert(project.root / rule.where);
  if (!fs::exists(project.root / rule.where, ignored)) return fail(shape.wrong(at, "there is no " + rule.where, "Name a file or folder of functions as it is on disk."));
  return {};
}

bool covers(const IsolationRule& rule, const SourceFile& source) {
  if (rule.where.empty()) return true;
  if (rule.where.find('/') == std::string::npos) return rule.where == source.language;
  return source.relative == rule.where || source.relative.starts_with(rule.where + "/");
}

}  // namespace

bool hidden_in_sandbox(std::string_view name) {
  return name.starts_with('.') && std::find(std::begin(kNotHidden), std::end(kNotHidden), name) == std::end(kNotHidden);
}

bool hidden_in_sandbox_config(std::string_view name) {
  return name.starts_with('.') || name.starts_with("secrets") || name.ends_with(".key") || name.ends_with(".pem");
}

Result<void> read_isolation(const json::value& value, const Shape& shape, const std::vector<Language>& languages, Project& project) {
  if (!value.is_object()) {
    IsolationRule rule;
    if (auto ok = read_level(value, shape, "/isolation", rule); !ok) return ok;
    if (rule.level == Isolation::kInProcess) return fail(shape.wrong("/isolation", "in_process is for named files alone", "Write isolation: {functions/cpp/NAME.cpp: in_process}."));
    project.isolation.push_back(std::move(rule));
    return {};
  }
  for (const auto& member : value.get_object()) {
    const std::string at = "/isolation/" + escape_pointer(member.key());
    IsolationRule rule;
    if (auto ok = read_where(std::string(member.key()), shape, at, project, languages, rule); !ok) return ok;
    if (auto ok = read_rule(member.value(), shape, at, rule); !ok) return ok;
    if (rule.level == Isolation::kInProcess) {
      const bool named = rule.where.starts_with("functions/");
      const auto language = std::find_if(languages.begin(), languages.end(), [&](const auto& l) { return rule.where.starts_with("functions/" + l.name + "/"); });
      if (!named || (!languages.empty() && (language == languages.end() || language->library.empty()))) {
        return fail(shape.wrong(at, "functions cannot run inside the engine here", "in_process is for files and folders of functions/cpp."));
      }
    }
    project.isolation.push_back(std::move(rule));
  }
  const auto rank = [](const IsolationRule& rule) {
    return rule.where.empty() ? 0 : rule.where.find('/') == std::string::npos ? 1 : 1 + static_cast<int>(rule.where.size());
  };
  std::stable_sort(project.isolation.begin(), project.isolation.end(), [&](const auto& a, const auto& b) { return rank(a) > rank(b); });
  return {};
}

const IsolationRule* isolation_of(const Project& project, const SourceFile& source) {
  const auto found = std::find_if(project.isolation.begin(), project.isolation.end(), [&](const auto& rule) { return covers(rule, source); });
  return found == project.isolation.end() ? nullptr : &*found;
}

}  // namespace sabir::project

#include "checks.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/secret_settings.h"
#include "sabir/secrets/grants.h"
#include "sabir/secrets/scan.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostTestBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostTests = 5'000;
constexpr int kDeepest = 12;

CheckFinding warning(std::string area, std::string file, std::string message, std::string hint) {
  CheckFinding out;
  out.area = std::move(area);
  out.file = std::move(file);
  out.message = std::move(message);
  out.hint = std::move(hint);
  return out;
}

CheckFinding at(CheckFinding finding, const project::Configuration& configuration, const std::string& pointer) {
  const Error place = project::at_position(Error(), configuration.positions, pointer, finding.file);
  finding.file = place.file;
  finding.line = place.line;
  finding.column = place.column;
  return finding;
}

bool is_test_name(std::string_view name) {
  const std::string_view stem = name.substr(0, name.rfind('.'));
  return stem.starts_with("test_") || stem.ends_with("_test") || stem.ends_with("_spec") || stem.ends_with(".test") || stem.ends_with(".spec") || stem.ends_with("Test");
}

void gather(const fs::path& root, const fs::path& folder, bool inside_tests, int depth, std::vector<ReadFile>& out) {
  if (depth > kDeepest) return;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') || name == "node_modules" || name == "__pycache__" || name == "target" || name == "vendor" || name == "build") continue;
    std::error_code ignored;
    if (it->is_symlink(ignored)) continue;
    if (it->is_directory(ignored)) {
      gather(root, it->path(), inside_tests || name == "tests" || name == "spec" || name == "test", depth + 1, out);
    } else if ((inside_tests || is_test_name(name)) && out.size() < kMostTests) {
      if (auto text = read_file(it->path(), kMostTestBytes)) out.push_back({it->path().lexically_relative(root).string(), std::move(*text)});
    }
  }
}

// "slugify_text" as other languages write it: "slugifyText", "SlugifyText".
std::vector<std::string> spellings(const std::string& canonical) {
  std::string camel;
  bool up = false;
  for (const char c : canonical) {
    if (c == '_') {
      up = true;
      continue;
    }
    camel += up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    up = false;
  }
  std::string pascal = camel;
  if (!pascal.empty()) pascal.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(pascal.front())));
  return {canonical, camel, pascal};
}

// The environments that anything names.
std::set<std::string> known_environments(const fs::path& root, const std::string& environment) {
  std::set<std::string> out{"development", "test", "staging", "production", environment};
  if (auto read = project::read_configuration(root, *project::find_config_file("deployment_config"), environment)) {
    const auto* list = read->value.if_contains("environments");
    if (list != nullptr && list->is_object()) {
      for (const auto& member : list->get_object()) out.emplace(member.key());
    }
  }
  return out;
}

// What stands between the file's name and ".yml": "staging" of "openai_config.staging.yml"; "" where it is no overlay.
std::string environment_in(const project::ConfigFile& file, const std::string& name) {
  const std::string stem = file.stem() + ".";
  if (!name.starts_with(stem) || !name.ends_with(".yml") || name.size() <= stem.size() + 4) return {};
  return name.substr(stem.size(), name.size() - stem.size() - 4);
}

void check_names(const fs::path& root, const fs::path& folder, const std::set<std::string>& environments, std::set<std::string>& found, std::vector<CheckFinding>& out) {
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    const std::string shown = it->path().lexically_relative(root).string();
    if (!name.ends_with(".yml") && !name.ends_with(".yaml")) continue;
    bool known = false;
    std::vector<std::string> here;
    for (const auto& file : project::config_files()) {
      const bool same_folder = (root / file.path).parent_path() == folder;
      if (!same_folder) continue;
      here.push_back(file.stem() + ".yml");
      if (name == file.stem() + ".yml") known = true;
      const std::string environment = environment_in(file, name);
      if (environment.empty()) continue;
      known = true;
      if (project::is_environment_name(environment)) found.insert(environment);
      if (!environments.contains(environment)) {
        const std::string near = did_you_mean(environment, {environments.begin(), environments.end()});
        out.push_back(warning("config", shown, "nothing names an environment '" + environment + "', so this file is never read", near.empty() ? "Name it under environments in config/deployment_config.yml, or remove the file." : near));
      }
    }
    if (known) continue;
    const std::string plain = name.ends_with(".yaml") ? name.substr(0, name.size() - 5) + ".yml" : name;
    const std::string near = std::find(here.begin(), here.end(), plain) != here.end() ? plain : [&] {
      const auto names = nearest_names(plain, here);
      return names.empty() ? std::string() : names.front();
    }();
    // A project may have configuration of its own there.
    if (!near.empty()) out.push_back(warning("config", shown, "the engine does not read this file", "Did you mean " + near + "?"));
  }
}

bool function_is_there(const CheckContext& context, std::string_view key) {
  const auto& functions = context.registry.functions();
  return std::any_of(functions.begin(), functions.end(), [&](const auto& function) {
    const std::string full = function.language + "/" + function.address;
    const std::string module = function.address.substr(0, function.address.rfind('.'));
    return key == full || key == function.address || key == module + ".*" || key == function.language + "/" + module + ".*" || (function.address == module + "." + module && key == module);
  });
}

}  // namespace

CheckFinding finding_of(Level level, std::string area, const Error& error) {
  CheckFinding out;
  out.level = level;
  out.area = std::move(area);
  out.file = error.file;
  out.line = error.line;
  out.column = error.column;
  out.message = error.message;
  out.hint = error.hint;
  return out;
}

bool names_word(std::string_view text, std::string_view word) {
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  if (word.empty()) return false;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !in_word(text[at - 1])) && (end == text.size() || !in_word(text[end]))) return true;
  }
  return false;
}

std::vector<ReadFile> read_tests(const fs::path& root) {
  std::vector<ReadFile> out;
  for (const char* folder : {"functions", "assistants", "memory", "completions"}) gather(root, root / folder, false, 0, out);
  for (const char* folder : {"tests", "spec", "test"}) gather(root, root / folder, true, 0, out);
  return out;
}

std::vector<CheckFinding> check_configuration(const fs::path& root, const std::string& environment) {
  std::vector<CheckFinding> out;
  const auto known = known_environments(root, environment);
  std::set<std::string> environments{environment};
  check_names(root, root, known, environments, out);
  check_names(root, root / "config", known, environments, out);
  for (const auto& file : project::config_files()) {
    for (const auto& one : environments) {
      std::error_code ec;
      // Without an overlay it is the same as elsewhere.
      if (one != environment && !fs::exists(root / file.overlay(one), ec)) continue;
      auto read = project::read_configuration(root, file, one);
      std::vector<Error> problems = read ? read->problems : std::vector<Error>{read.error()};
      for (const auto& problem : problems) {
        auto finding = finding_of(Level::kError, "config", problem);
        const bool told = std::any_of(out.begin(), out.end(), [&](const auto& other) { return other.file == finding.file && other.line == finding.line && other.column == finding.column && other.message == finding.message; });
        if (told) continue;
        // What a variable of another environment holds this shell need not know.
        if (one != environment && problem.message.ends_with("is not set")) continue;
        out.push_back(std::move(finding));
      }
    }
  }
  return out;
}

std::vector<CheckFinding> check_references(const CheckContext& context) {
  std::vector<CheckFinding> out;
  auto read = project::read_configuration(context.project.root, *project::find_config_file("sabir.yml"), context.project.environment);
  if (!read) return out;
  const auto known = known_environments(context.project.root, context.project.environment);
  for (const char* section : {"serve", "tracing"}) {
    const auto* own = read->value.if_contains(section);
    const auto* list = own != nullptr && own->is_object() ? own->get_object().if_contains("environments") : nullptr;
    if (list == nullptr || !list->is_object()) continue;
    for (const auto& member : list->get_object()) {
      const std::string name(member.key());
      if (known.contains(name)) continue;
      const std::string near = did_you_mean(name, {known.begin(), known.end()});
      out.push_back(at(warning("config", "sabir.yml", "nothing names an environment '" + name + "', so these keys are never read", near.empty() ? "Name it under environments in config/deployment_config.yml." : near), *read,
                       "/" + std::string(section) + "/environments/" + project::escape_pointer(name)));
    }
  }
  for (const auto& [language, limits] : context.project.pools) {
    const bool used = std::any_of(context.project.sources.begin(), context.project.sources.end(), [&, &name = language](const auto& source) { return source.language == name; });
    if (!used) out.push_back(at(warning("config", "sabir.yml", "pools." + language + " is never read: the project has no code in that language", "Remove it."), *read, "/pools/" + project::escape_pointer(language)));
  }
  const auto function = [&](const std::string& address, const std::string& pointer) {
    if (context.registry.find(address)) return;
    out.push_back(at(warning("config", "sabir.yml", "there is no function '" + address + "'", context.registry.find(address).error().hint), *read, pointer));
  };
  for (const auto& [name, address] : context.project.mcp.prompts) function(address, "/mcp/prompts/" + project::escape_pointer(name));
  for (const auto& resource : context.project.mcp.resources) function(resource.function, "/mcp/resources/" + project::escape_pointer(resource.uri));
  for (const auto& [address, headers] : context.project.mcp.headers) function(address, "/mcp/headers/" + project::escape_pointer(address));
  return out;
}

std::vector<CheckFinding> check_grants(const CheckContext& context) {
  std::vector<CheckFinding> out;
  const auto& root = context.project.root;
  auto read = project::read_configuration(root, *project::find_config_file("grants"), context.project.environment);
  if (!read || !read->problems.empty()) return out;
  std::vector<std::string> prompt_names;
  for (const auto& prompt : context.prompts) prompt_names.push_back(prompt.name);
  std::vector<std::string> function_names;
  for (const auto& function : context.registry.functions()) function_names.push_back(function.address);
  std::vector<std::string> assistant_names;
  for (const auto& assistant : context.registry.assistants()) assistant_names.push_back(assistant.name);

  const auto is_there = [&](std::string_view section, std::string_view name) {
    if (section == "functions") return function_is_there(context, name);
    if (section == "assistants") {
      return std::any_of(context.registry.assistants().begin(), context.registry.assistants().end(), [&](const auto& one) { return name == one.name || name == one.language + "/" + one.name; });
    }
    return std::any_of(prompt_names.begin(), prompt_names.end(), [&](const auto& one) { return name == one || (name.ends_with("/*") && one.starts_with(name.substr(0, name.size() - 1))); });
  };
  for (const auto& section : read->value) {
    if (!section.value().is_object()) continue;
    const std::string key(section.key());
    const auto& names = key == "functions" ? function_names : key == "assistants" ? assistant_names : prompt_names;
    for (const auto& member : section.value().get_object()) {
      if (is_there(key, member.key())) continue;
      const std::string kind = key.substr(0, key.size() - 1);
      const std::string near = did_you_mean(std::string_view(member.key()), names);
      out.push_back(at(warning("grants", "config/grants.yml", "there is no " + kind + " '" + std::string(member.key()) + "' to grant anything to", near.empty() ? "Remove the line, or write the name as `sabir check --json` lists it." : near), *read,
                       "/" + key + "/" + project::escape_pointer(member.key())));
    }
  }

  // Who has which secrets is only known where nobody else has to be asked.
  auto settings = project::read_secret_settings(root, context.project.environment, context.project.name);
  if (settings) {
    const secrets::Secrets store(root, *settings);
    std::set<std::string> known;
    if (auto text = read_file(root / "config/secrets.example.json", kMostTestBytes)) {
      if (auto example = parse_json(*text); example && example->is_object()) {
        for (const auto& member : example->get_object()) known.emplace(member.key());
      }
    }
    if (!store.may_wait()) {
      if (auto listed = store.list()) {
        for (const auto& one : *listed) {
          if (one.source != "missing") known.insert(one.name);
        }
      }
      for (const auto& named : project::secrets_named(*read)) {
        if (known.contains(named.name) || store.resolve(named.name)) continue;
        const std::string near = did_you_mean(named.name, {known.begin(), known.end()});
        out.push_back(at(warning("grants", "config/grants.yml", "the secret '" + named.name + "' is set nowhere, and config/secrets.example.json does not name it", near.empty() ? "sabir secrets set " + named.name : near), *read, named.pointer));
      }
    }
  }

  auto grants = secrets::Grants::from_config(read->value);
  if (!grants) return out;
  for (const auto& prompt : context.prompts) {
    const auto text = read_file(root / prompt.file, kMostTestBytes);
    if (!text || prompt.is_part) continue;
    std::vector<std::string> declared;
    if (text->find("secret(") == std::string::npos) continue;
    if (auto front = completions::read_front_matter(root, prompt.name)) {
      if (const auto* list = front->if_contains("secrets"); list != nullptr && list->is_array()) {
        for (const auto& one : list->get_array()) declared.emplace_back(one.get_string());
      }
    }
    int line = 1;
    for (const auto row : split_lines(*text)) {
      for (std::size_t from = row.find("secret("); from != std::string_view::npos; from = row.find("secret(", from + 1)) {
        auto rest = trim(row.substr(from + 7));
        if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) continue;
        const std::string name(rest.substr(1, rest.find(rest.front(), 1) == std::string_view::npos ? 0 : rest.find(rest.front(), 1) - 1));
        if (!secrets::is_secret_name(name) || grants->allowed(secrets::Holder::kPrompt, prompt.name, name, declared)) continue;
        auto refusal = secrets::Grants::refusal(secrets::Holder::kPrompt, prompt.name, name, prompt.file);
        out.push_back(finding_of(Level::kError, "grants", std::move(refusal).at(prompt.file, line, static_cast<int>(from) + 1)));
      }
      ++line;
    }
  }
  return out;
}

std::vector<CheckFinding> check_secrets(const CheckContext& context) {
  std::vector<CheckFinding> out;
  const auto& root = context.project.root;
  auto settings = project::read_secret_settings(root, context.project.environment, context.project.name);
  if (!settings) return out;  // told with the configuration
  // The files of this machine alone: nobody else is asked.
  std::erase_if(settings->order, [](const std::string& place) { return place != "file"; });
  std::vector<std::pair<std::string, std::string>> values;
  if (!settings->order.empty()) {
    const secrets::Secrets store(root, std::move(*settings));
    if (auto read = store.values()) {
      values = std::move(*read);
    } else {
      auto finding = finding_of(Level::kError, "secrets", read.error());
      if (finding.file.empty()) finding.file = "config/secrets.json";
      out.push_back(std::move(finding));
    }
  }
  std::erase_if(values, [](const auto& one) { return secrets::is_placeholder(one.second); });
  auto report = secrets::scan_project(root, secrets::Scanner(values), false);
  if (!report) return out;
  for (const auto& one : report->findings) {
    CheckFinding finding = warning("secrets", one.file, one.what + " stands here" + (one.shown.empty() ? "" : " (" + one.shown + ")"),
                                   "Take it out, and change it if it was ever committed (sabir secrets rotate). A line that must stay says `not-a-secret`.");
    finding.level = Level::kError;
    finding.line = one.line;
    out.push_back(std::move(finding));
  }
  return out;
}

std::vector<CheckFinding> check_tests(const CheckContext& context) {
  std::vector<CheckFinding> out;
  const auto tested = [&](const std::vector<std::string>& words) {
    return std::any_of(context.tests.begin(), context.tests.end(), [&](const auto& file) { return std::any_of(words.begin(), words.end(), [&](const auto& word) { return names_word(file.text, word); }); });
  };
  for (const auto& function : context.registry.functions()) {
    // Tests of code elsewhere are elsewhere; what an MCP server has is its own business.
    if (function.source.origin || function.source.relative.empty() || function.language == "mcp") continue;
    auto words = spellings(function.schema.canonical);
    words.push_back(function.schema.name);
    if (tested(words)) continue;
    auto finding = warning("tests", function.source.relative, "no test names the function " + function.address, "Write one in a tests/ folder; `sabir add` writes a first one beside each new function.");
    finding.line = function.schema.line;
    out.push_back(std::move(finding));
  }
  for (const auto& assistant : context.registry.assistants()) {
    if (assistant.source.origin || tested(spellings(assistant.name))) continue;
    out.push_back(warning("tests", assistant.source.relative, "no test names the assistant " + assistant.name, "Write one in a tests/ folder, or an eval in tests/evals/."));
  }
  for (const auto& prompt : context.prompts) {
    if (prompt.is_part) continue;
    if (tested({prompt.name, prompt.name.substr(prompt.name.rfind('/') + 1)})) continue;
    out.push_back(warning("tests", prompt.file, "no test names the prompt " + prompt.name, "Write one in completions/tests/, for instance with a snapshot of what it renders."));
  }
  return out;
}

std::vector<CheckFinding> check_unused(const CheckContext& context) {
  std::vector<CheckFinding> out;
  // Texts of the sources, read where a file has to be looked for in them.
  std::vector<ReadFile> sources;
  const auto imported = [&](const project::SourceFile& own) {
    if (sources.empty()) {
      for (const auto& source : context.project.sources) {
        if (auto text = read_file(source.path, kMostTestBytes)) sources.push_back({source.relative, std::move(*text)});
      }
    }
    const std::string stem = own.path.stem().string();
    return std::any_of(sources.begin(), sources.end(), [&](const auto& other) { return other.path != own.relative && names_word(other.text, stem); });
  };
  for (const auto& one : context.registry.described()) {
    const auto& source = one.source;
    if (source.origin || source.kind != project::SourceKind::kFunction || !one.description.functions.empty() || !one.description.unavailable.empty()) continue;
    if (imported(source)) continue;
    out.push_back(warning("unused", source.relative, "the file gives no function, and no other source names it", "Remove it, or begin its name with _ where it is meant to be no function's."));
  }
  return out;
}

}  // namespace sabir::cli

#include "sabir/languages/environment.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"

namespace sabir::languages {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestPin = 64 * 1024;
constexpr std::size_t kMostVersions = 1000;  // of one manager's folder

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "v22.7.0" and "ruby-3.3.0" without what stands before the number; "" for "lts/*", "system" and the like.
std::string number_in(const std::string& text, const std::string& language) {
  std::string_view rest = text;
  for (const std::string& prefix : {std::string("v"), language + "-", std::string("go")}) {
    if (rest.size() > prefix.size() && rest.starts_with(prefix) && is_digit(rest[prefix.size()])) rest.remove_prefix(prefix.size());
  }
  if (rest.empty() || !is_digit(rest.front()) || rest.size() > 40) return "";
  const bool plain = std::all_of(rest.begin(), rest.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '+'; });
  return plain ? std::string(rest) : "";
}

std::string first_word(std::string_view line) {
  line = trim(line);
  return std::string(line.substr(0, std::min(line.find_first_of(" \t#"), line.size())));
}

// The version that a file with several tools gives for `key`: `ruby 3.3.0`, or `ruby = "3.3"` in TOML.
std::string word_for(std::string_view line, const std::string& key) {
  line = trim(line);
  if (!line.starts_with(key)) return "";
  line.remove_prefix(key.size());
  if (line.empty() || (line.front() != ' ' && line.front() != '\t' && line.front() != '=')) return "";
  line = trim(line);
  if (line.starts_with('=')) line = trim(line.substr(1));
  std::string word = first_word(line);
  word.erase(std::remove_if(word.begin(), word.end(), [](char c) { return c == '"' || c == '\'' || c == '[' || c == ']' || c == ','; }), word.end());
  return word;
}

fs::path expanded(const std::string& folder) {
  if (!folder.starts_with("$") && !folder.starts_with("~/")) return folder;
  const std::size_t slash = std::min(folder.find('/'), folder.size());
  const char* const value = std::getenv(folder.front() == '~' ? "HOME" : folder.substr(1, slash - 1).c_str());
  return value && *value ? fs::path(value + folder.substr(slash)) : fs::path();
}

// What numbers a version has, to find the newest.
std::vector<int> numbers(std::string_view text) {
  std::vector<int> out;
  for (std::size_t at = 0; at < text.size() && is_digit(text[at]);) {
    int number = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) number = std::min(number * 10 + (text[at] - '0'), 1'000'000);
    out.push_back(number);
    if (at < text.size() && text[at] == '.') ++at;
  }
  return out;
}

struct Installed {
  std::string program;
  const project::VersionManager* manager = nullptr;
  bool any_manager = false;  // one is there, whatever it has installed
  const project::VersionManager* first = nullptr;
};

Installed find_installed(const project::Language& language, const std::string& asked) {
  Installed out;
  std::vector<int> best;
  for (const auto& manager : language.managers) {
    for (const auto& name : manager.folders) {
      const fs::path folder = expanded(name);
      std::error_code error;
      if (folder.empty() || !fs::is_directory(folder, error)) continue;
      if (!out.first) out.first = &manager;
      out.any_manager = true;
      std::size_t seen = 0;
      for (fs::directory_iterator it(folder, error), end; !error && it != end && ++seen < kMostVersions; it.increment(error)) {
        std::string version = it->path().filename().string();
        for (const auto& prefix : manager.prefixes) {
          if (version.starts_with(prefix)) version.erase(0, prefix.size());
        }
        if (!answers(asked, version)) continue;
        const auto program = process::find_program((it->path() / manager.program).string());
        if (program.empty() || (out.manager && numbers(version) <= best)) continue;
        best = numbers(version);
        out.program = program;
        out.manager = &manager;
      }
    }
    if (out.manager) break;
  }
  return out;
}

}  // namespace

bool answers(const std::string& asked, std::string_view version) {
  const std::size_t begin = version.find_first_of("0123456789");
  if (begin == std::string_view::npos || asked.empty()) return false;
  version.remove_prefix(begin);
  if (!version.starts_with(asked)) return false;
  return version.size() == asked.size() || !is_digit(version[asked.size()]);
}

std::optional<AskedVersion> asked_version(const project::Language& language, const fs::path& root) {
  if (root.empty()) return std::nullopt;
  for (const auto& pin : language.pins) {
    const auto text = read_file(root / pin.file, kLargestPin);
    if (!text) continue;
    int number = 0;
    for (const auto line : split_lines(*text)) {
      ++number;
      if (trim(line).empty() || trim(line).front() == '#') continue;
      const std::string word = pin.key.empty() ? first_word(line) : word_for(line, pin.key);
      if (!word.empty()) return AskedVersion{number_in(word, language.name), pin.file, number, word};
      if (pin.key.empty()) break;
    }
  }
  return std::nullopt;
}

std::string version_of(const project::Language& language, const std::string& program, const fs::path& root) {
  if (language.version.empty()) return "";
  process::SpawnSpec spec;
  spec.argv = filled(language.version, usual_values(language, root, program));
  spec.environment = process::environment_with({});
  spec.directory = root;
  const auto result = process::run(std::move(spec), std::chrono::seconds(10), 65536);
  if (!result || result->timed_out || result->status.code != 0) return "";
  const auto lines = split_lines(result->output);
  return lines.empty() ? "" : std::string(trim(lines.front()));
}

Result<Environment> find_environment(const project::Language& language, const fs::path& root) {
  auto asked = asked_version(language, root);
  bool looked = false;
  for (const auto& named : language.interpreters) {
    std::string candidate = named;
    std::string why = "from PATH";
    if (candidate.starts_with("$")) {
      const std::size_t slash = candidate.find('/');
      const std::string variable = candidate.substr(1, slash == std::string::npos ? slash : slash - 1);
      const char* value = std::getenv(variable.c_str());
      if (!value || !*value) continue;
      candidate = value + (slash == std::string::npos ? std::string() : candidate.substr(slash));
      why = "$" + variable + " is set";
    } else if (candidate.find('/') != std::string::npos) {
      why = "installed there";
      if (candidate.front() != '/') {
        if (root.empty()) continue;
        why = "the project's " + candidate.substr(0, candidate.find('/'));
        candidate = (root / candidate).string();
      }
    } else if (asked && !asked->version.empty() && !looked) {
      looked = true;
      const std::string wish = asked->file + " asks for " + asked->version;
      const auto installed = find_installed(language, asked->version);
      if (installed.manager) return Environment{installed.program, wish + "; installed by " + installed.manager->name, asked};
      if (installed.any_manager) {
        // PATH's own may be that version as well; a shim of the manager's says that it is not.
        const auto own = process::find_program(candidate);
        if (!own.empty() && answers(asked->version, version_of(language, own, root))) return Environment{own, wish + ", as PATH has it", asked};
        std::string command = installed.first->install;
        if (const std::size_t at = command.find("{version}"); at != std::string::npos) command.replace(at, 9, asked->version);
        return fail(Error(ErrorCode::kUnavailable, "the functions in " + language.name + " cannot run: " + wish + ", which is not installed",
                          "Run `" + command + "`, or change " + asked->file + ".")
                        .at(asked->file, asked->line));
      }
    }
    if (auto found = process::find_program(candidate); !found.empty()) {
      if (why == "from PATH" && asked) {
        why += asked->version.empty() ? ", since only its version manager knows what \"" + asked->text + "\" in " + asked->file + " is"
                                      : ", since no version manager is here; " + asked->file + " asks for " + asked->version;
      }
      return Environment{std::move(found), std::move(why), std::move(asked)};
    }
  }
  return fail(ErrorCode::kUnavailable, "the functions in " + language.name + " cannot run: no " + join(language.interpreters, ", no "),
              language.missing_hint);
}

}  // namespace sabir::languages

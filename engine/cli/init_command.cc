// sabir init: adopts an existing repository, by the rules of each language.yml (`adopt`).
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <set>

#include <unistd.h>

#include "command.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/registry.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 50'000;
constexpr int kDeepest = 8;
constexpr std::size_t kMostProposals = 50;
constexpr std::size_t kLargestRead = 256 * 1024;
constexpr std::size_t kLongestLine = 500;  // that a rule's expression is tried on

struct Asked {
  bool yes = false;
  bool dry_run = false;
};

struct Proposal {
  std::string language;
  std::string what;
  json::object source;
};

struct Plan {
  fs::path root;
  std::vector<Proposal> proposals;
  std::vector<std::string> languages;
  std::string config;                      // sabir.yml
  std::vector<std::string> ignored_lines;  // to add to .gitignore
};

bool is_skipped(const std::string& name) {
  static const std::set<std::string_view> kSkipped = {"node_modules", "vendor", "venv", "env", "build", "target", "dist", "tests", "test",
                                                      "spec", "__pycache__", "third_party", "examples", "docs"};
  return name.front() == '.' || kSkipped.contains(name) || name.starts_with("cmake-build");
}

// Files and folders below `root`, relative to it.
Result<std::vector<std::string>> paths_below(const fs::path& root) {
  std::vector<std::string> out;
  std::vector<std::pair<fs::path, int>> todo{{root, 0}};
  while (!todo.empty()) {
    const auto [folder, depth] = todo.back();
    todo.pop_back();
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (find_invalid_utf8(name) != std::string::npos || is_skipped(name)) continue;
      std::error_code ignored;
      if (it->is_symlink(ignored)) continue;
      if (out.size() >= kMostEntries) return fail(ErrorCode::kLimit, root.string() + " holds over 50,000 entries", "Run `sabir init` in the folder of the code itself.");
      out.push_back(it->path().lexically_relative(root).string());
      if (it->is_directory(ignored) && depth < kDeepest) todo.emplace_back(it->path(), depth + 1);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

using Values = std::map<std::string, std::string>;

std::string filled(std::string text, const Values& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) text.replace(at, mark.size(), value);
  }
  return text;
}

json::value filled(const json::value& value, const Values& values) {
  if (value.is_string()) return json::value(filled(std::string(value.get_string()), values));
  if (value.is_array()) {
    json::array out;
    for (const auto& item : value.get_array()) out.push_back(filled(item, values));
    return out;
  }
  if (value.is_object()) {
    json::object out;
    for (const auto& [key, item] : value.get_object()) out[key] = filled(item, values);
    return out;
  }
  return value;
}

// Whether each of `also`, alternatives apart by '|', is among the paths.
bool all_there(const std::vector<std::string>& also, const Values& values, const std::vector<std::string>& paths) {
  return std::all_of(also.begin(), also.end(), [&](const std::string& entry) {
    const std::string alternatives = filled(entry, values);
    for (std::size_t begin = 0; begin <= alternatives.size();) {
      const std::size_t end = std::min(alternatives.find('|', begin), alternatives.size());
      const std::string glob = alternatives.substr(begin, end - begin);
      if (std::any_of(paths.begin(), paths.end(), [&](const auto& path) { return project::path_matches(glob, path); })) return true;
      begin = end + 1;
    }
    return false;
  });
}

// What `content` captures in each line that matches; one empty capture where there is no condition.
std::vector<std::string> captures(const project::AdoptRule& rule, const std::regex& content, const fs::path& file) {
  if (rule.content.empty()) return {""};
  std::vector<std::string> out;
  auto text = read_file(file, kLargestRead);
  if (!text) return out;
  for (const auto line : split_lines(*text)) {
    std::cmatch match;
    if (line.size() > kLongestLine || !std::regex_search(line.data(), line.data() + line.size(), match, content)) continue;
    out.push_back(match.size() > 1 ? match[1].str() : "");
    if (match.size() <= 1) break;
  }
  return out;
}

Result<void> propose(const project::Language& language, const std::vector<std::string>& paths, const fs::path& root, std::vector<Proposal>& out) {
  std::set<std::string> seen;
  for (const auto& rule : language.adopt) {
    std::regex content;
    try {
      content = std::regex(rule.content, std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      return fail(ErrorCode::kConfig, "languages/" + language.name + "/language.yml: adopt: the expression " + rule.content + " cannot be read: " + error.what());
    }
    for (const auto& path : paths) {
      if (std::none_of(rule.files.begin(), rule.files.end(), [&](const auto& glob) { return project::path_matches(glob, path); })) continue;
      std::error_code error;
      if (fs::is_directory(root / path, error)) continue;
      std::string folder = fs::path(path).parent_path().string();
      if (folder.empty()) folder = ".";
      for (const auto& captured : captures(rule, content, root / path)) {
        const Values values{{"folder", folder}, {"name", folder == "." ? root.filename().string() : fs::path(folder).filename().string()}, {"1", captured}};
        if (!all_there(rule.also, values, paths)) continue;
        json::value source = filled(json::value(rule.source), values);
        const std::string place(string_or(source.get_object(), "path"));
        if (!seen.insert(place).second || out.size() >= kMostProposals) continue;
        out.push_back({language.name, filled(rule.what, values), std::move(source.get_object())});
      }
    }
  }
  return {};
}

// ---- what is written -------------------------------------------------------------------------------------------------

std::string scalar(const json::value& value) {
  if (!value.is_string()) return json::serialize(value);
  const std::string text(value.get_string());
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/' || c == '.' || c == '-';
  }) && (text.front() < '0' || text.front() > '9') && text.front() != '-' && text != "." && text != "true" && text != "false" && text != "null" && text != "yes" && text != "no";
  return plain ? text : json::serialize(value);
}

std::string flow(const json::value& value) {
  std::vector<std::string> parts;
  if (value.is_array()) {
    for (const auto& item : value.get_array()) parts.push_back(flow(item));
    return "[" + join(parts, ", ") + "]";
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.get_object()) parts.push_back(std::string(key) + ": " + flow(item));
    return "{" + join(parts, ", ") + "}";
  }
  return scalar(value);
}

std::string config_text(const Plan& plan) {
  std::string out = "# Written by `sabir init`. What `sources` names is served where it stands; `sabir functions` lists it.\n";
  out += "engine: " SABIR_VERSION "\n";
  out += "name: " + scalar(json::value(plan.root.filename().string())) + "\n";
  out += "languages: [" + join(plan.languages, ", ") + "]\n";
  out += "sources:\n";
  for (const auto& proposal : plan.proposals) {
    out += "  # " + proposal.what + "\n";
    bool first = true;
    json::object entry;
    entry["path"] = proposal.source.at("path");
    entry["language"] = proposal.language;
    for (const auto& [key, value] : proposal.source) {
      if (key != "path") entry[key] = value;
    }
    for (const auto& [key, value] : entry) {
      out += std::string(first ? "  - " : "    ") + std::string(key) + ": " + flow(value) + "\n";
      first = false;
    }
  }
  return out;
}

std::vector<std::string> missing_ignores(const fs::path& root) {
  std::vector<std::string> out;
  const auto text = read_file(root / ".gitignore");
  for (const std::string wanted : {".sabir/", "config/secrets.json"}) {
    bool there = false;
    if (text) {
      for (const auto line : split_lines(*text)) {
        const auto plain = trim(line);
        there = there || plain == wanted || plain == "/" + wanted || plain == wanted.substr(0, wanted.size() - 1);
      }
    }
    if (!there) out.push_back(wanted);
  }
  return out;
}

Result<Plan> make_plan(const fs::path& root, const std::vector<project::Language>& languages) {
  Plan plan;
  plan.root = root;
  std::error_code error;
  if (fs::exists(fs::symlink_status(root / "sabir.yml", error))) {
    return fail(ErrorCode::kExists, root.string() + " has a sabir.yml already, and nothing was written", "`sources` can be added to it by hand: docs/existing-code.md.");
  }
  auto paths = paths_below(root);
  if (!paths) return fail(std::move(paths.error()));
  for (const auto& language : languages) {
    const std::size_t before = plan.proposals.size();
    if (auto ok = propose(language, *paths, root, plan.proposals); !ok) return fail(std::move(ok.error()));
    if (plan.proposals.size() > before) plan.languages.push_back(language.name);
  }
  if (plan.proposals.empty()) {
    return fail(ErrorCode::kNotFound, "nothing here that `sabir init` knows how to serve, and nothing was written",
                "`sabir new PATH` makes a project; in an own sabir.yml, `sources` names code by its path and language: docs/existing-code.md.");
  }
  plan.config = config_text(plan);
  plan.ignored_lines = missing_ignores(root);
  return plan;
}

Result<void> write_plan(const Plan& plan) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(plan.root / "sabir.yml", error))) return fail(ErrorCode::kExists, "a sabir.yml was written meanwhile");
  if (auto written = write_file(plan.root / "sabir.yml", plan.config); !written) return written;
  if (plan.ignored_lines.empty()) return {};
  std::string text;
  if (auto old = read_file(plan.root / ".gitignore")) text = std::move(*old);
  if (!text.empty() && text.back() != '\n') text += '\n';
  return write_file(plan.root / ".gitignore", text + join(plan.ignored_lines, "\n") + "\n");
}

void show(const Plan& plan) {
  print(styled("Found in " + plan.root.string(), "1"));
  for (const auto& proposal : plan.proposals) print("  " + proposal.language + "  " + proposal.what + "  (" + std::string(string_or(proposal.source, "path")) + ")");
  print("\n" + styled("sabir.yml", "1") + ", new:");
  for (const auto line : split_lines(plan.config)) print("  + " + std::string(line));
  if (plan.ignored_lines.empty()) return;
  std::error_code error;
  print("\n" + styled(".gitignore", "1") + (fs::exists(plan.root / ".gitignore", error) ? ", lines more:" : ", new:"));
  for (const auto& line : plan.ignored_lines) print("  + " + line);
}

json::object to_json(const Plan& plan, bool written) {
  json::array sources;
  for (const auto& proposal : plan.proposals) {
    json::object one = proposal.source;
    one["language"] = proposal.language;
    one["what"] = proposal.what;
    sources.push_back(std::move(one));
  }
  json::array lines;
  for (const auto& line : plan.ignored_lines) lines.push_back(json::value(line));
  return {{"root", plan.root.string()}, {"sources", std::move(sources)}, {"config", plan.config}, {"ignored_lines", std::move(lines)}, {"written", written}};
}

void init(Globals& globals, const Asked& asked) {
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  std::error_code error;
  const fs::path root = fs::canonical(globals.session.directory.empty() ? fs::current_path() : fs::path(globals.session.directory), error);
  if (error) return fail_with(globals, Error(ErrorCode::kNotFound, globals.session.directory.string() + ": no such folder"));
  auto languages = project::load_languages(*folder / "languages", root);
  if (!languages) return fail_with(globals, languages.error());
  auto plan = make_plan(root, *languages);
  if (!plan) return fail_with(globals, plan.error());
  if (!globals.json) show(*plan);
  if (asked.dry_run) return globals.json ? print_json(to_json(*plan, false)) : print("\nNothing was written (--dry-run).");
  if (!asked.yes) {
    if (globals.json || ::isatty(STDIN_FILENO) == 0) {
      return fail_with(globals, Error(ErrorCode::kUsage, "nothing was written: nobody can be asked here", "Say --yes to write it, or --dry-run to see it alone."));
    }
    std::cout << "\nWrite this? [y/N] " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "Y" && answer != "yes") return print("Nothing was written.");
  }
  if (auto written = write_plan(*plan); !written) return fail_with(globals, written.error());
  if (globals.json) return print_json(to_json(*plan, true));
  auto loaded = project::load(root, globals.session.environment, *languages);
  if (!loaded) return fail_with(globals, loaded.error());
  const auto registry = functions::Registry::build(*loaded, *languages);
  print("\nWritten. " + std::to_string(registry->functions().size()) + " functions can be called" +
        (registry->unavailable().empty() ? "" : ", " + std::to_string(registry->unavailable().size()) + " cannot: `sabir check` says why") + ".");
  print("\nNext:\n  sabir functions    what can be called\n  sabir doctor       what is missing on this machine");
}

}  // namespace

void add_init_command(Command& app, Globals& globals) {
  auto* const adopting = app.add_subcommand("init", "Serve the code of an existing repository where it stands.");
  auto asked = std::make_shared<Asked>();
  add_common(*adopting, globals);
  adopting->add_flag("-y,--yes", asked->yes, "write without asking");
  adopting->add_flag("--dry-run", asked->dry_run, "show what would be written, and write nothing");
  adopting->callback([&globals, asked] { init(globals, *asked); });
}

}  // namespace sabir::cli

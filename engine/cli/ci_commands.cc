// sabir ci init | run | hook: continuous integration that runs what a person runs.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "command.h"
#include "filled_template.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr std::chrono::minutes kStep{60};
constexpr const char* kHookMark = "# Written by `sabir ci hook`.";

struct Place {
  fs::path root;        // the project's
  fs::path repository;  // git's, or the project's own folder where there is none
  std::string folder;   // the project's in it; "" = the same
  bool in_git = false;
};

Result<Place> place_of(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  Place out{*root, *root, {}, false};
  std::error_code ec;
  for (fs::path at = fs::absolute(*root, ec); !at.empty(); at = at.parent_path()) {
    if (fs::exists(at / ".git", ec)) {
      out.repository = at;
      out.in_git = true;
      const auto relative = fs::absolute(*root, ec).lexically_relative(at).string();
      out.folder = relative == "." ? "" : relative;
      break;
    }
    if (at == at.parent_path()) break;
  }
  return out;
}

Result<std::pair<std::string, std::vector<std::string>>> name_and_languages(const fs::path& root) {
  auto own = project::read_yaml(root / "sabir.yml");
  if (!own) return fail(std::move(own.error()));
  std::string name = root.filename().string();
  std::vector<std::string> languages;
  if (own->is_object()) {
    name = string_or(own->get_object(), "name", name);
    if (const auto* list = own->get_object().if_contains("languages"); list && list->is_array()) {
      for (const auto& one : list->get_array()) {
        if (one.is_string()) languages.emplace_back(one.get_string());
      }
    }
  }
  // Those whose folder is there count too: a project need not list any.
  std::error_code ec;
  for (const char* part : {"functions", "assistants", "memory"}) {
    for (fs::directory_iterator it(root / part, ec), end; !ec && it != end; it.increment(ec)) {
      const auto language = it->path().filename().string();
      if (it->is_directory(ec) && !language.starts_with('.') && std::find(languages.begin(), languages.end(), language) == languages.end()) languages.push_back(language);
    }
  }
  return std::pair(std::move(name), std::move(languages));
}

void init(Globals& globals, bool force) {
  auto place = place_of(globals);
  if (!place) return fail_with(globals, place.error());
  auto about = name_and_languages(place->root);
  if (!about) return fail_with(globals, about.error());
  auto& [name, languages] = *about;
  auto unpacked = resources();
  if (!unpacked) return fail_with(globals, unpacked.error());
  const std::string file = place->folder.empty() ? "ci.yml" : "ci-" + name + ".yml";
  const fs::path target = place->repository / ".github" / "workflows" / file;
  std::error_code ec;
  const auto text = read_file(*unpacked / "templates/project/dot-github/workflows/ci.yml.j2", kMostBytes);
  if (!text) return fail_with(globals, text.error());
  json::object context{{"name", name}, {"version", SABIR_VERSION}};
  for (const char* language : {"python", "ruby", "cpp", "node", "go", "php", "java", "rust", "shell"}) {
    context[language] = std::find(languages.begin(), languages.end(), language) != languages.end();
  }
  fill_for_ci(context, languages, place->folder, file);
  auto filled = FilledTemplates(std::move(context)).render(file, *text);
  if (!filled) return fail_with(globals, filled.error());
  const std::string shown = target.lexically_relative(fs::current_path()).string();
  const auto before = read_file(target, kMostBytes);
  const bool same = before && *before == *filled;
  if (before && !same && !force) {
    return fail_with(globals, Error(ErrorCode::kExists, shown + " is there and differs from what would be written", "Look at what you changed in it, then: sabir ci init --force"));
  }
  fs::create_directories(target.parent_path(), ec);
  if (auto written = write_file(target, *filled); !written) return fail_with(globals, written.error());
  if (globals.json) return print_json({{"file", target.string()}, {"folder", place->folder}, {"changed", !same}, {"languages", json::array(languages.begin(), languages.end())}});
  print(std::string(same ? "unchanged " : "wrote ") + shown);
  if (!place->in_git) note("There is no git repository yet: git init");
}

// The steps of the workflow, one after the other, until one fails.
void run(Globals& globals) {
  auto place = place_of(globals);
  if (!place) return fail_with(globals, place.error());
  std::error_code ec;
  const auto self = fs::read_symlink("/proc/self/exe", ec).string();
  json::array steps;
  for (const auto& step : ci_steps()) {
    std::vector<std::string> words;
    for (std::string_view rest = step; !rest.empty();) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      words.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    words.front() = self;
    if (!globals.json) print(styled("$ " + step, "1"));
    process::SpawnSpec spec;
    spec.argv = std::move(words);
    spec.directory = place->root;
    // As on a server: nobody is asked, and an answer by a live model is no test.
    spec.environment = process::environment_with({{"CI", "true"}, {"SABIR_BIN", self}});
    // With --json standard output is for the summary alone.
    spec.descriptors = {{1, globals.json ? STDERR_FILENO : STDOUT_FILENO}, {2, STDERR_FILENO}};
    spec.own_group = false;
    const auto begun = std::chrono::steady_clock::now();
    auto child = process::spawn(spec);
    if (!child) return fail_with(globals, child.error());
    auto ended = child->wait(kStep);
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (!ended) {
      child->signal_group(SIGKILL);
      return fail_with(globals, Error(ErrorCode::kTimeout, "'" + step + "' has not ended within an hour"));
    }
    steps.push_back({{"step", step}, {"exit_code", ended->code}, {"seconds", seconds}});
    if (ended->code == 0) continue;
    globals.exit_code = 1;
    if (globals.json) print_json({{"steps", steps}, {"passed", false}});
    else note("'" + step + "' " + ended->text() + "; what comes after it was not run");
    return;
  }
  if (globals.json) return print_json({{"steps", steps}, {"passed", true}});
  print(styled("All steps passed.", "32"));
}

void hook(Globals& globals, bool remove, bool force) {
  auto place = place_of(globals);
  if (!place) return fail_with(globals, place.error());
  if (!place->in_git) return fail_with(globals, Error(ErrorCode::kNotFound, "there is no git repository here", "git init"));
  process::SpawnSpec spec;
  // core.hooksPath, and worktrees, are git's to know.
  spec.argv = {"git", "-C", place->repository.string(), "rev-parse", "--git-path", "hooks"};
  spec.environment = process::environment_with({{"GIT_DIR", ""}});
  spec.separate_errors = true;
  auto asked = process::run(std::move(spec), std::chrono::seconds(10));
  if (!asked) return fail_with(globals, asked.error());
  if (asked->status.code != 0) return fail_with(globals, Error(ErrorCode::kUnavailable, "git does not say where its hooks are: " + std::string(trim(asked->errors))));
  const fs::path folder = place->repository / std::string(trim(asked->output));
  const fs::path file = folder / "pre-commit";
  const auto before = read_file(file, kMostBytes);
  const bool ours = before && before->find(kHookMark) != std::string::npos;
  std::error_code ec;
  if (remove) {
    if (!ours) return fail_with(globals, Error(ErrorCode::kNotFound, "there is no hook of `sabir ci hook` here"));
    fs::remove(file, ec);
    if (globals.json) return print_json({{"file", file.string()}, {"removed", true}});
    return print("removed " + file.string());
  }
  if (before && !ours && !force) return fail_with(globals, Error(ErrorCode::kExists, file.string() + " is there already and is somebody else's", "Add `sabir check && sabir secrets scan --no-history` to it, or write over it: sabir ci hook --force"));
  const std::string enter = place->folder.empty() ? "" : "cd '" + place->folder + "' || exit 1\n";
  const std::string text = std::string("#!/bin/sh\n") + kHookMark + " What it says is wrong is not committed; `git commit --no-verify` leaves it out.\n" +
                           "# git's variables would point what these commands ask of git elsewhere.\nunset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE\n" + enter +
                           "engine=${SABIR_BIN:-sabir}\ncommand -v \"$engine\" >/dev/null || { echo 'sabir is not on PATH: nothing was checked' >&2; exit 0; }\n" +
                           "\"$engine\" check && \"$engine\" secrets scan --no-history\n";
  fs::create_directories(folder, ec);
  if (auto written = write_file(file, text, 0755); !written) return fail_with(globals, written.error());
  if (globals.json) return print_json({{"file", file.string()}, {"removed", false}});
  print("Each commit is checked from now on: " + file.string());
}

}  // namespace

void add_ci_commands(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("ci", "Continuous integration that runs what you run.");
  command->require_subcommand();
  auto force = std::make_shared<bool>(false);
  auto remove = std::make_shared<bool>(false);
  auto* const initial = command->add_subcommand("init", "Write the workflow of GitHub Actions for the languages that the project uses.");
  add_common(*initial, globals);
  initial->add_flag("--force", *force, "write over one that was changed");
  initial->callback([&globals, force] { init(globals, *force); });
  auto* const running = command->add_subcommand("run", "Run the workflow's steps here.");
  add_common(*running, globals);
  running->callback([&globals] { run(globals); });
  auto* const hooking = command->add_subcommand("hook", "Check before each commit: sabir check, and no secrets.");
  add_common(*hooking, globals);
  hooking->add_flag("--force", *force, "write over a hook that is there");
  hooking->add_flag("--remove", *remove, "take it away");
  hooking->callback([&globals, force, remove] { hook(globals, *remove, *force); });
}

}  // namespace sabir::cli

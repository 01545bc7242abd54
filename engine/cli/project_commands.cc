// sabir new, setup, doctor, test, deploy.
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "command.h"
#include "new_project.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/functions.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"
#include "sabir/testing/testing.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;
using std::chrono::seconds;

Result<fs::path> root_of(const Globals& globals) {
  return project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
}

// ---- new -------------------------------------------------------------------------------------------------------------

void new_command(Globals& globals, const std::string& path, const std::string& languages) {
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  NewProjectOptions options;
  options.path = path;
  options.templates_dir = *folder / "templates";
  options.engine_version = SABIR_VERSION;
  std::stringstream list(languages);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) options.languages.push_back(name);
  }
  auto report = new_project(options);
  if (!report) return fail_with(globals, report.error());
  if (globals.json) {
    json::array files;
    for (const auto& file : report->files) files.push_back(json::value(file));
    json::array names;
    for (const auto& name : report->languages) names.push_back(json::value(name));
    return print_json({{"root", report->root.string()}, {"name", report->name}, {"languages", names}, {"files", files}});
  }
  print("Made " + styled(report->name, "1") + " with " + join(report->languages, ", ") + " (" + std::to_string(report->files.size()) + " files).");
  print("\nNext:\n  cd " + path + "\n  sabir setup       make the languages' environments\n  sabir functions   what can be called\n  sabir test        run all of its tests");
}

// ---- setup and doctor ------------------------------------------------------------------------------------------------

struct Step {
  std::string what;
  std::vector<std::string> argv;
};

bool has_requirements(const fs::path& file) {
  auto text = read_file(file);
  if (!text) return false;
  const auto lines = split_lines(*text);
  return std::any_of(lines.begin(), lines.end(), [](std::string_view line) { return !trim(line).empty() && trim(line).front() != '#'; });
}

// Runs one step, showing its last lines when it fails.
bool run_step(Globals& globals, const fs::path& root, const Step& step) {
  if (!globals.json) note(styled(step.what, "1") + "  " + join(step.argv, " "));
  process::SpawnSpec spec;
  spec.argv = step.argv;
  spec.directory = root;
  spec.environment = process::environment_with({});
  auto result = process::run(std::move(spec), seconds(600));
  if (result && !result->timed_out && result->status.code == 0) return true;
  const std::string said = !result ? result.error().message : result->timed_out ? "it took over ten minutes" : result->output;
  note("sabir: " + step.what + " failed:\n" + (said.size() > 3000 ? said.substr(said.size() - 3000) : said));
  return false;
}

void setup(Globals& globals) {
  globals.session.join_running = false;
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  auto loaded = project::load(*root, globals.session.environment, *languages);
  if (!loaded) return fail_with(globals, loaded.error());
  std::set<std::string> used;
  for (const auto& source : loaded->sources) used.insert(source.language);

  bool ok = true;
  std::vector<Step> steps;
  // What is active is honoured: a venv, or packages that are there already.
  if (used.contains("python") && has_requirements(*root / "requirements.txt") && !std::getenv("VIRTUAL_ENV")) {
    const std::string python = (*root / ".venv/bin/python").string();
    if (!fs::exists(python)) steps.push_back({"python: making .venv", {"python3", "-m", "venv", (*root / ".venv").string()}});
    steps.push_back({"python: installing requirements.txt", {python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"}});
  }
  if (used.contains("ruby") && fs::exists(*root / "Gemfile.lock") && !process::find_program("bundle").empty()) {
    steps.push_back({"ruby: installing the Gemfile", {"bundle", "install", "--quiet"}});
  }
  for (const auto& step : steps) ok = run_step(globals, *root, step) && ok;

  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  const auto report = (*session)->engine().prepare();
  json::array lines;
  for (const auto& line : report) {
    lines.push_back(line);
    ok = ok && line.at("ok").as_bool();
    if (globals.json) continue;
    const bool good = line.at("ok").as_bool();
    print(styled(good ? "ready    " : "missing  ", good ? "32" : "31") + std::string(string_or(line, "language")) + "  " + std::string(string_or(line, "message")));
  }
  if (globals.json) print_json({{"ok", ok}, {"languages", lines}});
  if (!ok) globals.exit_code = 1;
}

// The numbers of the first version that a text names: "v22.7.1" is {22, 7, 1}.
std::vector<int> numbers_of_version(std::string_view text) {
  std::vector<int> numbers;
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string_view::npos) return numbers;
  int number = 0;
  for (const char c : text.substr(begin)) {
    if (c >= '0' && c <= '9') {
      number = std::min(number * 10 + (c - '0'), 1'000'000);
    } else {
      numbers.push_back(std::exchange(number, 0));
      if (c != '.') return numbers;
    }
  }
  numbers.push_back(number);
  return numbers;
}

void doctor(Globals& globals) {
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  auto root = root_of(globals);
  auto languages = project::load_languages(*folder / "languages", root ? *root : std::filesystem::path());
  if (!languages) return fail_with(globals, languages.error());
  std::optional<project::Project> loaded;
  if (root) {
    auto value = project::load(*root, globals.session.environment, *languages);
    if (!value) return fail_with(globals, value.error());
    loaded = std::move(*value);
  }
  json::array rows;
  bool ok = true;
  for (const auto& language : *languages) {
    const bool used = !loaded || std::any_of(loaded->sources.begin(), loaded->sources.end(), [&](const auto& s) { return s.language == language.name; });
    project::Project nowhere;
    nowhere.root = fs::current_path();
    auto found = functions::find_interpreter(loaded ? *loaded : nowhere, language);
    std::string version;
    if (found && !language.version.empty()) {
      process::SpawnSpec spec;
      for (std::string word : language.version) spec.argv.push_back(word == "{interpreter}" ? *found : word);
      spec.environment = process::environment_with({});
      if (auto result = process::run(std::move(spec), seconds(10))) version = trim(split_lines(result->output).empty() ? "" : split_lines(result->output).front());
    }
    const bool too_old = !version.empty() && !language.minimum.empty() && numbers_of_version(version) < numbers_of_version(language.minimum);
    const bool good = found.has_value() && !too_old;
    if (!good && used) ok = false;
    std::string hint = good ? "" : language.missing_hint;
    if (too_old) hint = *found + " is " + version + ", older than " + language.minimum + ": " + hint;
    rows.push_back({{"language", language.name}, {"used", used}, {"ok", good}, {"program", found ? *found : ""},
                    {"version", version}, {"hint", hint}});
  }
  if (!ok) globals.exit_code = 1;
  if (globals.json) return print_json({{"ok", ok}, {"project", loaded ? loaded->root.string() : ""}, {"languages", rows}});
  print(loaded ? "Project " + loaded->root.string() : std::string("No project here; all languages that this engine serves:"));
  for (const auto& row : rows) {
    const auto& object = row.get_object();
    const bool good = object.at("ok").as_bool();
    const bool used = object.at("used").as_bool();
    std::string name(string_or(object, "language"));
    name.resize(std::max<std::size_t>(name.size(), 8), ' ');
    print((good ? styled("  ok       ", "32") : used ? styled("  missing  ", "31") : styled("  absent   ", "2")) + name + "  " +
          (good ? std::string(string_or(object, "version")) + styled("  " + std::string(string_or(object, "program")), "2") : std::string(string_or(object, "hint"))));
  }
}

// ---- test ------------------------------------------------------------------------------------------------------------

struct TestOptions {
  std::string only;
  std::string junit;
  int timeout_s = 0;
};

void test(Globals& globals, const TestOptions& options) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  testing::Options run;
  run.root = *root;
  if (!options.only.empty()) run.only = fs::absolute(options.only);
  std::error_code ec;
  run.engine = fs::read_symlink("/proc/self/exe", ec);
  for (const auto& entry : fs::directory_iterator(*folder / "languages", ec)) {
    if (fs::is_directory(entry.path() / "sdk")) run.sdk_paths[entry.path().filename().string()] = entry.path() / "sdk";
  }
  run.timeout_ms = options.timeout_s * 1000;
  run.output_fd = globals.json ? -1 : STDOUT_FILENO;
  run.live = !globals.json && on_terminal();
  auto summary = testing::run(run);
  if (!summary) return fail_with(globals, summary.error());
  if (!options.junit.empty()) {
    if (auto written = write_file(options.junit, testing::to_junit(*summary)); !written) return fail_with(globals, written.error());
  }
  if (globals.json) print_json(testing::to_json(*summary));
  if (!summary->ok()) globals.exit_code = 1;
}

}  // namespace

void add_project_commands(Command& app, Globals& globals) {
  auto* const making = app.add_subcommand("new", "Make a project: functions, prompts, an assistant, memory, tests.");
  auto path = std::make_shared<std::string>();
  auto languages = std::make_shared<std::string>("python,ruby,cpp");
  making->add_flag("--json", globals.json, "print JSON alone on standard output");
  making->add_option("PATH", *path, "the new folder; it must not exist, or be empty").required();
  making->add_option("-l,--languages", *languages, "in order of preference").show_default();
  making->callback([&globals, path, languages] { new_command(globals, *path, *languages); });

  auto* const preparing = app.add_subcommand("setup", "Make each language's environment and build what is compiled.");
  add_common(*preparing, globals);
  preparing->callback([&globals] { setup(globals); });

  auto* const looking = app.add_subcommand("doctor", "Say what is missing on this machine, and the command that fixes it.");
  add_common(*looking, globals);
  looking->callback([&globals] { doctor(globals); });

  auto* const trying = app.add_subcommand("test", "Run every language's own tests, with one summary.");
  auto options = std::make_shared<TestOptions>();
  add_common(*trying, globals);
  trying->add_option("PATH", options->only, "only the tests below this path");
  trying->add_option("--junit", options->junit, "write the results as JUnit XML to this file");
  trying->add_option("--timeout", options->timeout_s, "seconds for one suite").between(1, 86400);
  trying->callback([&globals, options] { test(globals, *options); });

  auto* const deploying = app.add_subcommand("deploy", "Bring the project to staging or production.");
  auto target = std::make_shared<std::string>();
  add_common(*deploying, globals);
  deploying->add_option("ENVIRONMENT", *target, "development, staging or production");
  deploying->callback([&globals, target] {
    fail_with(globals, Error(ErrorCode::kUsage, "this version of Sabir cannot deploy yet",
                             "Run your own `terraform apply`; config/deployment_config.yml keeps what it will need."));
  });
}

}  // namespace sabir::cli

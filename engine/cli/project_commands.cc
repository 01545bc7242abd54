// sabir new, test.
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "command.h"
#include "config_schemas.h"
#include "new_project.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"
#include "sabir/recordings/recordings.h"
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
  // The configuration files' first lines name them. Without them an editor checks nothing, and the project works all the same.
  [[maybe_unused]] const auto schemas = write_config_schemas(report->root);
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

// ---- test ------------------------------------------------------------------------------------------------------------

struct TestOptions {
  std::string only;
  std::string junit;
  int timeout_s = 0;
};

// What the suites are told of recordings: an explicit --record or --replay holds for every test; without one, tests that have a
// recording are replayed, and the others run as ever.
Result<std::map<std::string, std::string>> recording_environment(const Globals& globals, const fs::path& root, std::int64_t since) {
  std::map<std::string, std::string> out;
  auto choice = recording_choice(globals.session, root);
  if (!choice) return fail(std::move(choice.error()));
  std::error_code ec;
  if (choice->mode == recordings::Mode::kOff) {
    if (!fs::is_directory(root / recordings::kFolder, ec)) return out;
    choice->mode = recordings::Mode::kReplay;
    choice->path = root / recordings::kFolder;
    out["SABIR_REPLAY_WHERE_PRESENT"] = "1";
  } else if (std::getenv("SABIR_MODEL") == nullptr) {
    // The project's own models, not the scripted one that its tests choose otherwise.
    out["SABIR_MODEL"] = "";
  }
  if (choice->mode == recordings::Mode::kReplay && !fs::exists(choice->path, ec)) {
    return fail(ErrorCode::kNotFound, "there is no recording " + recordings::shown_path(choice->path, root), "Record the tests: sabir test --record tests/recordings");
  }
  out[choice->mode == recordings::Mode::kRecord ? "SABIR_RECORD" : "SABIR_REPLAY"] = choice->path.string();
  out[choice->mode == recordings::Mode::kRecord ? "SABIR_REPLAY" : "SABIR_RECORD"] = "";
  out["SABIR_REPLAY_FUNCTIONS"] = choice->functions ? "1" : "";
  out["SABIR_RECORDING_SINCE"] = std::to_string(since);
  return out;
}

// What the replays of these tests missed, whatever the tests made of it.
struct Missed {
  std::size_t stale = 0;
  std::size_t missing = 0;
  models::Usage cost;
};

Missed missed_since(const fs::path& root, std::int64_t since) {
  Missed out;
  std::error_code ec;
  for (fs::directory_iterator it(root / ".sabir" / "replays", ec), end; !ec && it != end; it.increment(ec)) {
    const auto report = recordings::report_since(it->path(), since);
    if (!report) continue;
    for (const auto& miss : report->missed) {
      ++(miss.stale ? out.stale : out.missing);
      out.cost.input_tokens += miss.cost.input_tokens;
      out.cost.output_tokens += miss.cost.output_tokens;
    }
  }
  return out;
}

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
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  for (const auto& language : *languages) run.sdk_paths[language.name] = language.resources / language.sdk;
  run.languages = std::move(*languages);
  run.timeout_ms = options.timeout_s * 1000;
  run.output_fd = globals.json ? -1 : STDOUT_FILENO;
  run.live = !globals.json && on_terminal();
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto environment = recording_environment(globals, *root, since);
  if (!environment) return fail_with(globals, environment.error());
  run.environment = std::move(*environment);
  auto summary = testing::run(run);
  if (!summary) return fail_with(globals, summary.error());
  if (!options.junit.empty()) {
    if (auto written = write_file(options.junit, testing::to_junit(*summary)); !written) return fail_with(globals, written.error());
  }
  const Missed missed = missed_since(*root, since);
  if (globals.json) {
    auto object = testing::to_json(*summary);
    if (run.environment.contains("SABIR_RECORDING_SINCE")) {
      object["recordings"] = json::object{{"stale", missed.stale}, {"missing", missed.missing},
                                          {"cost", {{"input_tokens", missed.cost.input_tokens}, {"output_tokens", missed.cost.output_tokens}}}};
    }
    print_json(object);
  } else if (missed.stale + missed.missing > 0) {
    print("Recordings: " + std::to_string(missed.stale) + " stale, " + std::to_string(missed.missing) + " missing. `sabir recordings refresh --missing` asks the models, about " +
          std::to_string(missed.cost.input_tokens) + " + " + std::to_string(missed.cost.output_tokens) + " tokens.");
  }
  // A test may have caught the error; its answer was missing all the same.
  if (!summary->ok() || missed.stale + missed.missing > 0) globals.exit_code = 1;
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

  auto* const trying = app.add_subcommand("test", "Run every language's own tests, with one summary.");
  auto options = std::make_shared<TestOptions>();
  add_common(*trying, globals);
  add_recording(*trying, globals);
  trying->add_option("PATH", options->only, "only the tests below this path");
  trying->add_option("--junit", options->junit, "write the results as JUnit XML to this file");
  trying->add_option("--timeout", options->timeout_s, "seconds for one suite").between(1, 86400);
  trying->callback([&globals, options] { test(globals, *options); });
}

}  // namespace sabir::cli

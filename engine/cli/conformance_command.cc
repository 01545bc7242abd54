// sabir conformance.
#include <algorithm>

#include "command.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/conformance/conformance.h"
#include "sabir/functions/functions.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {

struct ConformanceOptions {
  std::string language;
  std::string worker;
  std::string testee;
  std::vector<std::string> only;
};

// A project for the testee of a compiled language, gone at the end.
struct Place {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("sabir-conformance-" + new_id());
  Place() = default;
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

struct Worker {
  conformance::Options options;
  std::unique_ptr<Place> place;
};

// The worker that this engine carries, with the testee beside it.
Result<Worker> worker_of(const std::filesystem::path& resources_folder, const std::string& name) {
  auto languages = project::load_languages(resources_folder / "languages");
  if (!languages) return fail(std::move(languages.error()));
  const auto found = std::find_if(languages->begin(), languages->end(), [&](const auto& l) { return l.name == name; });
  if (found == languages->end()) {
    std::vector<std::string> names;
    for (const auto& language : *languages) names.push_back(language.name);
    return fail(ErrorCode::kUsage, "this engine carries no worker for '" + name + "'", "There are: " + join(names, ", ") + ".");
  }
  Worker worker;
  worker.place = std::make_unique<Place>();
  const auto& root = worker.place->folder;
  std::error_code ec;
  const auto functions_folder = root / "functions" / name;
  std::filesystem::create_directories(functions_folder, ec);
  if (auto written = write_file(root / "sabir.yml", "languages: [" + name + "]\n"); !written) return fail(std::move(written.error()));
  for (const auto& entry : std::filesystem::directory_iterator(found->resources, ec)) {
    if (entry.path().stem().string().starts_with("testee")) {
      std::filesystem::copy_file(entry.path(), functions_folder / entry.path().filename(), ec);
    }
  }
  std::map<std::string, std::string> values{{"worker", (found->resources / found->worker).string()},
                                            {"sdk", (found->resources / found->sdk).string()}, {"project", root.string()}};
  project::Project empty;
  empty.root = root;
  auto interpreter = functions::find_interpreter(empty, *found);
  if (!interpreter) return fail(std::move(interpreter.error()));
  values["interpreter"] = *interpreter;
  const std::string extension = found->extensions.front();
  worker.options.testee = (functions_folder / ("testee" + extension)).string();
  if (!found->glue.empty()) {
    runtime::EngineOptions engine_options;
    engine_options.root = root;
    engine_options.resources = resources_folder;
    engine_options.cache = cache_dir();
    auto engine = runtime::Engine::open(std::move(engine_options));
    if (!engine) return fail(std::move(engine.error()));
    auto program = (*engine)->program(name);
    if (!program) return fail(std::move(program.error()));
    values["program"] = program->string();
    worker.options.testee = "functions/" + name + "/testee" + extension;
  }
  for (std::string word : found->launch) {
    for (const auto& [mark, value] : values) {
      if (word == "{" + mark + "}") word = value;
    }
    worker.options.command.push_back(std::move(word));
  }
  worker.options.directory = root;
  worker.options.project = root;
  auto expected = conformance::read_expected_failures(found->resources / "expected_failures.yaml");
  if (!expected) return fail(std::move(expected.error()));
  worker.options.expected_failures = std::move(*expected);
  return worker;
}

void show(const conformance::Check& check) {
  const bool good = check.outcome == conformance::Outcome::kPass || check.outcome == conformance::Outcome::kExpectedFailure;
  print(styled(std::string(conformance::outcome_name(check.outcome)), good ? "32" : "31") + "  " + check.id + "  " + check.title);
  if (check.outcome != conformance::Outcome::kPass && !check.detail.empty()) print("      " + check.detail);
}

void run(Globals& globals, const ConformanceOptions& options) {
  if (options.language.empty() == options.worker.empty()) {
    return fail_with(globals, Error(ErrorCode::kUsage, "say which worker: --language NAME or --worker \"COMMAND\""));
  }
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  conformance::Options run;
  std::unique_ptr<Place> place;
  if (!options.language.empty()) {
    auto made = worker_of(*folder, options.language);
    if (!made) return fail_with(globals, made.error());
    place = std::move(made->place);
    run = std::move(made->options);
  } else {
    run.command = {"/bin/sh", "-c", "exec " + options.worker};
    if (!options.testee.empty()) run.testee = std::filesystem::absolute(options.testee);
  }
  run.only = options.only;
  if (!globals.json) run.progress = show;
  auto report = conformance::run(run);
  if (!report) return fail_with(globals, report.error());
  if (!report->ok()) globals.exit_code = 1;
  if (globals.json) return print_json(report->to_json());
  print(std::to_string(report->count(conformance::Outcome::kPass)) + " passed, " +
        std::to_string(report->count(conformance::Outcome::kFail) + report->count(conformance::Outcome::kUnexpectedPass)) + " failed, " +
        std::to_string(report->count(conformance::Outcome::kExpectedFailure)) + " expected failures");
}

}  // namespace

void add_conformance_command(CLI::App& app, Globals& globals) {
  auto* const command = app.add_subcommand("conformance", "Check a language worker against the protocol, rule by rule.");
  auto options = std::make_shared<ConformanceOptions>();
  command->add_flag("--json", globals.json, "print JSON alone on standard output");
  command->add_option("-l,--language", options->language, "a worker that this engine carries");
  command->add_option("-w,--worker", options->worker, "a worker's command");
  command->add_option("--testee", options->testee, "the file with the functions that the checks call (conformance/README.md)");
  command->add_option("--only", options->only, "these checks: MUST-4 …");
  command->callback([&globals, options] { run(globals, *options); });
}

}  // namespace sabir::cli

// sabir conformance.
#include <unistd.h>

#include <sstream>

#include "command.h"
#include "resources.h"
#include "sabir/conformance/conformance.h"

namespace sabir::cli {
namespace {

struct ConformanceOptions {
  std::string language;
  std::string worker;
  std::string testee;
  std::vector<std::string> only;
};

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
  if (!options.language.empty()) {
    auto made = conformance::for_language(*folder / "languages", options.language);
    if (!made) return fail_with(globals, made.error());
    run = std::move(*made);
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

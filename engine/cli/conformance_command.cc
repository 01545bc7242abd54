// sabir conformance.
#include <unistd.h>

#include "command.h"
#include "resources.h"
#include "sabir/conformance/conformance.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {

struct ConformanceOptions {
  std::string language;
  std::string worker;
  std::string testee;
  std::vector<std::string> only;
};

void show(const conformance::Check& check) {
  const bool good = check.outcome != conformance::Outcome::kFail && check.outcome != conformance::Outcome::kUnexpectedPass;
  print(styled(std::string(conformance::outcome_name(check.outcome)), good ? "32" : "31") + "  " + check.id + "  " + check.title);
  if (check.outcome != conformance::Outcome::kPass && !check.detail.empty()) print("      " + check.detail);
}

void show(const std::string& name, const conformance::Report& report) {
  print((name.empty() ? "" : name + ": ") + std::to_string(report.count(conformance::Outcome::kPass)) + " passed, " +
        std::to_string(report.count(conformance::Outcome::kFail) + report.count(conformance::Outcome::kUnexpectedPass)) + " failed, " +
        std::to_string(report.count(conformance::Outcome::kExpectedFailure)) + " expected failures, " +
        std::to_string(report.count(conformance::Outcome::kNotApplicable)) + " not applicable");
}

Result<std::vector<std::string>> language_names(const std::filesystem::path& folder, const std::filesystem::path& project) {
  auto languages = project::load_languages(folder, project);
  if (!languages) return fail(std::move(languages.error()));
  std::vector<std::string> names;
  for (const auto& language : *languages) names.push_back(language.name);
  return names;
}

Result<conformance::Report> run_one(const Globals& globals, conformance::Options run, const std::vector<std::string>& only) {
  run.only = only;
  if (!globals.json) run.progress = [](const conformance::Check& check) { show(check); };
  return conformance::run(run);
}

void run_worker(Globals& globals, const ConformanceOptions& options) {
  conformance::Options run;
  run.command = {"/bin/sh", "-c", "exec " + options.worker};
  if (!options.testee.empty()) run.testee = std::filesystem::absolute(options.testee);
  auto report = run_one(globals, std::move(run), options.only);
  if (!report) return fail_with(globals, report.error());
  if (!report->ok()) globals.exit_code = 1;
  if (globals.json) return print_json(report->to_json());
  show("", *report);
}

void run(Globals& globals, const ConformanceOptions& options) {
  if (!options.language.empty() && !options.worker.empty()) {
    return fail_with(globals, Error(ErrorCode::kUsage, "say either --language NAME or --worker \"COMMAND\""));
  }
  if (!options.worker.empty()) return run_worker(globals, options);
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  const auto languages = *folder / "languages";
  // Inside of a project its own languages count too.
  const auto root = project::find_root(std::filesystem::current_path()).value_or(std::filesystem::path());
  auto names = language_names(languages, root);
  if (!names) return fail_with(globals, names.error());
  const bool every = options.language.empty();
  if (!every) names = std::vector<std::string>{options.language};
  json::array reports;
  for (const auto& name : *names) {
    auto made = conformance::for_language(languages, name, root);
    if (!made && every && made.error().code == ErrorCode::kUnavailable) {
      // A missing language is no failure of the others.
      note(to_text(made.error()));
      continue;
    }
    if (!made) return fail_with(globals, made.error());
    auto report = run_one(globals, std::move(*made), options.only);
    if (!report) return fail_with(globals, report.error());
    if (!report->ok()) globals.exit_code = 1;
    if (globals.json) {
      reports.push_back(report->to_json());
    } else {
      show(name, *report);
    }
  }
  if (!globals.json) return;
  if (every) return print_json({{"languages", std::move(reports)}, {"ok", globals.exit_code == 0}});
  print_json(reports.front());
}

}  // namespace

void add_conformance_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("conformance", "Check a language worker against the protocol, rule by rule.");
  auto options = std::make_shared<ConformanceOptions>();
  command->add_flag("--json", globals.json, "print JSON alone on standard output");
  command->add_option("-l,--language", options->language, "a language that this engine carries or this project brings; without it, all of them");
  command->add_option("-w,--worker", options->worker, "a worker's command");
  command->add_option("--testee", options->testee, "the file with the functions that the checks call (conformance/README.md)");
  command->add_option("--only", options->only, "these checks: MUST-4 …");
  command->callback([&globals, options] { run(globals, *options); });
}

}  // namespace sabir::cli

// sabir prompt check: what is wrong with the project's prompts, without rendering them.
#include "command.h"
#include "sabir/completions/check.h"
#include "sabir/completions/renderer.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {

std::string counted(std::size_t count, const std::string& what) { return std::to_string(count) + " " + what + (count == 1 ? "" : "s"); }

void check(Globals& globals, const std::vector<std::string>& names) {
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  auto report = check_prompts(**engine, names);
  if (!report) return fail_with(globals, report.error());
  if (report->count(completions::Severity::kError) > 0) globals.exit_code = 1;
  if (globals.json) return print_json(completions::to_json(*report));
  show_findings(*report);
  print(summary_of(*report));
}

}  // namespace

Result<completions::CheckReport> check_prompts(runtime::Engine& engine, const std::vector<std::string>& names) {
  completions::CheckOptions options;
  options.names = names;
  // Without a configuration of models nothing is known of aliases; what is wrong with one is told by what uses it.
  if (const auto configured = engine.models()) {
    options.models.emplace();
    for (const auto& info : *configured) options.models->push_back(info.alias);
  }
  return completions::Renderer(engine.project().root, [&](const std::string& alias) { return engine.tokens_of(alias); }).check(options);
}

void show_findings(const completions::CheckReport& report) {
  for (const auto& finding : report.findings) {
    const char* style = finding.severity == completions::Severity::kError ? "31" : "2";
    print(finding.file + ":" + std::to_string(finding.line) + (finding.column > 0 ? ":" + std::to_string(finding.column) : "") + ": " +
          styled(completions::to_text(finding.severity), style) + ": " + finding.message);
    const bool is_elsewhere = !finding.prompts.empty() && finding.file.find("/prompt_parts/") != std::string::npos;
    std::string beside = finding.hint;
    if (is_elsewhere) {
      const std::size_t more = finding.prompts.size() - 1;
      beside += (beside.empty() ? "" : " ") + ("(In " + finding.prompts.front() + (more > 0 ? " and " + std::to_string(more) + " more" : "") + ".)");
    }
    if (!beside.empty()) print("  " + beside);
  }
}

std::string summary_of(const completions::CheckReport& report) {
  return counted(report.prompts, "prompt") + (report.parts > 0 ? " and " + counted(report.parts, "part") : "") + ", " +
         counted(report.count(completions::Severity::kError), "error") + ", " + counted(report.count(completions::Severity::kWarning), "warning");
}

void add_prompt_check(Command& prompt, Globals& globals) {
  auto* const checking = prompt.add_subcommand("check", "Find what is wrong with prompts, without rendering them.");
  auto names = std::make_shared<std::vector<std::string>>();
  add_common(*checking, globals);
  checking->add_option("NAME", *names, "prompts, as `sabir prompt list` names them; all of them, and their parts, if none is named");
  checking->callback([&globals, names] { check(globals, *names); });
}

}  // namespace sabir::cli

// sabir parity
#include <algorithm>
#include <chrono>

#include "command.h"
#include "sabir/base/text.h"
#include "sabir/evals/parity.h"
#include "sabir/protocol/raw_json.h"
#include "verdicts.h"

namespace sabir::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Calls a function by the engine as any caller does.
Result<std::string> call_function(runtime::Engine& engine, const CallContext& context, const std::string& address, const std::string& arguments, std::chrono::milliseconds timeout) {
  auto value = protocol::deflate(arguments);
  protocol::Payload params;
  params.json = "{\"address\":" + protocol::quote(address) + ",\"arguments\":" + value.json + ",\"timeout_ms\":" + std::to_string(timeout.count()) + protocol::blob_list(value.blobs, "/arguments") + "}";
  params.blobs = std::move(value.blobs);
  // The engine's own deadline is the call's; starting a worker or building a program takes as long as it takes.
  auto answer = engine.request("functions.call", std::move(params), context, timeout + std::chrono::seconds(5));
  if (!answer) return fail(std::move(answer.error()));
  auto text = protocol::inflate(*answer);
  if (!text) return fail(std::move(text.error()));
  const auto members = protocol::raw_members(*text);
  const auto result = members ? protocol::find_member(*members, "value") : std::nullopt;
  if (!result) return fail(ErrorCode::kProtocol, "the engine's answer has no value");
  return std::string(*result);
}

struct Ran {
  std::vector<evals::ParityReport> reports;
  std::shared_ptr<const functions::Registry> registry;  // which the reports point into
  double seconds = 0;
};

bool is_named(const std::string& address, const std::string& name) {
  const std::string bare = name.substr(name.find('/') == std::string::npos ? 0 : name.find('/') + 1);
  return address == bare || address.starts_with(bare + ".") || address.ends_with("." + bare);
}

Result<Ran> run_parity(Globals& globals, const ParityWords& words, const std::function<void(const evals::ParityReport&)>& told) {
  const auto begun = Clock::now();
  // Hundreds of calls that nobody made would fill the traces.
  const SetVariable untraced("OTEL_SDK_DISABLED", "true");
  auto store = ThrownAway::make();
  if (!store) return fail(std::move(store.error()));
  auto engine = open_engine_apart(globals.session, store->path());
  if (!engine) return fail(std::move(engine.error()));
  Ran out;
  out.registry = (*engine)->registry();
  auto groups = evals::parity_groups(*out.registry, (*engine)->project().root);
  if (!groups) return fail(std::move(groups.error()));
  for (const auto& name : words.names) {
    if (std::any_of(groups->begin(), groups->end(), [&](const auto& group) { return is_named(group.address, name); })) continue;
    std::vector<std::string> names;
    for (const auto& group : *groups) names.push_back(group.address);
    if (auto known = out.registry->find(name)) {
      return fail(Error(ErrorCode::kNotFound, (*known)->address + " is written in " + (*known)->language + " alone", "A parity group is a function of one address in several languages.").at((*known)->source.relative, (*known)->schema.line));
    }
    const auto hint = did_you_mean(name, names);
    return fail(ErrorCode::kNotFound, "there is no parity group '" + name + "'", hint.empty() ? names.empty() ? "No function of this project is written in several languages." : "There are " + join(names, ", ") + "." : hint);
  }
  if (!words.names.empty()) {
    std::erase_if(*groups, [&](const auto& group) { return std::none_of(words.names.begin(), words.names.end(), [&](const auto& name) { return is_named(group.address, name); }); });
  }
  evals::ParityOptions options;
  options.runs = words.runs;
  options.seed = static_cast<std::uint64_t>(words.seed);
  options.cancelled = cancelled_by_interrupt();
  // What has to be built is, and workers are warm, before anything is timed. What does not start is told by its calls.
  if (!groups->empty()) (*engine)->prepare();
  for (const auto& group : *groups) {
    if (options.cancelled->load()) break;
    out.reports.push_back(evals::compare(group, options, [&](const std::string& address, const std::string& arguments, std::chrono::milliseconds timeout) {
      return call_function(**engine, globals.session.context, address, arguments, timeout);
    }));
    if (told) told(out.reports.back());
  }
  out.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  return out;
}

testing::Suite suite_of_reports(const Ran& ran) {
  std::vector<evals::Verdict> verdicts;
  for (const auto& report : ran.reports) verdicts.push_back(evals::verdict_of(report));
  return suite_of("parity", verdicts, ran.seconds);
}

void parity(Globals& globals, const ParityWords& words, const std::string& junit) {
  auto ran = run_parity(globals, words, [&](const evals::ParityReport& report) {
    if (!globals.json) print(trim(evals::to_text(report, [](std::string_view text, const char* style) { return styled(text, style); })));
  });
  if (!ran) return fail_with(globals, ran.error());
  if (!junit.empty()) {
    if (auto written = write_junit(junit, suite_of_reports(*ran)); !written) return fail_with(globals, written.error());
  }
  const auto count = [&](evals::Outcome outcome) { return std::count_if(ran->reports.begin(), ran->reports.end(), [&](const auto& report) { return report.outcome == outcome; }); };
  const auto agree = count(evals::Outcome::kPassed);
  const auto disagree = count(evals::Outcome::kFailed);
  const auto broken = count(evals::Outcome::kError);
  const auto skipped = count(evals::Outcome::kSkipped);
  if (disagree + broken > 0) globals.exit_code = 1;
  if (globals.json) {
    json::array groups;
    for (const auto& report : ran->reports) groups.push_back(evals::to_json(report));
    return print_json({{"ok", globals.exit_code == 0}, {"agree", agree}, {"disagree", disagree}, {"not_compared", broken}, {"skipped", skipped}, {"seed", words.seed}, {"seconds", ran->seconds}, {"groups", std::move(groups)}});
  }
  if (ran->reports.empty()) return print("No function of this project is written in several languages.");
  print("\n" + std::to_string(agree) + (agree == 1 ? " group agrees, " : " groups agree, ") + std::to_string(disagree) + (disagree == 1 ? " disagrees" : " disagree") +
        (broken > 0 ? ", " + std::to_string(broken) + " could not be compared" : "") + (skipped > 0 ? ", " + std::to_string(skipped) + " skipped" : "") + "  " + styled("seed " + std::to_string(words.seed), "2"));
}

}  // namespace

void add_parity_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("parity", "Call functions of one name in several languages with the same inputs: they must agree.");
  struct Asked {
    ParityWords words;
    std::optional<std::int64_t> seed;
    std::string junit;
  };
  auto asked = std::make_shared<Asked>();
  add_common(*command, globals);
  command->add_option("NAME", asked->words.names, "only these groups: module.function, a module, or a function's name");
  command->add_option("--runs", asked->words.runs, "inputs for each group").between(1, 100000).show_default();
  command->add_option("--seed", asked->seed, "another choice of inputs; the same seed gives the same ones (1)");
  command->add_option("--junit", asked->junit, "write the results as JUnit XML to this file");
  command->footer("Settings of a group: tests/parity/module.function.yml, with cases, equal, skip, effects, inputs (docs/parity.md).");
  command->callback([&globals, asked] {
    if (asked->seed) asked->words.seed = *asked->seed;
    parity(globals, asked->words, asked->junit);
  });
}

}  // namespace sabir::cli

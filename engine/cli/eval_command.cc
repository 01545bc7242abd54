// sabir eval, sabir eval diff, sabir eval runs
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <set>

#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"
#include "sabir/evals/eval_run.h"
#include "sabir/evals/kept_runs.h"
#include "verdicts.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using evals::Outcome;

Result<fs::path> root_of(const Globals& globals) { return project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory); }

std::string count(std::size_t n, const std::string& what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

// The providers that an eval's live run asks, as far as the configuration tells: the models of assistant or prompt, and of judges.
std::set<std::string> providers_of(const evals::Eval& eval, runtime::Engine& engine) {
  std::set<std::string> aliases;
  const char* chosen = std::getenv("SABIR_MODEL");
  std::string own = eval.model;
  if (own.empty() && chosen != nullptr) own = chosen;
  if (own.empty() && !eval.assistant.empty()) {
    if (const auto found = engine.registry()->find_assistant(eval.assistant)) own = string_or((*found)->constants, "model");
  }
  if (own.empty() && !eval.prompt.empty()) {
    if (const auto front = completions::read_front_matter(engine.project().root, eval.prompt)) own = string_or(*front, "model");
  }
  aliases.insert(own);
  for (const auto& one : eval.cases) {
    if (one.expect.judge) aliases.insert(one.expect.judge->model);
  }
  std::set<std::string> out;
  const auto models = engine.models();
  for (const auto& alias : aliases) {
    std::string provider;  // of none the alias stands for nothing, and asking it fails
    for (const auto& model : models ? *models : std::vector<models::ModelInfo>()) {
      if (model.alias == alias || (alias.empty() && model.is_default)) provider = model.provider;
    }
    out.insert(provider);
  }
  return out;
}

bool is_free(const std::set<std::string>& providers) {
  return std::all_of(providers.begin(), providers.end(), [](const auto& provider) { return provider.empty() || provider == "local" || provider == "scripted"; });
}

bool person_says_yes(const std::string& question) {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) return false;
  std::cerr << question << " [y/N] " << std::flush;
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "Y" || line == "yes";
}

// What the live run of all of them will take, said before anything is asked; an error where it may not begin.
Result<std::vector<evals::CostEstimate>> pass_gate(const Globals& globals, const EvalWords& words, const std::vector<evals::Eval>& list, const fs::path& root) {
  auto store = ThrownAway::make();
  if (!store) return fail(std::move(store.error()));
  auto engine = open_engine_apart(globals.session, store->path());
  if (!engine) return fail(std::move(engine.error()));
  std::vector<evals::CostEstimate> out;
  double known = 0;
  bool all_known = true;
  bool all_free = true;
  bool bounded = true;
  for (const auto& eval : list) {
    auto one = evals::estimate(eval, words.only_case, root, **engine);
    if (one.samples == 0) {
      out.push_back(one);
      continue;
    }
    const bool free = is_free(providers_of(eval, **engine));
    all_free = all_free && free;
    if (free) {
      one.usd = 0;
      one.a_sample = 0;
    } else if (one.of_free_models) {
      // Another model is asked now.
      one.usd.reset();
      one.a_sample = 0;
    }
    std::string line = eval.name + ": " + count(one.samples, "answer") + " of models, ";
    if (free) line += "no money";
    else if (one.of_free_models) line += "nobody knows what they cost: the recorded ones are of models that cost nothing";
    else if (one.known == 0) line += "nobody knows what they cost: none is recorded";
    else if (!one.usd) line += "nobody knows what they cost: no price of " + join(one.unpriced, ", ");
    else line += "about " + evals::dollars_of(*one.usd) + " USD";
    if (one.known > 0) line += " (" + std::to_string(one.usage.input_tokens) + " + " + std::to_string(one.usage.output_tokens) + " tokens, by " + (one.known == one.samples ? "the last recordings" : std::to_string(one.known) + " of " + std::to_string(one.samples) + " recordings") + ")";
    if (!globals.json) note(line);
    const auto most = eval.budget_usd && words.most_usd ? std::min(*eval.budget_usd, *words.most_usd) : eval.budget_usd ? eval.budget_usd : words.most_usd;
    if (most && !free && !one.unpriced.empty()) {
      return fail(ErrorCode::kBudget, eval.name + ": a budget of " + evals::dollars_of(*most) + " USD cannot be kept, as nobody knows the price of " + join(one.unpriced, ", "), "`prices` in config/openai_config.yml names it.");
    }
    if (eval.budget_usd && one.usd && *one.usd > *eval.budget_usd) {
      return fail(Error(ErrorCode::kBudget, eval.name + " takes about " + evals::dollars_of(*one.usd) + " USD, and its budget is " + evals::dollars_of(*eval.budget_usd), "Nothing was asked. Raise `budget`, or run some of its cases: --case ID.").at(eval.file));
    }
    known += one.usd.value_or(0);
    all_known = all_known && one.usd.has_value();
    bounded = bounded && (free || eval.budget_usd.has_value());
    out.push_back(std::move(one));
  }
  if (words.most_usd && known > *words.most_usd) {
    return fail(ErrorCode::kBudget, "this takes about " + evals::dollars_of(known) + " USD, and --max-cost allows " + evals::dollars_of(*words.most_usd), "Nothing was asked. Raise --max-cost, or run some of the evals.");
  }
  if (all_free || words.yes || words.most_usd || bounded) return out;
  const std::string amount = all_known ? "about " + evals::dollars_of(known) + " USD" : "an amount that nobody knows";
  if (!person_says_yes("This spends " + amount + ". Go on?")) {
    return fail(ErrorCode::kBudget, "this would spend " + amount + ", and nobody allowed it", "Nothing was asked. Say --max-cost USD, --yes, or `budget: USD` in the evals.");
  }
  return out;
}

// What was recorded takes the place of what was there, for each sample that came to an answer.
Result<void> take_over(const fs::path& from, const fs::path& root, const evals::Eval& eval, const evals::EvalResult& result) {
  for (const auto& one : result.cases) {
    const auto found = std::find_if(eval.cases.begin(), eval.cases.end(), [&](const auto& known) { return known.id == one.id; });
    if (found == eval.cases.end()) continue;
    for (std::size_t i = 0; i < one.samples.size(); ++i) {
      if (one.samples[i].outcome == Outcome::kError) continue;
      const auto name = recordings::file_name(evals::recording_name(eval, *found, static_cast<int>(i) + 1));
      auto text = read_file(from / name, recordings::kMostBytes);
      // An assistant with a respond() of its own may have asked nobody.
      if (!text) continue;
      std::error_code ec;
      fs::create_directories(root / recordings::kEvalFolder, ec);
      if (auto written = write_file(root / recordings::kEvalFolder / name, *text); !written) return written;
    }
  }
  return {};
}

struct Hooks {
  std::function<void(const evals::Eval&)> begins;
  std::function<void(const evals::CaseResult&)> told;
};

struct Ran {
  std::vector<evals::EvalResult> results;
  double spent_usd = 0;
  double seconds = 0;
  std::string id;   // of the kept run
};

Result<Ran> run_evals(const Globals& globals, const EvalWords& words, const Hooks& hooks) {
  const auto begun = Clock::now();
  if (!globals.session.engine.url.empty()) return fail(ErrorCode::kUsage, "evals run on the project here, not on an engine elsewhere", "Leave --engine away.");
  auto root = root_of(globals);
  if (!root) return fail(std::move(root.error()));
  auto list = evals::load_evals(*root, words.names);
  if (!list) return fail(std::move(list.error()));
  if (list->empty()) return fail(ErrorCode::kNotFound, "there are no evals in " + std::string(evals::kEvalFolder) + "/", "An eval is a file such as tests/evals/helper.yml (docs/evals.md).");
  if (!words.only_case.empty()) {
    std::vector<std::string> ids;
    for (const auto& eval : *list) {
      for (const auto& one : eval.cases) ids.push_back(one.id);
    }
    if (std::find(ids.begin(), ids.end(), words.only_case) == ids.end()) return fail(ErrorCode::kNotFound, "there is no case '" + words.only_case + "'", did_you_mean(words.only_case, ids));
    std::erase_if(*list, [&](const auto& eval) { return std::none_of(eval.cases.begin(), eval.cases.end(), [&](const auto& one) { return one.id == words.only_case; }); });
  }
  std::vector<evals::CostEstimate> estimates(list->size());
  if (words.live) {
    auto passed = pass_gate(globals, words, *list, *root);
    if (!passed) return fail(std::move(passed.error()));
    estimates = std::move(*passed);
  }
  Ran out;
  evals::Purse purse{words.most_usd, 0, false};
  const auto cancelled = cancelled_by_interrupt();
  for (std::size_t i = 0; i < list->size() && !cancelled->load(); ++i) {
    const auto& eval = (*list)[i];
    const SetVariable chosen("SABIR_MODEL", eval.prompt.empty() ? eval.model : "");
    auto store = ThrownAway::make();
    if (!store) return fail(std::move(store.error()));
    recordings::Choice choice;
    choice.mode = words.live ? recordings::Mode::kRecord : recordings::Mode::kReplay;
    choice.path = words.live ? store->path() / "recordings" : *root / recordings::kEvalFolder;
    choice.name = eval.file;
    auto engine = open_engine_apart(globals.session, store->path() / "store", std::move(choice));
    if (!engine) return fail(std::move(engine.error()));
    if (!eval.assistant.empty()) {
      if (auto known = (*engine)->registry()->find_assistant(eval.assistant); !known) return fail(std::move(known.error()).at(eval.file));
    }
    if (hooks.begins) hooks.begins(eval);
    evals::EvalOptions options;
    options.live = words.live;
    options.only_case = words.only_case;
    options.context = globals.session.context;
    options.cancelled = cancelled;
    options.told = hooks.told;
    out.results.push_back(evals::run_eval(eval, **engine, options, purse, estimates[i]));
    engine->reset();
    if (words.live) {
      if (auto taken = take_over(store->path() / "recordings", *root, eval, out.results.back()); !taken) return fail(std::move(taken.error()));
    }
  }
  out.spent_usd = purse.spent_usd;
  out.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  json::array kept;
  for (const auto& result : out.results) kept.push_back(evals::to_json(result));
  auto id = evals::keep(*root, kept, words.live);
  if (!id) return fail(std::move(id.error()));
  out.id = std::move(*id);
  return out;
}

testing::Suite suite_of_results(const Ran& ran) {
  std::vector<evals::Verdict> verdicts;
  for (const auto& result : ran.results) {
    for (const auto& one : result.cases) verdicts.push_back(evals::verdict_of(result, one));
  }
  return suite_of("evals", verdicts, ran.seconds);
}

std::string milliseconds(double ms) { return ms >= 10'000 ? std::to_string(static_cast<long>(ms / 1000)) + " s" : std::to_string(static_cast<long>(ms + 0.5)) + " ms"; }

void show_case(const evals::CaseResult& one, std::size_t wide) {
  const bool ran = !one.samples.empty();
  const char* const mark = one.outcome == Outcome::kPassed ? "✓" : one.outcome == Outcome::kSkipped ? "-" : one.outcome == Outcome::kFailed ? "✗" : "!";
  const char* const style = one.outcome == Outcome::kPassed ? "32" : one.outcome == Outcome::kSkipped ? "2" : "31";
  std::string line = "  " + styled(mark, style) + " " + padded(one.id, wide, false);
  if (ran) {
    std::string facts;
    if (one.samples.size() > 1) facts += std::to_string(one.passed()) + " of " + std::to_string(one.samples.size()) + " pass (" + std::to_string(one.needed) + " needed)  ";
    facts += padded(std::to_string(one.tokens()), 7, true) + " tokens";
    if (const auto usd = one.usd(); usd && *usd > 0) facts += "  " + evals::dollars_of(*usd) + " USD";
    facts += "  " + std::to_string(one.samples.front().observed.steps) + (one.samples.front().observed.steps == 1 ? " step" : " steps");
    if (one.samples.front().observed.live) facts += "  " + milliseconds(one.ms());
    if (one.samples.front().judgement) {
      char text[32];
      std::snprintf(text, sizeof text, "  judge %.2f", one.samples.front().judgement->score);
      facts += text;
    }
    line += "  " + styled(facts, "2");
  }
  if (one.outcome == Outcome::kSkipped) {
    print(line + "  " + styled(one.why, "2"));
    return;
  }
  print(line);
  const auto failures = evals::failures_of(one, [](std::string_view text, const char* how) { return styled(text, how); });
  if (!failures.empty()) print(failures.substr(0, failures.size() - 1));
}

void eval(Globals& globals, const EvalWords& words, const std::string& junit) {
  std::size_t wide = 0;
  Hooks hooks;
  if (!globals.json) {
    hooks.begins = [&](const evals::Eval& one) {
      wide = 4;
      for (const auto& c : one.cases) wide = std::max(wide, c.id.size());
      print(styled(one.name, "1") + "  " + (one.prompt.empty() ? "assistant " + one.assistant : "prompt " + one.prompt) + styled(words.live ? ", live" : ", on recordings", "2"));
    };
    hooks.told = [&](const evals::CaseResult& one) { show_case(one, wide); };
  }
  auto ran = run_evals(globals, words, hooks);
  if (!ran) return fail_with(globals, ran.error());
  if (!junit.empty()) {
    if (auto written = write_junit(junit, suite_of_results(*ran)); !written) return fail_with(globals, written.error());
  }
  std::map<Outcome, std::size_t> counts;
  for (const auto& result : ran->results) {
    for (const auto& one : result.cases) ++counts[one.outcome];
  }
  const bool ok = counts[Outcome::kFailed] + counts[Outcome::kError] == 0 && counts[Outcome::kPassed] > 0;
  if (!ok) globals.exit_code = 1;
  if (globals.json) {
    json::array list;
    for (const auto& result : ran->results) list.push_back(evals::to_json(result));
    json::object out{{"ok", ok}, {"run", ran->id}, {"live", words.live}, {"passed", counts[Outcome::kPassed]}, {"failed", counts[Outcome::kFailed]}, {"errors", counts[Outcome::kError]}, {"skipped", counts[Outcome::kSkipped]}, {"seconds", ran->seconds}};
    if (words.live) out["spent_usd"] = ran->spent_usd;
    out["evals"] = std::move(list);
    return print_json(out);
  }
  std::string line = "\n" + std::to_string(counts[Outcome::kPassed]) + " passed, " + std::to_string(counts[Outcome::kFailed]) + " failed";
  if (counts[Outcome::kError] > 0) line += ", " + std::to_string(counts[Outcome::kError]) + " without a verdict";
  if (counts[Outcome::kSkipped] > 0) line += ", " + std::to_string(counts[Outcome::kSkipped]) + " skipped";
  if (words.live) line += "; spent " + evals::dollars_of(ran->spent_usd) + " USD";
  print(line + "  " + styled("run " + ran->id.substr(16), "2"));
  if (counts[Outcome::kPassed] + counts[Outcome::kFailed] + counts[Outcome::kError] == 0) note("No case has run.");
}

// ---- diff, runs ------------------------------------------------------------------------------------------------------

std::string more_or_less(double x, const std::string& text) { return (x > 0 ? "+" : "") + text; }

void diff(Globals& globals, const std::string& a, const std::string& b) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto before = evals::read_kept(*root, a.empty() ? "-2" : a);
  if (!before) return fail_with(globals, before.error());
  auto after = evals::read_kept(*root, b.empty() ? "-1" : b);
  if (!after) return fail_with(globals, after.error());
  const auto difference = evals::difference_of(std::move(*before), std::move(*after));
  if (globals.json) return print_json(evals::to_json(difference));
  const auto run = [](const evals::KeptRun& one) { return one.id.substr(std::min<std::size_t>(16, one.id.size())) + " (" + one.at + (one.live ? ", live)" : ", on recordings)"); };
  print("from " + run(difference.before) + "\nto   " + run(difference.after));
  for (const auto& one : difference.changes) {
    const bool better = one.after == "passed";
    std::string outcome = one.before.empty() ? "new, " + one.after : one.after.empty() ? "gone" : one.before == one.after ? one.after : one.before + " → " + one.after;
    std::string line = "\n" + styled(one.eval + ": " + one.id, "1") + "  " + styled(outcome, one.after.empty() ? "2" : better ? "32" : "31");
    std::string facts;
    if (one.tokens != 0) facts += "  " + more_or_less(static_cast<double>(one.tokens), std::to_string(one.tokens)) + " tokens";
    if (one.usd && *one.usd != 0) facts += "  " + more_or_less(*one.usd, evals::dollars_of(*one.usd)) + " USD";
    if (!one.before.empty() && !one.after.empty() && difference.before.live && difference.after.live) facts += "  " + more_or_less(one.ms, milliseconds(one.ms)) ;
    print(line + styled(facts, "2"));
    if (!one.why.empty()) print("  " + one.why);
    for (const auto& text : one.answer) print("  " + styled(text, text.starts_with("-") ? "31" : text.starts_with("+") ? "32" : "2"));
  }
  std::string line = (difference.changes.empty() ? "" : "\n") + count(difference.same, "case") + (difference.same == 1 ? " is" : " are") + " the same, " + std::to_string(difference.changes.size()) + (difference.changes.size() == 1 ? " is not" : " are not");
  line += "; " + more_or_less(static_cast<double>(difference.tokens), std::to_string(difference.tokens)) + " tokens";
  if (difference.usd) line += ", " + more_or_less(*difference.usd, evals::dollars_of(*difference.usd)) + " USD";
  print(line);
}

void runs(Globals& globals) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  json::array out;
  const auto ids = evals::kept_runs(*root);
  for (const auto& id : ids) {
    auto run = evals::read_kept(*root, id);
    if (!run) {
      fail_with(globals, run.error());
      continue;
    }
    const auto passed = std::count_if(run->cases.begin(), run->cases.end(), [](const auto& one) { return one.outcome == "passed"; });
    out.push_back({{"id", run->id}, {"at", run->at}, {"live", run->live}, {"cases", run->cases.size()}, {"passed", passed}});
    if (!globals.json) print(id.substr(16) + "  " + run->at + "  " + std::to_string(passed) + " of " + std::to_string(run->cases.size()) + " passed" + (run->live ? ", live" : ""));
  }
  if (globals.json) return print_json({{"runs", out}});
  if (ids.empty()) note("No run of evals is kept yet: sabir eval");
}

}  // namespace

void add_eval_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("eval", "Ask assistants and prompts the cases of tests/evals/, on recordings, and check what comes of them.");
  struct Asked {
    EvalWords words;
    std::string junit;
    bool done = false;  // by a subcommand
    std::string a;
    std::string b;
  };
  auto asked = std::make_shared<Asked>();
  add_common(*command, globals);
  command->add_option("NAME", asked->words.names, "only these: a file or folder, or a name below tests/evals/");
  command->add_flag("--live", asked->words.live, "ask the models, and record their answers in place of those that are recorded");
  command->add_option("--case", asked->words.only_case, "only the case of this id");
  command->add_option("--max-cost", asked->words.most_usd, "with --live: USD that may be spent; more is refused before anything is asked, and stopped on the way").between(0, 1e6);
  command->add_flag("--yes", asked->words.yes, "with --live: spend without a question");
  command->add_option("--junit", asked->junit, "write the results as JUnit XML to this file");
  command->footer("An eval is a file such as tests/evals/helper.yml (docs/evals.md).");

  auto* const comparing = command->add_subcommand("diff", "What differs between two runs: outcomes, answers, cost, time.");
  add_common(*comparing, globals);
  comparing->add_option("A", asked->a, "a run, by its id or how many runs ago (-2)");
  comparing->add_option("B", asked->b, "another (-1, the last)");
  comparing->callback([&globals, asked] {
    asked->done = true;
    diff(globals, asked->a, asked->b);
  });
  auto* const listing = command->add_subcommand("runs", "The runs that are kept.");
  add_common(*listing, globals);
  listing->callback([&globals, asked] {
    asked->done = true;
    runs(globals);
  });
  command->callback([&globals, asked] {
    if (asked->done) return;
    const auto& words = asked->words;
    if (!words.live && (words.most_usd || words.yes)) return fail_with(globals, Error(ErrorCode::kUsage, std::string(words.yes ? "--yes" : "--max-cost") + " needs --live: recordings cost nothing"));
    eval(globals, words, asked->junit);
  });
}

}  // namespace sabir::cli

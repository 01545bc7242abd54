// Running evals: each case asked of an engine that replays or records, checked, judged; and what it may cost.
//
// Threads: run_eval() blocks; the other functions are pure, or read files.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/evals/eval_file.h"
#include "sabir/evals/expect.h"
#include "sabir/evals/verdict.h"
#include "sabir/recordings/recordings.h"
#include "sabir/runtime/engine.h"

namespace sabir::evals {

struct SampleResult {
  Outcome outcome = Outcome::kPassed;
  Observed observed;
  std::vector<Failure> failures;
  std::optional<Error> error;          // of kError
  std::optional<Judgement> judgement;
  std::string trace;                   // "" = none
  std::string model;                   // that answered
};

struct CaseResult {
  std::string id;
  Outcome outcome = Outcome::kPassed;
  std::string why;                     // of kSkipped and of cases that were not run
  Place place;
  int needed = 1;                      // samples that have to pass
  std::vector<SampleResult> samples;

  int passed() const;
  double ms() const;
  std::optional<double> usd() const;
  std::int64_t tokens() const;
};

struct EvalResult {
  std::string name;
  std::string file;
  std::string asked;                   // "assistant helper", "prompt summary"
  bool live = false;
  std::vector<CaseResult> cases;
  double seconds = 0;

  std::size_t count(Outcome outcome) const;
  bool ok() const { return count(Outcome::kFailed) + count(Outcome::kError) == 0; }
};

// What asking an eval's cases live will take, by their last recordings.
struct CostEstimate {
  std::size_t samples = 0;
  std::size_t known = 0;               // that have a recording
  models::Usage usage;                 // of those, and of the others as much as of these on average
  std::optional<double> usd;           // nothing: nobody knows a price, or nothing is recorded
  std::vector<std::string> unpriced;   // models whose price is not known
  bool of_free_models = false;         // some answer came of a model on this machine, or a scripted one
  double a_sample = 0;                 // usd of one, on average
};
// `only_case`: "" = all.
CostEstimate estimate(const Eval& eval, const std::string& only_case, const std::filesystem::path& root, runtime::Engine& engine);

// Money that may be spent by all evals of one run together.
struct Purse {
  std::optional<double> most_usd;      // nothing: no bound
  double spent_usd = 0;
  bool unknown = false;                // something was asked whose price nobody knows
};

struct EvalOptions {
  bool live = false;                   // the engine records; else it replays
  std::string only_case;
  CallContext context;
  std::shared_ptr<std::atomic<bool>> cancelled;     // may be null
  std::function<void(const CaseResult&)> told;      // after each case
};

// `engine` replays from, or records to, a folder by recording_name(). Live, it stops where `purse` or the eval's own budget is used up: the
// rest of the cases are kError then.
EvalResult run_eval(const Eval& eval, runtime::Engine& engine, const EvalOptions& options, Purse& purse, const CostEstimate& estimate);

json::object to_json(const EvalResult& result);
Verdict verdict_of(const EvalResult& eval, const CaseResult& result);
// A case's failures as lines for a person, each indented.
std::string failures_of(const CaseResult& result, const std::function<std::string(std::string_view, const char* style)>& styled);

// "0.0123": as many places as it takes, to a millionth.
std::string dollars_of(double usd);

}  // namespace sabir::evals

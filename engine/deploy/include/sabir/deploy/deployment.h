// Deployment: what is done to one environment, step by step, around whatever target it has:
//
//   apply     lock, check, test, bundle, plan, approve, stage, activate, health, smoke, released
//             after activate has begun, what fails leads to `back`: the last good release is activated again
//   rollback  lock, plan, approve, stage, activate, health, rolled_back
//   destroy   lock, plan, approve, destroy, destroyed
//
// Each step has a record in the ledger before and after. An operation without an end was cut off; the next one says so, closes it and
// sets the environment right.
//
// Threads: one; everything blocks. Lifetime: the target outlives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/deploy/bundle.h"
#include "sabir/deploy/facts.h"
#include "sabir/deploy/ledger.h"
#include "sabir/deploy/lock.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {

struct Plan {
  std::string what;                      // "apply", "rollback", "destroy"
  std::optional<Release> from;           // what should answer now
  std::optional<Release> to;
  std::vector<Difference> differences;
  TargetPlan target;
  std::string interrupted;               // what an earlier operation left, in a sentence; "" = nothing
  bool unchanged = false;                // nothing at all would change
  std::string commit;
};
json::object to_json(const Plan& plan);

// A bundle with what is to be known of it.
struct Prepared {
  Bundle bundle;
  json::object facts;
  std::string commit;
};

struct Hooks {
  Say say;                                                   // a line of a step
  std::function<void(const std::string& step, RecordKind kind, const std::string& message)> step;  // one begins, is done, failed, is left out
  std::function<Result<void>(const Say&)> check;
  std::function<Result<void>(const Say&)> test;
  std::function<Result<Prepared>(const Say&)> bundle;
  std::function<Result<void>(const Plan&)> approve;          // errors: kApprovalRefused
  std::function<Result<void>(const std::string& url, const Say&)> smoke;  // empty = there are none
};

struct ApplyOptions {
  bool skip_tests = false;   // kept in the ledger
  bool break_lock = false;
};

struct Outcome {
  std::string outcome;              // as the ledger has it
  std::string operation;
  std::optional<Release> release;   // what answers now, as far as is known
  std::string url;
  std::string failed_step;          // "" = none
  std::optional<Error> error;       // of that step
  bool ok() const { return outcome == "released" || outcome == "unchanged" || outcome == "destroyed" || (outcome == "rolled_back" && !error); }
};

struct Report {
  History history;
  Status status;
  std::optional<LockHolder> lock;
  std::string truth;                // sentences for people: what is, and what to do next where something is not as it should be
};

class Deployment {
 public:
  Deployment(Target& target, const TargetContext& context, Hooks hooks) : target_(target), context_(context), hooks_(std::move(hooks)), ledger_(target.backend()) {}

  // Errors: what could not even begin. What a step says is in Outcome::error.
  Result<Outcome> apply(const ApplyOptions& options);
  // `to` = "": the last good release, or the one before it where that answers.
  Result<Outcome> rollback(const std::string& to, bool break_lock);
  Result<Outcome> destroy(bool break_lock);
  // Changes and records nothing.
  Result<Plan> plan(const Prepared& prepared);
  Result<Report> report();

  // The facts of a release that was deployed. Errors: kNotFound.
  Result<json::object> facts_of(const Release& release);

 private:
  Result<void> begin(const std::string& what, bool break_lock, json::object more);
  Result<void> record(RecordKind kind, const std::string& what, const std::string& message = {}, std::optional<Release> release = {}, json::object more = {}, const std::string& outcome = {});
  // Errors: the step's own, which is kept in failed_ too.
  Result<void> step(const std::string& name, const std::function<Result<void>()>& action);
  Result<Outcome> end(const std::string& outcome, std::optional<Release> release, const std::string& message = {});
  Result<Outcome> stop();
  Result<Plan> plan_for(const std::string& what, std::optional<Release> to, const json::object& facts);
  Result<void> bring(const Release& release, bool fresh);
  Result<Release> fetched(Release release);
  Result<void> healthy();
  Result<Outcome> go_back(const std::optional<Release>& to);
  void settle();

  Target& target_;
  const TargetContext& context_;
  Hooks hooks_;
  Ledger ledger_;
  std::unique_ptr<Lock> lock_;
  History history_;
  std::string operation_;
  std::string interrupted_;
  std::string url_;
  std::string failed_step_;
  std::optional<Error> failed_;
};

// Sentences about an operation without an end.
std::string told(const Operation& operation, const History& history, const std::string& environment);

}  // namespace sabir::deploy

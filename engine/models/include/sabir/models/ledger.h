// Ledger: what a project's calls of models have cost, and what they may still cost. One row for each call, in usage.db beside
// the project's other stores; budgets are promised before a call (a lease) and settled after it. Also: which model an alias
// stands for, where that was switched without a change of the configuration.
//
// Threads: any; methods block for a transaction (BEGIN IMMEDIATE). Processes: any number of engines share one file.
// Amounts of money are whole nano-dollars (nusd): a thousandth of a dollar per million tokens is one for each token.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::models {

struct Budget {
  std::optional<std::int64_t> nusd;
  std::optional<std::int64_t> tokens;
};

// Days and months are UTC's. `user` is of each user in one day.
struct Budgets {
  std::optional<Budget> day;
  std::optional<Budget> month;
  std::optional<Budget> run;
  std::optional<Budget> user;
  std::optional<Budget> user_month;

  bool any() const { return day || month || run || user || user_month; }
  bool in_money() const;
};

// One call of a model, as the ledger keeps it.
struct CallFacts {
  Caller caller;
  std::string alias;
  std::string provider;
  std::string model;
};

// The most that a call may take; no nusd = its price is not known.
struct Estimate {
  std::int64_t tokens = 0;
  std::optional<std::int64_t> nusd;
};

struct Switch {
  std::int64_t at_ms = 0;
  std::string who;
  std::string alias;
  std::string from;
  std::string to;  // "" = as the configuration says
};

class Ledger {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;
  // Opens or creates `directory`/usage.db. Errors: kStoreNewer, kStorage, kStorageFull.
  static Result<std::shared_ptr<Ledger>> open(const std::filesystem::path& directory, Now now = [] { return std::chrono::system_clock::now(); });
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Promises `estimate` to a call, for at most `lasts`; a lease that is neither settled nor released by then is booked as
  // spent, as its call may have been. Errors: kBudget, when a budget has less than that left; the store's.
  Result<std::int64_t> lease(const CallFacts& facts, const Estimate& estimate, const Budgets& budgets, std::chrono::milliseconds lasts);
  // Books a call. `outcome`: "ok", "broken", "unknown", "cached" (the answer was given again).
  Result<void> settle(std::optional<std::int64_t> lease, const CallFacts& facts, const Usage& usage, std::optional<std::int64_t> nusd,
                      const std::string& outcome);
  // The call took nothing.
  Result<void> release(std::int64_t lease);

  // [{"<by>", "calls", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "unpriced_calls", "cached_calls"}]; `by` is
  // day, user, assistant, model, function or alias. Errors: kInvalidArguments.
  Result<json::array> usage(const std::string& by, std::int64_t since_ms);

  // From now on `alias` stands for the model `to`; "" takes that back. `from` is what it stood for until now.
  Result<void> use(const std::string& alias, const std::string& from, const std::string& to, const std::string& who);
  // Those that hold now, one for each alias.
  Result<std::vector<Switch>> switches();
  // Grows with every use().
  Result<std::int64_t> switch_version();

 private:
  struct State;
  explicit Ledger(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::models

// Breaker: stops asking a model that has failed several times in a row, and lets one call through now and then to see
// whether it is back. A state machine: it is told the time and starts nothing.
//
// Threads: any; a mutex of its own.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

namespace sabir::models {

struct BreakerOptions {
  int failures = 5;                                // in a row; 0 = never opens
  std::chrono::milliseconds window{60'000};        // the first and the last of them lie within it
  std::chrono::milliseconds open{30'000};          // until the next probe

  bool operator==(const BreakerOptions&) const = default;
};

class Breaker {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Outcome { kGood, kFailed, kNeither };  // kNeither: cancelled, or never sent

  explicit Breaker(BreakerOptions options) : options_(options) {}

  // Nothing when the call may go out, and whether it is the one probe; report() follows then. Else how long it stays shut
  // at least; that is zero while the probe is under way.
  std::optional<Clock::duration> refuse(Clock::time_point now, bool& probe);
  void report(Outcome outcome, bool probe, Clock::time_point now);
  int failures() const;  // in a row

 private:
  const BreakerOptions options_;
  mutable std::mutex mutex_;
  int in_row_ = 0;
  Clock::time_point first_{};
  std::optional<Clock::time_point> open_until_;
  bool probing_ = false;
};

}  // namespace sabir::models

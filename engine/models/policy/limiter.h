// Limiter: requests and tokens per minute and calls at once, for everybody who asks one model of this engine. Two token
// buckets and a queue in order of arrival; who waits, waits until its deadline at most.
//
// Threads: any; acquire() blocks. Lifetime: a Permit ends before its Limiter.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "sabir/base/error.h"

namespace sabir::models {

struct LimitOptions {
  std::int64_t requests_per_minute = 0;        // 0 = no such limit
  std::int64_t tokens_per_minute = 0;
  int concurrency = 0;
  int queue = 64;                              // calls that wait
  std::chrono::milliseconds wait{30'000};      // of each

  bool operator==(const LimitOptions&) const = default;
};

// Fills evenly up to a minute's worth. Told the time.
class Bucket {
 public:
  using Clock = std::chrono::steady_clock;
  // `per_minute` 0 = always full.
  explicit Bucket(std::int64_t per_minute) : per_minute_(static_cast<double>(per_minute)), level_(per_minute_) {}

  // When `amount` will be there, if nobody takes any; more than a minute's worth counts as that.
  Clock::time_point ready(double amount, Clock::time_point now);
  // May leave less than nothing: what was taken too much is waited for by the next.
  void take(double amount, Clock::time_point now);

 private:
  void fill(Clock::time_point now);
  double per_minute_;
  double level_;
  Clock::time_point filled_{};
};

class Limiter {
 public:
  using Clock = std::chrono::steady_clock;

  // A call that may go out; its place is free again when this ends.
  class Permit {
   public:
    Permit(Permit&& other) noexcept : limiter_(std::exchange(other.limiter_, nullptr)), estimate_(other.estimate_) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit();
    // What the call really took, in place of the estimate.
    void settle(std::int64_t tokens);

   private:
    friend class Limiter;
    Permit(Limiter* limiter, std::int64_t estimate) : limiter_(limiter), estimate_(estimate) {}
    Limiter* limiter_;
    std::int64_t estimate_;
  };

  // `alias` is what errors call the model.
  Limiter(LimitOptions options, std::string alias);

  // Waits for its turn. Errors: kBusy (too many wait, or its turn does not come in time), kLimit (more tokens than a
  // minute has), kCancelled.
  Result<Permit> acquire(std::int64_t tokens, Clock::time_point deadline, const std::atomic<bool>* cancelled);
  // Nobody goes before `until`: the provider says that nothing is left.
  void hold(Clock::time_point until);

 private:
  Clock::time_point ready(std::int64_t tokens, Clock::time_point now);
  Error late(Clock::duration wait) const;

  const LimitOptions options_;
  const std::string alias_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Bucket requests_;
  Bucket tokens_;
  Clock::time_point held_until_{};
  int running_ = 0;
  std::deque<std::uint64_t> queue_;  // tickets, in order
  std::uint64_t next_ticket_ = 0;
};

}  // namespace sabir::models

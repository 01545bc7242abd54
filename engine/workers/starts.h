// Starts: how the starts of a pool's workers have gone: when the next one may be tried, and who hears of the first. Private to the room.
//
// Threads: the loop's.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/net/loop.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

class Starts {
 public:
  using Done = std::function<void(const std::optional<Error>& why_not)>;

  explicit Starts(net::Loop& loop) : loop_(loop) {}

  // Hears, from the loop, of the next one that succeeds or fails.
  void listen(Done done) { listening_.push_back(std::move(done)); }
  void tell(const std::optional<Error>& why_not) {
    for (auto& done : std::exchange(listening_, {})) {
      loop_.post([done = std::move(done), why_not] { done(why_not); });
    }
  }

  void succeeded() {
    failed_ = 0;
    failure_.reset();
    tell(std::nullopt);
  }
  void failed(Error error) {
    failure_ = std::move(error);
    const auto pause = std::chrono::milliseconds(100) * (1 << std::min(failed_++, 6));
    next_ = Clock::now() + std::min<Clock::duration>(pause, std::chrono::seconds(5));
  }
  // Somebody killed it before it was ready, which says nothing of the next one: true, unless that happens all the time.
  bool was_only_killed() {
    if (failed_ >= kMostKilled) return false;
    next_ = Clock::now() + std::chrono::milliseconds(20) * ++failed_;
    return true;
  }
  // With other sources the next one may do.
  void forget() {
    failure_.reset();
    next_ = {};
  }

  bool may_be_tried() const { return Clock::now() >= next_; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  static constexpr int kMostKilled = 8;

  net::Loop& loop_;
  int failed_ = 0;
  std::optional<Error> failure_;
  Clock::time_point next_;
  std::vector<Done> listening_;
};

}  // namespace sabir::workers

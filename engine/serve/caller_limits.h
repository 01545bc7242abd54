// Limits: how often each caller may ask, and how many of its requests may run at once.
//
// Threads: one at a time (the loop's).
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

#include "sabir/project/serving.h"

namespace sabir::serve {

class Limits {
 public:
  using Clock = std::chrono::steady_clock;
  struct Verdict {
    bool admitted = true;
    bool too_many_at_once = false;  // else too often
    int left = 0;                   // requests that the rate still allows; meaningless without one
    int wait_s = 0;                 // until it allows another, or all of them
  };

  // One request more of `caller`, which leave() ends where it was admitted and `at_once` is above zero.
  Verdict enter(const std::string& caller, const project::Rate& rate, int at_once, Clock::time_point now);
  void leave(const std::string& caller);
  std::size_t known() const { return rates_.size(); }

 private:
  struct Bucket {
    double left = 0;
    Clock::time_point at;
  };
  std::unordered_map<std::string, Bucket> rates_;
  std::unordered_map<std::string, int> running_;
};

}  // namespace sabir::serve

#include "caller_limits.h"

#include <algorithm>
#include <cmath>

namespace sabir::serve {
namespace {

constexpr std::size_t kMostCallers = 50'000;

}  // namespace

Limits::Verdict Limits::enter(const std::string& caller, const project::Rate& rate, int at_once, Clock::time_point now) {
  Verdict verdict;
  if (at_once > 0) {
    const auto found = running_.find(caller);
    if (found != running_.end() && found->second >= at_once) {
      verdict.admitted = false;
      verdict.too_many_at_once = true;
      verdict.wait_s = 1;
      return verdict;
    }
  }
  if (rate.count > 0) {
    if (rates_.size() >= kMostCallers && !rates_.contains(caller)) {
      // Whoever has not asked for a whole window starts anew anyway.
      std::erase_if(rates_, [&](const auto& one) { return now - one.second.at > std::chrono::seconds(rate.seconds); });
      if (rates_.size() >= kMostCallers) rates_.clear();
    }
    const double most = rate.count;
    const double per_second = most / rate.seconds;
    auto& bucket = rates_.try_emplace(caller, Bucket{most, now}).first->second;
    bucket.left = std::min(most, bucket.left + std::chrono::duration<double>(now - bucket.at).count() * per_second);
    bucket.at = now;
    verdict.admitted = bucket.left >= 1;
    if (verdict.admitted) bucket.left -= 1;
    verdict.left = static_cast<int>(bucket.left);
    verdict.wait_s = std::max(1, static_cast<int>(std::ceil(verdict.admitted ? (most - bucket.left) / per_second : (1 - bucket.left) / per_second)));
  }
  if (verdict.admitted && at_once > 0) ++running_[caller];
  return verdict;
}

void Limits::leave(const std::string& caller) {
  const auto found = running_.find(caller);
  if (found != running_.end() && --found->second <= 0) running_.erase(found);
}

}  // namespace sabir::serve

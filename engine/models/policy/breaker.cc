#include "policy/breaker.h"

namespace sabir::models {

std::optional<Breaker::Clock::duration> Breaker::refuse(Clock::time_point now, bool& probe) {
  probe = false;
  const std::lock_guard lock(mutex_);
  if (!open_until_) return std::nullopt;
  if (now < *open_until_) return *open_until_ - now;
  if (probing_) return Clock::duration::zero();
  probing_ = probe = true;
  return std::nullopt;
}

void Breaker::report(Outcome outcome, bool probe, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (probe) probing_ = false;
  if (options_.failures <= 0) return;
  if (outcome == Outcome::kGood) {
    in_row_ = 0;
    open_until_.reset();
    return;
  }
  // A probe that tells nothing leaves the next call to be the probe.
  if (outcome == Outcome::kNeither) return;
  if (in_row_ == 0 || now - first_ > options_.window) {
    // Too long ago to belong together; a probe's failure goes on with the row all the same.
    if (!probe) in_row_ = 0;
    first_ = now;
  }
  ++in_row_;
  if (probe || in_row_ >= options_.failures) open_until_ = now + options_.open;
}

int Breaker::failures() const {
  const std::lock_guard lock(mutex_);
  return in_row_;
}

}  // namespace sabir::models

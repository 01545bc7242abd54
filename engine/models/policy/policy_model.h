// PolicyModel: what is done around a model's single tries: its limits, its circuit breaker, other tries with pauses between
// them, and other models when it does not answer.
//
// Threads: complete() from any thread, any number at once; they share the limits and the breaker.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policy/breaker.h"
#include "policy/limiter.h"
#include "sabir/models/model.h"

namespace sabir::models {

struct PolicyOptions {
  int retries = 0;                                   // further tries
  std::chrono::milliseconds first_pause{500};        // before the first of them; doubles each time
  std::chrono::milliseconds patience{30'000};        // a server that asks for a longer pause is not waited for
  std::chrono::milliseconds timeout{0};              // of all tries together; 0 = the request's own
  BreakerOptions breaker;
  LimitOptions limits;
};

// What all calls of one alias share.
struct PolicyState {
  PolicyState(const BreakerOptions& breaker_options, const LimitOptions& limit_options, const std::string& alias)
      : breaker(breaker_options), limiter(limit_options, alias) {}
  Breaker breaker;
  Limiter limiter;
  std::mutex mutex;
  std::string last_failure;
};

// The states of an engine's models by alias, which outlive a reading of the configuration.
//
// Threads: any.
class PolicyStates {
 public:
  // The alias's state; a new one when its options are others now.
  std::shared_ptr<PolicyState> of(const std::string& alias, const BreakerOptions& breaker, const LimitOptions& limits);

 private:
  struct Kept {
    BreakerOptions breaker;
    LimitOptions limits;
    std::shared_ptr<PolicyState> state;
  };
  std::mutex mutex_;
  std::map<std::string, Kept> states_;
};

struct Target {
  std::string alias;
  std::shared_ptr<Model> leaf;
  PolicyOptions options;
  std::shared_ptr<PolicyState> state;
};

// Asks `own`, then each of `fallbacks` while nothing has been shown.
std::shared_ptr<Model> make_policy_model(Target own, std::vector<Target> fallbacks);

}  // namespace sabir::models

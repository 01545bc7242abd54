#include "policy/policy_model.h"

#include <algorithm>
#include <ctime>
#include <random>

#include "failure.h"
#include "policy/estimate.h"
#include "sabir/base/log.h"
#include "sabir/net/fiber.h"
#include "sabir/trace/span.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::int64_t estimate(const Request& request) { return prompt_tokens(request) + answer_tokens(request.parameters).value_or(0); }
std::int64_t estimate(const EmbedRequest& request) { return prompt_tokens(request); }

std::int64_t tokens_of(const Answered& answer) { return answer.usage.input_tokens + answer.usage.output_tokens; }

// Half to all of `pause`, so that many callers do not come back together.
milliseconds jittered(milliseconds pause, int least_percent) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const std::int64_t least = pause.count() * least_percent / 100;
  const auto rest = static_cast<std::uint64_t>(pause.count() - least + 1);
  return milliseconds(least + static_cast<std::int64_t>(random() % rest));
}

// One call of either kind, on its way through tries and models.
template <class Ask>
struct Call {
  Clock::time_point deadline;        // the caller's
  std::int64_t tokens;               // estimated
  const std::atomic<bool>* cancelled;
  const bool& shown;                 // text has reached the caller
  Ask ask;                           // (Model&, milliseconds) -> Result<Reply or Embeddings>

  bool is_cancelled() const { return cancelled != nullptr && cancelled->load(std::memory_order_relaxed); }
  using Outcome = decltype(std::declval<Ask&>()(std::declval<Model&>(), milliseconds()));
};
template <class Ask>
Call(Clock::time_point, std::int64_t, const std::atomic<bool>*, const bool&, Ask) -> Call<Ask>;

bool worth_a_retry(Reason reason) {
  return reason == Reason::kUnreachable || reason == Reason::kRateLimited || reason == Reason::kServerFault;
}

std::string clock_text(std::chrono::system_clock::time_point at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%H:%M:%S UTC", &parts);
  return text;
}

Error circuit_open(const Target& target, Clock::duration wait) {
  std::string last;
  {
    const std::lock_guard lock(target.state->mutex);
    last = target.state->last_failure;
  }
  const int failures = target.state->breaker.failures();
  std::string message = "model '" + target.alias + "' is not asked ";
  if (wait > Clock::duration::zero()) {
    const auto until = std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(wait);
    message += "until " + clock_text(std::chrono::ceil<std::chrono::seconds>(until));
  } else {
    message += "while one call tries whether it is back";
  }
  message += ": " + std::to_string(failures) + " calls in a row have failed";
  if (!last.empty()) message += ", the last one with: " + last;
  Error error(ErrorCode::kModelUnreachable, std::move(message),
              "Mend what the last failure names; `fallbacks:` of the model in config/openai_config.yml names models to ask instead.");
  Failure failure{Reason::kCircuitOpen, 0, std::nullopt};
  if (wait > Clock::duration::zero()) failure.pause = std::chrono::ceil<milliseconds>(wait);
  add_failure(error, failure);
  return error;
}

// One try, in the trace of the call.
void note_try(const std::string& alias, int number, Clock::duration took, const Error* error) {
  auto* const span = trace::current_span();
  if (!span) return;
  std::vector<trace::Attribute> with{{"sabir.model.alias", alias}, {"sabir.try", std::int64_t{number}}, {"sabir.duration.ms", std::chrono::duration<double, std::milli>(took).count()}};
  if (error) {
    const Failure failure = Failure::of(*error);
    with.push_back({"error.type", std::string(error_code_name(error->code))});
    if (failure.reason != Reason::kOther) with.push_back({"sabir.reason", std::string(reason_name(failure.reason))});
    if (failure.status != 0) with.push_back({"http.response.status_code", std::int64_t{failure.status}});
  }
  span->event("try", std::move(with));
}

class PolicyModel final : public Model {
 public:
  PolicyModel(Target own, std::vector<Target> fallbacks) : targets_(std::move(fallbacks)) { targets_.insert(targets_.begin(), std::move(own)); }

  std::string description() const override { return targets_.front().leaf->description(); }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    bool shown = false;
    OnEvent counted;
    if (on_event) {
      counted = [&](const Event& event) {
        shown = shown || !event.content.empty() || !event.reasoning.empty();
        on_event(event);
      };
    }
    return answered(Call{Clock::now() + request.timeout, estimate(request), request.cancelled.get(), shown, [&](Model& leaf, milliseconds timeout) {
                           Request own = request;
                           own.timeout = timeout;
                           return leaf.complete(own, counted);
                         }});
  }

  Result<Embeddings> embed(const EmbedRequest& request) override {
    const bool shown = false;
    return answered(Call{Clock::now() + request.timeout, estimate(request), request.cancelled.get(), shown, [&](Model& leaf, milliseconds timeout) {
                           EmbedRequest own = request;
                           own.timeout = timeout;
                           return leaf.embed(own);
                         }});
  }

 private:
  template <class C>
  typename C::Outcome answered(const C& call) const {
    std::vector<Missed> missed;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      const Target& target = targets_[i];
      auto reply = guarded(target, call);
      if (reply) {
        reply->alias = target.alias;
        reply->missed = std::move(missed);
        return reply;
      }
      Error& error = reply.error();
      if (const auto failure = Failure::of(error); failure.reason != Reason::kOther) add_failure(error, failure);
      const bool last = i + 1 == targets_.size();
      // A fallback's own trouble, of whatever kind, is no reason to leave out the next; the first model's may be one
      // that no other model mends.
      const bool others_may_help = i > 0 || Failure::of(error).reason != Reason::kOther;
      const bool go_on = !last && !call.shown && others_may_help && error.code != ErrorCode::kCancelled && Clock::now() < call.deadline;
      if (!go_on) return fail(together(std::move(missed), target.alias, std::move(error), call.shown));
      log(LogLevel::kWarning, "model '" + target.alias + "' does not answer, '" + targets_[i + 1].alias + "' is asked instead: " + error.message);
      missed.push_back({target.alias, std::move(error)});
    }
    return fail(ErrorCode::kInternal, "no model was asked");
  }

  // The first model's error, with the others' beside it.
  static Error together(std::vector<Missed> missed, const std::string& alias, Error last, bool shown) {
    if (missed.empty()) return last;
    missed.push_back({alias, std::move(last)});
    json::array attempts;
    for (const auto& one : missed) {
      attempts.push_back({{"model", one.alias}, {"type", error_code_name(one.error.code)}, {"reason", reason_name(Failure::of(one.error).reason)},
                          {"message", one.error.message}});
    }
    // What has been shown came from the last one, and so does the error; a user's Ctrl-C is no model's failure.
    const bool of_last = shown || missed.back().error.code == ErrorCode::kCancelled;
    Error error = of_last ? missed.back().error : missed.front().error;
    if (!of_last) {
      for (std::size_t i = 1; i < missed.size(); ++i) error.message += "; model '" + missed[i].alias + "', asked instead: " + missed[i].error.message;
    }
    add_data(error, "attempts", std::move(attempts));
    return error;
  }

  template <class C>
  static typename C::Outcome guarded(const Target& target, const C& call) {
    bool probe = false;
    if (const auto wait = target.state->breaker.refuse(Clock::now(), probe)) {
      Error open = circuit_open(target, *wait);
      note_try(target.alias, 0, {}, &open);
      return fail(std::move(open));
    }
    auto reply = tried(target, call);
    auto outcome = Breaker::Outcome::kGood;
    if (!reply) {
      const Error& error = reply.error();
      const Reason reason = Failure::of(error).reason;
      const bool callers_own = error.code == ErrorCode::kTimeout && Clock::now() >= call.deadline;
      if (error.code == ErrorCode::kCancelled || reason == Reason::kBusy || reason == Reason::kUnavailable || callers_own ||
          (error.code != ErrorCode::kModel && reason == Reason::kOther)) {
        outcome = Breaker::Outcome::kNeither;
      } else if (reason == Reason::kUnreachable || reason == Reason::kTls || reason == Reason::kTimeout || reason == Reason::kServerFault) {
        outcome = Breaker::Outcome::kFailed;
        const std::lock_guard lock(target.state->mutex);
        target.state->last_failure = error.message;
      }
    }
    target.state->breaker.report(outcome, probe, Clock::now());
    return reply;
  }

  template <class C>
  static typename C::Outcome tried(const Target& target, const C& call) {
    const PolicyOptions& options = target.options;
    auto deadline = call.deadline;
    if (options.timeout.count() > 0) deadline = std::min(deadline, Clock::now() + options.timeout);
    const std::int64_t tokens = options.limits.tokens_per_minute > 0 ? call.tokens : 0;
    for (int attempt = 0;; ++attempt) {
      const auto begun = Clock::now();
      auto reply = once(target, call, tokens, deadline);
      note_try(target.alias, attempt + 1, Clock::now() - begun, reply ? nullptr : &reply.error());
      if (reply) {
        reply->tries = attempt + 1;
        return reply;
      }
      Error& error = reply.error();
      const Failure failure = Failure::of(error);
      if (!worth_a_retry(failure.reason)) return reply;
      if (call.shown || attempt >= options.retries) {
        if (attempt > 0) error.message += " (after " + std::to_string(attempt + 1) + " tries)";
        return reply;
      }
      const milliseconds pause = failure.pause ? *failure.pause + jittered(*failure.pause / 10, 0)
                                               : jittered(std::min(options.first_pause * (std::int64_t{1} << std::min(attempt, 20)), options.patience), 50);
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
      if ((failure.pause && *failure.pause > options.patience) || pause >= left) {
        if (failure.pause) {
          error.hint = "The server asks to wait " + std::to_string((failure.pause->count() + 999) / 1000) +
                       " s; try again then, or name models to ask instead under `fallbacks:` of model '" + target.alias + "'.";
        }
        return reply;
      }
      log(LogLevel::kInfo, "model '" + target.alias + "': " + error.message + "; next try in " + std::to_string(pause.count()) + " ms");
      const auto until = Clock::now() + pause;
      while (Clock::now() < until) {
        if (call.is_cancelled()) return fail(ErrorCode::kCancelled, "the request to model '" + target.alias + "' was cancelled between two tries");
        net::pause(std::max(milliseconds(1), std::min(milliseconds(50), std::chrono::duration_cast<milliseconds>(until - Clock::now()))));
      }
    }
  }

  template <class C>
  static typename C::Outcome once(const Target& target, const C& call, std::int64_t tokens, Clock::time_point deadline) {
    auto& limiter = target.state->limiter;
    auto permit = limiter.acquire(tokens, deadline, call.cancelled);
    if (!permit) return fail(std::move(permit.error()));
    auto reply = call.ask(*target.leaf, std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - Clock::now())));
    if (reply) {
      if (const auto taken = tokens_of(*reply); taken > 0 && tokens > 0) permit->settle(taken);
      if (reply->hold.count() > 0) limiter.hold(Clock::now() + std::min(reply->hold, target.options.patience));
      return reply;
    }
    // What was refused took nothing; what broke off or took too long may have.
    const Failure failure = Failure::of(reply.error());
    if (tokens > 0 && failure.status != 0) permit->settle(0);
    if (failure.reason == Reason::kRateLimited && failure.pause && *failure.pause <= target.options.patience) {
      limiter.hold(Clock::now() + *failure.pause);
    }
    return reply;
  }

  std::vector<Target> targets_;  // in order
};

}  // namespace

std::shared_ptr<PolicyState> PolicyStates::of(const std::string& alias, const BreakerOptions& breaker, const LimitOptions& limits) {
  const std::lock_guard lock(mutex_);
  auto& kept = states_[alias];
  if (!kept.state || !(kept.breaker == breaker) || !(kept.limits == limits)) kept = {breaker, limits, std::make_shared<PolicyState>(breaker, limits, alias)};
  return kept.state;
}

std::shared_ptr<Model> make_policy_model(Target own, std::vector<Target> fallbacks) {
  return std::make_shared<PolicyModel>(std::move(own), std::move(fallbacks));
}

}  // namespace sabir::models

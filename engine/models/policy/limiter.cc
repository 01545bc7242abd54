#include "policy/limiter.h"

#include <algorithm>
#include <cmath>

#include "failure.h"
#include "sabir/net/fiber.h"

namespace sabir::models {
namespace {

std::string seconds(std::chrono::steady_clock::duration span) {
  const auto whole = std::chrono::ceil<std::chrono::seconds>(span).count();
  return std::to_string(std::max<std::int64_t>(1, whole)) + " s";
}

Error busy(std::string message) {
  Error error(ErrorCode::kBusy, std::move(message),
              "Send fewer at once, or raise `limits:` of the model in config/openai_config.yml; `fallbacks:` names models to ask instead.");
  add_failure(error, {Reason::kBusy, 0, std::nullopt});
  return error;
}

}  // namespace

void Bucket::fill(Clock::time_point now) {
  if (filled_ != Clock::time_point{} && now > filled_) {
    level_ = std::min(per_minute_, level_ + per_minute_ * std::chrono::duration<double>(now - filled_).count() / 60.0);
  }
  filled_ = std::max(filled_, now);
}

Bucket::Clock::time_point Bucket::ready(double amount, Clock::time_point now) {
  if (per_minute_ <= 0) return now;
  fill(now);
  const double missing = std::min(amount, per_minute_) - level_;
  if (missing <= 1e-9) return now;
  return now + std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(missing * 60.0 / per_minute_));
}

void Bucket::take(double amount, Clock::time_point now) {
  if (per_minute_ <= 0) return;
  fill(now);
  level_ -= amount;
}

Limiter::Permit::~Permit() {
  if (limiter_ == nullptr) return;
  {
    const std::lock_guard lock(limiter_->mutex_);
    --limiter_->running_;
  }
  limiter_->changed_.notify_all();
}

void Limiter::Permit::settle(std::int64_t tokens) {
  const std::lock_guard lock(limiter_->mutex_);
  limiter_->tokens_.take(static_cast<double>(tokens - estimate_), Clock::now());
  estimate_ = tokens;
}

Limiter::Limiter(LimitOptions options, std::string alias)
    : options_(options), alias_(std::move(alias)), requests_(options.requests_per_minute), tokens_(options.tokens_per_minute) {}

void Limiter::hold(Clock::time_point until) {
  const std::lock_guard lock(mutex_);
  held_until_ = std::max(held_until_, until);
}

Limiter::Clock::time_point Limiter::ready(std::int64_t tokens, Clock::time_point now) {
  return std::max({requests_.ready(1, now), tokens_.ready(static_cast<double>(tokens), now), std::max(held_until_, now)});
}

Error Limiter::late(Clock::duration wait) const {
  std::string limits;
  const auto add = [&](std::int64_t value, const char* name) {
    if (value > 0) limits += (limits.empty() ? "" : ", ") + std::string(name) + ": " + std::to_string(value);
  };
  add(options_.requests_per_minute, "requests_per_minute");
  add(options_.tokens_per_minute, "tokens_per_minute");
  add(options_.concurrency, "concurrency");
  return busy("model '" + alias_ + "' is at its limit" + (limits.empty() ? " of the provider" : " (" + limits + ")") +
              ": its turn does not come within " + seconds(wait));
}

Result<Limiter::Permit> Limiter::acquire(std::int64_t tokens, Clock::time_point deadline, const std::atomic<bool>* cancelled) {
  const auto asked = Clock::now();
  const auto until = std::min(deadline, asked + options_.wait);
  if (options_.tokens_per_minute > 0 && tokens > options_.tokens_per_minute) {
    return fail(ErrorCode::kLimit, "the request to model '" + alias_ + "' has about " + std::to_string(tokens) +
                                       " tokens, more than its limit for a minute (tokens_per_minute: " + std::to_string(options_.tokens_per_minute) + ")",
                "Shorten the conversation, or raise `limits:` of the model in config/openai_config.yml.");
  }
  std::unique_lock lock(mutex_);
  const auto places = [&] { return options_.concurrency <= 0 || running_ < options_.concurrency; };
  const bool at_once = queue_.empty() && places() && ready(tokens, asked) <= asked;
  if (!at_once && queue_.size() >= static_cast<std::size_t>(options_.queue)) {
    return fail(busy("model '" + alias_ + "' is at its limit and " + std::to_string(queue_.size()) + " calls wait for it already"));
  }
  const std::uint64_t ticket = next_ticket_++;
  queue_.push_back(ticket);
  const auto leave = [&] {
    std::erase(queue_, ticket);
    changed_.notify_all();
  };
  while (true) {
    const auto now = Clock::now();
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      leave();
      return fail(ErrorCode::kCancelled, "the request to model '" + alias_ + "' was cancelled while it waited for its turn");
    }
    auto wake = std::min(until, now + std::chrono::milliseconds(100));
    if (queue_.front() == ticket && places()) {
      const auto at = ready(tokens, now);
      if (at <= now) {
        requests_.take(1, now);
        tokens_.take(static_cast<double>(tokens), now);
        ++running_;
        leave();
        return Permit(this, tokens);
      }
      // Nobody is before it and nothing but time helps: an end that is known needs no waiting.
      if (at > until) {
        leave();
        return fail(late(until - asked));
      }
      wake = std::min(wake, at);
    }
    if (now >= until) {
      leave();
      return fail(late(until - asked));
    }
    if (net::Fiber::current() == nullptr) {
      changed_.wait_until(lock, wake);
      continue;
    }
    lock.unlock();
    net::pause(std::clamp(std::chrono::ceil<std::chrono::milliseconds>(wake - now), std::chrono::milliseconds(1), std::chrono::milliseconds(20)));
    lock.lock();
  }
}

}  // namespace sabir::models

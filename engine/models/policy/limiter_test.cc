#include "policy/limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using Clock = Limiter::Clock;
using ::testing::HasSubstr;

TEST(BucketTest, FillsEvenlyAndOwesWhatWasTakenTooMuch) {
  auto now = Clock::time_point(1h);
  Bucket bucket(60);
  EXPECT_EQ(bucket.ready(60, now), now);
  bucket.take(60, now);
  EXPECT_EQ(bucket.ready(1, now), now + 1s);
  EXPECT_EQ(bucket.ready(1, now + 1s), now + 1s);
  bucket.take(11, now + 1s);
  EXPECT_EQ(bucket.ready(1, now + 1s), now + 12s);
  EXPECT_EQ(bucket.ready(1000, now + 1h), now + 1h) << "never more than a minute's worth is asked for";
  EXPECT_EQ(Bucket(0).ready(1e12, now), now);
}

TEST(LimiterTest, RequestsBeyondTheMinutesWaitTheirTurn) {
  Limiter limiter({.requests_per_minute = 600}, "m");  // one in 100 ms
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(limiter.acquire(0, Clock::now() + 1s, nullptr));
  const auto start = Clock::now();
  ASSERT_TRUE(limiter.acquire(0, start + 5s, nullptr));
  ASSERT_TRUE(limiter.acquire(0, start + 5s, nullptr));
  const auto waited = Clock::now() - start;
  EXPECT_GE(waited, 100ms);
  EXPECT_LT(waited, 3s);
}

TEST(LimiterTest, AnEndThatIsTooLateIsToldAtOnce) {
  Limiter limiter({.requests_per_minute = 1}, "slow");
  ASSERT_TRUE(limiter.acquire(0, Clock::now() + 1s, nullptr));
  const auto start = Clock::now();
  const auto refused = limiter.acquire(0, start + 5s, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_LT(Clock::now() - start, 1s);
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message, HasSubstr("'slow' is at its limit (requests_per_minute: 1): its turn does not come within 5 s"));
  EXPECT_THAT(refused.error().data, HasSubstr("\"reason\":\"busy\""));
}

TEST(LimiterTest, TokensAreSettledByWhatTheCallTook) {
  Limiter limiter({.tokens_per_minute = 1000, .wait = 50ms}, "m");
  {
    auto permit = limiter.acquire(900, Clock::now() + 1s, nullptr);
    ASSERT_TRUE(permit);
    EXPECT_FALSE(limiter.acquire(900, Clock::now() + 1s, nullptr));
    permit->settle(10);
  }
  EXPECT_TRUE(limiter.acquire(900, Clock::now() + 1s, nullptr));
  const auto too_much = limiter.acquire(1001, Clock::now() + 1s, nullptr);
  ASSERT_FALSE(too_much);
  EXPECT_EQ(too_much.error().code, ErrorCode::kLimit);
  EXPECT_THAT(too_much.error().message, HasSubstr("tokens_per_minute: 1000"));
}

TEST(LimiterTest, NoMoreThanConcurrencyRunAtOnceInOrderOfArrival) {
  Limiter limiter({.concurrency = 2, .queue = 100, .wait = 10s}, "m");
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> done = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&] {
      auto permit = limiter.acquire(0, Clock::now() + 10s, nullptr);
      ASSERT_TRUE(permit);
      const int now = ++running;
      int seen = most;
      while (now > seen && !most.compare_exchange_weak(seen, now)) {
      }
      std::this_thread::sleep_for(2ms);
      --running;
      ++done;
    });
  }
  threads.clear();
  EXPECT_EQ(done, 40);
  EXPECT_EQ(most, 2);
}

TEST(LimiterTest, TheQueueIsBoundedAndACancelledCallLeavesIt) {
  Limiter limiter({.concurrency = 1, .queue = 1, .wait = 10s}, "m");
  auto held = limiter.acquire(0, Clock::now() + 1s, nullptr);
  ASSERT_TRUE(held);
  std::atomic<bool> cancelled = false;
  Error error;
  std::jthread waiting([&] { error = limiter.acquire(0, Clock::now() + 10s, &cancelled).error(); });
  std::this_thread::sleep_for(100ms);
  const auto refused = limiter.acquire(0, Clock::now() + 10s, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message, HasSubstr("1 calls wait for it already"));
  cancelled = true;
  waiting.join();
  EXPECT_EQ(error.code, ErrorCode::kCancelled);
  const auto late = limiter.acquire(0, Clock::now() + 100ms, nullptr);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kBusy);
}

TEST(LimiterTest, AProvidersHoldIsWaitedFor) {
  Limiter limiter({}, "m");
  limiter.hold(Clock::now() + 150ms);
  const auto start = Clock::now();
  EXPECT_TRUE(limiter.acquire(0, start + 5s, nullptr));
  EXPECT_GE(Clock::now() - start, 100ms);
}

}  // namespace
}  // namespace sabir::models

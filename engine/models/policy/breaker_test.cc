#include "policy/breaker.h"

#include <gtest/gtest.h>

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using Outcome = Breaker::Outcome;

class BreakerTest : public ::testing::Test {
 protected:
  // One call; true when it was let through.
  bool call(Outcome outcome) {
    bool probe = false;
    if (breaker_.refuse(now_, probe)) return false;
    breaker_.report(outcome, probe, now_);
    return true;
  }
  Breaker breaker_{{.failures = 3, .window = 60s, .open = 30s}};
  Breaker::Clock::time_point now_ = Breaker::Clock::time_point(1h);
};

TEST_F(BreakerTest, OpensAfterFailuresInARowAndSaysForHowLong) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(call(Outcome::kFailed));
  now_ += 10s;
  bool probe = true;
  EXPECT_EQ(breaker_.refuse(now_, probe), 20s);
  EXPECT_FALSE(probe);
}

TEST_F(BreakerTest, ASuccessBreaksTheRowAndANeitherDoesNot) {
  call(Outcome::kFailed);
  call(Outcome::kFailed);
  call(Outcome::kGood);
  call(Outcome::kFailed);
  call(Outcome::kNeither);
  call(Outcome::kFailed);
  EXPECT_TRUE(call(Outcome::kNeither));
  call(Outcome::kFailed);
  EXPECT_FALSE(call(Outcome::kGood));
}

TEST_F(BreakerTest, FailuresFarApartAreNoRow) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(call(Outcome::kFailed));
    now_ += 61s;
  }
}

TEST_F(BreakerTest, OneProbeAtATimeAndItsOutcomeDecides) {
  for (int i = 0; i < 3; ++i) call(Outcome::kFailed);
  now_ += 30s;
  bool probe = false;
  EXPECT_FALSE(breaker_.refuse(now_, probe));
  EXPECT_TRUE(probe);
  bool other = false;
  EXPECT_EQ(breaker_.refuse(now_, other), 0s) << "a second call while the probe is under way";
  breaker_.report(Outcome::kFailed, true, now_);
  EXPECT_EQ(breaker_.refuse(now_, other), 30s);
  now_ += 30s;
  EXPECT_TRUE(call(Outcome::kNeither)) << "a probe that was cancelled tells nothing";
  EXPECT_TRUE(call(Outcome::kGood));
  EXPECT_EQ(breaker_.failures(), 0);
  EXPECT_TRUE(call(Outcome::kFailed));
  EXPECT_TRUE(call(Outcome::kFailed));
}

TEST_F(BreakerTest, ZeroFailuresNeverOpens) {
  Breaker off({.failures = 0});
  bool probe = false;
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(off.refuse(now_, probe));
    off.report(Outcome::kFailed, probe, now_);
  }
}

}  // namespace
}  // namespace sabir::models

#include "caller_limits.h"

#include <gmock/gmock.h>

namespace sabir::serve {
namespace {
using namespace std::chrono_literals;

TEST(LimitsTest, ARateIsABucketThatFillsAgain) {
  Limits limits;
  const project::Rate rate{2, 1};
  auto now = Limits::Clock::now();
  EXPECT_EQ(limits.enter("a", rate, 0, now).left, 1);
  EXPECT_TRUE(limits.enter("a", rate, 0, now).admitted);
  const auto refused = limits.enter("a", rate, 0, now);
  EXPECT_FALSE(refused.admitted);
  EXPECT_FALSE(refused.too_many_at_once);
  EXPECT_EQ(refused.wait_s, 1);
  EXPECT_TRUE(limits.enter("b", rate, 0, now).admitted) << "another's bucket is full";
  EXPECT_TRUE(limits.enter("a", rate, 0, now + 600ms).admitted);
  EXPECT_FALSE(limits.enter("a", rate, 0, now + 600ms).admitted);
}

TEST(LimitsTest, WhatRunsIsCountedUntilItEnds) {
  Limits limits;
  const auto now = Limits::Clock::now();
  EXPECT_TRUE(limits.enter("a", {}, 2, now).admitted);
  EXPECT_TRUE(limits.enter("a", {}, 2, now).admitted);
  EXPECT_TRUE(limits.enter("a", {}, 2, now).too_many_at_once);
  limits.leave("a");
  EXPECT_TRUE(limits.enter("a", {}, 2, now).admitted);
  limits.leave("nobody");
}

TEST(LimitsTest, ManyCallersAreForgotten) {
  Limits limits;
  const auto now = Limits::Clock::now();
  for (int i = 0; i < 120'000; ++i) limits.enter(std::to_string(i), {10, 60}, 0, now);
  EXPECT_LE(limits.known(), 50'000U);
}

}  // namespace
}  // namespace sabir::serve

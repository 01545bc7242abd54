#include "log_ring.h"

#include <gmock/gmock.h>

namespace sabir::runtime {
namespace {

TEST(LogRing, GivesWhatCameAfterANumberAndSaysWhatIsGone) {
  LogRing ring;
  EXPECT_EQ(compact_json(ring.read(0, 10)), R"({"lines":[],"last":0,"dropped":0})");
  for (int i = 1; i <= 5; ++i) ring.push("engine", i == 5 ? "error" : "", "line " + std::to_string(i));
  auto got = ring.read(3, 10);
  ASSERT_EQ(got.at("lines").as_array().size(), 2U);
  EXPECT_EQ(got.at("lines").as_array()[0].at("text"), "line 4");
  EXPECT_EQ(got.at("lines").as_array()[1].at("number").to_number<int>(), 5);
  EXPECT_EQ(got.at("lines").as_array()[1].at("level"), "error");
  EXPECT_EQ(got.at("dropped").to_number<int>(), 0);
  // The newest of more than are wanted.
  got = ring.read(0, 2);
  EXPECT_EQ(got.at("lines").as_array()[0].at("text"), "line 4");
  EXPECT_EQ(got.at("dropped").to_number<int>(), 3);
  // A number of another engine's is no number here.
  EXPECT_EQ(ring.read(1000, 10).at("lines").as_array().size(), 0U);
}

TEST(LogRing, IsBounded) {
  LogRing ring;
  for (std::size_t i = 0; i < LogRing::kMost + 100; ++i) ring.push("python", "", "x");
  ring.push("python", "", std::string(100'000, 'y') + "\xff");
  const auto got = ring.read(0, 1'000'000);
  EXPECT_EQ(got.at("lines").as_array().size(), LogRing::kMost);
  EXPECT_EQ(got.at("dropped").to_number<std::size_t>(), 101U);
  EXPECT_EQ(got.at("lines").as_array().back().at("text").as_string().size(), LogRing::kMostBytes);
  ring.push("python", "", "a\xc3");
  EXPECT_EQ(ring.read(0, 1).at("lines").as_array()[0].at("text"), "a?");
}

}  // namespace
}  // namespace sabir::runtime

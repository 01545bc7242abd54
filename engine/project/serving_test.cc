#include "sabir/project/serving.h"

#include <gtest/gtest.h>

namespace sabir::project {
namespace {

TEST(Exposure, ReachesWhatItsEntriesName) {
  Exposure exposure;
  exposure.rest = {"notes.*", "ruby/stats.mean", "prompts/support/*", "assistants/helper", "slugify"};
  EXPECT_TRUE(exposure.reaches_function(Door::kRest, "python", "notes.add"));
  EXPECT_TRUE(exposure.reaches_function(Door::kRest, "cpp", "notes.add"));
  EXPECT_TRUE(exposure.reaches_function(Door::kRest, "ruby", "stats.mean"));
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "python", "stats.mean"));
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "python", "notesx.add"));
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "python", "xnotes.add"));
  EXPECT_TRUE(exposure.reaches_function(Door::kRest, "ruby", "slugify"));
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "ruby", "slugify2"));
  EXPECT_FALSE(exposure.reaches_function(Door::kMcp, "python", "notes.add"));
  EXPECT_TRUE(exposure.reaches(Door::kRest, "prompts/support/refund"));
  EXPECT_FALSE(exposure.reaches(Door::kRest, "prompts/other"));
  EXPECT_TRUE(exposure.reaches(Door::kRest, "assistants/helper"));
  EXPECT_FALSE(exposure.reaches(Door::kRest, "assistants/other"));
  EXPECT_FALSE(exposure.reaches(Door::kRest, "memory"));
  // A function of this name is not the memory.
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "python", "memory"));
}

TEST(Exposure, StarsStandForFunctionsAndNotForAllThereIs) {
  for (const char* all : {"*", "*/*", "**"}) {
    Exposure exposure;
    exposure.rest = {all};
    EXPECT_TRUE(exposure.reaches_function(Door::kRest, "python", "notes.add")) << all;
    EXPECT_FALSE(exposure.reaches(Door::kRest, "memory")) << all;
    EXPECT_FALSE(exposure.reaches(Door::kRest, "prompts/a")) << all;
    EXPECT_FALSE(exposure.reaches(Door::kRest, "assistants/a")) << all;
  }
}

TEST(Exposure, EndlessPatternsEndSoon) {
  Exposure exposure;
  exposure.rest = {std::string("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b")};
  EXPECT_FALSE(exposure.reaches_function(Door::kRest, "python", std::string(5000, 'a')));
}

TEST(Loopback, IsThisMachineAlone) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"}) EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"}) EXPECT_FALSE(is_loopback_host(host)) << host;
}

}  // namespace
}  // namespace sabir::project

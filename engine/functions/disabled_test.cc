#include "sabir/functions/disabled.h"

#include <gtest/gtest.h>

#include <fstream>

#include "recent.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;

class DisabledTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = fs::temp_directory_path() / ("sabir-disabled-" + new_id()); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(DisabledTest, TheLastWordAboutAFunctionCounts) {
  const DisabledFunctions disabled(folder_);
  EXPECT_TRUE(disabled.read().value().empty());
  ASSERT_TRUE(disabled.write({"python/a.b", "ada", "it charges twice", 1'700'000'000'000}, true));
  ASSERT_TRUE(disabled.write({"ruby/c.d", "bob", "", 1}, true));
  ASSERT_TRUE(disabled.write({"ruby/c.d", "ada", "mended", 2}, false));
  const auto now = disabled.read();
  ASSERT_TRUE(now);
  ASSERT_EQ(now->size(), 1U);
  const auto error = error_of(*now->at("python/a.b"));
  EXPECT_EQ(error.code, ErrorCode::kDisabled);
  EXPECT_EQ(error.message, "python/a.b is disabled: by ada, 2023-11-14 22:13 UTC, it charges twice");
  EXPECT_EQ(error.hint, "`sabir functions enable python/a.b` lets it be called again.");
  // Every word is kept.
  const auto text = read_file(disabled.file());
  EXPECT_EQ(std::count(text->begin(), text->end(), '\n'), 3);
  EXPECT_EQ(fs::status(disabled.file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(DisabledTest, HalfALineOfAWriterThatDiedIsPassedOver) {
  const DisabledFunctions disabled(folder_);
  ASSERT_TRUE(disabled.write({"python/a.b", "ada", "", 1}, true));
  std::ofstream(disabled.file(), std::ios::app) << R"({"address":"python/x)";
  EXPECT_EQ(disabled.read().value().size(), 1U);
  ASSERT_TRUE(disabled.write({"python/e.f", "ada", "", 1}, true));
  EXPECT_EQ(disabled.read().value().size(), 2U);
}

TEST_F(DisabledTest, WhatIsNoneOfOursIsRefusedWithItsLine) {
  EXPECT_EQ(parse_disabled("{\"format\":1}\n", "f").error().code, ErrorCode::kConfig);
  EXPECT_EQ(parse_disabled("\n{\"format\":1,\"disabled\":1}\n", "f").error().line, 2);
  EXPECT_EQ(parse_disabled("{\"format\":2}\n", "f").error().code, ErrorCode::kStoreNewer);
}

TEST(Durations, AQuantileIsAtMostAQuarterTooHighAndNeverTooLow) {
  Durations all;
  EXPECT_EQ(all.quantile_ms(0.5), 0);
  for (int i = 1; i <= 1000; ++i) all.note(std::chrono::microseconds(i * 100));
  for (const double part : {0.1, 0.5, 0.9, 0.99}) {
    EXPECT_GE(all.quantile_ms(part), part * 100 * 0.999) << part;
    EXPECT_LE(all.quantile_ms(part), part * 100 * 1.26) << part;
  }
}

TEST(Durations, ExtremesAndManyCallsStayInBounds) {
  Durations all;
  for (int i = 0; i < 100'000; ++i) all.note(std::chrono::nanoseconds(0));
  all.note(std::chrono::hours(1'000'000));
  EXPECT_LE(all.quantile_ms(0.5), 0.002);
  EXPECT_GT(all.quantile_ms(1), 1e6);
  // What is long past counts for less and less.
  for (int i = 0; i < 100'000; ++i) all.note(std::chrono::milliseconds(100));
  EXPECT_GE(all.quantile_ms(0.5), 100);
}

}  // namespace
}  // namespace sabir::functions

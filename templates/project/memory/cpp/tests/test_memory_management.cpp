#include "../memory_management.cpp"

#include <gtest/gtest.h>

TEST(MemoryManagement, GivesBackWhatWasStored) {
  const nlohmann::json result = {{"words", 3}, {"text", "Été"}};
  store_result(result, "cpp test");
  EXPECT_EQ(retrieve_result("cpp test"), result);
}

TEST(MemoryManagement, ANameWithoutAResultGivesNull) { EXPECT_TRUE(retrieve_result("nothing was stored here").is_null()); }

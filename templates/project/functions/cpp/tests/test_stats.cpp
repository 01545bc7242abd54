#include "../stats.cpp"

#include <gtest/gtest.h>

TEST(Stats, MeanOfThreeNumbers) { EXPECT_DOUBLE_EQ(mean({3, 5, 10}), 6); }

TEST(Stats, MedianTakesTheMiddle) {
  EXPECT_DOUBLE_EQ(median({10, 3, 5}), 5);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
}

TEST(Stats, NoValuesIsAnError) {
  EXPECT_THROW(mean({}), std::invalid_argument);
  EXPECT_THROW(median({}), std::invalid_argument);
}

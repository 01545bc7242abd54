#include "sabir/completions/text_diff.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sabir::completions {
namespace {

std::string shown(std::string_view first, std::string_view second) {
  std::string out;
  for (const auto& line : diff_lines(first, second)) out += std::string(1, line.kind) + std::string(line.text) + "|";
  return out;
}

TEST(TextDiff, TheLinesThatDifferAreMarked) {
  EXPECT_EQ(shown("a\nb\nc", "a\nx\nc"), " a|-b|+x| c|");
  EXPECT_EQ(shown("", "a\nb\n"), "+a|+b|");
  EXPECT_EQ(shown("a\nb\n", ""), "-a|-b|");
  EXPECT_EQ(shown("", ""), "");
  EXPECT_EQ(shown("same\n\nlines", "same\n\nlines"), " same| | lines|");
  EXPECT_EQ(shown("a\nb\nc\nd", "b\nd\ne"), "-a| b|-c| d|+e|");
}

// Both texts can be read from the difference, and no pair of lines could have been spared.
TEST(TextDiff, BothTextsAreInItAndItIsShort) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const auto some = [&] {
      std::string text;
      for (auto lines = random() % 12; lines > 0; --lines) text += static_cast<char>('a' + random() % 3) + std::string("\n");
      return text;
    };
    const std::string first = some();
    const std::string second = some();
    std::string a;
    std::string b;
    std::size_t common = 0;
    for (const auto& line : diff_lines(first, second)) {
      if (line.kind != '+') a += std::string(line.text) + "\n";
      if (line.kind != '-') b += std::string(line.text) + "\n";
      common += line.kind == ' ' ? 1 : 0;
    }
    ASSERT_EQ(a, first);
    ASSERT_EQ(b, second);
    // The longest common subsequence, by its definition.
    std::vector<std::vector<std::size_t>> longest(first.size() / 2 + 1, std::vector<std::size_t>(second.size() / 2 + 1));
    for (std::size_t i = 1; i < longest.size(); ++i) {
      for (std::size_t j = 1; j < longest[i].size(); ++j) {
        longest[i][j] = first[2 * i - 2] == second[2 * j - 2] ? longest[i - 1][j - 1] + 1 : std::max(longest[i - 1][j], longest[i][j - 1]);
      }
    }
    ASSERT_EQ(common, longest.back().back()) << first << "--\n" << second;
  }
}

TEST(TextDiff, TextsWithNothingInCommonEndSoon) {
  std::string first;
  std::string second;
  for (int i = 0; i < 200'000; ++i) {
    first += "a" + std::to_string(i) + "\n";
    second += "b" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(diff_lines(first, second).size(), 400'000U);
}

}  // namespace
}  // namespace sabir::completions

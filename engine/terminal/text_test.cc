#include "sabir/terminal/text.h"

#include <gtest/gtest.h>

namespace sabir::terminal {
namespace {

TEST(TerminalText, WideCharactersTakeTwoColumnsAndCombiningOnesNone) {
  EXPECT_EQ(width_of("abc"), 3);
  EXPECT_EQ(width_of("日本語"), 6);
  EXPECT_EQ(width_of("e\xCC\x81t\xC3\xA9"), 3);
  EXPECT_EQ(width_of("🙂"), 2);
  EXPECT_EQ(width_of(""), 0);
}

TEST(TerminalText, WhatIsCutNeverTakesMoreColumnsThanItMay) {
  EXPECT_EQ(clipped("abcdef", 6), "abcdef");
  EXPECT_EQ(clipped("abcdefg", 6), "abcde…");
  EXPECT_EQ(clipped("日本語", 5), "日本…");
  EXPECT_EQ(clipped("日本語", 4), "日…");
  EXPECT_EQ(clipped_left("functions/python/x.py:3", 9), "…n/x.py:3");
  EXPECT_EQ(clipped_left("日本語", 4), "…語");
  for (int columns = 0; columns < 8; ++columns) {
    EXPECT_LE(width_of(clipped("a日b本c語", columns)), columns);
    EXPECT_LE(width_of(clipped_left("a日b本c語", columns)), columns);
    EXPECT_EQ(width_of(fitted("a日b本c語", columns)), columns);
    EXPECT_EQ(width_of(fitted("日", columns, true)), columns);
  }
  EXPECT_EQ(fitted("ab", 4), "ab  ");
  EXPECT_EQ(fitted("ab", 4, true), "  ab");
}

TEST(TerminalText, ForeignTextCannotSteerTheTerminal) {
  EXPECT_EQ(harmless("a\x1b[2Jb"), "a\xEF\xBF\xBD[2Jb");
  EXPECT_EQ(harmless("a\tb\nc"), "a    b c");
  EXPECT_EQ(harmless("\xC2\x9B" "31m"), "\xEF\xBF\xBD" "31m");
  EXPECT_EQ(harmless("\xFF\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(harmless("\xE2\x80\xAEgnp.exe"), "\xEF\xBF\xBDgnp.exe");
  EXPECT_EQ(harmless("été 日本"), "été 日本");
}

TEST(TerminalText, LinesBreakAtBlanksWhereThereAreAny) {
  EXPECT_EQ(wrapped("one two three", 8), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrapped("abcdefghij", 4), (std::vector<std::string>{"abcd", "efgh", "ij"}));
  EXPECT_EQ(wrapped("a\nb", 10), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(wrapped("", 10).empty());
}

}  // namespace
}  // namespace sabir::terminal

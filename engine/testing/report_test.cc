#include "report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "board.h"
#include "sabir/base/text.h"

namespace sabir::testing {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

Suite read_ctest(std::string_view output) {
  Suite suite;
  CtestReader reader("/home/ada/shop");
  for (const auto line : split_lines(output)) reader.line(line, suite);
  reader.end(suite);
  return suite;
}

constexpr std::string_view kCtest = R"(Test project /home/ada/shop/.sabir/build/cpp-tests/1
    Start 1: test_stats.Mean.OfNothingIsZero
1/4 Test #1: test_stats.Mean.OfNothingIsZero .......   Passed    0.01 sec
    Start 2: test_stats.Mean.OfTwo
2/4 Test #2: test_stats.Mean.OfTwo .................***Failed    0.02 sec
Running main() from ./googletest/src/gtest_main.cc
Note: Google Test filter = Mean.OfTwo
[ RUN      ] Mean.OfTwo
/home/ada/shop/functions/cpp/tests/test_stats.cpp:12: Failure
Expected equality of these values:
  mean({1, 2})
    Which is: 1
  1.5
[  FAILED  ] Mean.OfTwo (0 ms)

    Start 3: test_stats.Mean.Crashes
3/4 Test #3: test_stats.Mean.Crashes ...............***Exception: SegFault  0.10 sec

    Start 4: test_stats.Mean.Skipped
4/4 Test #4: test_stats.Mean.Skipped ...............***Skipped   0.00 sec

50% tests passed, 2 tests failed out of 4
)";

TEST(CtestReader, EachTestIsReadWithItsOutcomeAndPlace) {
  const Suite suite = read_ctest(kCtest);
  ASSERT_EQ(suite.cases.size(), 4U);
  EXPECT_EQ(suite.cases[0].id, "test_stats.Mean.OfNothingIsZero");
  EXPECT_EQ(suite.cases[0].outcome, Outcome::kPassed);
  EXPECT_DOUBLE_EQ(suite.cases[0].seconds, 0.01);
  EXPECT_EQ(suite.cases[1].outcome, Outcome::kFailed);
  EXPECT_EQ(suite.cases[1].file, "functions/cpp/tests/test_stats.cpp");
  EXPECT_EQ(suite.cases[1].line, 12);
  EXPECT_THAT(suite.cases[1].text, HasSubstr("mean({1, 2})"));
  EXPECT_THAT(suite.cases[1].text, Not(HasSubstr("Google Test filter")));
  EXPECT_EQ(suite.cases[2].outcome, Outcome::kFailed);
  EXPECT_EQ(suite.cases[2].message, "Exception: SegFault");
  EXPECT_EQ(suite.cases[3].outcome, Outcome::kSkipped);
}

TEST(CtestReader, OtherLinesAreNoTests) {
  EXPECT_TRUE(read_ctest("1/2 Test\n1/2 Test #1:\nNo tests were found!!!\n99/ Test #1: x\n").cases.empty());
}

TEST(EventReader, CasesAreReadAndStrangeLinesIgnored) {
  Suite suite;
  EventReader events;
  for (const char* line : {R"({"event":"collected","count":2})", "not json", "[]", "{}", R"({"event":"case","id":"t::a","outcome":"passed","seconds":0.5})",
                           R"({"event":"case","id":"t::b","outcome":"failed","file":"t.py","line":7,"message":"assert 1 == 2","seconds":-1})",
                           R"({"event":"broken","file":"tests/test_x.py","text":"SyntaxError"})"}) {
    events.line(line, suite);
  }
  EXPECT_TRUE(events.collected());
  EXPECT_EQ(suite.expected, 2);
  ASSERT_EQ(suite.cases.size(), 2U);
  EXPECT_EQ(suite.cases[1].line, 7);
  EXPECT_EQ(suite.cases[1].seconds, 0);
  ASSERT_EQ(events.broken().size(), 1U);
  EXPECT_EQ(events.broken()[0].first, "tests/test_x.py");
}

TEST(EventReader, LongTextsAreCutAtACharacter) {
  Suite suite;
  EventReader events;
  std::string text = "x";
  while (text.size() < 2 * kMostText) text += "é";
  events.line(R"({"event":"case","id":"a","outcome":"failed","text":")" + text + "\"}", suite);
  ASSERT_EQ(suite.cases.size(), 1U);
  EXPECT_LE(suite.cases[0].text.size(), kMostText + 4);
  EXPECT_EQ(find_invalid_utf8(suite.cases[0].text), std::string::npos);
}

TEST(Tail, KeepsTheEndInWholeLines) {
  Tail tail(100);
  for (int i = 0; i < 1000; ++i) tail.line("line " + std::to_string(i));
  EXPECT_LE(tail.text().size(), 220U);
  EXPECT_THAT(tail.text(), HasSubstr("line 999\n"));
  EXPECT_TRUE(tail.text().starts_with("line "));
}

Summary sample() {
  Summary summary;
  Suite good;
  good.name = "pytest";
  good.cases.push_back({"tests/test_a.py::test_one", Outcome::kPassed, 0.1, "tests/test_a.py", 3, "", ""});
  good.cases.push_back({"tests/test_a.py::test_two", Outcome::kFailed, 0.1, "tests/test_a.py", 9, "assert 1 == 2", "E  assert 1 == <2>"});
  Suite none;
  none.name = "rspec";
  none.problem = "2 test files, but no test was collected";
  none.hint = "Check the pattern in .rspec";
  summary.suites = {good, none};
  summary.notes = {"functions/node/tests: no runner for node tests; not run"};
  summary.seconds = 1.25;
  return summary;
}

TEST(Report, QuotesFailuresAndEndsWithOneSummary) {
  EXPECT_EQ(report_text(sample()), R"(
tests/test_a.py:9: tests/test_a.py::test_two
    E  assert 1 == <2>

rspec: 2 test files, but no test was collected
  Check the pattern in .rspec

functions/node/tests: no runner for node tests; not run

1 passed, 2 failed in 1.2 s
)");
  EXPECT_FALSE(sample().ok());
  EXPECT_FALSE(Summary().ok());
}

TEST(Report, JsonAndJunitCarryTheSameCounts) {
  const auto object = to_json(sample());
  EXPECT_EQ(object.at("failed"), 2);
  EXPECT_EQ(object.at("ok"), false);
  EXPECT_EQ(object.at("suites").at(0).at("cases").at(1).at("line"), 9);
  const std::string xml = to_junit(sample());
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"pytest\" tests=\"2\" failures=\"1\" errors=\"0\""));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"rspec\" tests=\"1\" failures=\"0\" errors=\"1\""));
  EXPECT_THAT(xml, HasSubstr("assert 1 == &lt;2&gt;"));
}

TEST(Board, TheLineShowsEachUnfinishedSuiteAndFitsTheTerminal) {
  const auto start = Board::Clock::time_point();
  Board board(-1, false, start);
  const auto pytest = board.add("pytest");
  const auto cpp = board.add("c++");
  board.progress(pytest, 12, 40, 1);
  board.phase(cpp, "building");
  EXPECT_EQ(board.status_line(start + std::chrono::seconds(8), 80), "pytest 12/40 (1 failed)   c++ building   8 s");
  EXPECT_EQ(board.status_line(start, 10).size(), 10U);
}

}  // namespace
}  // namespace sabir::testing

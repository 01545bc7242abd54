#include "sabir/testing/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "child.h"
#include "discover.h"
#include "runners.h"
#include "sabir/base/ids.h"

namespace sabir::testing {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class TestingTest : public ::testing::Test {
 protected:
  TestingTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-testing-" + new_id())) {
    fs::create_directories(root_);
    write("sabir.yml", "engine: 0.1.0\n");
  }
  ~TestingTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text, bool program = false) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    if (program) fs::permissions(root_ / path, fs::perms::owner_all);
  }
  // A stand-in for the project's interpreter, so that these tests need no pytest: it answers `-c` and speaks events.
  void write_python(const std::string& body) {
    write(".venv/bin/python", "#!/bin/sh\n[ \"$1\" = -c ] && exit 0\n" + body, true);
    write("functions/python/tests/test_a.py", "");
  }
  Result<Discovery> find() {
    auto tree = walk(root_);
    EXPECT_TRUE(tree);
    return discover(root_, *tree);
  }
  Summary run_all(int timeout_ms = 30'000) {
    Options options;
    options.root = root_;
    options.timeout_ms = timeout_ms;
    // An environment that is active outside must not hide the stand-in.
    ::unsetenv("VIRTUAL_ENV");
    auto summary = run(options);
    EXPECT_TRUE(summary) << to_text(summary.error());
    return summary ? std::move(*summary) : Summary();
  }

  fs::path root_;
};

TEST_F(TestingTest, TestFilesAreFoundWhereTheProjectKeepsThem) {
  for (const char* path : {"functions/python/tests/test_a.py", "completions/tests/test_generate_prompt.py",
                           "tests/integration/test_integration.py", "functions/ruby/tests/test_a.rb", "memory/ruby/tests/b_spec.rb",
                           "functions/cpp/stats.cpp", "functions/cpp/tests/stats_test.cpp", "functions/node/tests/a.test.js",
                           ".venv/lib/test_hidden.py", "functions/python/function1.py"}) {
    write(path, "");
  }
  auto found = find();
  EXPECT_THAT(found->pytest, ElementsAre("completions/tests/test_generate_prompt.py", "functions/python/tests/test_a.py",
                                         "tests/integration/test_integration.py"));
  EXPECT_THAT(found->rspec, ElementsAre("functions/ruby/tests/test_a.rb", "memory/ruby/tests/b_spec.rb"));
  ASSERT_EQ(found->cpp.size(), 1U);
  EXPECT_EQ(found->cpp[0].relative, "functions/cpp");
  EXPECT_THAT(found->notes, ElementsAre("functions/node/tests: no runner for node tests; not run"));
  found->keep(root_, [](const std::string& file) { return file.starts_with("completions/"); });
  EXPECT_THAT(found->pytest, ElementsAre("completions/tests/test_generate_prompt.py"));
  EXPECT_TRUE(found->rspec.empty());
  EXPECT_TRUE(found->cpp.empty());
}

TEST_F(TestingTest, AProjectWithoutTestsIsAnError) {
  Options options;
  options.root = root_;
  auto summary = run(options);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::kNotFound);
}

TEST_F(TestingTest, CasesReachTheSummary) {
  write_python(R"(echo '{"event":"collected","count":2}' >&3
echo '{"event":"case","id":"a","outcome":"passed"}' >&3
echo '{"event":"case","id":"b","outcome":"failed","file":"x.py","line":3}' >&3
exit 1
)");
  const Summary summary = run_all();
  EXPECT_EQ(summary.count(Outcome::kPassed), 1);
  EXPECT_EQ(summary.failed(), 1);
  EXPECT_FALSE(summary.ok());
}

TEST_F(TestingTest, ASuiteThatCollectsNothingIsAFailure) {
  write_python("echo '{\"event\":\"collected\",\"count\":0}' >&3\nexit 5\n");
  const Summary summary = run_all();
  EXPECT_FALSE(summary.ok());
  EXPECT_EQ(summary.suites.at(0).problem, "1 test file, but no test was collected");
}

TEST_F(TestingTest, AFileThatDoesNotLoadIsNamed) {
  write_python("echo '{\"event\":\"broken\",\"file\":\"functions/python/tests/test_a.py\",\"text\":\"SyntaxError: line 3\"}' >&3\nexit 2\n");
  const Summary summary = run_all();
  EXPECT_EQ(summary.suites.at(0).problem, "functions/python/tests/test_a.py does not load");
  EXPECT_THAT(summary.suites.at(0).output, HasSubstr("SyntaxError"));
}

TEST_F(TestingTest, ARunnerThatDiesWithoutAWordIsAFailureWithItsOutput) {
  write_python("echo '{\"event\":\"case\",\"id\":\"a\",\"outcome\":\"passed\"}' >&3\necho 'out of cheese' >&2\nexit 3\n");
  const Summary summary = run_all();
  EXPECT_FALSE(summary.ok());
  EXPECT_EQ(summary.suites.at(0).problem, "ended with exit code 3 though no test failed");
  EXPECT_THAT(summary.suites.at(0).output, HasSubstr("out of cheese"));
}

TEST_F(TestingTest, ASuiteOverItsTimeIsEndedWithItsGrandchildren) {
  write_python("sleep 300 &\necho $! > grandchild\nwait\n");
  const auto start = Clock::now();
  const Summary summary = run_all(500);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_THAT(summary.suites.at(0).problem, HasSubstr("not finished after"));
  int pid = 0;
  std::ifstream(root_ / "grandchild") >> pid;
  ASSERT_GT(pid, 0);
  // An orphan that was killed may stay a zombie until init takes it.
  const auto ended = [&] {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string number, name, state;
    return !(stat >> number >> name >> state) || state == "Z";
  };
  for (int i = 0; i < 100 && !ended(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(ended());
}

TEST_F(TestingTest, AnInterruptEndsTheSuites) {
  write_python("echo ready > ready\nsleep 300\n");
  std::jthread interrupt([&] {
    for (int i = 0; i < 500 && !fs::exists(root_ / "ready"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::kill(::getpid(), SIGINT);
  });
  const auto start = Clock::now();
  const Summary summary = run_all();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(20));
  EXPECT_TRUE(summary.interrupted);
  EXPECT_FALSE(summary.ok());
}

TEST_F(TestingTest, ATestThatIncludesItsSourceIsNotLinkedWithItAgain) {
  write("functions/cpp/stats.cpp", "int mean() { return 1; }\n");
  write("functions/cpp/text.cpp", "int words() { return 1; }\n");
  write("functions/cpp/tests/a_test.cpp", "#include \"../stats.cpp\"\n");
  write("functions/cpp/tests/b_test.cpp", "int words();\n");
  auto found = find();
  auto programs = programs_of(found->cpp.at(0));
  ASSERT_TRUE(programs);
  EXPECT_THAT(programs->at(0).second, ElementsAre(root_ / "functions/cpp/text.cpp"));
  EXPECT_THAT(programs->at(1).second, ElementsAre(root_ / "functions/cpp/stats.cpp", root_ / "functions/cpp/text.cpp"));
}

TEST_F(TestingTest, CppTestsAreBuiltAndRun) {
  write("functions/cpp/stats.cpp", "double half(double x) { return x / 2; }\n");
  write("functions/cpp/tests/stats_test.cpp",
        "#include <gtest/gtest.h>\ndouble half(double);\nTEST(Half, OfTwoIsOne) { EXPECT_EQ(half(2), 1); }\n"
        "TEST(Half, IsWrong) { EXPECT_EQ(half(2), 2); }\n");
  const Summary summary = run_all(120'000);
  ASSERT_EQ(summary.suites.size(), 1U);
  EXPECT_EQ(summary.suites[0].problem, "") << summary.suites[0].output;
  EXPECT_EQ(summary.count(Outcome::kPassed), 1);
  ASSERT_EQ(summary.suites[0].cases.size(), 2U);
  EXPECT_EQ(summary.suites[0].cases[1].file, "functions/cpp/tests/stats_test.cpp");
  EXPECT_EQ(summary.suites[0].cases[1].line, 4);
  write("functions/cpp/stats.cpp", "double half(double x) { return x / }\n");
  const Summary broken = run_all(120'000);
  EXPECT_EQ(broken.suites.at(0).problem, "the tests of functions/cpp do not compile");
  EXPECT_THAT(broken.suites.at(0).output, HasSubstr("stats.cpp:1:"));
}

TEST_F(TestingTest, OnlyWhatIsAffectedRunsAgain) {
  write_python("echo '{\"event\":\"collected\",\"count\":1}' >&3\n"
               "echo '{\"event\":\"case\",\"id\":\"a\",\"outcome\":\"passed\",\"test_file\":\"functions/python/tests/test_a.py\"}' >&3\n");
  write("functions/python/tests/test_a.py", "import helper\n");
  write("functions/python/tests/helper.py", "");
  Options options;
  options.root = root_;
  options.affected = true;
  ::unsetenv("VIRTUAL_ENV");
  auto first = run(options);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->suites.size(), 1U);
  auto second = run(options);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->suites.empty());
  EXPECT_EQ(second->unchanged, 1);
  EXPECT_TRUE(second->ok());
  write("functions/python/tests/helper.py", "x = 1\n");
  options.explain = true;
  auto third = run(options);
  ASSERT_TRUE(third);
  ASSERT_EQ(third->reasons.size(), 1U);
  EXPECT_EQ(third->reasons[0].second, "functions/python/tests/helper.py has changed (functions/python/tests/test_a.py → functions/python/tests/helper.py)");
}

TEST_F(TestingTest, ATestThatPassesAtTheSecondAttemptIsFlaky) {
  write_python("echo '{\"event\":\"collected\",\"count\":1}' >&3\nif [ -e tried ]; then said=passed; else said=failed; fi\ntouch tried\n"
               "echo '{\"event\":\"case\",\"id\":\"a\",\"rerun\":\"functions/python/tests/test_a.py::a\",\"outcome\":\"'$said'\"}' >&3\n[ $said = passed ]\n");
  Options options;
  options.root = root_;
  options.retries = 2;
  ::unsetenv("VIRTUAL_ENV");
  auto summary = run(options);
  ASSERT_TRUE(summary);
  EXPECT_TRUE(summary->ok());
  EXPECT_THAT(summary->flaky, ElementsAre("a: passed at attempt 2"));
  EXPECT_THAT(to_junit(*summary), HasSubstr("flaky: passed at attempt 2"));
}

TEST(Child, AMissingProgramIsUnavailable) {
  ChildSpec spec;
  spec.argv = {"sabir-no-such-program"};
  spec.folder = "/";
  spec.deadline = Clock::now() + std::chrono::seconds(5);
  auto end = run_child(spec);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kUnavailable);
}

TEST(Child, AChildThatNeverStopsWritingStillMeetsItsDeadline) {
  ChildSpec spec;
  spec.argv = {"sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"};
  spec.folder = "/";
  spec.deadline = Clock::now() + std::chrono::milliseconds(300);
  auto end = run_child(spec);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->timed_out);
}

}  // namespace
}  // namespace sabir::testing

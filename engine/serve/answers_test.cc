#include "answers.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace sabir::serve {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct AnswersTest : testing::Test {
  fs::path folder = fs::temp_directory_path() / ("sabir-answers-" + std::to_string(::getpid()));
  void TearDown() override { fs::remove_all(folder); }
  std::unique_ptr<Answers> open(std::chrono::milliseconds keep = 1h) {
    auto opened = Answers::open(folder, keep);
    EXPECT_TRUE(opened) << to_text(opened.error());
    return std::move(*opened);
  }
  static Answers::State state(Answers& answers, const std::string& request, const std::string& caller = "web") {
    const auto found = answers.begin(caller, "key", request);
    EXPECT_TRUE(found) << to_text(found.error());
    return found->state;
  }
};

TEST_F(AnswersTest, TheSameRequestGetsTheSameAnswer) {
  const auto answers = open();
  EXPECT_EQ(state(*answers, "a"), Answers::State::kBegun);
  EXPECT_EQ(state(*answers, "a"), Answers::State::kRunning);
  EXPECT_EQ(state(*answers, "b"), Answers::State::kOther);
  EXPECT_EQ(state(*answers, "b", "other caller"), Answers::State::kBegun);
  ASSERT_TRUE(answers->finish("web", "key", {200, "application/json", "42", "trace"}));
  const auto again = open()->begin("web", "key", "a");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, Answers::State::kKept);
  EXPECT_EQ(again->answer.status, 200);
  EXPECT_EQ(again->answer.body, "42");
  EXPECT_EQ(again->answer.trace, "trace");
  EXPECT_EQ(state(*answers, "b"), Answers::State::kOther);
}

TEST_F(AnswersTest, WhatWasNotCarriedOutMayBeAgain) {
  const auto answers = open();
  EXPECT_EQ(state(*answers, "a"), Answers::State::kBegun);
  ASSERT_TRUE(answers->release("web", "key"));
  EXPECT_EQ(state(*answers, "b"), Answers::State::kBegun);
  ASSERT_TRUE(answers->finish("web", "key", {200, "", "", ""}));
  // What has an answer is not released.
  ASSERT_TRUE(answers->release("web", "key"));
  EXPECT_EQ(state(*answers, "b"), Answers::State::kKept);
}

TEST_F(AnswersTest, LargeAnswersAreNotKept) {
  const auto answers = open();
  EXPECT_EQ(state(*answers, "a"), Answers::State::kBegun);
  ASSERT_TRUE(answers->finish("web", "key", {200, "", std::string(Answers::kMostBody + 1, 'x'), ""}));
  EXPECT_EQ(state(*answers, "a"), Answers::State::kTooLarge);
}

TEST_F(AnswersTest, TheyAreForgottenAfterAWhile) {
  const auto answers = open(50ms);
  EXPECT_EQ(state(*answers, "a"), Answers::State::kBegun);
  ASSERT_TRUE(answers->finish("web", "key", {200, "", "", ""}));
  std::this_thread::sleep_for(80ms);
  EXPECT_EQ(state(*answers, "b"), Answers::State::kBegun);
}

TEST_F(AnswersTest, NobodyKnowsWhatADeadProcessDid) {
  open();
  const pid_t child = ::fork();
  if (child == 0) {
    auto opened = Answers::open(folder, 1h);
    ::_exit(opened && (*opened)->begin("web", "key", "a") ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(state(*open(), "a"), Answers::State::kUnknown);
}

}  // namespace
}  // namespace sabir::serve

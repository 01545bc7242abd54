#include "sabir/process/spawn.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace sabir::process {
namespace {
using std::chrono::milliseconds;

TEST(Spawn, RunsAProgramWithItsOwnEnvironmentAndFolder) {
  const auto result = run({.argv = {"sh", "-c", "echo $A; pwd; echo err >&2; exit 3"}, .environment = {"A=1", "PATH=/usr/bin:/bin"},
                           .directory = "/tmp"}, milliseconds(10000));
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->output, "1\n/tmp\nerr\n");
  EXPECT_EQ(result->status.code, 3);
}

TEST(Spawn, AMissingProgramIsNamed) {
  const auto child = spawn({.argv = {"no-such-program-here"}, .environment = environment_with({})});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(child.error().message.find("no-such-program-here"), std::string::npos);
}

TEST(Spawn, ATimeoutKillsTheWholeGroup) {
  const auto result = run({.argv = {"sh", "-c", "sleep 60 & echo $!; wait"}, .environment = environment_with({})}, milliseconds(300));
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->timed_out);
  const pid_t grandchild = std::stoi(result->output);
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    // A killed grandchild may linger as a zombie of init's; signal 0 then still succeeds, so look at its state.
    const auto state = run({.argv = {"sh", "-c", "cut -d' ' -f3 /proc/" + std::to_string(grandchild) + "/stat 2>/dev/null"},
                            .environment = environment_with({})}, milliseconds(5000));
    gone = state->output.empty() || state->output[0] == 'Z';
    if (!gone) ::usleep(20000);
  }
  EXPECT_TRUE(gone);
}

TEST(Spawn, ACancelledProgramEndsLongBeforeItsDeadline) {
  std::atomic<bool> cancelled{false};
  std::thread later([&] {
    ::usleep(50'000);
    cancelled = true;
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto result = run({.argv = {"sleep", "60"}, .environment = environment_with({})}, milliseconds(60'000), 1024, &cancelled);
  later.join();
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(10'000));
}

TEST(Spawn, DescriptorsReachTheChildUnderTheirNumbers) {
  auto pair = socket_pair();
  ASSERT_TRUE(pair.has_value());
  auto child = spawn({.argv = {"sh", "-c", "echo hello >&3"}, .environment = environment_with({}), .descriptors = {{3, pair->second.get()}}});
  ASSERT_TRUE(child.has_value());
  pair->second.reset();
  char buffer[16];
  EXPECT_EQ(::read(pair->first.get(), buffer, sizeof buffer), 6);
  EXPECT_EQ(child->wait(milliseconds(5000))->code, 0);
}

TEST(Spawn, AKilledChildSaysWhichSignal) {
  auto child = spawn({.argv = {"sleep", "60"}, .environment = environment_with({})});
  ASSERT_TRUE(child.has_value());
  EXPECT_FALSE(child->wait(milliseconds(10)).has_value());
  child->signal_group(SIGKILL);
  EXPECT_EQ(child->wait(milliseconds(5000))->text(), "was killed by signal 9 (SIGKILL)");
}

TEST(Run, GivesInputAndKeepsErrorsApart) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "cat; echo told >&2; exit 3"};
  spec.environment = environment_with({});
  spec.input = std::string(300'000, 'x');
  spec.separate_errors = true;
  const auto result = run(std::move(spec), std::chrono::seconds(20));
  ASSERT_TRUE(result) << to_text(result.error());
  EXPECT_EQ(result->output, std::string(300'000, 'x'));
  EXPECT_EQ(result->errors, "told\n");
  EXPECT_EQ(result->status.code, 3);
}

}  // namespace
}  // namespace sabir::process

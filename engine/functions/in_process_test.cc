#include "in_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using workers::Clock;

// A library by hand: `work` takes {"ms":N}, waits so long and gives N; `large` gives a string of 100,000 bytes; `wrong` an
// error; `poor` asks for more memory than there is.
constexpr const char* kLibrary = R"c(
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <time.h>
#include "sabir/in_process.h"

static const char *const names[] = {"a.c\nwork", "a.c\nlarge", "a.c\nwrong", "a.c\npoor"};

int sabir_in_process_version(void) { return SABIR_IN_PROCESS_VERSION; }

const void *sabir_in_process_find(const char *key, size_t size) {
  for (int i = 0; i < 4; ++i) {
    if (size == strlen(names[i]) && memcmp(key, names[i], size) == 0) return &names[i];
  }
  return NULL;
}

static int put(struct sabir_output *out, const char *text, size_t size) {
  if (out->capacity - out->size < size && out->grow(out, out->size + size) != 0) return 2;
  memcpy(out->data + out->size, text, size);
  out->size += size;
  return 0;
}

int sabir_in_process_call(const void *function, const char *arguments, size_t arguments_size, const char *context, size_t context_size,
                          struct sabir_output *out) {
  const long which = (const char *const *)function - names;
  char text[200];
  (void)context;
  out->size = 0;
  if (which == 0) {
    const long ms = strtol(arguments + 6, NULL, 10);
    if (arguments_size < 8) return 2;
    if (ms > 0) {
      const struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
      nanosleep(&wait, NULL);
    }
    return put(out, text, (size_t)snprintf(text, sizeof text, "%ld", ms));
  }
  if (which == 1) {
    int code = put(out, "\"", 1);
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 500 && code == 0; ++i) code = put(out, text, sizeof text);
    return code == 0 ? put(out, "\"", 1) : code;
  }
  if (which == 2) {
    put(out, text, (size_t)snprintf(text, sizeof text, "{\"code\":-32000,\"message\":\"no stock, %zu\",\"data\":{\"type\":\"function_error\"}}", context_size));
    return 1;
  }
  return out->grow(out, (size_t)-1 / 2) == 0 ? 0 : 2;
}
)c";

class InProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("sabir-in-process-" + new_id());
    fs::create_directories(folder_);
    ASSERT_TRUE(write_file(folder_ / "library.c", kLibrary).has_value());
    const std::string command = "cc -std=gnu11 -shared -fPIC -I" + std::string(SABIR_REPOSITORY) + "/languages/cpp/sdk " + (folder_ / "library.c").string() + " -o " + library().string();
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    in_process_ = std::make_unique<InProcess>(loop_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path library() const { return folder_ / "library.so"; }

  InProcess::Target* target(const std::string& function) {
    auto found = in_process_->find(library(), "a.c", "", function);
    EXPECT_TRUE(found.has_value()) << to_text(found.error());
    return *found;
  }
  InProcess::CallId call(InProcess::Target* target, const std::string& arguments, std::function<void(Result<protocol::Payload>)> done,
                         std::chrono::milliseconds time = std::chrono::seconds(30)) {
    return in_process_->call({target, "a.f", arguments, "", Clock::now() + time, true},
                             [done = std::move(done)](Result<protocol::Payload> outcome, Clock::time_point) { done(std::move(outcome)); });
  }
  // One call after another until the loop itself makes them: eight in a row were quick, which a busy machine takes more of.
  void prove(InProcess::Target* target, std::function<void()> then, int left = 3000) {
    call(target, R"({"ms":0})", [=, this](const Result<protocol::Payload>& outcome) {
      ASSERT_TRUE(outcome.has_value()) << to_text(outcome.error());
      EXPECT_EQ(outcome->json, "0");
      if (target->proven < 8 && left > 0) return prove(target, then, left - 1);
      then();
    });
  }
  // The loop, which has to end within 20 s.
  void run() {
    loop_.after(std::chrono::seconds(20), [this] {
      ADD_FAILURE() << "no end within 20 s";
      loop_.stop();
    });
    loop_.run();
    in_process_.reset();
  }

  fs::path folder_;
  net::Loop loop_;
  std::unique_ptr<InProcess> in_process_;
};

TEST_F(InProcessTest, ResultsAndErrorsComeBack) {
  std::vector<std::string> seen;
  loop_.post([&] {
    const auto note = [&](const Result<protocol::Payload>& outcome) {
      seen.push_back(outcome ? outcome->json.substr(0, 8) + " " + std::to_string(outcome->json.size()) : outcome.error().message);
      if (seen.size() == 4) loop_.stop();
    };
    for (const char* name : {"work", "large", "wrong", "poor"}) call(target(name), R"({"ms":0})", note);
    EXPECT_TRUE(seen.empty());
  });
  run();
  std::sort(seen.begin(), seen.end());
  EXPECT_THAT(seen, ::testing::ElementsAre("\"xxxxxxx 100002", "0 1", "no stock, 0", HasSubstr("no memory")));
}

TEST_F(InProcessTest, AnUnknownFunctionAndAnotherInterfaceAreRefused) {
  EXPECT_EQ(in_process_->find(library(), "a.c", "", "other").error().code, ErrorCode::kUnknownFunction);
  EXPECT_EQ(in_process_->find(folder_ / "none.so", "a.c", "", "work").error().code, ErrorCode::kBuildFailed);
  ASSERT_TRUE(write_file(folder_ / "old.c", "int sabir_in_process_version(void) { return 1; }").has_value());
  ASSERT_EQ(std::system(("cc -shared -fPIC " + (folder_ / "old.c").string() + " -o " + (folder_ / "old.so").string()).c_str()), 0);
  EXPECT_THAT(in_process_->find(folder_ / "old.so", "a.c", "", "work").error().message, HasSubstr("another interface"));
}

TEST_F(InProcessTest, AFunctionThatWasQuickAndThenBlocksHoldsUpNobody) {
  int ticks = 0;
  Clock::duration longest{};
  Clock::time_point last;
  std::function<void()> tick = [&] {
    const auto now = Clock::now();
    if (ticks++ > 0) longest = std::max(longest, now - last);
    last = now;
    loop_.after(std::chrono::milliseconds(1), tick);
  };
  std::string answer;
  loop_.post([&] {
    prove(target("work"), [&] {
      EXPECT_EQ(target("work")->proven, 8);
      tick();
      call(target("work"), R"({"ms":1500})", [&](const Result<protocol::Payload>& outcome) {
        answer = outcome ? outcome->json : to_text(outcome.error());
        EXPECT_EQ(target("work")->proven, 0);
        loop_.stop();
      });
    });
  });
  run();
  EXPECT_EQ(answer, "1500");
  EXPECT_GT(ticks, 50);
  // A few milliseconds on a machine that does nothing else.
  EXPECT_LT(longest, std::chrono::milliseconds(700));
}

TEST_F(InProcessTest, WhatBlocksTheLoopsOwnThreadIsAnsweredAtItsDeadlineAndWhenCancelled) {
  std::vector<ErrorCode> codes;
  Clock::time_point begin;
  loop_.post([&] {
    prove(target("work"), [&] {
      begin = Clock::now();
      const auto note = [&](const Result<protocol::Payload>& outcome) {
        ASSERT_FALSE(outcome.has_value());
        codes.push_back(outcome.error().code);
        if (codes.size() == 2) loop_.stop();
      };
      const auto id = call(target("work"), R"({"ms":4000})", note);
      call(target("work"), R"({"ms":4000})", note, std::chrono::milliseconds(200));
      loop_.after(std::chrono::milliseconds(50), [this, id] { in_process_->cancel(id, ErrorCode::kCancelled, "enough"); });
    });
  });
  run();
  EXPECT_THAT(codes, ::testing::ElementsAre(ErrorCode::kCancelled, ErrorCode::kTimeout));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(3));
}

}  // namespace
}  // namespace sabir::functions

#include "sabir/sabir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace sabir {
namespace {

namespace fs = std::filesystem;

// A project whose engine is the stand-in that the Python SDK's tests use.
class Sdk : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sabir-cpp-sdk-XXXXXX").string();
    folder_ = fs::canonical(::mkdtemp(pattern.data()));
    std::ofstream(folder_ / "sabir.yml") << "engine: 0.1.0\n";
    std::ofstream(folder_ / "sabir") << "#!/bin/sh\nexec python3 " << FAKE_ENGINE << " \"$@\"\n";
    ::chmod((folder_ / "sabir").c_str(), 0755);
    ::setenv("SABIR_BIN", (folder_ / "sabir").c_str(), 1);
    ::setenv("FAKE_ENGINE_LOG", (folder_ / "log").c_str(), 1);
    ::unsetenv("SABIR_PROJECT");
    ::unsetenv("SABIR_ENV");
    before_ = fs::current_path();
    fs::current_path(folder_);
  }
  void TearDown() override {
    // The connection belongs to the process; a test's engine must not serve the next test.
    detail::Channel::instance().close();
    fs::current_path(before_);
    fs::remove_all(folder_);
  }

  int lines(const std::string& word) const {
    std::ifstream log(folder_ / "log");
    int count = 0;
    for (std::string line; std::getline(log, line);) count += line.starts_with(word) ? 1 : 0;
    return count;
  }

  fs::path folder_;
  fs::path before_;
};

TEST_F(Sdk, CallsGoToOnePrivateEngine) {
  EXPECT_EQ(call("slugify", {{"text", "Été"}})["arguments"], Json({{"text", "Été"}}));
  call("slugify");
  EXPECT_EQ(lines("start attach"), 1);
  detail::Channel::instance().close();
  EXPECT_EQ(lines("end"), 1);
}

TEST_F(Sdk, MemoryRoundTrip) {
  EXPECT_EQ(memory::put("colour", {{"name", "red"}}), 1);
  EXPECT_EQ(memory::put("colour", {{"name", "blue"}}, {.if_version = 1}), 2);
  EXPECT_EQ(memory::get("colour"), Json({{"name", "blue"}}));
  EXPECT_EQ(memory::get("absent"), std::nullopt);
  try {
    memory::put("colour", 1, {.if_version = 1});
    FAIL() << "a put with an old version went through";
  } catch (const Error& error) {
    EXPECT_EQ(error.type, "conflict");
  }
  ASSERT_EQ(memory::list("col").size(), 1U);
  EXPECT_EQ(memory::list("col")[0].version, 2);
  EXPECT_TRUE(memory::remove("colour"));
  EXPECT_FALSE(memory::remove("colour"));
  EXPECT_EQ(memory::append("c", {{"role", "user"}, {"content", "hi"}}), 1);
  EXPECT_EQ(memory::messages("c").at(0)["content"], "hi");
}

TEST_F(Sdk, PromptsModelsAssistantsAndSecrets) {
  EXPECT_EQ(render("greeting", {{"name", "Ada"}}), "Hello Ada");
  const auto reply = complete("hi");
  EXPECT_EQ(reply.content, "HI");
  EXPECT_EQ(reply.provider, "scripted");
  EXPECT_EQ(ask("support", "a parcel")["conversation"], "c1");
  EXPECT_EQ(secret("key"), "s3cret");
}

TEST_F(Sdk, ErrorsKeepTypeHintAndParticulars) {
  try {
    call("fail");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.type, "function_error");
    EXPECT_EQ(error.message, "no such city");
    EXPECT_EQ(error.hint, "try another");
    EXPECT_EQ(error.data["city"], "Ur");
    EXPECT_STREQ(error.what(), "no such city (try another)");
  }
}

TEST_F(Sdk, LargeArgumentsTravelAsBlobs) {
  const std::string text(100000, 'x');
  EXPECT_EQ(call("echo", {{"text", text}})["arguments"]["text"], text);
  EXPECT_EQ(lines("functions.call 1"), 1);
}

TEST_F(Sdk, ThreadsShareTheConnection) {
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i, &right] {
      for (int turn = 0; turn < 20; ++turn) right += call("f", {{"n", i}, {"turn", turn}})["arguments"] == Json({{"n", i}, {"turn", turn}}) ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
  EXPECT_EQ(lines("start"), 1);
}

TEST_F(Sdk, EngineThatDiesInACallLeavesItsOutcomeUnknown) {
  try {
    call("die");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.type, "outcome_unknown");
  }
  EXPECT_EQ(call("f")["address"], "f");
}

TEST_F(Sdk, MissingEngineIsSaidPlainly) {
  ::setenv("SABIR_BIN", "/no/such/sabir", 1);
  try {
    functions();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.type, "unavailable");
    EXPECT_TRUE(std::string(error.what()).starts_with("the engine `sabir` was not found: SABIR_BIN names /no/such/sabir"));
  }
}

TEST_F(Sdk, NoProjectIsSaid) {
  fs::remove(folder_ / "sabir.yml");
  try {
    functions();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.type, "no_project");
  }
}

}  // namespace
}  // namespace sabir

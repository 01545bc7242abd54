#include "sabir/models/local_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "local_model.h"
#include "sabir/process/spawn.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class LocalRuntimeTest : public ::testing::Test {
 protected:
  void start() {
    LocalRuntimeOptions options;
    options.find = [this](const LocalSpec& spec) -> Result<LocalFiles> {
      if (spec.name == "absent") return fail(ErrorCode::kNotFound, "the weights of 'absent' are not on this machine", "Run: sabir model pull absent");
      return LocalFiles{"/weights/" + spec.name, {program_, "-S", std::string(SABIR_STAND_INS) + "/model_worker.py"}, process::environment_with({}), {}};
    };
    options.grace = 300ms;
    options.most_processes = 2;
    runtime_ = make_process_runtime(std::move(options));
  }
  void SetUp() override { start(); }

  Result<Reply> ask(const std::string& text, const std::string& model = "tiny.gguf", std::chrono::milliseconds timeout = 20s) {
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", text}});
    request.timeout = timeout;
    return send(request, model);
  }
  Result<Reply> send(const Request& request, const std::string& model = "tiny.gguf") {
    LocalSpec spec;
    spec.name = model;
    spec.idle = idle_;
    events_.clear();
    return make_local_model(spec, {}, runtime_)->complete(request, [this](const Event& event) { events_.push_back(event); });
  }
  pid_t pid_of(const std::string& model = "tiny.gguf") { return std::stoi(ask("pid", model).value().content); }

  std::string program_ = "python3";
  std::chrono::milliseconds idle_ = 10min;
  std::shared_ptr<LocalRuntime> runtime_;
  std::vector<Event> events_;
};

bool gone(pid_t pid) {
  for (int i = 0; i < 100; ++i) {
    if (::kill(pid, 0) != 0) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

TEST_F(LocalRuntimeTest, LoadsReportsProgressStreamsAndAnswers) {
  const auto reply = ask("hello little model");
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, "hello little model");
  EXPECT_EQ(reply->provider, "local");
  EXPECT_EQ(reply->model, "tiny");
  EXPECT_EQ(reply->usage.input_tokens, 7);
  EXPECT_EQ(reply->usage.output_tokens, 3);
  std::string streamed;
  std::vector<double> progress;
  for (const auto& event : events_) {
    streamed += event.content;
    if (event.progress >= 0) progress.push_back(event.progress);
  }
  EXPECT_EQ(streamed, "hello little model ");
  EXPECT_EQ(progress, (std::vector<double>{0, 0, 0.5, 1, 1}));
  ASSERT_TRUE(ask("again"));
  EXPECT_EQ(events_.size(), 1U) << "a loaded model reports no loading";
}

TEST_F(LocalRuntimeTest, ToolCallsAndParametersArePassedOn) {
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "x"}});
  request.tools = parse_json(R"([{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}])")->get_array();
  const auto reply = send(request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  ASSERT_EQ(reply->tool_calls.size(), 2U);
  EXPECT_EQ(reply->tool_calls[1].name, "b");
  EXPECT_EQ(reply->finish_reason, "tool_calls");
  request.tools.clear();
  request.messages.back().get_object()["content"] = "arguments";
  request.parameters = {{"max_completion_tokens", 5}, {"temperature", 0}};
  request.output_schema = json::object{{"type", "object"}};
  EXPECT_EQ(send(request)->content, R"({"json_schema": {"type": "object"}, "max_tokens": 5, "temperature": 0})");
}

TEST_F(LocalRuntimeTest, OneProcessServesManyCallsAndThreads) {
  const pid_t pid = pid_of();
  std::vector<std::thread> threads;
  std::atomic<int> same{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      LocalSpec spec;
      spec.name = "tiny.gguf";
      Request request;
      request.messages.push_back(json::object{{"role", "user"}, {"content", "pid"}});
      const auto reply = runtime_->complete(spec, request, {});
      if (reply && reply->content == std::to_string(pid)) ++same;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, 4);
}

TEST_F(LocalRuntimeTest, LongMessagesTravelAsBlobs) {
  Request request;
  request.messages.push_back(json::object{{"role", "system"}, {"content", std::string(200'000, 'x')}});
  request.messages.push_back(json::object{{"role", "user"}, {"content", "size"}});
  EXPECT_EQ(send(request)->content, "200000");
}

TEST_F(LocalRuntimeTest, ACrashIsAnErrorOfOneCallAndTheNextStartsAnew) {
  const pid_t before = pid_of();
  const auto reply = ask("crash");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModel);
  EXPECT_THAT(reply.error().message, HasSubstr("exited with status 134"));
  EXPECT_THAT(reply.error().message, HasSubstr("out of memory"));
  EXPECT_NE(pid_of(), before);
}

TEST_F(LocalRuntimeTest, AProcessKilledWhileIdleIsReplaced) {
  const pid_t before = pid_of();
  ::kill(before, SIGKILL);
  std::this_thread::sleep_for(100ms);
  EXPECT_NE(pid_of(), before);
}

TEST_F(LocalRuntimeTest, ACancelledCallLeavesTheModelLoaded) {
  const pid_t before = pid_of();
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "hang"}});
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::thread canceller([&] {
    std::this_thread::sleep_for(100ms);
    *request.cancelled = true;
  });
  const auto start = std::chrono::steady_clock::now();
  const auto reply = send(request);
  canceller.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
  EXPECT_EQ(pid_of(), before);
}

TEST_F(LocalRuntimeTest, AProcessThatIgnoresCancelIsEnded) {
  const pid_t before = pid_of();
  const auto reply = ask("deaf", "tiny.gguf", 200ms);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(gone(before));
  EXPECT_TRUE(ask("hello"));
}

TEST_F(LocalRuntimeTest, TheWorkersOwnErrorsComeThrough) {
  const auto reply = ask("error");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModel);
  EXPECT_THAT(reply.error().message, HasSubstr("the prompt is too long"));
}

TEST_F(LocalRuntimeTest, FailuresToLoadAreNamed) {
  EXPECT_THAT(ask("x", "broken.gguf").error().message, HasSubstr("cannot load broken.gguf"));
  EXPECT_THAT(ask("x", "dead.gguf").error().message, HasSubstr("cannot map the file"));
  const auto absent = ask("x", "absent");
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(absent.error().hint, HasSubstr("sabir model pull absent"));
}

TEST_F(LocalRuntimeTest, AMissingProgramIsUnavailable) {
  program_ = "no-such-node";
  EXPECT_EQ(ask("x").error().code, ErrorCode::kUnavailable);
}

TEST_F(LocalRuntimeTest, AnIdleModelIsUnloaded) {
  idle_ = 200ms;
  start();
  EXPECT_TRUE(gone(pid_of()));
}

TEST_F(LocalRuntimeTest, TheLongestIdleModelMakesRoom) {
  const pid_t first = pid_of("first.gguf");
  const pid_t second = pid_of("second.gguf");
  const pid_t third = pid_of("third.gguf");
  EXPECT_TRUE(gone(first));
  EXPECT_EQ(::kill(second, 0), 0);
  EXPECT_EQ(::kill(third, 0), 0);
}

TEST_F(LocalRuntimeTest, ShutdownLeavesNoProcess) {
  const pid_t first = pid_of();
  runtime_->shutdown();
  EXPECT_TRUE(gone(first));
  const pid_t second = pid_of();
  runtime_.reset();
  EXPECT_TRUE(gone(second));
}

TEST_F(LocalRuntimeTest, APictureIsRefusedBeforeAnythingIsLoaded) {
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", {{{"type", "text"}, {"text", "hi"}}, {{"type", "image_url"}, {"image_url", {{"url", "https://example.test/a.png"}}}}}}});
  const auto reply = send(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArguments);
  EXPECT_NE(reply.error().message.find("takes text only"), std::string::npos);
  EXPECT_TRUE(events_.empty());
}

TEST_F(LocalRuntimeTest, EmbeddingsAreOneVectorForEachText) {
  LocalSpec spec;
  spec.name = "tiny.gguf";
  const auto model = make_local_model(spec, {}, runtime_);
  const auto out = model->embed({.texts = {"a", "bcd"}});
  ASSERT_TRUE(out) << to_text(out.error());
  EXPECT_EQ(out->vectors, (std::vector<std::vector<float>>{{1, 0.25F}, {3, 0.25F}}));
  EXPECT_EQ(out->model, "tiny");
  EXPECT_EQ(out->provider, "local");
  EXPECT_EQ(out->usage.input_tokens, 4);
  EXPECT_EQ(ask("pid")->content, std::to_string(pid_of())) << "the same process answers and embeds";
  EXPECT_THAT(model->embed({.texts = {"ragged", "b"}}).error().message, HasSubstr("several lengths"));
  EXPECT_THAT(model->embed({.texts = {"none"}}).error().message, HasSubstr("without a vector"));
  EXPECT_THAT(model->embed({.texts = {"words"}}).error().message, HasSubstr("something else than numbers"));
  EXPECT_EQ(model->embed({.texts = {}}).error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(model->embed({.texts = {"a"}, .parameters = {{"dimensions", 8}}}).error().code, ErrorCode::kInvalidArguments);
}

}  // namespace
}  // namespace sabir::models

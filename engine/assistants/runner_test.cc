#include "sabir/assistants/runner.h"

#include <gtest/gtest.h>

#include <barrier>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "sabir/base/ids.h"

namespace sabir::assistants {
namespace {

// Answers from a script and keeps what it was asked.
class ScriptedModel final : public models::Model {
 public:
  using Turn = std::function<Result<models::Reply>(const models::Request&, const models::OnEvent&)>;
  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    requests.push_back(request);
    if (turns.empty()) return fail(ErrorCode::kModel, "the script is over");
    auto turn = std::move(turns.front());
    turns.pop_front();
    return turn(request, on_event);
  }
  std::string description() const override { return "scripted"; }

  void says(std::string content) {
    turns.push_back([content](const models::Request&, const models::OnEvent& on_event) -> Result<models::Reply> {
      if (on_event) on_event({content, -1});
      models::Reply reply;
      reply.content = content;
      reply.finish_reason = "stop";
      reply.model = "script-1";
      reply.provider = "scripted";
      reply.usage = {10, 2};
      return reply;
    });
  }
  void asks(std::vector<models::ToolCall> calls) {
    turns.push_back([calls](const models::Request&, const models::OnEvent&) -> Result<models::Reply> {
      models::Reply reply;
      reply.tool_calls = calls;
      reply.finish_reason = "tool_calls";
      return reply;
    });
  }

  std::deque<Turn> turns;
  std::vector<models::Request> requests;
};

class FakeTools final : public ToolCaller {
 public:
  Result<std::vector<Tool>> list(const std::vector<std::string>&) override {
    return std::vector<Tool>{{"slugify", "ruby/text.slugify", "Slug.", {}, false},
                             {"mean", "cpp/stats.mean", "Mean.", {}, false},
                             {"charge", "ruby/bank.charge", "Charge.", {}, true}};
  }
  Result<std::string> call(const std::string& address, const std::string& arguments_json, const std::string&, const CallContext& context,
                           Clock::time_point) override {
    {
      const std::lock_guard hold(mutex);
      called.push_back(address + arguments_json);
      last_context = context;
    }
    return body ? body(address) : Result<std::string>("\"ok\"");
  }
  std::function<Result<std::string>(const std::string&)> body;
  std::mutex mutex;
  std::vector<std::string> called;
  CallContext last_context;
};

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sabir-assistants-" + new_id());
    memory_ = std::move(*memory::open_sqlite(folder_ / "state"));
    journal_ = std::move(*journal::Journal::open(folder_ / "state"));
    prompts_ = std::make_unique<completions::Renderer>(folder_);
    definition_.name = "helper";
    definition_.instructions = "Help.";
    definition_.functions = {"*"};
  }
  void TearDown() override {
    journal_.reset();
    memory_.reset();
    std::filesystem::remove_all(folder_);
  }
  Runner runner() {
    Parts parts;
    parts.tools = &tools_;
    parts.model = [this](const std::string& alias) -> Result<std::shared_ptr<models::Model>> {
      alias_ = alias;
      return model_;
    };
    parts.memory = memory_.get();
    parts.journal = journal_.get();
    parts.prompts = prompts_.get();
    return Runner(parts);
  }

  std::filesystem::path folder_;
  std::shared_ptr<ScriptedModel> model_ = std::make_shared<ScriptedModel>();
  FakeTools tools_;
  std::unique_ptr<memory::Memory> memory_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<completions::Renderer> prompts_;
  Definition definition_;
  std::string alias_;
};

TEST_F(RunnerTest, ARunCallsSideBySideAndIsRecordedStepByStep) {
  model_->asks({{"a", "slugify", R"({"text":"x"})"}, {"b", "mean", R"({"values":[1]})"}});
  model_->says("Done.");
  // Both must be under way at once to get past the barrier.
  std::barrier together(2);
  tools_.body = [&](const std::string& address) -> Result<std::string> {
    together.arrive_and_wait();
    return "\"" + address + "\"";
  };
  std::string text;
  std::vector<std::string> heard;
  Events events;
  events.text = [&](std::string_view piece) { text += piece; };
  events.calling = [&](const std::string& address, const std::string&) { heard.push_back("> " + address); };
  events.called = [&](const CallMade& call) { heard.push_back("< " + call.address + call.value_json); };
  const auto answer = runner().run(definition_, "Hi", "", {.user = "ana"}, events);
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->content, "Done.");
  EXPECT_EQ(text, "Done.");
  EXPECT_EQ(answer->model, "script-1");
  EXPECT_EQ(answer->steps, 2);
  EXPECT_EQ(answer->usage.input_tokens, 10);
  ASSERT_EQ(answer->calls.size(), 2U);
  EXPECT_EQ(answer->calls[0].value_json, "\"ruby/text.slugify\"");
  EXPECT_EQ(heard.size(), 4U);
  EXPECT_EQ(tools_.last_context.user, "ana");
  EXPECT_EQ(tools_.last_context.conversation, answer->conversation);
  EXPECT_EQ(tools_.last_context.run, answer->run);

  const auto run = journal_->run(answer->run);
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(string_or(*run, "status"), "finished");
  std::string kinds;
  for (const auto& step : run->at("steps").as_array()) kinds += std::string(step.at("kind").as_string()) + " ";
  EXPECT_EQ(kinds, "model_reply tool_call tool_call tool_result tool_result model_reply ");
  EXPECT_EQ(to_json(*answer).at("calls").at(1).at("value").as_string(), "cpp/stats.mean");
}

TEST_F(RunnerTest, AConversationGoesOnWhereItStopped) {
  model_->asks({{"a", "mean", "{}"}});
  model_->says("First.");
  const auto first = runner().run(definition_, "One", "c1", {}, {});
  ASSERT_TRUE(first.has_value());
  model_->says("Second.");
  ASSERT_TRUE(runner().run(definition_, "Two", "c1", {}, {}).has_value());
  std::string roles;
  for (const auto& message : model_->requests.back().messages) roles += std::string(message.at("role").as_string()) + " ";
  EXPECT_EQ(roles, "system user assistant tool assistant user ");
  EXPECT_EQ(memory_->messages({}, "c1", 100)->size(), 6U);
  model_->says("Alone.");
  ASSERT_TRUE(runner().run(definition_, "Two", "c1", {.user = "other"}, {}).has_value());
  EXPECT_EQ(model_->requests.back().messages.size(), 2U);
}

TEST_F(RunnerTest, ARunThatNobodyListensToIsNotStreamed) {
  std::vector<bool> listened;
  for (const bool listens : {false, true}) {
    model_->turns.push_back([&](const models::Request&, const models::OnEvent& on_event) -> Result<models::Reply> {
      listened.push_back(static_cast<bool>(on_event));
      models::Reply reply;
      reply.content = "Done.";
      return reply;
    });
    Events events;
    if (listens) events.text = [](std::string_view) {};
    ASSERT_TRUE(runner().run(definition_, "One", "", {}, events).has_value());
  }
  EXPECT_EQ(listened, (std::vector<bool>{false, true}));
}

TEST_F(RunnerTest, AnIrreversibleCallIsMadeOnlyWithAPersonsConsent) {
  std::string asked;
  for (const int person : {0, 1, 2}) {  // nobody, one who denies, one who grants
    model_->asks({{"a", "charge", R"({"n":5})"}});
    model_->says("Told.");
    Events events;
    if (person > 0) {
      events.approve = [&](const std::string& address, const std::string& arguments) {
        asked = address + arguments;
        return person == 2 ? Approval::kGranted : Approval::kDenied;
      };
    }
    const auto answer = runner().run(definition_, "Pay", "", {}, events);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(tools_.called.size(), person == 2 ? 1U : 0U);
    if (person < 2) {
      ASSERT_TRUE(answer->calls[0].error.has_value());
      EXPECT_EQ(answer->calls[0].error->code, ErrorCode::kApprovalRefused);
    }
  }
  EXPECT_EQ(asked, R"(ruby/bank.charge{"n":5})");
}

TEST_F(RunnerTest, AFunctionsErrorGoesToTheModelAndTheRunGoesOn) {
  model_->asks({{"a", "mean", "{}"}});
  model_->says("Sorry.");
  tools_.body = [](const std::string&) -> Result<std::string> {
    return fail(Error(ErrorCode::kInvalidArguments, "values: missing", "Give a list.").with_detail("secret traceback"));
  };
  const auto answer = runner().run(definition_, "Hi", "", {}, {});
  ASSERT_TRUE(answer.has_value());
  const std::string content(model_->requests.back().messages.back().at("content").as_string());
  EXPECT_NE(content.find("Give a list."), std::string::npos);
  EXPECT_EQ(content.find("traceback"), std::string::npos);
}

TEST_F(RunnerTest, AModelsErrorFailsTheRunAndIsRecorded) {
  const auto answer = runner().run(definition_, "Hi", "c", {}, {});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kModel);
  model_->says("Back.");
  ASSERT_TRUE(runner().run(definition_, "Again", "c", {}, {}).has_value());
  EXPECT_EQ(model_->requests.back().messages.back().at("content").as_string(), "Hi\n\nAgain");
}

TEST_F(RunnerTest, TimeEndsARunWhoseFunctionsHang) {
  definition_.max_time = std::chrono::seconds(30);
  model_->asks({{"a", "mean", "{}"}});
  auto fake_now = std::make_shared<std::atomic<int>>(0);
  tools_.body = [&](const std::string&) -> Result<std::string> {
    *fake_now = 31;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return "1";
  };
  Parts parts;
  parts.tools = &tools_;
  parts.model = [this](const std::string&) -> Result<std::shared_ptr<models::Model>> { return model_; };
  parts.now = [fake_now] { return Clock::time_point(std::chrono::seconds(*fake_now)); };
  const auto answer = Runner(parts).run(definition_, "Hi", "", {}, {});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kTimeout);
}

TEST_F(RunnerTest, ACancelledRunEndsAndSaysSo) {
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  model_->asks({{"a", "mean", "{}"}});
  tools_.body = [&](const std::string&) -> Result<std::string> {
    *cancelled = true;
    return "1";
  };
  const auto answer = runner().run(definition_, "Hi", "", {}, {}, cancelled);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

TEST_F(RunnerTest, APromptGivesOpeningModelAndParameters) {
  std::filesystem::create_directories(folder_ / "completions");
  std::ofstream(folder_ / "completions" / "support.prompt")
      << "---\nmodel: small\nparameters: {temperature: 0, seed: 1}\n---\n== system ==\nYou are {{ assistant }}.\n"
         "== user ==\nping\n== assistant ==\npong\n";
  definition_.instructions.clear();
  definition_.prompt = "support";
  definition_.parameters = {{"seed", 7}};
  model_->says("Hello.");
  ASSERT_TRUE(runner().run(definition_, "Hi", "", {}, {}).has_value());
  const auto& request = model_->requests.back();
  EXPECT_EQ(alias_, "small");
  EXPECT_EQ(request.parameters.at("seed").as_int64(), 7);
  EXPECT_EQ(request.parameters.at("temperature").as_int64(), 0);
  ASSERT_EQ(request.messages.size(), 4U);
  EXPECT_EQ(request.messages[0].at("content").as_string(), "You are helper.");
}

}  // namespace
}  // namespace sabir::assistants

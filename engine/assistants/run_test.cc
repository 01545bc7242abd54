#include "sabir/assistants/run.h"

#include <gtest/gtest.h>

#include "history.h"

namespace sabir::assistants {
namespace {

using std::chrono::seconds;
using Machine = Run;  // testing::Test has a Run of its own

class RunTest : public testing::Test {
 protected:
  Definition definition_ = [] {
    Definition d;
    d.name = "helper";
    d.instructions = "Help.";
    d.max_steps = 4;
    d.max_time = seconds(60);
    return d;
  }();
  std::vector<Tool> tools_ = {{"slugify", "ruby/text.slugify", "Slug.", {{"type", "object"}}, false},
                              {"mean", "cpp/stats.mean", "Mean.", {{"type", "object"}}, false},
                              {"charge", "ruby/bank.charge", "Charge.", {{"type", "object"}}, true}};
  Clock::time_point now_{seconds(1000)};

  Machine make(json::array history = {}) const {
    return {definition_, tools_, json::array{{{"role", "system"}, {"content", "Help."}}}, std::move(history)};
  }
  static models::Reply text(std::string content) {
    models::Reply reply;
    reply.content = std::move(content);
    reply.finish_reason = "stop";
    return reply;
  }
  static models::Reply calls(std::vector<models::ToolCall> tool_calls) {
    models::Reply reply;
    reply.tool_calls = std::move(tool_calls);
    reply.finish_reason = "tool_calls";
    return reply;
  }
  template <class T>
  static const T* only(const Actions& actions) {
    const T* found = nullptr;
    for (const auto& action : actions) {
      if (const T* one = std::get_if<T>(&action)) {
        EXPECT_EQ(found, nullptr);
        found = one;
      }
    }
    return found;
  }
  template <class T>
  static std::size_t count(const Actions& actions) {
    std::size_t n = 0;
    for (const auto& action : actions) n += std::holds_alternative<T>(action) ? 1 : 0;
    return n;
  }
  static std::string last_content(const AskModel& ask) {
    return std::string(ask.messages.back().at("content").as_string());
  }
};

TEST_F(RunTest, AnAnswerWithoutCallsEndsTheRun) {
  Machine run = make();
  auto actions = run.start("Hi", now_);
  ASSERT_EQ(actions.size(), 2U);
  EXPECT_EQ(json::serialize(only<Remember>(actions)->messages[0]), R"({"role":"user","content":"Hi"})");
  const auto* ask = only<AskModel>(actions);
  EXPECT_EQ(json::serialize(ask->messages), R"([{"role":"system","content":"Help."},{"role":"user","content":"Hi"}])");
  EXPECT_EQ(ask->tools.size(), 3U);
  EXPECT_EQ(ask->timeout, seconds(60));
  actions = run.model_replied(text("Hello"), now_);
  EXPECT_EQ(*only<Finish>(actions)->content, "Hello");
  EXPECT_EQ(only<Remember>(actions)->messages[0].at("role").as_string(), "assistant");
  EXPECT_TRUE(run.finished());
  EXPECT_TRUE(run.model_replied(text("again"), now_).empty());
}

TEST_F(RunTest, MessagesThatAskAlreadyGoOutAsTheyAreAndErrorsNameThePrompt) {
  definition_.kind = "prompt";
  definition_.max_steps = 2;
  const json::array asking{{{"role", "user"}, {"content", "Hi"}}, {{"role", "assistant"}, {"content", "Yes?"}}};
  Machine run(definition_, tools_, asking, {});
  auto actions = run.start(now_);
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(only<AskModel>(actions)->messages, asking);
  run.model_replied(calls({{"1", "mean", "{}"}}), now_);
  run.tool_finished("1", "2", now_);
  actions = run.model_replied(calls({{"2", "mean", "{}"}}), now_);
  const auto& error = only<Finish>(actions)->content.error();
  EXPECT_EQ(error.message, "the prompt 'helper' did not come to an answer in 2 steps");
  EXPECT_EQ(error.hint.find("assistant"), std::string::npos) << error.hint;
}

TEST_F(RunTest, CallsOfOneReplyGoOutTogetherAndComeBackInTheModelsOrder) {
  Machine run = make();
  run.start("Hi", now_);
  auto actions = run.model_replied(calls({{"a", "slugify", R"({"text":"x"})"}, {"b", "mean", R"({"values":[1]})"}}), now_);
  EXPECT_EQ(count<CallTool>(actions), 2U);
  EXPECT_EQ(count<AskModel>(actions), 0U);
  EXPECT_TRUE(run.tool_finished("b", "1.0", now_).empty());
  actions = run.tool_finished("a", "\"x\"", now_);
  const auto* ask = only<AskModel>(actions);
  ASSERT_NE(ask, nullptr);
  const auto& messages = ask->messages;
  EXPECT_EQ(messages[messages.size() - 2].at("tool_call_id").as_string(), "a");
  EXPECT_EQ(messages[messages.size() - 1].at("tool_call_id").as_string(), "b");
  EXPECT_EQ(messages[messages.size() - 1].at("content").as_string(), "1.0");
  const auto& remembered = only<Remember>(actions)->messages;
  ASSERT_EQ(remembered.size(), 3U);
  EXPECT_TRUE(remembered[0].at("content").is_null());
  EXPECT_EQ(remembered[0].at("tool_calls").at(1).at("function").at("name").as_string(), "mean");
  EXPECT_EQ(run.calls()[1].value_json, "1.0");
}

TEST_F(RunTest, ABadCallIsAnsweredWithWhatTheModelCanDo) {
  Machine run = make();
  run.start("Hi", now_);
  auto actions = run.model_replied(calls({{"a", "slugfy", "{}"}}), now_);
  EXPECT_NE(last_content(*only<AskModel>(actions)).find("Did you mean slugify?"), std::string::npos);
  actions = run.model_replied(calls({{"a", "slugify", "{\"text\": "}, {"b", "mean", "[1]"}}), now_);
  const auto& messages = only<AskModel>(actions)->messages;
  const auto at = [&](std::size_t back) { return std::string(messages[messages.size() - back].at("content").as_string()); };
  EXPECT_NE(at(2).find("not valid JSON"), std::string::npos) << at(2);
  EXPECT_NE(at(2).find("schema"), std::string::npos);
  EXPECT_NE(at(1).find("not a JSON object"), std::string::npos) << at(1);
  EXPECT_EQ(run.calls().size(), 3U);
  EXPECT_TRUE(run.calls()[1].error.has_value());
}

TEST_F(RunTest, AnAddressOrMissingIdIsUnderstood) {
  Machine run = make();
  run.start("Hi", now_);
  auto actions = run.model_replied(calls({{"", "ruby/text.slugify", ""}, {"", "mean", "{}"}}), now_);
  ASSERT_EQ(count<CallTool>(actions), 2U);
  const auto& first = std::get<CallTool>(actions[0]);
  const auto& second = std::get<CallTool>(actions[1]);
  EXPECT_NE(first.call_id, second.call_id);
  EXPECT_EQ(first.arguments_json, "{}");
  EXPECT_EQ(first.address, "ruby/text.slugify");
}

TEST_F(RunTest, ThinkingGoesBackWithTheResultsAndIsNotRemembered) {
  Machine run = make();
  run.start("Hi", now_);
  auto reply = calls({{"a", "mean", "{}"}});
  reply.reasoning_details = {json::object{{"provider", "anthropic"}, {"type", "thinking"}, {"thinking", "hm"}, {"signature", "s"}}};
  run.model_replied(reply, now_);
  const auto actions = run.tool_finished("a", "1", now_);
  const auto* ask = only<AskModel>(actions);
  ASSERT_NE(ask, nullptr);
  EXPECT_EQ(ask->messages.at(2).at("reasoning_details"), json::value(reply.reasoning_details));
  const auto* remember = only<Remember>(actions);
  ASSERT_NE(remember, nullptr);
  for (const auto& message : remember->messages) EXPECT_FALSE(message.contains("reasoning_details"));
}

TEST_F(RunTest, AnIrreversibleCallWaitsForAPerson) {
  Machine run = make();
  run.start("Hi", now_);
  auto actions = run.model_replied(calls({{"a", "charge", R"({"n":1})"}, {"b", "mean", "{}"}}), now_);
  ASSERT_EQ(actions.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<CallTool>(actions[0]));
  EXPECT_EQ(only<AskApproval>(actions)->address, "ruby/bank.charge");
  EXPECT_TRUE(run.tool_finished("b", "1", now_).empty());
  actions = run.approval_answered("a", true, "", now_);
  EXPECT_EQ(only<CallTool>(actions)->arguments_json, R"({"n":1})");
  actions = run.tool_finished("a", "\"done\"", now_);
  EXPECT_EQ(count<AskModel>(actions), 1U);

  actions = run.model_replied(calls({{"c", "charge", "{}"}}), now_);
  actions = run.approval_answered("c", false, "the user did not allow it", now_);
  EXPECT_NE(last_content(*only<AskModel>(actions)).find("approval_refused"), std::string::npos);
  EXPECT_TRUE(run.approval_answered("c", true, "", now_).empty());
}

TEST_F(RunTest, TheLastStepHasNoFunctionsAndTheBoundHolds) {
  definition_.max_steps = 3;
  Machine run = make();
  run.start("Hi", now_);
  for (int step = 1; step <= 2; ++step) {
    run.model_replied(calls({{"a" + std::to_string(step), "mean", "{}"}}), now_);
    const auto actions = run.tool_finished("a" + std::to_string(step), "1", now_);
    EXPECT_EQ(only<AskModel>(actions)->tools.empty(), step == 2);
  }
  const auto actions = run.model_replied(calls({{"z", "mean", "{}"}}), now_);
  const auto* finish = only<Finish>(actions);
  ASSERT_NE(finish, nullptr);
  EXPECT_EQ(finish->content.error().code, ErrorCode::kLimit);
  EXPECT_NE(finish->content.error().message.find("3 steps"), std::string::npos);
  EXPECT_EQ(run.steps(), 3);
}

TEST_F(RunTest, TimeIsBoundedAndAPersonsThinkingDoesNotCount) {
  Machine run = make();
  run.start("Hi", now_);
  auto actions = run.model_replied(calls({{"a", "charge", "{}"}}), now_ + seconds(50));
  run.exclude(seconds(300));
  actions = run.approval_answered("a", false, "no", now_ + seconds(350));
  EXPECT_EQ(only<AskModel>(actions)->timeout, seconds(10));
  EXPECT_TRUE(run.tick(now_ + seconds(359)).empty());
  actions = run.model_replied(calls({{"b", "mean", "{}"}}), now_ + seconds(360));
  EXPECT_EQ(only<Finish>(actions)->content.error().code, ErrorCode::kTimeout);

  Machine other = make();
  other.start("Hi", now_);
  other.model_replied(calls({{"a", "mean", "{}"}}), now_);
  actions = other.tick(now_ + seconds(60));
  EXPECT_EQ(only<Finish>(actions)->content.error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(other.tool_finished("a", "1", now_ + seconds(61)).empty());
}

TEST_F(RunTest, AnOversizedResultIsCutWithNotice) {
  Machine run = make();
  run.start("Hi", now_);
  run.model_replied(calls({{"a", "mean", "{}"}}), now_);
  std::string large = "\"";
  while (large.size() < 100'000) large += "é";
  const auto actions = run.tool_finished("a", large + "\"", now_);
  const std::string content = last_content(*only<AskModel>(actions));
  EXPECT_LT(content.size(), 33'000U);
  EXPECT_NE(content.find("[cut here: "), std::string::npos);
  EXPECT_NE(content.find(" of 100002 bytes left out"), std::string::npos) << content.substr(content.size() - 120);
  EXPECT_EQ(run.calls()[0].value_json.size(), 100'002U);
}

TEST_F(RunTest, SilenceIsAskedOnceMoreThenAnError) {
  Machine run = make();
  run.start("Hi", now_);
  EXPECT_NE(only<AskModel>(run.model_replied(text(" \n"), now_)), nullptr);
  const auto actions = run.model_replied(text(""), now_);
  EXPECT_EQ(only<Finish>(actions)->content.error().code, ErrorCode::kModel);
}

TEST_F(RunTest, MoreThanSixteenCallsAtOnceAreRefusedOneByOne) {
  Machine run = make();
  run.start("Hi", now_);
  std::vector<models::ToolCall> many;
  for (int i = 0; i < 20; ++i) many.push_back({std::to_string(i), "mean", "{}"});
  EXPECT_EQ(count<CallTool>(run.model_replied(calls(many), now_)), 16U);
}

memory::Message logged(std::string_view text) { return {1, std::string(text), 0}; }

TEST(History, OnlyWholeExchangesAreGivenToAModel) {
  const std::vector<memory::Message> log = {
      logged(R"({"role":"tool","tool_call_id":"old","content":"1"})"),
      logged(R"({"role":"assistant","content":"lost start"})"),
      logged(R"({"role":"user","content":"one"})"),
      logged(R"({"role":"assistant","content":null,"tool_calls":[{"id":"a"},{"id":"b"}]})"),
      logged(R"({"role":"tool","tool_call_id":"a","content":"1"})"),
      logged(R"({"role":"tool","tool_call_id":"b","content":"2"})"),
      logged(R"({"role":"assistant","content":"two"})"),
      logged(R"({"role":"user","content":"three"})"),
      logged(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c"},{"id":"d"}]})"),
      logged(R"({"role":"tool","tool_call_id":"c","content":"1"})"),
      logged("not json"),
      logged(R"({"role":"user","content":"four"})"),
  };
  const auto history = usable_history(log, 10'000);
  std::string roles;
  for (const auto& message : history) roles += std::string(message.at("role").as_string()) + " ";
  EXPECT_EQ(roles, "user assistant tool tool assistant user ");
  EXPECT_EQ(history.back().at("content").as_string(), "three\n\nfour");
}

TEST(History, ACutFallsBeforeAUsersMessage) {
  std::vector<memory::Message> log;
  for (int i = 0; i < 50; ++i) {
    log.push_back(logged(R"({"role":"user","content":")" + std::string(100, 'u') + "\"}"));
    log.push_back(logged(R"({"role":"assistant","content":null,"tool_calls":[{"id":"a"}]})"));
    log.push_back(logged(R"({"role":"tool","tool_call_id":"a","content":")" + std::string(100, 't') + "\"}"));
    log.push_back(logged(R"({"role":"assistant","content":"x"})"));
  }
  const auto history = usable_history(log, 2000);
  ASSERT_FALSE(history.empty());
  EXPECT_EQ(history.front().at("role").as_string(), "user");
  EXPECT_EQ(history.size() % 4, 0U);
  EXPECT_LT(json::serialize(history).size(), 2600U);
  EXPECT_TRUE(usable_history(log, 10).empty());
}

TEST(DefinitionTest, ADefinitionIsReadFromLiterals) {
  const auto d = parse_definition("helper",
                                  {{"model", "local"},
                                   {"instructions", "\n  Help.\n"},
                                   {"functions", json::array{"text.slugify"}},
                                   {"max_steps", 3},
                                   {"max_seconds", 5},
                                   {"greeting", "hi"}},
                                  "assistants/python/helper.py");
  ASSERT_TRUE(d.has_value()) << d.error().message;
  EXPECT_EQ(d->model, "local");
  EXPECT_EQ(d->instructions, "Help.");
  EXPECT_EQ(d->functions, std::vector<std::string>{"text.slugify"});
  EXPECT_EQ(d->max_steps, 3);
  EXPECT_EQ(d->max_time, seconds(5));
}

TEST_F(RunTest, CallsOfTheCallersToolsEndTheRunAndItsOwnAreMadeFirst) {
  const auto client_tool = [](const char* name) { return json::object{{"type", "function"}, {"function", {{"name", name}, {"parameters", json::object()}}}}; };
  Machine run(definition_, tools_, json::array{{{"role", "system"}, {"content", "Help."}}}, json::array{{{"role", "user"}, {"content", "Hi"}}},
              {client_tool("open_door"), client_tool("slugify")});
  auto actions = run.start(now_);
  EXPECT_EQ(only<AskModel>(actions)->tools.size(), 4U) << "the project's slugify stands";
  // Beside a call of its own, the caller's waits.
  actions = run.model_replied(calls({{"a", "mean", "{}"}, {"b", "open_door", "{}"}}), now_);
  EXPECT_EQ(only<CallTool>(actions)->address, "cpp/stats.mean");
  actions = run.tool_finished("a", "3.0", now_);
  const auto* ask = only<AskModel>(actions);
  ASSERT_NE(ask, nullptr);
  EXPECT_NE(last_content(*ask).find("Call it again, alone"), std::string::npos);
  actions = run.model_replied(calls({{"c", "open_door", " "}, {"c", "open_door", R"({"which": 2})"}}), now_);
  const auto* finish = only<Finish>(actions);
  ASSERT_TRUE(finish != nullptr && finish->content);
  ASSERT_EQ(finish->handed_over.size(), 2U);
  EXPECT_EQ(finish->handed_over[0].arguments_json, "{}");
  EXPECT_NE(finish->handed_over[0].id, finish->handed_over[1].id);
  EXPECT_TRUE(run.finished());
  const auto said = run.said();
  ASSERT_EQ(said.size(), 4U);
  EXPECT_EQ(said[0].at("tool_calls").as_array().size(), 2U);
  EXPECT_EQ(said[3].at("tool_calls").as_array()[0].at("id").as_string(), finish->handed_over[0].id);
}

TEST_F(RunTest, WhatARunSaidIsItsAnswer) {
  Machine run = make(json::array{{{"role", "user"}, {"content", "Hi"}}});
  run.start(now_);
  run.model_replied(text("Hello"), now_);
  EXPECT_EQ(json::serialize(run.said()), R"([{"role":"assistant","content":"Hello"}])");
}

TEST(TrimmedHistory, KeepsTheSystemsWordsAndWholeExchanges) {
  const std::string filler(100, 'x');
  const auto message = [](const char* role, const std::string& content) { return json::object{{"role", role}, {"content", content}}; };
  json::array all{message("system", "Be kind."), message("user", "one" + filler), message("assistant", "1"), message("user", "two")};
  all.push_back({{"role", "assistant"}, {"content", nullptr}, {"tool_calls", json::array{json::object{{"id", "a"}}}}});
  all.push_back({{"role", "tool"}, {"tool_call_id", "a"}, {"content", "found"}});
  all.push_back(message("user", "three"));
  EXPECT_EQ(trimmed_history(all, 1 << 20), all);
  const auto some = trimmed_history(all, 330);
  ASSERT_EQ(some.size(), 5U);
  EXPECT_EQ(some[0].at("role"), "system");
  EXPECT_EQ(some[1].at("content"), "two");
  const auto last = trimmed_history(all, 1);
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(last[1].at("content"), "three");
}

TEST(DefinitionTest, AWrongDefinitionSaysWhatToWrite) {
  const auto error = [](const json::object& constants) { return parse_definition("a", constants, "f.py").error(); };
  EXPECT_NE(error({}).hint.find("instructions"), std::string::npos);
  EXPECT_NE(error({{"instruction", "x"}}).hint.find("Is `instruction` meant as `instructions`?"), std::string::npos);
  EXPECT_EQ(error({{"instructions", "x"}, {"prompt", "y"}}).code, ErrorCode::kConfig);
  EXPECT_EQ(error({{"instructions", "x"}, {"functions", "text"}}).file, "f.py");
  EXPECT_EQ(error({{"instructions", "x"}, {"max_steps", 0}}).code, ErrorCode::kConfig);
  EXPECT_EQ(error({{"instructions", "x"}, {"function", json::array{}}}).hint, "Did you mean functions?");
  EXPECT_EQ(error({{"instructions", "x"}, {"steps", 3}}).hint, "Did you mean max_steps?");
}

}  // namespace
}  // namespace sabir::assistants

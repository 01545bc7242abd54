// The Messages API over real sockets, against tests/stand_ins/anthropic_server.py, which refuses what the API refuses.
#include "anthropic/anthropic_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "policy/policy_model.h"
#include "sabir/base/ids.h"
#include "stand_ins/stand_in.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

json::array list(const char* text) { return parse_json(text)->get_array(); }

json::array two_tools() {
  return list(R"([
    {"type": "function", "function": {"name": "slugify", "description": "d", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "ruby_count"}}])");
}

class AnthropicModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new tests::StandIn("anthropic_server.py"); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  AnthropicOptions options(const std::string& scenario) {
    AnthropicOptions options;
    options.alias = "claude";
    options.model = "claude-test";
    scenario_ = scenario + "." + new_id();
    options.base_url = server_->url("/" + scenario_ + "/v1");
    return options;
  }
  Result<Reply> ask(const AnthropicOptions& options, Request request, bool stream = true) {
    if (request.messages.empty()) request.messages = list(R"([{"role": "user", "content": "hello"}])");
    streamed_.clear();
    thought_.clear();
    PolicyOptions policy;
    policy.retries = 3;
    policy.first_pause = 10ms;
    const auto model = make_policy_model({options.alias, make_anthropic_model(options, client_, secrets_), policy,
                                          PolicyStates().of(options.alias, policy.breaker, policy.limits)}, {});
    if (!stream) return model->complete(request, {});
    return model->complete(request, [&](const Event& event) {
      streamed_ += event.content;
      thought_ += event.reasoning;
    });
  }
  json::array seen() {
    net::HttpRequest request;
    request.url = server_->url("/requests/" + scenario_);
    return parse_json(client_->send(request)->body)->get_array();
  }
  json::object last_body() { return seen().back().at("body").get_object(); }

  static tests::StandIn* server_;
  std::shared_ptr<net::HttpClient> client_ = std::make_shared<net::HttpClient>();
  std::shared_ptr<secrets::Secrets> secrets_ = std::make_shared<secrets::Secrets>("/nonexistent");
  std::string scenario_;
  std::string streamed_;
  std::string thought_;
};
tests::StandIn* AnthropicModelTest::server_ = nullptr;

TEST_F(AnthropicModelTest, AnAnswerIsTheSameStreamedAndWhole) {
  for (const char* scenario : {"ok", "odd", "plain"}) {
    for (const bool stream : {true, false}) {
      const auto reply = ask(options(scenario), {}, stream);
      ASSERT_TRUE(reply) << scenario << to_text(reply.error());
      EXPECT_EQ(reply->content, "You said: hello (été, 日本, 😀)");
      if (stream) {
        EXPECT_EQ(streamed_, reply->content);
      }
      EXPECT_EQ(reply->finish_reason, "stop");
      EXPECT_EQ(reply->model, "claude-test-stand-in");
      EXPECT_EQ(reply->provider, "anthropic");
      EXPECT_EQ(reply->usage.input_tokens, 11);
      EXPECT_EQ(reply->usage.output_tokens, 5);
      EXPECT_EQ(last_body().contains("stream"), stream);
      EXPECT_EQ(seen().back().at("headers").at("anthropic-version"), json::value("2023-06-01"));
    }
  }
}

TEST_F(AnthropicModelTest, ParallelToolCallsAreAssembledFromPieces) {
  for (const char* scenario : {"ok", "odd", "plain"}) {
    Request request;
    request.tools = two_tools();
    const auto reply = ask(options(scenario), request);
    ASSERT_TRUE(reply) << scenario << to_text(reply.error());
    EXPECT_EQ(reply->content, "Let me see.");
    ASSERT_EQ(reply->tool_calls.size(), 2U) << scenario;
    EXPECT_EQ(reply->tool_calls[0].name, "slugify");
    EXPECT_EQ(reply->tool_calls[0].id, "toolu_0");
    EXPECT_EQ(parse_json(reply->tool_calls[0].arguments_json).value(), (json::value{{"text", "hello"}, {"number", 0}}));
    EXPECT_EQ(parse_json(reply->tool_calls[1].arguments_json).value(), (json::value{{"text", "hello"}, {"number", 1}}));
    EXPECT_EQ(reply->finish_reason, "tool_calls");
  }
}

TEST_F(AnthropicModelTest, AConversationGoesThereInTheApisOwnForm) {
  Request request;
  request.tools = two_tools();
  request.messages = list(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": "Be kind."},
    {"role": "user", "content": [{"type": "text", "text": "hello"}]},
    {"role": "user", "content": "again"},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "call.0/x", "type": "function", "function": {"name": "slugify", "arguments": "{\"text\": \"x\"}"}},
      {"id": "call_1", "type": "function", "function": {"name": "ruby_count", "arguments": "not json"}}]},
    {"role": "tool", "tool_call_id": "call.0/x", "content": "\"a-slug\""},
    {"role": "tool", "tool_call_id": "call_1", "content": "7"},
    {"role": "user", "content": "and now?"}])");
  const auto reply = ask(options("ok"), request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, "Results: \"a-slug\"; 7");
  const auto body = last_body();
  EXPECT_EQ(body.at("system"), json::value("Be brief.\n\nBe kind."));
  const auto& messages = body.at("messages").get_array();
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].at("content").get_array().size(), 2U);
  EXPECT_EQ(messages[1].at("content").at(0), (json::value{{"type", "tool_use"}, {"id", "call_0_x"}, {"name", "slugify"}, {"input", {{"text", "x"}}}}));
  EXPECT_EQ(messages[1].at("content").at(1).at("input"), (json::value{{"invalid_json", "not json"}}));
  EXPECT_EQ(messages[2].at("content").at(0), (json::value{{"type", "tool_result"}, {"tool_use_id", "call_0_x"}, {"content", "\"a-slug\""}}));
  EXPECT_EQ(messages[2].at("content").at(2), (json::value{{"type", "text"}, {"text", "and now?"}}));
}

TEST_F(AnthropicModelTest, PicturesGoByAddressAndByTheirBytes) {
  Request request;
  request.messages = list(R"([{"role": "user", "content": [
    {"type": "text", "text": "what is it"},
    {"type": "image_url", "image_url": {"url": "https://example.test/cat.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}])");
  ASSERT_TRUE(ask(options("ok"), request));
  const auto content = last_body().at("messages").at(0).at("content").get_array();
  EXPECT_EQ(content[1], (json::value{{"type", "image"}, {"source", {{"type", "url"}, {"url", "https://example.test/cat.png"}}}}));
  EXPECT_EQ(content[2], (json::value{{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", "image/png"}, {"data", "iVBORw0KGgo="}}}}));
  for (const char* url : {"file:///etc/passwd", "data:text/html;base64,eA==", "data:image/png,xx", "data:image/png;base64,<script>", "data:image/bmp;base64,eA==", ""}) {
    request.messages = {json::object{{"role", "user"}, {"content", {{{"type", "image_url"}, {"image_url", {{"url", url}}}}}}}};
    const auto reply = ask(options("ok"), request);
    ASSERT_FALSE(reply) << url;
    EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArguments) << url;
    EXPECT_NE(reply.error().hint, "") << url;
  }
}

TEST_F(AnthropicModelTest, ToolChoiceAndParametersTakeTheApisNames) {
  const struct {
    const char* given;
    const char* sent;
  } choices[] = {{R"("auto")", R"({"type":"auto"})"},
                 {R"("none")", R"({"type":"none"})"},
                 {R"("required")", R"({"type":"any"})"},
                 {R"({"type":"function","function":{"name":"slugify"}})", R"({"type":"tool","name":"slugify"})"},
                 {R"({"type":"tool","name":"slugify"})", R"({"type":"tool","name":"slugify"})"}};
  for (const auto& choice : choices) {
    Request request;
    request.tools = two_tools();
    request.parameters["tool_choice"] = *parse_json(choice.given);
    ASSERT_TRUE(ask(options("ok"), request)) << choice.given;
    EXPECT_EQ(last_body().at("tool_choice"), *parse_json(choice.sent));
  }
  auto configured = options("ok");
  configured.parameters = {{"max_tokens", 20}, {"stop", "END"}, {"user", "u1"}, {"parallel_tool_calls", false}, {"top_k", 5}};
  Request request;
  request.tools = two_tools();
  const auto reply = ask(configured, request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->tool_calls.size(), 1U);
  const auto body = last_body();
  EXPECT_EQ(body.at("max_tokens"), json::value(20));
  EXPECT_EQ(body.at("stop_sequences"), json::value(json::array{"END"}));
  EXPECT_EQ(body.at("metadata"), (json::value{{"user_id", "u1"}}));
  EXPECT_EQ(body.at("top_k"), json::value(5));
  EXPECT_EQ(body.at("tool_choice"), (json::value{{"type", "auto"}, {"disable_parallel_tool_use", true}}));
  auto newer = options("ok");
  newer.version = "2026-10-21";
  newer.parameters = {{"reasoning_effort", "low"}};
  const auto answered = ask(newer, {});
  ASSERT_TRUE(answered) << to_text(answered.error());
  EXPECT_EQ(last_body().at("output_config"), (json::value{{"effort", "low"}}));
  newer.parameters = {{"temperature", 0}};
  EXPECT_THAT(ask(newer, {}).error().hint, HasSubstr("2023-06-01"));
  for (const char* name : {"seed", "verbosity", "logprobs"}) {
    Request wrong;
    wrong.parameters[name] = 1;
    const auto refused = ask(options("ok"), wrong);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArguments);
    EXPECT_THAT(refused.error().message, HasSubstr(name));
  }
}

TEST_F(AnthropicModelTest, ThinkingIsShownApartAndGoesBackWithTheResults) {
  for (const bool stream : {true, false}) {
    auto configured = options("thinking");
    configured.parameters = {{"thinking", {{"type", "enabled"}, {"budget_tokens", 2000}}}};
    Request request;
    request.tools = two_tools();
    request.messages = list(R"([{"role": "user", "content": "hello"}])");
    const auto first = ask(configured, request, stream);
    ASSERT_TRUE(first) << to_text(first.error());
    EXPECT_EQ(first->reasoning, "The user wants something: été.");
    EXPECT_EQ(first->content, "Let me see.");
    if (stream) {
      EXPECT_EQ(thought_, first->reasoning);
      EXPECT_EQ(streamed_, first->content);
    }
    ASSERT_EQ(first->reasoning_details.size(), 2U);
    EXPECT_EQ(first->usage.reasoning_tokens, 3);
    json::array calls;
    for (const auto& call : first->tool_calls) {
      calls.push_back({{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments_json}}}});
    }
    request.messages.push_back(json::object{{"role", "assistant"}, {"content", first->content}, {"tool_calls", calls}, {"reasoning_details", first->reasoning_details}});
    request.messages.push_back(json::object{{"role", "tool"}, {"tool_call_id", "toolu_0"}, {"content", "1"}});
    request.messages.push_back(json::object{{"role", "tool"}, {"tool_call_id", "toolu_1"}, {"content", "2"}});
    const auto second = ask(configured, request, stream);
    ASSERT_TRUE(second) << to_text(second.error());
    EXPECT_EQ(second->content, "Results: 1; 2");
    EXPECT_EQ(last_body().at("messages").at(1).at("content").at(0).at("type"), json::value("thinking"));
    request.messages[1].get_object().erase("reasoning_details");
    EXPECT_FALSE(ask(configured, request, stream)) << "the stand-in insists on it, as the API does";
  }
}

TEST_F(AnthropicModelTest, UsageCountsTheCacheAsPartOfTheInput) {
  for (const bool stream : {true, false}) {
    const auto reply = ask(options("caching"), {}, stream);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->usage.input_tokens, 131);
    EXPECT_EQ(reply->usage.cached_tokens, 100);
    EXPECT_EQ(reply->usage.cache_write_tokens, 20);
    EXPECT_EQ(reply->usage.output_tokens, 5);
  }
}

TEST_F(AnthropicModelTest, StopReasonsAreTranslated) {
  for (const bool stream : {true, false}) {
    EXPECT_EQ(ask(options("length"), {}, stream)->finish_reason, "length");
    EXPECT_EQ(ask(options("refusal"), {}, stream)->finish_reason, "content_filter");
  }
}

TEST_F(AnthropicModelTest, ASchemaGoesToTheServerWhereItTakesItAndIntoTheInstructionsElsewhere) {
  const auto open = parse_json(R"({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})")->get_object();
  auto shut = open;
  shut["additionalProperties"] = false;
  Request request;
  request.output_schema = shut;
  EXPECT_EQ(ask(options("structured"), request)->content, R"({"city": "Paris"})");
  EXPECT_EQ(last_body().at("output_config"), (json::value{{"format", {{"type", "json_schema"}, {"schema", shut}}}}));
  request.output_schema = open;
  ASSERT_TRUE(ask(options("structured"), request));
  EXPECT_FALSE(last_body().contains("output_config"));
  EXPECT_THAT(std::string(last_body().at("system").get_string()), HasSubstr("\"city\""));
  request.output_schema = shut;
  auto by_prompt = options("structured");
  by_prompt.native_schema = false;
  ASSERT_TRUE(ask(by_prompt, request));
  EXPECT_FALSE(last_body().contains("output_config"));
}

TEST_F(AnthropicModelTest, TheKeyIsTakenFromItsSecretAndAWrongOneIsExplained) {
  auto with_key = options("key");
  with_key.key = "stand_in_claude_key";
  ::unsetenv("STAND_IN_CLAUDE_KEY");
  EXPECT_EQ(ask(with_key, {}).error().code, ErrorCode::kSecretMissing);
  ::setenv("STAND_IN_CLAUDE_KEY", "sk-ant-test-0123456789", 1);
  EXPECT_TRUE(ask(with_key, {}));
  ::setenv("STAND_IN_CLAUDE_KEY", "sk-ant-wrong-000", 1);
  const auto wrong = ask(with_key, {});
  ::unsetenv("STAND_IN_CLAUDE_KEY");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("answered 401: invalid x-api-key"));
  EXPECT_THAT(wrong.error().hint, HasSubstr("STAND_IN_CLAUDE_KEY"));
  EXPECT_THAT(wrong.error().data, HasSubstr("req_for_tests"));
  EXPECT_EQ(seen().size(), 2U);
}

TEST_F(AnthropicModelTest, WhatPassesIsTriedAgainAndWhatDoesNotIsSaid) {
  for (const char* scenario : {"overloaded", "limited", "exhausted", "late_overloaded", "early_cut"}) {
    const auto reply = ask(options(scenario), {});
    ASSERT_TRUE(reply) << scenario << to_text(reply.error());
    EXPECT_EQ(streamed_, "You said: hello (été, 日本, 😀)") << scenario;
    EXPECT_GT(reply->tries, 1) << scenario;
  }
  const struct {
    const char* scenario;
    const char* message;
    const char* reason;
    std::size_t requests;
  } cases[] = {{"down", "answered 529: Overloaded (after 4 tries)", "server_fault", 4},
               {"overflow", "prompt is too long", "context_overflow", 1},
               {"overflow_both", "exceed context limit", "context_overflow", 1},
               {"broke", "credit balance is too low", "quota", 1},
               {"not_found", "answered 404: model: claude-test", "", 1},
               {"bad", "temperature: range", "", 1},
               {"html", "answered 502", "server_fault", 4},
               {"late_error", "Overloaded", "server_fault", 1},
               {"cut", "broke off", "unreachable", 1}};
  for (const auto& test : cases) {
    const auto reply = ask(options(test.scenario), {});
    ASSERT_FALSE(reply) << test.scenario;
    EXPECT_THAT(reply.error().message, HasSubstr(test.message)) << test.scenario;
    if (*test.reason != 0) {
      EXPECT_THAT(reply.error().data, HasSubstr("\"reason\":\"" + std::string(test.reason) + "\"")) << test.scenario;
    }
    EXPECT_EQ(seen().size(), test.requests) << test.scenario;
  }
}

TEST_F(AnthropicModelTest, WhatWasReceivedIsInTheError) {
  for (const char* scenario : {"cut", "late_error"}) {
    const auto reply = ask(options(scenario), {});
    ASSERT_FALSE(reply);
    ASSERT_NE(streamed_, "") << scenario;
    EXPECT_EQ(parse_json(reply.error().data)->at("partial"), json::value(streamed_)) << scenario;
  }
}

TEST_F(AnthropicModelTest, GarbageAndSilenceEnd) {
  EXPECT_FALSE(ask(options("garbage"), {}));
  Request request;
  request.timeout = 200ms;
  for (const char* scenario : {"hang", "stalled", "silent"}) {
    const auto start = std::chrono::steady_clock::now();
    const auto reply = ask(options(scenario), request);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kTimeout) << scenario;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
  }
  auto impatient = options("stalled");
  impatient.first_token_timeout = 200ms;
  const auto reply = ask(impatient, {});
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("first_token_timeout"));
}

TEST_F(AnthropicModelTest, CancellingEndsAStreamInTheMiddle) {
  Request request;
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::jthread canceller([&] {
    std::this_thread::sleep_for(150ms);
    *request.cancelled = true;
  });
  const auto reply = ask(options("silent"), request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  EXPECT_THAT(reply.error().data, HasSubstr("\"partial\""));
}

TEST(AnthropicSchema, OnlyWhatTheApiTakesGoesThere) {
  const auto fits = [](const char* schema) { return fits_output_format(*parse_json(schema)); };
  EXPECT_TRUE(fits(R"({"type":"object","properties":{"a":{"type":"string","enum":["x"]},"minimum":{"type":"integer"}},"additionalProperties":false})"));
  EXPECT_TRUE(fits(R"({"type":"array","items":{"anyOf":[{"type":"string"},{"type":"null"}]}})"));
  EXPECT_FALSE(fits(R"({"type":"object","properties":{"a":{"type":"object"}},"additionalProperties":false})"));
  EXPECT_FALSE(fits(R"({"type":"integer","minimum":1})"));
  EXPECT_FALSE(fits(R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}})"));
}

}  // namespace
}  // namespace sabir::models

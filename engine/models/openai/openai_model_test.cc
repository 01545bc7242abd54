#include "openai/openai_model.h"

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

json::array messages_of(const char* text) { return parse_json(text)->get_array(); }

json::array two_tools() {
  return parse_json(R"([
    {"type": "function", "function": {"name": "slugify", "description": "d", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "ruby_count", "parameters": {"type": "object", "properties": {}}}}])")
      ->get_array();
}

class OpenAiModelTest : public ::testing::TestWithParam<OpenAiApi> {
 protected:
  static void SetUpTestSuite() { server_ = new tests::StandIn("openai_server.py"); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  OpenAiOptions options(const std::string& scenario) {
    OpenAiOptions options;
    options.alias = "openai";
    options.model = "gpt-test";
    options.api = GetParam();
    // A fresh id per test keeps the stand-in's counts apart.
    scenario_ = scenario + "." + new_id();
    options.base_url = server_->url("/" + scenario_ + "/v1");
    return options;
  }
  Result<Reply> ask(const OpenAiOptions& options, Request request, bool stream = true) {
    if (request.messages.empty()) request.messages = messages_of(R"([{"role": "user", "content": "hello"}])");
    streamed_.clear();
    thought_.clear();
    pieces_ = 0;
    PolicyOptions policy;
    policy.retries = retries_;
    policy.first_pause = 10ms;
    const auto model = make_policy_model({options.alias, make_openai_model(options, client_, secrets_), policy,
                                          PolicyStates().of(options.alias, policy.breaker, policy.limits)}, {});
    if (!stream) return model->complete(request, {});
    return model->complete(request, [&](const Event& event) {
      streamed_ += event.content;
      thought_ += event.reasoning;
      ++pieces_;
    });
  }
  // The requests the stand-in saw in this test.
  json::array seen() {
    net::HttpRequest request;
    request.url = server_->url("/requests/" + scenario_);
    return parse_json(client_->send(request)->body)->get_array();
  }
  json::object last_body() { return seen().back().at("body").get_object(); }

  static tests::StandIn* server_;
  std::shared_ptr<net::HttpClient> client_ = std::make_shared<net::HttpClient>();
  std::shared_ptr<secrets::Secrets> secrets_ = std::make_shared<secrets::Secrets>("/nonexistent");
  int retries_ = 3;
  std::string scenario_;
  std::string streamed_;
  std::string thought_;
  int pieces_ = 0;
};
tests::StandIn* OpenAiModelTest::server_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Apis, OpenAiModelTest, ::testing::Values(OpenAiApi::kChat, OpenAiApi::kResponses),
                         [](const auto& tested) { return tested.param == OpenAiApi::kChat ? "Chat" : "Responses"; });

TEST_P(OpenAiModelTest, AnAnswerIsStreamedAndReturnedWhole) {
  for (const char* scenario : {"ok", "odd"}) {
    const auto reply = ask(options(scenario), {});
    ASSERT_TRUE(reply) << to_text(reply.error());
    EXPECT_EQ(reply->content, "You said: hello (été, 日本, 😀)");
    EXPECT_EQ(streamed_, reply->content);
    EXPECT_GT(pieces_, 2);
    EXPECT_EQ(reply->finish_reason, "stop");
    EXPECT_EQ(reply->model, "gpt-test-stand-in");
    EXPECT_EQ(reply->provider, "openai");
    EXPECT_EQ(reply->usage.input_tokens, 11);
    EXPECT_EQ(reply->usage.output_tokens, 5);
    EXPECT_EQ(reply->usage.cached_tokens, 4);
    EXPECT_EQ(reply->usage.reasoning_tokens, 2);
  }
}

TEST_P(OpenAiModelTest, ThinkingIsShownApartAndGoesBackWithTheResultsWhereItIsSealed) {
  for (const bool stream : {true, false}) {
    Request request;
    request.tools = two_tools();
    request.messages = messages_of(R"([{"role": "user", "content": "hello"}])");
    const auto first = ask(options("reasoning"), request, stream);
    ASSERT_TRUE(first) << to_text(first.error());
    EXPECT_EQ(first->reasoning, "The user wants something: été.");
    EXPECT_EQ(first->content, "");
    if (stream) {
      EXPECT_EQ(thought_, first->reasoning);
      EXPECT_EQ(streamed_, "");
    }
    ASSERT_EQ(first->tool_calls.size(), 2U);
    EXPECT_EQ(first->reasoning_details.size(), GetParam() == OpenAiApi::kChat ? 0U : 1U);
    json::array calls;
    for (const auto& call : first->tool_calls) {
      calls.push_back({{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments_json}}}});
    }
    json::array details = first->reasoning_details;
    details.push_back(json::object{{"provider", "anthropic"}, {"type", "thinking"}, {"thinking", "another's"}, {"signature", "s"}});
    request.messages.push_back(json::object{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", calls}, {"reasoning_details", details}});
    request.messages.push_back(json::object{{"role", "tool"}, {"tool_call_id", "call_0"}, {"content", "1"}});
    request.messages.push_back(json::object{{"role", "tool"}, {"tool_call_id", "call_1"}, {"content", "2"}});
    const auto second = ask(options("reasoning"), request, stream);
    ASSERT_TRUE(second) << to_text(second.error());
    EXPECT_EQ(second->content, "Results: 1; 2");
    EXPECT_EQ(json::serialize(last_body()).find("another's"), std::string::npos);
  }
}

TEST_P(OpenAiModelTest, PicturesGoByAddressAndByTheirBytes) {
  Request request;
  request.messages = messages_of(R"([{"role": "user", "content": [
    {"type": "text", "text": "hello"},
    {"type": "image_url", "image_url": {"url": "https://example.test/cat.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}])");
  const auto reply = ask(options("ok"), request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_THAT(reply->content, StartsWith("You said: hello"));
  if (GetParam() == OpenAiApi::kChat) {
    EXPECT_EQ(last_body().at("messages"), json::value(request.messages));
  } else {
    const auto content = last_body().at("input").at(0).at("content").get_array();
    EXPECT_EQ(content[1], (json::value{{"type", "input_image"}, {"detail", "low"}, {"image_url", "https://example.test/cat.png"}}));
    EXPECT_EQ(content[2], (json::value{{"type", "input_image"}, {"detail", "auto"}, {"image_url", "data:image/png;base64,iVBORw0KGgo="}}));
  }
  request.messages = {json::object{{"role", "user"}, {"content", {{{"type", "image_url"}, {"image_url", {{"url", "cat.png"}}}}}}}};
  const auto refused = ask(options("ok"), request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArguments);
  EXPECT_THAT(refused.error().hint, HasSubstr("data:image/png;base64"));
}

TEST_P(OpenAiModelTest, WithoutAListenerNothingIsStreamed) {
  const auto reply = ask(options("ok"), {}, /*stream=*/false);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_THAT(reply->content, StartsWith("You said: hello"));
  EXPECT_EQ(reply->usage.output_tokens, 5);
  EXPECT_FALSE(last_body().contains("stream"));
}

TEST_P(OpenAiModelTest, AServerThatDoesNotStreamIsUnderstood) {
  const auto reply = ask(options("plain"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(streamed_, reply->content);
  EXPECT_THAT(reply->content, StartsWith("You said: hello"));
}

TEST_P(OpenAiModelTest, AServerThatRefusesStreamingIsAskedWithout) {
  const auto reply = ask(options("no_stream"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_THAT(reply->content, StartsWith("You said: hello"));
  EXPECT_EQ(seen().size(), 2U);
}

TEST_P(OpenAiModelTest, ParallelToolCallsAreAssembledFromInterleavedPieces) {
  for (const char* scenario : {"ok", "odd", "plain", "whole_calls"}) {
    Request request;
    request.tools = two_tools();
    const auto reply = ask(options(scenario), request);
    ASSERT_TRUE(reply) << scenario << to_text(reply.error());
    ASSERT_EQ(reply->tool_calls.size(), 2U) << scenario;
    EXPECT_EQ(reply->tool_calls[0].name, "slugify");
    EXPECT_EQ(reply->tool_calls[0].id, "call_0");
    EXPECT_EQ(reply->tool_calls[0].arguments_json, R"({"text": "hello", "number": 0})") << scenario;
    EXPECT_EQ(reply->tool_calls[1].name, "ruby_count");
    EXPECT_EQ(reply->tool_calls[1].arguments_json, R"({"text": "hello", "number": 1})") << scenario;
    EXPECT_EQ(reply->finish_reason, "tool_calls");
    EXPECT_EQ(streamed_, "");
  }
}

TEST_P(OpenAiModelTest, ToolResultsGoBackInTheApisOwnForm) {
  Request request;
  request.tools = two_tools();
  request.messages = messages_of(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "hello"}]},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "call_0", "type": "function", "function": {"name": "slugify", "arguments": "{\"text\": \"x\"}"}},
      {"id": "call_1", "type": "function", "function": {"name": "ruby_count", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "call_0", "content": "\"a-slug\""},
    {"role": "tool", "tool_call_id": "call_1", "content": "7"}])");
  const auto reply = ask(options("ok"), request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, "Results: \"a-slug\"; 7");
  if (GetParam() == OpenAiApi::kResponses) {
    const auto body = last_body();
    EXPECT_EQ(body.at("store"), json::value(false));
    EXPECT_EQ(body.at("input").at(2).at("type"), json::value("function_call"));
    EXPECT_EQ(body.at("input").at(4), (json::value{{"type", "function_call_output"}, {"call_id", "call_0"}, {"output", "\"a-slug\""}}));
  }
}

TEST_P(OpenAiModelTest, AnAnswerWithTextAndCallsKeepsBothInHistory) {
  Request request;
  request.messages = messages_of(R"([
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "Let me see.", "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "slugify", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
    {"role": "assistant", "content": "It is done."},
    {"role": "user", "content": "thanks"}])");
  const auto reply = ask(options("ok"), request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_THAT(reply->content, StartsWith("You said: thanks"));
}

TEST_P(OpenAiModelTest, ParametersTakeTheApisNames) {
  auto configured = options("ok");
  configured.parameters = {{"temperature", 0}, {"max_tokens", 20}, {"reasoning_effort", "low"}};
  Request request;
  request.parameters = {{"temperature", 1}};
  ASSERT_TRUE(ask(configured, request));
  const auto body = last_body();
  EXPECT_EQ(body.at("temperature"), json::value(1));
  if (GetParam() == OpenAiApi::kChat) {
    EXPECT_EQ(body.at("max_tokens"), json::value(20));
    EXPECT_EQ(body.at("reasoning_effort"), json::value("low"));
  } else {
    EXPECT_EQ(body.at("max_output_tokens"), json::value(20));
    EXPECT_EQ(body.at("reasoning"), (json::value{{"effort", "low"}}));
    request.parameters = {{"seed", 1}};
    const auto reply = ask(configured, request);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArguments);
    EXPECT_THAT(reply.error().message, HasSubstr("'seed'"));
  }
}

TEST_P(OpenAiModelTest, StructuredOutputCarriesTheSchemaAndSaysWhetherItIsStrict) {
  Request request;
  request.output_schema = parse_json(R"({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})")->get_object();
  const auto strict = [&] {
    const auto body = last_body();
    return GetParam() == OpenAiApi::kChat ? body.at("response_format").at("json_schema").at("strict") : body.at("text").at("format").at("strict");
  };
  const auto reply = ask(options("structured"), request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, R"({"city": "Paris"})");
  EXPECT_EQ(strict(), json::value(true));
  request.output_schema->erase("required");
  ASSERT_TRUE(ask(options("structured"), request));
  EXPECT_EQ(strict(), json::value(false));
}

TEST_P(OpenAiModelTest, LengthAndRefusalAreToldApart) {
  const auto cut = ask(options("length"), {});
  ASSERT_TRUE(cut) << to_text(cut.error());
  EXPECT_EQ(cut->finish_reason, "length");
  EXPECT_EQ(cut->content, "This is too lo");
  for (const bool stream : {true, false}) {
    const auto refused = ask(options("refusal"), {}, stream);
    ASSERT_TRUE(refused) << to_text(refused.error());
    EXPECT_EQ(refused->finish_reason, "content_filter");
    EXPECT_EQ(refused->content, "I cannot help with that.");
  }
}

TEST_P(OpenAiModelTest, TheKeyIsTakenFromItsSecretAndAWrongOneIsExplained) {
  auto with_key = options("key");
  with_key.key = "stand_in_key";
  ::unsetenv("STAND_IN_KEY");
  const auto missing = ask(with_key, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kSecretMissing);
  EXPECT_THAT(missing.error().hint, HasSubstr("STAND_IN_KEY"));
  ::setenv("STAND_IN_KEY", "sk-test-0123456789", 1);
  EXPECT_TRUE(ask(with_key, {}));
  ::setenv("STAND_IN_KEY", "sk-wrong-000", 1);
  const auto wrong = ask(with_key, {});
  ::unsetenv("STAND_IN_KEY");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kModel);
  EXPECT_THAT(wrong.error().message, HasSubstr("answered 401: Incorrect API key"));
  EXPECT_THAT(wrong.error().hint, HasSubstr("STAND_IN_KEY"));
  EXPECT_THAT(wrong.error().data, HasSubstr("\"status\":401"));
  EXPECT_EQ(seen().size(), 2U) << "a refused key is not tried again";
}

TEST_P(OpenAiModelTest, ServerFaultsAreRetriedAndThenGood) {
  const auto reply = ask(options("flaky"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(seen().size(), 3U);
}

TEST_P(OpenAiModelTest, RetriesEndAfterThree) {
  const auto reply = ask(options("down"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModel);
  EXPECT_THAT(reply.error().message, HasSubstr("answered 503"));
  EXPECT_THAT(reply.error().message, HasSubstr("(after 4 tries)"));
  EXPECT_EQ(seen().size(), 4U);
}

TEST_P(OpenAiModelTest, RetryAfterIsHonoured) {
  const auto start = std::chrono::steady_clock::now();
  const auto reply = ask(options("limited"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1s);
  EXPECT_EQ(seen().size(), 2U);
}

TEST_P(OpenAiModelTest, AnHoursWaitOrAnEmptyQuotaIsNotWaitedFor) {
  const auto patient = ask(options("patient"), {});
  ASSERT_FALSE(patient);
  EXPECT_THAT(patient.error().hint, HasSubstr("wait 3600 s"));
  EXPECT_EQ(seen().size(), 1U);
  const auto quota = ask(options("quota"), {});
  ASSERT_FALSE(quota);
  EXPECT_THAT(quota.error().hint, HasSubstr("quota"));
  EXPECT_EQ(seen().size(), 1U);
}

TEST_P(OpenAiModelTest, ABadRequestIsNotRetriedAndNamesTheParameter) {
  const auto reply = ask(options("bad"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModel);
  EXPECT_THAT(reply.error().message, HasSubstr("Invalid value: 'nonsense'"));
  EXPECT_THAT(reply.error().data, HasSubstr("\"provider_param\":\"nonsense\""));
  EXPECT_EQ(seen().size(), 1U);
}

TEST_P(OpenAiModelTest, AStreamThatBreaksOffAfterTextIsAnErrorAndNotRepeated) {
  const auto reply = ask(options("cut"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModelUnreachable);
  EXPECT_NE(streamed_, "");
  EXPECT_EQ(seen().size(), 1U);
}

TEST_P(OpenAiModelTest, AStreamThatBreaksOffBeforeAnyTextIsTriedAgain) {
  const auto reply = ask(options("early_cut"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(seen().size(), 2U);
}

TEST_P(OpenAiModelTest, AnErrorInsideTheStreamIsTheProvidersError) {
  const auto reply = ask(options("late_error"), {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModel);
  EXPECT_THAT(reply.error().message, HasSubstr("The server had an error while processing."));
}

TEST_P(OpenAiModelTest, GarbageIsAnErrorWithoutACrash) {
  const auto reply = ask(options("garbage"), {});
  ASSERT_FALSE(reply);
  const auto html = ask(options("html"), {});
  ASSERT_FALSE(html);
  EXPECT_THAT(html.error().message, HasSubstr("answered 502"));
  EXPECT_EQ(html.error().message.find('<'), std::string::npos);
}

TEST_P(OpenAiModelTest, AServerThatHangsEndsAtTheTimeout) {
  Request request;
  request.timeout = 200ms;
  const auto start = std::chrono::steady_clock::now();
  const auto reply = ask(options("hang"), request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

TEST_P(OpenAiModelTest, CancellingEndsAStreamInTheMiddle) {
  Request request;
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::thread canceller([&] {
    std::this_thread::sleep_for(150ms);
    *request.cancelled = true;
  });
  const auto start = std::chrono::steady_clock::now();
  const auto reply = ask(options("silent"), request);
  canceller.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

TEST_P(OpenAiModelTest, AnUnreachableServerIsNamed) {
  auto nowhere = options("ok");
  nowhere.base_url = "http://127.0.0.1:1/v1";
  retries_ = 1;
  const auto reply = ask(nowhere, {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(reply.error().message, HasSubstr("127.0.0.1:1"));
}

TEST_P(OpenAiModelTest, ASchemaIsToldWhereTheServerCannotHoldToIt) {
  auto by_prompt = options("told");
  by_prompt.native_schema = false;
  Request request;
  request.messages = messages_of(R"([{"role": "user", "content": "hello"}])");
  request.output_schema = parse_json(R"({"type": "object", "properties": {"city": {"type": "string"}}})")->get_object();
  const auto reply = ask(by_prompt, request);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, R"({"city": "Paris"})");
}

class EmbeddingsTest : public OpenAiModelTest {
 protected:
  Result<Embeddings> embed(const std::string& scenario, EmbedRequest request) {
    const auto model = make_openai_model(options(scenario), client_, secrets_);
    PolicyOptions policy;
    return make_policy_model({"e", model, policy, PolicyStates().of("e", policy.breaker, policy.limits)}, {})->embed(request);
  }
};
INSTANTIATE_TEST_SUITE_P(Embeddings, EmbeddingsTest, ::testing::Values(OpenAiApi::kResponses));

TEST_P(EmbeddingsTest, EachTextGetsItsVectorWhateverTheOrderTheyCameIn) {
  EmbedRequest request{.texts = {"a", "bb", "ccc"}};
  const auto out = embed("ok", request);
  ASSERT_TRUE(out) << to_text(out.error());
  EXPECT_EQ(out->vectors, (std::vector<std::vector<float>>{{0.1F, 0.5F, 0.5F}, {0.2F, 0.5F, 0.5F}, {0.3F, 0.5F, 0.5F}}));
  EXPECT_EQ(out->usage.input_tokens, 7);
  EXPECT_EQ(out->model, "gpt-test-stand-in");
  EXPECT_EQ(out->provider, "openai");
  EXPECT_EQ(out->alias, "e");
  request.parameters = {{"dimensions", 5}};
  EXPECT_EQ(embed("ok", request)->vectors.front().size(), 5U);
}

TEST_P(EmbeddingsTest, WhatIsNoSetOfVectorsIsRefused) {
  EXPECT_THAT(embed("embed_short", {.texts = {"a", "b"}}).error().message, HasSubstr("1 embeddings for 2 texts"));
  EXPECT_THAT(embed("embed_ragged", {.texts = {"a", "b"}}).error().message, HasSubstr("differ in length"));
  EXPECT_EQ(embed("ok", {.texts = {}}).error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(embed("ok", {.texts = {"a", ""}}).error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(embed("ok", {.texts = std::vector<std::string>(2049, "a")}).error().code, ErrorCode::kInvalidArguments);
  EXPECT_THAT(embed("down", {.texts = {"a"}}).error().message, HasSubstr("answered 503"));
}

class ChatModelTest : public OpenAiModelTest {};
INSTANTIATE_TEST_SUITE_P(Chat, ChatModelTest, ::testing::Values(OpenAiApi::kChat));

TEST_P(ChatModelTest, AServerThatDoesNotKnowStreamOptionsIsAskedWithout) {
  const auto reply = ask(options("no_options"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(streamed_, reply->content);
  EXPECT_EQ(seen().size(), 2U);
}

}  // namespace
}  // namespace sabir::models

#include "openai/openai_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

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
    options.first_pause = 10ms;
    return options;
  }
  Result<Reply> ask(const OpenAiOptions& options, Request request, bool stream = true) {
    if (request.messages.empty()) request.messages = messages_of(R"([{"role": "user", "content": "hello"}])");
    streamed_.clear();
    pieces_ = 0;
    const auto model = make_openai_model(options, client_, secrets_);
    if (!stream) return model->complete(request, {});
    return model->complete(request, [&](const Event& event) {
      streamed_ += event.content;
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
  std::string scenario_;
  std::string streamed_;
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
  }
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
  nowhere.retries = 1;
  const auto reply = ask(nowhere, {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(reply.error().message, HasSubstr("127.0.0.1:1"));
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

// Structured output over real sockets: every kind of answer that does not fit.
#include "checked_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/base/ids.h"
#include "sabir/models/registry.h"
#include "stand_ins/stand_in.h"

namespace sabir::models {
namespace {

using ::testing::HasSubstr;

class CheckedModelTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    openai_ = new tests::StandIn("openai_server.py");
    anthropic_ = new tests::StandIn("anthropic_server.py");
  }
  static void TearDownTestSuite() {
    delete openai_;
    delete anthropic_;
    openai_ = anthropic_ = nullptr;
  }

  Result<Reply> ask(const std::string& scenario, bool stream = true) {
    scenario_ = scenario + "." + new_id();
    const std::string provider = GetParam() == std::string("anthropic") ? "anthropic" : "openai";
    server_ = provider == "anthropic" ? anthropic_ : openai_;
    json::object model{{"provider", provider}, {"model", "test"}, {"base_url", server_->url("/" + scenario_ + "/v1")}, {"retries", 0}};
    if (provider == "openai") model["api"] = GetParam();
    return complete(std::move(model), stream);
  }
  Result<Reply> complete(json::object model, bool stream = true) {
    auto models = Models::from_config({{"models", {{"m", std::move(model)}}}}, {});
    EXPECT_TRUE(models);
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", "Which city?"}});
    request.output_schema = parse_json(R"({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})")->get_object();
    streamed_.clear();
    if (!stream) return (*models)->get().value()->complete(request, {});
    return (*models)->get().value()->complete(request, [this](const Event& event) { streamed_ += event.content; });
  }
  json::array seen() {
    net::HttpClient client;
    net::HttpRequest request;
    request.url = server_->url("/requests/" + scenario_);
    return parse_json(client.send(request)->body)->get_array();
  }

  static tests::StandIn* openai_;
  static tests::StandIn* anthropic_;
  tests::StandIn* server_ = nullptr;
  std::string scenario_;
  std::string streamed_;
};
tests::StandIn* CheckedModelTest::openai_ = nullptr;
tests::StandIn* CheckedModelTest::anthropic_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Apis, CheckedModelTest, ::testing::Values("chat", "responses", "anthropic"), [](const auto& tested) { return std::string(tested.param); });

TEST_P(CheckedModelTest, AnAnswerThatFitsIsShownOnceItDoes) {
  for (const bool stream : {true, false}) {
    const auto reply = ask("structured", stream);
    ASSERT_TRUE(reply) << to_text(reply.error());
    EXPECT_EQ(reply->content, R"({"city": "Paris"})");
    EXPECT_FALSE(reply->repaired);
    if (stream) {
      EXPECT_EQ(streamed_, reply->content);
    }
    EXPECT_EQ(seen().size(), 1U);
  }
}

class OpenAiCheckedTest : public CheckedModelTest {};
INSTANTIATE_TEST_SUITE_P(Apis, OpenAiCheckedTest, ::testing::Values("chat", "responses"), [](const auto& tested) { return std::string(tested.param); });

TEST_P(OpenAiCheckedTest, AFenceAroundTheJsonIsTakenOff) {
  EXPECT_EQ(ask("fenced")->content, R"({"city": "Paris"})");
}

TEST_P(OpenAiCheckedTest, WhatDoesNotFitGoesBackOnceWithWhatIsWrong) {
  const auto reply = ask("misfit");
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, R"({"city": "Paris"})");
  EXPECT_EQ(streamed_, reply->content) << "the wrong answer was never shown";
  EXPECT_TRUE(reply->repaired);
  EXPECT_EQ(reply->usage.input_tokens, 22) << "both rounds are counted";
  const auto requests = seen();
  ASSERT_EQ(requests.size(), 2U);
  const std::string second = json::serialize(requests[1].at("body"));
  EXPECT_THAT(second, HasSubstr(R"({\"city\": 5})"));
  EXPECT_THAT(second, HasSubstr("does not fit the JSON Schema"));
  EXPECT_THAT(second, HasSubstr("city"));
}

TEST_P(OpenAiCheckedTest, WhatNeverFitsIsAnErrorWithTheAnswerInIt) {
  for (const char* scenario : {"misfit_always", "silly"}) {
    const auto reply = ask(scenario);
    ASSERT_FALSE(reply) << scenario;
    EXPECT_EQ(reply.error().code, ErrorCode::kModel);
    EXPECT_THAT(reply.error().message, HasSubstr("model 'm'"));
    EXPECT_THAT(reply.error().message, HasSubstr("also after it was told so"));
    const auto data = parse_json(reply.error().data)->get_object();
    EXPECT_EQ(data.at("reason"), json::value("schema_violation"));
    EXPECT_THAT(std::string(data.at("partial").get_string()), HasSubstr(scenario == std::string("silly") ? "The city is Paris." : "5"));
    EXPECT_EQ(streamed_, "");
    EXPECT_EQ(seen().size(), 2U) << "one round of repair and no more";
  }
}

TEST_P(OpenAiCheckedTest, ACutOrRefusedAnswerIsNotSentBack) {
  const auto cut = ask("cut_json");
  ASSERT_FALSE(cut);
  EXPECT_THAT(cut.error().hint, HasSubstr("max_tokens"));
  EXPECT_THAT(cut.error().data, HasSubstr("\"reason\":\"length\""));
  EXPECT_EQ(seen().size(), 1U);
  const auto refused = ask("refusal");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().data, HasSubstr("I cannot help with that."));
  EXPECT_EQ(seen().size(), 1U);
}

TEST(CheckedModel, ASchemaThatIsNoneIsRefusedBeforeTheModelIsAsked) {
  auto models = Models::from_config({{"models", {{"m", {{"provider", "scripted"}, {"replies", {{{"text", "once"}}}}}}}}}, {});
  ASSERT_TRUE(models);
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "x"}});
  request.output_schema = json::object{{"type", 5}};
  EXPECT_EQ((*models)->get().value()->complete(request, {}).error().code, ErrorCode::kInvalidArguments);
  request.output_schema.reset();
  EXPECT_EQ((*models)->get().value()->complete(request, {})->content, "once");
}

TEST(CheckedModel, CallsComeBeforeTheAnswerAndAreLetThrough) {
  auto models = Models::from_config(
      {{"models", {{"m", {{"provider", "scripted"}, {"replies", {{{"tool_calls", {{{"name", "t"}, {"arguments", json::object()}}}}, {"json", {{"city", "Paris"}}}}}}}}}}}, {});
  ASSERT_TRUE(models) << to_text(models.error());
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "x"}});
  request.output_schema = json::object{{"type", "object"}, {"required", {"city"}}};
  const auto reply = (*models)->get().value()->complete(request, {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->tool_calls.size(), 1U);
}

}  // namespace
}  // namespace sabir::models

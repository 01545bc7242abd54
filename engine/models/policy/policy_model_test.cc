// Policy over real sockets: config as a user writes it, models behind tests/stand_ins/openai_server.py.
#include "policy/policy_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "sabir/base/ids.h"
#include "sabir/models/registry.h"
#include "stand_ins/stand_in.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PolicyModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new tests::StandIn("openai_server.py"); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  // A model behind a scenario of the stand-in; the id keeps the test's counts apart.
  json::object served(const std::string& scenario, json::object more = {}) {
    json::object model{{"provider", "openai"}, {"model", "gpt-test"}, {"api", "chat"}, {"base_url", server_->url("/" + path(scenario) + "/v1")}, {"retries", 0}};
    for (const auto& member : more) model[member.key()] = member.value();
    return model;
  }
  std::string path(const std::string& scenario) const { return scenario + "." + id_; }
  static json::object nowhere(json::object more = {}) {
    json::object model{{"provider", "openai"}, {"model", "gone"}, {"base_url", "http://127.0.0.1:1/v1"}, {"retries", 0}};
    for (const auto& member : more) model[member.key()] = member.value();
    return model;
  }

  void load(json::object models, const std::string& chosen = "a") {
    ModelsOptions options;
    options.client = client_;
    options.policies = policies_;
    auto loaded = Models::from_config({{"default", chosen}, {"models", std::move(models)}}, options);
    ASSERT_TRUE(loaded) << to_text(loaded.error());
    models_ = *loaded;
  }
  Result<Reply> ask(bool stream = true, std::chrono::milliseconds timeout = 20s) {
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", "hello"}});
    request.timeout = timeout;
    request.cancelled = cancelled_;
    streamed_.clear();
    const auto model = models_->get().value();
    if (!stream) return model->complete(request, {});
    return model->complete(request, [&](const Event& event) { streamed_ += event.content; });
  }
  std::size_t seen(const std::string& scenario) {
    net::HttpRequest request;
    request.url = server_->url("/requests/" + path(scenario));
    return parse_json(client_->send(request)->body)->get_array().size();
  }

  static tests::StandIn* server_;
  const std::string id_ = new_id();
  std::shared_ptr<net::HttpClient> client_ = std::make_shared<net::HttpClient>();
  std::shared_ptr<PolicyStates> policies_ = make_policy_states();
  std::shared_ptr<const Models> models_;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::string streamed_;
};
tests::StandIn* PolicyModelTest::server_ = nullptr;

// What each kind of failure comes to when there is another model.
TEST_F(PolicyModelTest, AFallbackAnswersForEveryReasonThatAnotherModelMends) {
  const struct {
    const char* scenario;
    json::object more;
    const char* reason;
    ErrorCode code;
  } cases[] = {
      {"down", {}, "server_fault", ErrorCode::kModel},
      {"patient", {{"retries", 3}}, "rate_limited", ErrorCode::kModel},
      {"limited", {}, "rate_limited", ErrorCode::kModel},
      {"quota", {}, "quota", ErrorCode::kModel},
      {"overflow_openai", {}, "context_overflow", ErrorCode::kModel},
      {"overflow_llama", {}, "context_overflow", ErrorCode::kModel},
      {"overflow_vllm", {}, "context_overflow", ErrorCode::kModel},
      {"stalled", {{"first_token_timeout", "200ms"}}, "timeout", ErrorCode::kTimeout},
      {"hang", {{"timeout", "200ms"}}, "timeout", ErrorCode::kTimeout},
      {"early_cut", {}, "unreachable", ErrorCode::kModelUnreachable},
  };
  for (const auto& test : cases) {
    json::object more = test.more;
    more["fallbacks"] = json::array{"b"};
    load({{"a", served(test.scenario, more)}, {"b", served("ok")}});
    const auto reply = ask();
    ASSERT_TRUE(reply) << test.scenario << to_text(reply.error());
    EXPECT_THAT(reply->content, StartsWith("You said: hello")) << test.scenario;
    EXPECT_EQ(streamed_, reply->content);
    EXPECT_EQ(reply->alias, "b");
    ASSERT_EQ(reply->missed.size(), 1U);
    EXPECT_EQ(reply->missed[0].alias, "a");
    EXPECT_EQ(reply->missed[0].error.code, test.code) << test.scenario;
    EXPECT_THAT(reply->missed[0].error.data, HasSubstr("\"reason\":\"" + std::string(test.reason) + "\"")) << test.scenario;
  }
}

TEST_F(PolicyModelTest, WhatAnotherModelDoesNotMendIsNotHidden) {
  load({{"a", served("bad", {{"fallbacks", {"b"}}})}, {"b", served("ok")}});
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("Invalid value"));
  EXPECT_EQ(seen("ok"), 0U);
}

TEST_F(PolicyModelTest, FallbacksAreAskedInTheirOrderAndNotTheirOwnFallbacks) {
  load({{"a", nowhere({{"fallbacks", {"b", "c", "e"}}})}, {"b", served("down", {{"fallbacks", {"d"}}})}, {"c", "cc"}, {"cc", served("bad")},
        {"d", served("plain")}, {"e", served("ok")}});
  const auto reply = ask();
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->alias, "e");
  ASSERT_EQ(reply->missed.size(), 3U);
  EXPECT_EQ(reply->missed[1].alias, "b");
  EXPECT_EQ(reply->missed[2].alias, "cc");
  EXPECT_EQ(seen("plain"), 0U);
}

TEST_F(PolicyModelTest, WhenNoneAnswersTheErrorNamesThemAll) {
  load({{"a", nowhere({{"fallbacks", {"b"}}})}, {"b", served("down")}});
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(reply.error().message, HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(reply.error().message, HasSubstr("model 'b', asked instead: "));
  const auto data = parse_json(reply.error().data)->get_object();
  ASSERT_EQ(data.at("attempts").get_array().size(), 2U);
  EXPECT_EQ(data.at("attempts").at(1).at("reason"), json::value("server_fault"));
}

TEST_F(PolicyModelTest, AfterTextWasShownNobodyElseIsAsked) {
  load({{"a", served("cut", {{"retries", 3}, {"fallbacks", {"b"}}})}, {"b", served("ok")}});
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_NE(streamed_, "");
  EXPECT_EQ(seen("cut"), 1U);
  EXPECT_EQ(seen("ok"), 0U);
  EXPECT_EQ(parse_json(reply.error().data)->at("partial"), json::value(streamed_)) << "what was received is kept";
}

TEST_F(PolicyModelTest, WhoDoesNotStreamHasSeenNothingAndGetsAnother) {
  // A first_token_timeout makes the engine stream by itself.
  load({{"a", served("cut", {{"first_token_timeout", "10s"}, {"fallbacks", {"b"}}})}, {"b", served("ok")}});
  const auto reply = ask(/*stream=*/false);
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->alias, "b");
  EXPECT_THAT(reply->missed[0].error.data, HasSubstr("\"partial\":\"You said"));
}

TEST_F(PolicyModelTest, TheCallersDeadlineHoldsForAllTogether) {
  load({{"a", served("hang", {{"fallbacks", {"b"}}})}, {"b", served("ok")}});
  const auto start = Clock::now();
  const auto reply = ask(true, 300ms);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
  EXPECT_LT(Clock::now() - start, 2s);
}

TEST_F(PolicyModelTest, ACancelledCallAsksNobodyElse) {
  load({{"a", served("hang", {{"fallbacks", {"b"}}})}, {"b", served("ok")}});
  std::jthread canceller([&] {
    std::this_thread::sleep_for(150ms);
    *cancelled_ = true;
  });
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(seen("ok"), 0U);
}

TEST_F(PolicyModelTest, ACancelledPauseEndsAtOnce) {
  load({{"a", served("limited", {{"retries", 3}})}});
  std::jthread canceller([&] {
    std::this_thread::sleep_for(150ms);
    *cancelled_ = true;
  });
  const auto start = Clock::now();
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  EXPECT_LT(Clock::now() - start, 900ms);
}

TEST_F(PolicyModelTest, RateLimitHeadersSayHowLongToWait) {
  load({{"a", served("backoff", {{"retries", 1}})}});
  const auto start = Clock::now();
  const auto reply = ask();
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->tries, 2);
  EXPECT_GE(Clock::now() - start, 300ms);
  EXPECT_LT(Clock::now() - start, 3s) << "the limit of which something is left does not count";
}

TEST_F(PolicyModelTest, AnAnswerThatUsesUpTheLimitHoldsTheNextBack) {
  load({{"a", served("exhausted")}});
  ASSERT_TRUE(ask());
  const auto start = Clock::now();
  ASSERT_TRUE(ask());
  EXPECT_GE(Clock::now() - start, 250ms);
}

TEST_F(PolicyModelTest, PatienceIsConfigured) {
  load({{"a", served("limited", {{"retries", 3}, {"patience", "200ms"}})}});
  const auto start = Clock::now();
  const auto reply = ask();
  ASSERT_FALSE(reply);
  EXPECT_LT(Clock::now() - start, 900ms);
  EXPECT_THAT(reply.error().hint, HasSubstr("asks to wait 1 s"));
}

TEST_F(PolicyModelTest, TheCircuitOpensSaysUntilWhenAndClosesByAProbe) {
  load({{"a", served("flaky", {{"circuit_breaker", {{"failures", 2}, {"open", "400ms"}}}})}});
  EXPECT_THAT(ask().error().message, HasSubstr("answered 500"));
  EXPECT_THAT(ask().error().message, HasSubstr("answered 500"));
  const auto shut = ask();
  ASSERT_FALSE(shut);
  EXPECT_EQ(shut.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(shut.error().message, HasSubstr("model 'a' is not asked until "));
  EXPECT_THAT(shut.error().message, HasSubstr(" UTC: 2 calls in a row have failed, the last one with: 127.0.0.1:"));
  EXPECT_THAT(shut.error().data, HasSubstr("\"reason\":\"circuit_open\""));
  EXPECT_EQ(seen("flaky"), 2U) << "an open circuit sends nothing";
  // A new reading of the configuration is no new beginning.
  load({{"a", served("flaky", {{"circuit_breaker", {{"failures", 2}, {"open", "400ms"}}}})}});
  EXPECT_FALSE(ask());
  EXPECT_EQ(seen("flaky"), 2U);
  std::this_thread::sleep_for(450ms);
  EXPECT_TRUE(ask());
  EXPECT_TRUE(ask());
}

TEST_F(PolicyModelTest, AnOpenCircuitGoesToTheFallbackWithoutAsking) {
  load({{"a", served("down", {{"circuit_breaker", {{"failures", 1}, {"open", "1m"}}}, {"fallbacks", {"b"}}})}, {"b", served("ok")}});
  ASSERT_TRUE(ask());
  const auto reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_THAT(reply->missed[0].error.data, HasSubstr("circuit_open"));
  EXPECT_EQ(seen("down"), 1U);
}

TEST_F(PolicyModelTest, WrongRequestsAndImpatientCallersOpenNoCircuit) {
  load({{"a", served("bad", {{"circuit_breaker", {{"failures", 1}, {"open", "1m"}}}})}});
  for (int i = 0; i < 3; ++i) EXPECT_THAT(ask().error().message, HasSubstr("Invalid value"));
  load({{"a", served("slow", {{"circuit_breaker", {{"failures", 1}, {"open", "1m"}}}})}});
  EXPECT_EQ(ask(true, 100ms).error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(ask());
}

TEST_F(PolicyModelTest, LimitsAreSharedByAllCallers) {
  load({{"a", served("slow", {{"limits", {{"concurrency", 1}, {"queue", 1}, {"wait", "10s"}}}})}});
  std::atomic<int> good = 0;
  std::atomic<int> busy = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      Request request;
      request.messages.push_back(json::object{{"role", "user"}, {"content", "hello"}});
      const auto reply = models_->get().value()->complete(request, {});
      if (reply) {
        ++good;
      } else if (reply.error().code == ErrorCode::kBusy) {
        ++busy;
      }
    });
    std::this_thread::sleep_for(100ms);
  }
  callers.clear();
  EXPECT_EQ(good, 2);
  EXPECT_EQ(busy, 1);
  EXPECT_EQ(seen("slow"), 2U);
}

TEST_F(PolicyModelTest, ScriptedModelsFailAsTheirScriptSaysAndFallBack) {
  load({{"a", {{"provider", "scripted"}, {"fallbacks", {"b"}}, {"replies", {{{"error", {{"type", "model"}, {"message", "busy"}, {"status", 529}}}}}}}},
        {"b", {{"provider", "scripted"}, {"replies", {{{"text", "from b"}}}}}}});
  const auto reply = ask();
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, "from b");
  EXPECT_EQ(reply->missed[0].error.message, "busy");
}

}  // namespace
}  // namespace sabir::models

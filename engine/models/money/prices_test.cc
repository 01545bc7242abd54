#include "money/prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/models/registry.h"
#include "stand_ins/raw_server.h"
#include "stand_ins/stand_in.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Prices, WhatComesWithSabirIsReadAndDated) {
  const auto text = read_file(std::filesystem::path(SABIR_STAND_INS) / "../../models/prices.json", 1U << 20U);
  ASSERT_TRUE(text);
  const auto table = PriceTable::from_json(*parse_json(*text), "models/prices.json");
  ASSERT_TRUE(table) << to_text(table.error());
  EXPECT_EQ(table->date().size(), 10U);
  ASSERT_TRUE(table->find("gpt-5-mini"));
  EXPECT_LT(table->find("gpt-5-mini")->input, table->find("gpt-5")->input);
}

TEST(Prices, ADatedVersionIsItsModelAndASmallerOneIsNot) {
  PriceTable table;
  table.set("gpt-5", {.input = 1, .output = 2});
  table.set("claude-sonnet-4-5", {.input = 3, .output = 4});
  for (const char* name : {"gpt-5", "gpt-5-2025-08-07", "gpt-5-20250807", "gpt-5-latest"}) EXPECT_TRUE(table.find(name)) << name;
  for (const char* name : {"gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5.1", "gpt", "claude-sonnet-4", "", "-"}) EXPECT_FALSE(table.find(name)) << name;
  EXPECT_EQ(table.find("claude-sonnet-4-5-20250929")->input, 3);
}

TEST(Prices, CachedTokensHaveTheirOwnPrice) {
  Usage usage;
  usage.input_tokens = 1'000'000;
  usage.cached_tokens = 400'000;
  usage.cache_write_tokens = 100'000;
  usage.output_tokens = 10'000;
  EXPECT_EQ((Price{.input = 2, .output = 10, .cached_input = 0.2, .cache_write = 2.5}.of(usage)), (1'000'000'000LL + 80'000'000 + 250'000'000 + 100'000'000));
  EXPECT_EQ((Price{.input = 2, .output = 10}.of(usage)), 2'000'000'000LL + 100'000'000);
}

// ---- Over real sockets -----------------------------------------------------------------------------------------------

class MoneyTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new tests::StandIn("openai_server.py"); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void TearDown() override {
    ledger_.reset();
    std::filesystem::remove_all(folder_);
  }

  json::object served(const std::string& scenario, json::object more = {}) {
    json::object model{{"provider", "openai"}, {"model", "gpt-test"}, {"api", "chat"}, {"base_url", server_->url("/" + scenario + "." + id_ + "/v1")}, {"retries", 0}};
    for (const auto& member : more) model[member.key()] = member.value();
    return model;
  }
  Result<std::shared_ptr<const Models>> load(json::object config) {
    ModelsOptions options;
    options.ledger = ledger_;
    return Models::from_config(std::move(config), options);
  }
  Result<Reply> ask(json::object config, std::int64_t max_tokens = 100) {
    auto models = load(std::move(config));
    EXPECT_TRUE(models) << to_text(models.error());
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", "hello"}});
    request.parameters = {{"max_tokens", max_tokens}};
    request.caller = {{"ann", "", "", "run1"}, "", "helper"};
    return (*models)->get().value()->complete(request, [](const Event&) {});
  }
  std::size_t seen(const std::string& scenario) {
    net::HttpClient client;
    net::HttpRequest request;
    request.url = server_->url("/requests/" + scenario + "." + id_);
    return parse_json(client.send(request)->body)->get_array().size();
  }
  json::value row(const std::string& by = "model") { return ledger_->usage(by, 0)->at(0); }

  static tests::StandIn* server_;
  const std::string id_ = new_id();
  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("sabir-money-" + id_);
  std::shared_ptr<Ledger> ledger_ = *Ledger::open(folder_);
};
tests::StandIn* MoneyTest::server_ = nullptr;

const json::object kPrices = {{"gpt-test-stand-in", {{"input", 1}, {"output", 10}, {"cached_input", 0.5}}}, {"gpt-test", {{"input", 2}, {"output", 20}}}};

TEST_F(MoneyTest, AReplyTellsItsCostAndTheLedgerKeepsIt) {
  const auto reply = ask({{"models", {{"m", served("ok")}}}, {"prices", kPrices}});
  ASSERT_TRUE(reply) << to_text(reply.error());
  // 7 fresh, 4 cached, 5 of the answer, by the price of the model that answered.
  ASSERT_TRUE(reply->cost_usd);
  EXPECT_NEAR(*reply->cost_usd, (7 * 1 + 4 * 0.5 + 5 * 10) / 1e6, 1e-12);
  EXPECT_EQ(row().at("model"), json::value("openai/gpt-test-stand-in"));
  EXPECT_EQ(row().at("input_tokens"), json::value(11));
  EXPECT_NEAR(row().at("cost_usd").get_double(), *reply->cost_usd, 1e-9);
  EXPECT_EQ(row("assistant").at("assistant"), json::value("helper"));
}

TEST_F(MoneyTest, WithoutAPriceTheCostIsNotKnownAndTokensAreKept) {
  const auto reply = ask({{"models", {{"m", served("ok")}}}});
  ASSERT_TRUE(reply);
  EXPECT_FALSE(reply->cost_usd);
  EXPECT_EQ(row().at("unpriced_calls"), json::value(1));
}

TEST_F(MoneyTest, AModelOfThisMachineCostsNothing) {
  const auto reply = ask({{"models", {{"m", {{"provider", "scripted"}, {"replies", {{{"text", "x"}}}}}}}}, {"budgets", {{"day", {{"usd", 0}}}}}});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->cost_usd, 0.0);
}

TEST_F(MoneyTest, ACallThatTheBudgetDoesNotAllowIsNotSent) {
  // 100 tokens of an answer may cost 0.002 USD.
  const json::object config{{"models", {{"m", served("ok")}}}, {"prices", kPrices}, {"budgets", {{"day", {{"usd", 0.00205}}}}}};
  ASSERT_TRUE(ask(config));
  const auto refused = ask(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBudget);
  EXPECT_THAT(refused.error().hint, HasSubstr("budgets.day"));
  EXPECT_EQ(seen("ok"), 1U);
  EXPECT_TRUE(ask(config, 10)) << "a smaller answer still fits";
}

TEST_F(MoneyTest, WhatIsRefusedCostsNothingAndEachTryIsPromised) {
  const json::object config{{"models", {{"m", served("flaky", {{"retries", 2}})}}}, {"prices", kPrices}, {"budgets", {{"run", {{"tokens", 200}}}}}};
  ASSERT_TRUE(ask(config)) << "two refused tries leave the budget as it was";
  EXPECT_EQ(row().at("calls"), json::value(1));
}

TEST_F(MoneyTest, AnAnswerThatBreaksOffIsBookedByWhatCame) {
  const json::object config{{"models", {{"m", served("cut")}}}, {"prices", kPrices}, {"budgets", {{"day", {{"tokens", 1000}}}}}};
  ASSERT_FALSE(ask(config));
  EXPECT_EQ(row().at("calls"), json::value(1));
  EXPECT_GT(row().at("output_tokens").get_int64(), 0);
}

TEST_F(MoneyTest, BudgetsWithoutAccountsFailClosed) {
  ledger_.reset();
  const auto models = load({{"models", {{"m", served("ok")}}}, {"budgets", {{"day", {{"tokens", 5}}}}}});
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, ErrorCode::kBudget);
  EXPECT_TRUE(load({{"models", {{"m", served("ok")}}}}));
}

TEST_F(MoneyTest, ASwitchedAliasAsksTheOtherModel) {
  ASSERT_TRUE(ledger_->use("m", "gpt-test", "gpt-other", "ann"));
  ModelsOptions options;
  options.ledger = ledger_;
  options.switches = *ledger_->switches();
  const auto models = Models::from_config({{"models", {{"m", served("ok")}}}}, options);
  ASSERT_TRUE(models);
  const auto info = (*models)->list().front();
  EXPECT_THAT(info.description, HasSubstr("gpt-other (openai"));
  ASSERT_TRUE(info.switched);
  EXPECT_EQ(info.switched->from, "gpt-test");
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "hello"}});
  EXPECT_EQ((*models)->get().value()->complete(request, {})->model, "gpt-other-stand-in");
}

}  // namespace
}  // namespace sabir::models

#include "sabir/models/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sabir/base/ids.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
constexpr std::int64_t kCent = 10'000'000;  // in nano-dollars

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { ledger_ = open(); }
  void TearDown() override {
    ledger_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::shared_ptr<Ledger> open() {
    auto opened = Ledger::open(folder_, [this] { return now_; });
    EXPECT_TRUE(opened) << to_text(opened.error());
    return *opened;
  }
  static CallFacts facts(const std::string& user = "ann", const std::string& run = "r1") {
    return {{{user, "", "c1", run}, "python/text.words", "helper"}, "main", "openai", "gpt-test"};
  }
  Result<std::int64_t> lease(std::int64_t nusd, std::int64_t tokens, const Budgets& budgets, const CallFacts& who = facts()) {
    return ledger_->lease(who, {tokens, nusd}, budgets, 60s);
  }
  void spend(std::int64_t nusd, std::int64_t tokens, const CallFacts& who = facts()) {
    Usage usage;
    usage.input_tokens = tokens;
    ASSERT_TRUE(ledger_->settle(std::nullopt, who, usage, nusd, "ok"));
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("sabir-ledger-" + new_id());
  std::chrono::system_clock::time_point now_ = std::chrono::system_clock::from_time_t(1'764'200'000);  // 2025-11-26T23:33:20Z
  std::shared_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, WhatIsPromisedCountsUntilItIsSettledByWhatItTook) {
  const Budgets budgets{.day = Budget{.nusd = 10 * kCent}};
  const auto first = lease(6 * kCent, 0, budgets);
  ASSERT_TRUE(first);
  const auto refused = lease(6 * kCent, 0, budgets);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBudget);
  EXPECT_THAT(refused.error().message, HasSubstr("0 of 0.1 USD spent, 0.06 promised to calls under way; this call may take 0.06"));
  EXPECT_THAT(refused.error().hint, HasSubstr("budgets.day"));
  Usage usage;
  ASSERT_TRUE(ledger_->settle(*first, facts(), usage, 1 * kCent, "ok"));
  EXPECT_TRUE(lease(6 * kCent, 0, budgets));
}

TEST_F(LedgerTest, AReleasedPromiseCountsForNothing) {
  const Budgets budgets{.day = Budget{.tokens = 100}};
  const auto first = lease(0, 100, budgets);
  ASSERT_TRUE(first);
  ASSERT_FALSE(lease(0, 1, budgets));
  ASSERT_TRUE(ledger_->release(*first));
  EXPECT_TRUE(lease(0, 100, budgets));
}

TEST_F(LedgerTest, EachBudgetHasItsOwnScope) {
  spend(5 * kCent, 500);
  const Budget money{.nusd = 5 * kCent};
  const Budget tokens{.tokens = 500};
  for (const auto& [name, budgets] : std::vector<std::pair<std::string, Budgets>>{{"day", {.day = money}}, {"month", {.month = tokens}}, {"run", {.run = money}},
                                                                                 {"user", {.user = tokens}}, {"user_month", {.user_month = money}}}) {
    const auto refused = lease(1, 1, budgets);
    ASSERT_FALSE(refused) << name;
    EXPECT_THAT(refused.error().data, HasSubstr("\"budget\":\"" + name + "\""));
    const bool of_one_run = name == "run";
    const bool of_one_user = name.starts_with("user");
    EXPECT_EQ(lease(1, 1, budgets, facts("ann", "r2")).has_value(), of_one_run) << name;
    EXPECT_EQ(lease(1, 1, budgets, facts("bob")).has_value(), of_one_user) << name;
    // Outside of a run there is no budget of the run.
    EXPECT_EQ(lease(1, 1, budgets, facts("ann", "")).has_value(), of_one_run) << name;
    now_ += 24h;
    EXPECT_EQ(lease(1, 1, budgets).has_value(), name == "day" || name == "user") << name;
    now_ += 24h * 10;
    EXPECT_EQ(lease(1, 1, budgets).has_value(), name != "run") << name;
    now_ -= 24h * 11;
  }
}

TEST_F(LedgerTest, NobodyInParticularIsAUserToo) {
  spend(5 * kCent, 0, facts("", ""));
  EXPECT_FALSE(lease(1, 0, {.user = Budget{.nusd = 5 * kCent}}, facts("", "")));
}

TEST_F(LedgerTest, APromiseWhoseEngineDiedIsBookedAsSpent) {
  const Budgets budgets{.day = Budget{.nusd = 10 * kCent}};
  ASSERT_TRUE(lease(8 * kCent, 40, budgets));
  ledger_ = open();
  ASSERT_FALSE(lease(8 * kCent, 0, budgets)) << "it is under way, for all one knows";
  now_ += 61s;
  const auto refused = lease(8 * kCent, 0, budgets);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("0.08 of 0.1 USD spent;"));
  const auto rows = ledger_->usage("user", 0);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->at(0).at("calls"), json::value(1));
  EXPECT_EQ(rows->at(0).at("input_tokens"), json::value(40));
}

TEST_F(LedgerTest, ACallThatOutlivesItsPromiseIsNotCountedTwice) {
  const auto id = lease(8 * kCent, 0, {.day = Budget{.nusd = 10 * kCent}});
  now_ += 61s;
  ASSERT_TRUE(ledger_->usage("day", 0));
  ASSERT_TRUE(ledger_->settle(*id, facts(), {}, 8 * kCent, "ok"));
  EXPECT_EQ(ledger_->usage("day", 0)->at(0).at("calls"), json::value(1));
}

TEST_F(LedgerTest, WithoutAPriceABudgetOfMoneyFailsClosed) {
  const auto refused = ledger_->lease(facts(), {10, std::nullopt}, {.month = Budget{.nusd = kCent}}, 60s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBudget);
  EXPECT_THAT(refused.error().hint, HasSubstr("gpt-test: {input: …, output: …}"));
  EXPECT_TRUE(ledger_->lease(facts(), {10, std::nullopt}, {.month = Budget{.tokens = 10}}, 60s));
}

TEST_F(LedgerTest, ManyEnginesTogetherNeverPromiseMoreThanThereIs) {
  const Budgets budgets{.day = Budget{.tokens = 1000}};
  std::atomic<int> granted = 0;
  std::atomic<int> other = 0;
  std::vector<std::jthread> threads;
  for (int engine = 0; engine < 4; ++engine) {
    threads.emplace_back([&] {
      const auto own = open();
      for (int i = 0; i < 50; ++i) {
        const auto id = own->lease(facts(), {10, 0}, budgets, 60s);
        if (id) {
          ++granted;
        } else if (id.error().code != ErrorCode::kBudget) {
          ++other;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(granted, 100);
  EXPECT_EQ(other, 0);
}

TEST_F(LedgerTest, UsageIsSummedByWhatIsAsked) {
  Usage usage;
  usage.input_tokens = 100;
  usage.output_tokens = 20;
  usage.cached_tokens = 30;
  ASSERT_TRUE(ledger_->settle(std::nullopt, facts("ann"), usage, 2 * kCent, "ok"));
  ASSERT_TRUE(ledger_->settle(std::nullopt, facts("bob"), usage, 5 * kCent, "ok"));
  now_ += 24h;
  ASSERT_TRUE(ledger_->settle(std::nullopt, facts("bob"), usage, std::nullopt, "ok"));
  const auto days = ledger_->usage("day", 0);
  ASSERT_TRUE(days);
  ASSERT_EQ(days->size(), 2U);
  EXPECT_EQ(days->at(0), (json::value{{"day", "2025-11-26"}, {"calls", 2}, {"input_tokens", 200}, {"output_tokens", 40}, {"cached_tokens", 60}, {"cost_usd", 0.07}, {"unpriced_calls", 0},
                                       {"cached_calls", 0}}));
  EXPECT_EQ(days->at(1).at("unpriced_calls"), json::value(1));
  const auto users = ledger_->usage("user", 0);
  EXPECT_EQ(users->at(0).at("user"), json::value("bob")) << "who spent most comes first";
  EXPECT_EQ(ledger_->usage("model", 0)->at(0).at("model"), json::value("openai/gpt-test"));
  EXPECT_EQ(ledger_->usage("function", 0)->at(0).at("function"), json::value("python/text.words"));
  EXPECT_EQ(ledger_->usage("assistant", 0)->at(0).at("assistant"), json::value("helper"));
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>((now_ - 1h).time_since_epoch()).count();
  EXPECT_EQ(ledger_->usage("alias", since)->at(0).at("calls"), json::value(1));
  EXPECT_EQ(ledger_->usage("colour", 0).error().code, ErrorCode::kInvalidArguments);
}

TEST_F(LedgerTest, TheLatestSwitchOfAnAliasHoldsAndAllAreKept) {
  EXPECT_TRUE(ledger_->switches()->empty());
  const auto before = *ledger_->switch_version();
  ASSERT_TRUE(ledger_->use("main", "a", "b", "ann"));
  ASSERT_TRUE(ledger_->use("main", "b", "c", "bob"));
  ASSERT_TRUE(ledger_->use("other", "x", "y", "ann"));
  EXPECT_GT(*open()->switch_version(), before);
  auto now = *open()->switches();
  ASSERT_EQ(now.size(), 2U);
  EXPECT_EQ(now[0].to, "c");
  EXPECT_EQ(now[0].from, "b");
  EXPECT_EQ(now[0].who, "bob");
  ASSERT_TRUE(ledger_->use("main", "c", "", "ann"));
  EXPECT_EQ(ledger_->switches()->size(), 1U);
}

}  // namespace
}  // namespace sabir::models

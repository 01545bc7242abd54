// Answers that are given again: the store with a clock of the test's own, and a model in front of it.
#include "sabir/models/answer_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "cache/cached_model.h"
#include "sabir/base/ids.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class AnswerCacheTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::shared_ptr<AnswerCache> open(const AnswerCache::Limits& limits = AnswerCache::kLimits) {
    const auto has_secret = [](std::string_view text) { return text.find("hunter22") != std::string_view::npos; };
    return std::make_shared<AnswerCache>(folder_, has_secret, limits, [this] { return now_; });
  }
  static Reply reply(const std::string& content) {
    Reply out;
    out.content = content;
    out.finish_reason = "stop";
    out.model = "gpt-test-1";
    out.provider = "openai";
    out.usage = {10, 2};
    return out;
  }
  static std::string found(AnswerCache& cache, const std::string& key, std::chrono::milliseconds ttl = 1h) {
    auto kept = cache.find(key, ttl);
    EXPECT_TRUE(kept) << to_text(kept.error());
    return kept && *kept ? (*kept)->content : "-";
  }
  std::string bytes_on_disk() const {
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(folder_)) {
      std::ifstream in(file.path(), std::ios::binary);
      all.append(std::istreambuf_iterator<char>(in), {});
    }
    return all;
  }

  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("sabir-cache-" + new_id());
  std::chrono::system_clock::time_point now_ = std::chrono::system_clock::from_time_t(1'764'200'000);
};

TEST_F(AnswerCacheTest, AnAnswerIsKeptWhole) {
  auto cache = open();
  Reply full = reply("Grüße");
  full.reasoning = "well";
  full.reasoning_details = {json::object{{"type", "thinking"}}};
  full.tool_calls = {{"call_1", "slugify", R"({"text":"a"})"}};
  full.usage = {1, 2, 3, 4, 5};
  full.repaired = true;
  ASSERT_TRUE(cache->keep("k", full, 1h).value());
  // Another engine's.
  const auto again = open()->find("k", 1h);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->content, full.content);
  EXPECT_EQ((*again)->reasoning, full.reasoning);
  EXPECT_EQ((*again)->reasoning_details, full.reasoning_details);
  ASSERT_EQ((*again)->tool_calls.size(), 1U);
  EXPECT_EQ((*again)->tool_calls[0].arguments_json, full.tool_calls[0].arguments_json);
  EXPECT_EQ(to_json((*again)->usage), to_json(full.usage));
  EXPECT_EQ((*again)->model, "gpt-test-1");
  EXPECT_TRUE((*again)->repaired);
}

TEST_F(AnswerCacheTest, AnAnswerIsAsOldAsWhoeverAsksAndWhoeverKeptItAllow) {
  auto cache = open();
  ASSERT_TRUE(cache->keep("k", reply("old"), 1h).value());
  now_ += 30min;
  EXPECT_EQ(found(*cache, "k", 31min), "old");
  EXPECT_EQ(found(*cache, "k", 30min), "-");
  now_ += 30min;
  EXPECT_EQ(found(*cache, "k", 24h), "-");
  EXPECT_EQ(cache->size()->answers, 0);
}

TEST_F(AnswerCacheTest, BeyondItsBoundsWhatWasUsedLeastLatelyGoes) {
  auto cache = open({3, 1 << 20});
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_TRUE(cache->keep(key, reply(key), 1h).value());
    now_ += 1s;
  }
  EXPECT_EQ(found(*cache, "a"), "a");
  now_ += 1s;
  ASSERT_TRUE(cache->keep("d", reply("d"), 1h).value());
  EXPECT_EQ(found(*cache, "b"), "-");
  EXPECT_EQ(found(*cache, "a"), "a");
  EXPECT_EQ(cache->size()->answers, 3);
}

TEST_F(AnswerCacheTest, BytesAreBoundedToo) {
  auto cache = open({100, 4000});
  EXPECT_FALSE(cache->keep("huge", reply(std::string(1000, 'x')), 1h).value());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(cache->keep("k" + std::to_string(i), reply(std::string(500, 'x')), 1h).value());
    now_ += 1s;
  }
  EXPECT_LE(cache->size()->bytes, 4000);
  EXPECT_GT(cache->size()->bytes, 3000);
  EXPECT_NE(found(*cache, "k19"), "-");
  EXPECT_EQ(found(*cache, "k0"), "-");
}

TEST_F(AnswerCacheTest, WhatIsNoWholeAnswerOrHasASecretIsNotKept) {
  auto cache = open();
  for (const char* reason : {"length", "content_filter", ""}) {
    Reply cut = reply("half");
    cut.finish_reason = reason;
    EXPECT_FALSE(cache->keep("k", cut, 1h).value()) << reason;
  }
  EXPECT_FALSE(cache->keep("k", reply("it is hunter22"), 1h).value());
  Reply calls = reply("");
  calls.finish_reason = "tool_calls";
  calls.tool_calls = {{"1", "login", R"({"key":"hunter22"})"}};
  EXPECT_FALSE(cache->keep("k", calls, 1h).value());
  EXPECT_EQ(cache->size()->answers, 0);
  EXPECT_THAT(bytes_on_disk(), Not(HasSubstr("hunter22")));
}

TEST_F(AnswerCacheTest, ClearingLeavesNothingOnTheDisk) {
  auto cache = open();
  ASSERT_TRUE(cache->keep("a", reply("a sentence to be found"), 1h).value());
  EXPECT_THAT(bytes_on_disk(), HasSubstr("a sentence to be found"));
  EXPECT_EQ(cache->clear().value(), 1);
  EXPECT_EQ(cache->clear().value(), 0);
  EXPECT_THAT(bytes_on_disk(), Not(HasSubstr("a sentence to be found")));
}

// A model that counts what it is asked, and may be told to fail or to wait.
class Counted final : public Model {
 public:
  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    ++asked;
    while (waits && !(request.cancelled && request.cancelled->load())) std::this_thread::sleep_for(1ms);
    if (fails) return fail(ErrorCode::kModel, "no");
    if (on_event) on_event(Event{.content = answer.content});
    return answer;
  }
  std::string description() const override { return "counted"; }

  Reply answer;
  std::atomic<int> asked = 0;
  std::atomic<bool> waits = false;
  bool fails = false;
};

class CachedModelTest : public AnswerCacheTest {
 protected:
  void SetUp() override {
    inner_->answer = reply("The answer is a sentence of more than sixty-four bytes, so that it comes in pieces: é.");
    caching_.cache = open();
    caching_.ttl = 1h;
    caching_.facts = {{}, "main", "openai", "gpt-test"};
    caching_.settings = {{"provider", "openai"}, {"base_url", "http://a/v1"}, {"model", "gpt-test"}};
    caching_.parameters = {{"temperature", 0}};
    caching_.ledger = *Ledger::open(folder_, [this] { return now_; });
  }
  std::shared_ptr<Model> model() { return make_cached_model(inner_, caching_); }
  static Request question(const std::string& text = "hello") {
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", text}});
    request.caller.context.user = "ann";
    return request;
  }

  std::shared_ptr<Counted> inner_ = std::make_shared<Counted>();
  Caching caching_;
};

TEST_F(CachedModelTest, TheSameQuestionIsAskedOnceAndAHitIsMarkedAndCostsNothing) {
  const auto first = model()->complete(question(), {});
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->cached);
  const auto second = model()->complete(question(), {});
  ASSERT_TRUE(second);
  EXPECT_EQ(inner_->asked, 1);
  EXPECT_TRUE(second->cached);
  EXPECT_EQ(second->content, first->content);
  EXPECT_EQ(second->alias, "main");
  EXPECT_EQ(second->cost_usd, 0);
  const auto rows = caching_.ledger->usage("user", 0);
  ASSERT_TRUE(rows && rows->size() == 1U);
  EXPECT_EQ(compact_json((*rows)[0]),
            R"({"user":"ann","calls":1,"input_tokens":0,"output_tokens":0,"cached_tokens":0,"cost_usd":0.0,"unpriced_calls":0,"cached_calls":1})");
}

TEST_F(CachedModelTest, AHitIsStreamedToWhoeverStreams) {
  ASSERT_TRUE(model()->complete(question(), {}));
  std::vector<std::string> pieces;
  const auto hit = model()->complete(question(), [&](const Event& event) { pieces.push_back(event.content); });
  ASSERT_TRUE(hit && hit->cached);
  ASSERT_GT(pieces.size(), 1U);
  std::string whole;
  for (const auto& piece : pieces) whole += piece;
  EXPECT_EQ(whole, inner_->answer.content);
}

TEST_F(CachedModelTest, WhateverDeterminesAnAnswerIsInTheKey) {
  std::set<std::string> keys = {answer_key(caching_, question())};
  const auto another = [&](const char* what, const std::function<void(Caching&, Request&)>& change) {
    Caching caching = caching_;
    Request request = question();
    change(caching, request);
    EXPECT_TRUE(keys.insert(answer_key(caching, request)).second) << what;
  };
  another("message", [](Caching&, Request& r) { r.messages[0].as_object()["content"] = "hello "; });
  another("role", [](Caching&, Request& r) { r.messages[0].as_object()["role"] = "system"; });
  another("picture", [](Caching&, Request& r) {
    r.messages[0].as_object()["content"] = json::array{json::object{{"type", "image_url"}, {"image_url", json::object{{"url", "data:image/png;base64,AAAA"}}}}};
  });
  another("picture's bytes", [](Caching&, Request& r) {
    r.messages[0].as_object()["content"] = json::array{json::object{{"type", "image_url"}, {"image_url", json::object{{"url", "data:image/png;base64,AAAB"}}}}};
  });
  another("tools", [](Caching&, Request& r) { r.tools.push_back(json::object{{"type", "function"}}); });
  another("schema", [](Caching&, Request& r) { r.output_schema = json::object{{"type", "object"}}; });
  another("another schema", [](Caching&, Request& r) { r.output_schema = json::object{{"type", "array"}}; });
  another("parameter", [](Caching&, Request& r) { r.parameters["temperature"] = 1; });
  another("parameter of the configuration", [](Caching& c, Request&) { c.parameters["seed"] = 1; });
  another("server", [](Caching& c, Request&) { c.settings["base_url"] = "http://b/v1"; });
  another("model", [](Caching& c, Request&) { c.settings["model"] = "gpt-test-2"; });
  another("provider", [](Caching& c, Request&) { c.settings["provider"] = "anthropic"; });
  // Who asks, and for how long, does not.
  Request same = question();
  same.timeout = 1s;
  same.cache = 2h;
  same.caller.context.user = "bob";
  EXPECT_FALSE(keys.insert(answer_key(caching_, same)).second);
}

TEST_F(CachedModelTest, OnlyOnRequestAndACallSaysOtherwiseThanTheConfiguration) {
  Request never = question();
  never.cache = 0ms;
  ASSERT_TRUE(model()->complete(never, {}));
  ASSERT_TRUE(model()->complete(never, {}));
  EXPECT_EQ(inner_->asked, 2);
  caching_.ttl = 0ms;
  ASSERT_TRUE(model()->complete(question(), {}));
  EXPECT_EQ(inner_->asked, 3);
  Request wanted = question();
  wanted.cache = 1h;
  ASSERT_TRUE(model()->complete(wanted, {}));
  EXPECT_TRUE(model()->complete(wanted, {})->cached);
  EXPECT_EQ(inner_->asked, 4);
}

TEST_F(CachedModelTest, AFailureAndAnAnswerOfAFallbackAreNotKept) {
  inner_->fails = true;
  ASSERT_FALSE(model()->complete(question(), {}));
  inner_->fails = false;
  inner_->answer.missed.push_back({"main", Error(ErrorCode::kModel, "down")});
  ASSERT_TRUE(model()->complete(question(), {}));
  ASSERT_TRUE(model()->complete(question(), {}));
  EXPECT_EQ(inner_->asked, 3);
  EXPECT_EQ(caching_.cache->size()->answers, 0);
}

TEST_F(CachedModelTest, TheSameAskedByManyAtOnceIsAskedOnce) {
  inner_->waits = true;
  std::vector<std::thread> threads;
  std::atomic<int> hits = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto reply = model()->complete(question(), {});
      if (reply && reply->cached) ++hits;
    });
  }
  while (inner_->asked == 0) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(50ms);
  inner_->waits = false;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(inner_->asked, 1);
  EXPECT_EQ(hits, 7);
}

TEST_F(CachedModelTest, WhoWaitsForAnotherMayGiveUp) {
  inner_->waits = true;
  std::thread first([&] { EXPECT_TRUE(model()->complete(question(), {})); });
  while (inner_->asked == 0) std::this_thread::sleep_for(1ms);
  Request second = question();
  second.cancelled = std::make_shared<std::atomic<bool>>(true);
  const auto gone = model()->complete(second, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(inner_->asked, 1);
  inner_->waits = false;
  first.join();
}

TEST_F(CachedModelTest, AStoreThatCannotBeReadCostsACallAndNoAnswer) {
  std::filesystem::create_directories(folder_ / "cache.db");
  ASSERT_TRUE(model()->complete(question(), {}));
  ASSERT_TRUE(model()->complete(question(), {}));
  EXPECT_EQ(inner_->asked, 2);
}

TEST(CacheTtl, IsWrittenAsOtherTimesAndInDays) {
  EXPECT_EQ(parse_ttl("10m"), 10min);
  EXPECT_EQ(parse_ttl("7d"), 168h);
  EXPECT_EQ(parse_ttl("366d"), 8784h);
  for (const char* bad : {"", "d", "0d", "367d", "1.5d", "-1d", "soon", "0s"}) EXPECT_FALSE(parse_ttl(bad)) << bad;
}

}  // namespace
}  // namespace sabir::models

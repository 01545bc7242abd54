#include "sabir/memory/memory.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sqlite_memory.h"

namespace sabir::memory {
namespace {

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sabir-memory-" + new_id());
    reopen();
  }
  void TearDown() override {
    memory_.reset();
    std::filesystem::remove_all(folder_);
  }
  void reopen() {
    memory_.reset();
    auto opened = SqliteMemory::open(folder_, [this] { return now_.load(); });
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    memory_ = std::move(*opened);
  }
  std::int64_t put(const std::string& key, const std::string& value, PutOptions options = {}) {
    auto version = memory_->put(scope_, "default", key, value, options);
    EXPECT_TRUE(version.has_value()) << version.error().message;
    return version.value_or(-1);
  }
  ErrorCode put_error(const std::string& key, const std::string& value, PutOptions options = {}) {
    auto version = memory_->put(scope_, "default", key, value, options);
    EXPECT_FALSE(version.has_value());
    return version ? ErrorCode::kInternal : version.error().code;
  }
  std::string value_of(const std::string& key) {
    auto item = memory_->get(scope_, "default", key);
    EXPECT_TRUE(item.has_value()) << item.error().message;
    return item && *item ? (*item)->value_json : "absent";
  }
  static std::string integrity(const std::filesystem::path& folder) {
    auto connection = store::Connection::open(folder / "store.db");
    if (!connection) return connection.error().message;
    auto statement = (*connection)->prepare("PRAGMA integrity_check");
    auto row = statement->step();
    return row && *row ? statement->text(0) : "?";
  }

  std::filesystem::path folder_;
  std::atomic<std::int64_t> now_{1'700'000'000'000};
  std::unique_ptr<SqliteMemory> memory_;
  CallContext scope_;
};

TEST_F(MemoryTest, AnItemKeepsItsBytesItsVersionAndItsSource) {
  const std::string value = R"({ "name":"Été 🚢", "n":12345678901234567890, "x":1.50 })";
  EXPECT_EQ(put("a", value, {.source = "cli"}), 1);
  reopen();
  auto item = memory_->get(scope_, "default", "a");
  ASSERT_TRUE(item.has_value() && *item);
  EXPECT_EQ((*item)->value_json, value);
  EXPECT_EQ((*item)->version, 1);
  EXPECT_EQ((*item)->source, "cli");
  EXPECT_EQ((*item)->updated_ms, now_);
  EXPECT_EQ(put("a", "2"), 2);
  EXPECT_EQ(value_of("a"), "2");
}

TEST_F(MemoryTest, ACompareAndSwapAgainstAnotherVersionChangesNothing) {
  EXPECT_EQ(put_error("a", "1", {.if_version = 3}), ErrorCode::kConflict);
  EXPECT_EQ(put("a", "1", {.if_version = 0}), 1);
  EXPECT_EQ(put_error("a", "2", {.if_version = 0}), ErrorCode::kConflict);
  EXPECT_EQ(put("a", "2", {.if_version = 1}), 2);
  auto lost = memory_->put(scope_, "default", "a", "3", {.if_version = 1});
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().data, R"({"version":2})");
  EXPECT_NE(lost.error().message.find("'a' is at version 2, not 1"), std::string::npos) << lost.error().message;
  EXPECT_EQ(value_of("a"), "2");
}

TEST_F(MemoryTest, AnotherUserTenantOrNamespaceSeesNothing) {
  put("a", "1");
  for (const CallContext& other : {CallContext{.user = "u"}, CallContext{.tenant = "t"}}) {
    EXPECT_FALSE(memory_->get(other, "default", "a")->has_value());
    EXPECT_TRUE(memory_->list(other, "default", "", "", 10)->empty());
    EXPECT_FALSE(*memory_->remove(other, "default", "a"));
  }
  EXPECT_FALSE(memory_->get(scope_, "notes", "a")->has_value());
  EXPECT_EQ(value_of("a"), "1");
  // The conversation and the run are no part of an item's scope.
  EXPECT_TRUE(memory_->get({.conversation = "c", .run = "r"}, "default", "a")->has_value());
}

TEST_F(MemoryTest, AnItemIsGoneWhenItsTimeIsOver) {
  put("a", "1", {.ttl_ms = 500});
  now_ += 499;
  EXPECT_EQ(value_of("a"), "1");
  now_ += 1;
  EXPECT_EQ(value_of("a"), "absent");
  EXPECT_TRUE(memory_->list(scope_, "default", "", "", 10)->empty());
  EXPECT_FALSE(*memory_->remove(scope_, "default", "a"));
  EXPECT_EQ(put("a", "2", {.if_version = 0, .ttl_ms = 10}), 1);
  EXPECT_EQ(put("a", "3"), 2);
  now_ += 1000;
  EXPECT_EQ(value_of("a"), "3");
}

TEST_F(MemoryTest, ExpiredItemsLeaveTheFile) {
  for (int i = 0; i < 300; ++i) put("k" + std::to_string(i), "1", {.ttl_ms = 1});
  for (int i = 0; i < 3; ++i) {
    now_ += 2000;
    put("x", "1");
  }
  auto connection = store::Connection::open(folder_ / "store.db");
  auto statement = (*connection)->prepare("SELECT count(*) FROM item");
  ASSERT_TRUE(*statement->step());
  EXPECT_EQ(statement->integer(0), 1);
}

TEST_F(MemoryTest, AListIsSortedAndPagedWithinItsPrefix) {
  for (const char* key : {"b/2", "b/10", "a", "b", "b/é", "c"}) put(key, "1");
  const auto keys = [&](const std::string& prefix, const std::string& after, int limit) {
    std::string text;
    auto items = memory_->list(scope_, "default", prefix, after, limit);
    for (const auto& item : *items) text += item.key + " ";
    return text;
  };
  EXPECT_EQ(keys("", "", 10), "a b b/10 b/2 b/é c ");
  EXPECT_EQ(keys("b/", "", 10), "b/10 b/2 b/é ");
  EXPECT_EQ(keys("b/", "b/10", 1), "b/2 ");
  EXPECT_EQ(keys("b/", "a", 2), "b/10 b/2 ");
  EXPECT_EQ(keys("b/", "b/é", 10), "");
  EXPECT_EQ(keys("zz", "", 10), "");
}

TEST_F(MemoryTest, BadInputIsRefusedWithAReason) {
  EXPECT_EQ(put_error("", "1"), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error(std::string(513, 'k'), "1"), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error(std::string("a\0b", 3), "1"), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error("\xff", "1"), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error("a", "nope"), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error("a", ""), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error("a", "1", {.ttl_ms = 0}), ErrorCode::kInvalidArguments);
  EXPECT_EQ(put_error("a", "\"" + std::string((16U << 20U), 'x') + "\""), ErrorCode::kInvalidArguments);
  EXPECT_EQ(memory_->append(scope_, "c", "[1]").error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(memory_->append(scope_, "", "{}").error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(put(std::string(512, 'k'), "1", {.ttl_ms = INT64_MAX}), 1);
}

TEST_F(MemoryTest, AConversationKeepsItsOrderAndGivesTheNewest) {
  for (int i = 1; i <= 5; ++i) {
    auto seq = memory_->append(scope_, "c", R"({"role":"user","content":")" + std::to_string(i) + "\"}");
    EXPECT_EQ(*seq, i);
  }
  EXPECT_EQ(*memory_->append(scope_, "other", "{}"), 1);
  EXPECT_EQ(*memory_->append({.user = "u"}, "c", "{}"), 1);
  auto messages = memory_->messages(scope_, "c", 2);
  ASSERT_EQ(messages->size(), 2U);
  EXPECT_EQ((*messages)[0].seq, 4);
  EXPECT_EQ((*messages)[1].message_json, R"({"role":"user","content":"5"})");
  EXPECT_TRUE(memory_->messages(scope_, "none", 5)->empty());
}

TEST_F(MemoryTest, VersionsAgreeWithAModelUnderRandomOperations) {
  struct Expected {
    std::int64_t version;
    std::string value;
    std::int64_t expires;
  };
  std::map<std::string, Expected> model;
  std::mt19937 random(7);
  const auto pick = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  for (int i = 0; i < 4000; ++i) {
    const std::string key = "k" + std::to_string(pick(12));
    now_ += pick(3);
    std::erase_if(model, [&](const auto& entry) { return entry.second.expires <= now_; });
    const auto found = model.find(key);
    const std::int64_t version = found == model.end() ? 0 : found->second.version;
    switch (pick(5)) {
      case 0:
      case 1: {
        PutOptions options;
        if (pick(2) == 0) options.if_version = pick(4);
        if (pick(3) == 0) options.ttl_ms = 1 + pick(40);
        const std::string value = std::to_string(random());
        const auto result = memory_->put(scope_, "default", key, value, options);
        if (options.if_version && *options.if_version != version) {
          ASSERT_FALSE(result.has_value());
          ASSERT_EQ(result.error().code, ErrorCode::kConflict);
        } else {
          ASSERT_TRUE(result.has_value());
          ASSERT_EQ(*result, version + 1);
          model[key] = {version + 1, value, options.ttl_ms ? now_ + *options.ttl_ms : INT64_MAX};
        }
        break;
      }
      case 2:
        ASSERT_EQ(*memory_->remove(scope_, "default", key), version > 0);
        model.erase(key);
        break;
      case 3: {
        const auto item = memory_->get(scope_, "default", key);
        ASSERT_EQ((*item).has_value(), version > 0);
        if (*item) {
          ASSERT_EQ((*item)->version, version);
          ASSERT_EQ((*item)->value_json, found->second.value);
        }
        break;
      }
      default: {
        const auto items = memory_->list(scope_, "default", "k", "", 100);
        ASSERT_EQ(items->size(), model.size());
        auto expected = model.begin();
        for (const auto& item : *items) {
          ASSERT_EQ(item.key, expected->first);
          ASSERT_EQ(item.version, expected->second.version);
          ++expected;
        }
      }
    }
  }
}

// Adds `times` to the counter by compare-and-swap.
bool count_up(Memory& memory, int times) {
  for (int i = 0; i < times;) {
    const auto item = memory.get({}, "default", "counter");
    if (!item) return false;
    const std::int64_t version = *item ? (*item)->version : 0;
    const int value = *item ? std::stoi((*item)->value_json) : 0;
    const auto put = memory.put({}, "default", "counter", std::to_string(value + 1), {.if_version = version});
    if (put) {
      ++i;
    } else if (put.error().code != ErrorCode::kConflict) {
      return false;
    }
  }
  return true;
}

TEST_F(MemoryTest, ThreadsNeverLoseACompareAndSwap) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_TRUE(count_up(*memory_, 40)); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value_of("counter"), "320");
}

TEST_F(MemoryTest, ProcessesNeverLoseAWriteOrAMessage) {
  memory_.reset();
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      auto memory = open_sqlite(folder_);
      bool ok = memory.has_value() && count_up(**memory, 100);
      for (int n = 0; ok && n < 100; ++n) ok = (*memory)->append({}, "c", "{}").has_value();
      ::_exit(ok ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  reopen();
  EXPECT_EQ(value_of("counter"), "300");
  const auto messages = memory_->messages({}, "c", 1000);
  ASSERT_EQ(messages->size(), 300U);
  EXPECT_EQ(messages->back().seq, 300);
  EXPECT_EQ(integrity(folder_), "ok");
}

TEST_F(MemoryTest, AKilledProcessLosesNothingItWasToldIsStored) {
  memory_.reset();
  std::vector<int> acknowledged;
  std::mt19937 random(11);
  for (int round = 0; round < 8; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      auto memory = open_sqlite(folder_);
      std::vector<std::thread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (int n = 0;; ++n) {
            const int key = (round * 4 + t) * 1'000'000 + n;
            if (!memory || !(*memory)->put({}, "default", std::to_string(key), "1", {})) ::_exit(1);
            if (::write(pipe[1], &key, sizeof key) != sizeof key) ::_exit(1);
          }
        });
      }
      for (auto& thread : threads) thread.join();
    }
    ::close(pipe[1]);
    int key = 0;
    for (auto left = 20 + random() % 200; left > 0 && ::read(pipe[0], &key, sizeof key) == sizeof key; --left) {
      acknowledged.push_back(key);
    }
    ::kill(pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    while (::read(pipe[0], &key, sizeof key) == sizeof key) acknowledged.push_back(key);
    ::close(pipe[0]);
  }
  ASSERT_GT(acknowledged.size(), 100U);
  reopen();
  for (const int key : acknowledged) ASSERT_EQ(value_of(std::to_string(key)), "1") << key;
  EXPECT_EQ(integrity(folder_), "ok");
}

TEST_F(MemoryTest, AFullDiskIsReportedAndWhatWasThereStays) {
  put("kept", "1");
  memory_.reset();
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto memory = open_sqlite(folder_);
    rlimit limit{262'144, 262'144};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto put = (*memory)->put({}, "default", "large", "\"" + std::string(600'000, 'x') + "\"", {});
    if (put || put.error().code != ErrorCode::kStorageFull) ::_exit(1);
    if (put.error().message.find("store.db: the disk is full") == std::string::npos) ::_exit(2);
    if (!(*memory)->put({}, "default", "small", "2", {})) ::_exit(3);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  reopen();
  EXPECT_EQ(value_of("kept"), "1");
  EXPECT_EQ(value_of("small"), "2");
  EXPECT_EQ(value_of("large"), "absent");
  EXPECT_EQ(integrity(folder_), "ok");
}

TEST_F(MemoryTest, AStoreOfANewerEngineIsRefused) {
  memory_.reset();
  {
    auto connection = store::Connection::open(folder_ / "store.db");
    ASSERT_TRUE((*connection)->execute("PRAGMA user_version=7").has_value());
  }
  const auto opened = open_sqlite(folder_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kStoreNewer);
  EXPECT_NE(opened.error().message.find("format 7, this one knows up to 1"), std::string::npos);
}

}  // namespace
}  // namespace sabir::memory

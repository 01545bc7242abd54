#include "sabir/journal/journal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include "sabir/base/ids.h"
#include "sabir/store/connection.h"

namespace sabir::journal {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = std::filesystem::temp_directory_path() / ("sabir-journal-" + new_id()); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Journal> open() {
    auto opened = Journal::open(folder_);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  static CallRecord call(std::string address, CallEffect effect = CallEffect::kWrite) {
    CallRecord record;
    record.address = std::move(address);
    record.effect = effect;
    record.arguments_json = R"({"n":1})";
    record.context.user = "ana";
    return record;
  }
  // Runs `body` in a child that is then killed, so that it leaves no chance to clean up.
  void in_killed_engine(const std::function<void(Journal&)>& body) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      auto journal = Journal::open(folder_);
      if (!journal) ::_exit(1);
      body(**journal);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }

  std::filesystem::path folder_;
};

TEST_F(JournalTest, ACallThatADeadEngineBeganIsFoundOnce) {
  in_killed_engine([](Journal& journal) {
    auto charged = call("ruby/bank.charge", CallEffect::kIrreversible);
    charged.idempotent = true;
    charged.idempotency_key = "k1";
    if (!journal.begin(charged)) ::_exit(1);
    const auto ended = journal.begin(call("python/notes.add"));
    if (!ended) ::_exit(1);
    journal.finish(*ended, {.ok = true});
    if (!journal.flush()) ::_exit(1);
  });
  auto journal = open();
  auto left = journal->unfinished();
  ASSERT_TRUE(left.has_value()) << left.error().message;
  ASSERT_EQ(left->size(), 1U);
  const auto& found = left->front();
  EXPECT_EQ(found.call.address, "ruby/bank.charge");
  EXPECT_EQ(found.call.effect, CallEffect::kIrreversible);
  EXPECT_TRUE(found.call.idempotent);
  EXPECT_EQ(found.call.idempotency_key, "k1");
  EXPECT_EQ(found.call.arguments_json, R"({"n":1})");
  EXPECT_EQ(found.call.context.user, "ana");

  journal->finish(found.id, {.ok = false, .error_type = "outcome_unknown"});
  ASSERT_TRUE(journal->flush().has_value());
  EXPECT_TRUE(journal->unfinished()->empty());
}

TEST_F(JournalTest, ALivingEnginesCallsAreNotUnfinished) {
  auto one = open();
  auto two = open();
  ASSERT_TRUE(one->begin(call("a")).has_value());
  EXPECT_TRUE(two->unfinished()->empty());
  EXPECT_TRUE(one->unfinished()->empty());
  one.reset();
  EXPECT_EQ(two->unfinished()->size(), 1U);
}

TEST_F(JournalTest, AnEngineThatEndsInOrderLeavesNothingBehind) {
  {
    auto journal = open();
    const auto id = journal->begin(call("a"));
    journal->finish(*id, {.ok = true});
  }
  auto journal = open();
  EXPECT_TRUE(journal->unfinished()->empty());
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_ / "engines")) ++files;
  EXPECT_EQ(files, 1);
}

TEST_F(JournalTest, WhatManyThreadsBeginIsAllThere) {
  std::atomic<int> begun{0};
  {
    auto journal = open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          const auto id = journal->begin(call("a", i % 10 == 0 ? CallEffect::kIrreversible : CallEffect::kWrite));
          if (id) ++begun;
          if (id && i % 2 == 0) journal->finish(*id, {.ok = true});
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(begun, 400);
  auto journal = open();
  EXPECT_EQ(journal->unfinished()->size(), 200U);
  EXPECT_EQ(journal->unfinished(7)->size(), 7U);
}

TEST_F(JournalTest, TheCallbackComesAfterTheCommit) {
  auto journal = open();
  std::promise<Result<std::int64_t>> promise;
  journal->begin_async(call("a", CallEffect::kIrreversible),
                       [&](Result<std::int64_t> result) { promise.set_value(std::move(result)); });
  const auto id = promise.get_future().get();
  ASSERT_TRUE(id.has_value());
  auto connection = store::Connection::open(folder_ / "journal.db");
  auto statement = (*connection)->prepare("SELECT count(*) FROM call WHERE id = ?");
  ASSERT_TRUE(*statement->bind(*id).step());
  EXPECT_EQ(statement->integer(0), 1);
}

TEST_F(JournalTest, ABoundedQueueAnswersBusy) {
  auto journal = open();
  auto blocker = store::Connection::open(folder_ / "journal.db");
  ASSERT_TRUE((*blocker)->execute("BEGIN IMMEDIATE").has_value());
  std::atomic<int> busy{0};
  std::atomic<int> committed{0};
  constexpr int kCalls = 6000;
  for (int i = 0; i < kCalls; ++i) {
    journal->begin_async(call("a"), [&](Result<std::int64_t> result) {
      if (result) {
        ++committed;
      } else if (result.error().code == ErrorCode::kBusy) {
        ++busy;
      }
    });
  }
  EXPECT_GT(busy, 1000);
  ASSERT_TRUE((*blocker)->execute("ROLLBACK").has_value());
  ASSERT_TRUE([&] {
    for (int i = 0; i < 12'000; ++i) {
      if (committed + busy == kCalls) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }());
}

TEST_F(JournalTest, AFullDiskRefusesTheCall) {
  { open(); }
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto journal = Journal::open(folder_);
    rlimit limit{131'072, 131'072};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 100; ++i) {
      auto record = call("a");
      record.arguments_json = std::string(15'000, 'x');
      const auto id = (*journal)->begin(record);
      if (!id) ::_exit(id.error().code == ErrorCode::kStorageFull ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST_F(JournalTest, ARunIsReadBackStepByStep) {
  auto journal = open();
  const auto run = journal->start_run({.assistant = "helper", .input_json = R"({"message":"hi"})",
                                       .context = {.user = "ana", .conversation = "c"}});
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(*journal->step(*run, "model_reply", R"({"content":"x"})"), 1);
  EXPECT_EQ(*journal->step(*run, "tool_call", R"({"address":"a"})"), 2);
  auto read = journal->run(*run);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(string_or(*read, "status"), "running");
  ASSERT_TRUE(journal->finish_run(*run, "finished", R"({"content":"bye"})").has_value());
  read = journal->run(*run);
  EXPECT_EQ(string_or(*read, "status"), "finished");
  EXPECT_EQ(read->at("output").at("content").as_string(), "bye");
  EXPECT_EQ(read->at("input").at("message").as_string(), "hi");
  EXPECT_EQ(read->at("context").at("user").as_string(), "ana");
  EXPECT_EQ(read->at("steps").as_array().size(), 2U);
  EXPECT_EQ(read->at("steps").at(1).at("kind").as_string(), "tool_call");

  EXPECT_EQ(journal->step("none", "x", "{}").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(journal->finish_run("none", "finished", "{}").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(journal->run("none").error().code, ErrorCode::kNotFound);
}

TEST_F(JournalTest, ARunOfADeadEngineReadsAsInterrupted) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  in_killed_engine([&](Journal& journal) {
    const auto run = journal.start_run({.assistant = "helper", .input_json = "{}"});
    if (!run || ::write(pipe[1], run->data(), 26) != 26) ::_exit(1);
  });
  std::string id(26, ' ');
  ASSERT_EQ(::read(pipe[0], id.data(), 26), 26);
  auto journal = open();
  EXPECT_EQ(string_or(*journal->run(id), "status"), "interrupted");
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(JournalTest, AJournalOfANewerEngineIsRefused) {
  { open(); }
  {
    auto connection = store::Connection::open(folder_ / "journal.db");
    ASSERT_TRUE((*connection)->execute("PRAGMA user_version=9").has_value());
  }
  EXPECT_EQ(Journal::open(folder_).error().code, ErrorCode::kStoreNewer);
}

TEST_F(JournalTest, LongArgumentsAreCutBetweenCharacters) {
  in_killed_engine([](Journal& journal) {
    auto record = call("a");
    record.arguments_json.clear();
    while (record.arguments_json.size() < 20'000) record.arguments_json += "aéé";
    if (!journal.begin(record)) ::_exit(1);
  });
  const auto left = open()->unfinished();
  ASSERT_EQ(left->size(), 1U);
  EXPECT_LE(left->front().call.arguments_json.size(), 16'400U);
  EXPECT_TRUE(left->front().call.arguments_json.ends_with("…"));
}

TEST_F(JournalTest, ARunWaitsForApprovalsAcrossEngines) {
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  in_killed_engine([&](Journal& journal) {
    const auto id = journal.start_run({"helper", "{}", {}});
    Approval one;
    one.id = "a1";
    one.assistant = "helper";
    one.call_id = "c1";
    one.address = "bank.charge";
    one.arguments_json = R"({"amount":5})";
    one.asked_ms = 1;
    one.expires_ms = INT64_MAX;
    Approval two = one;
    two.id = "a2";
    two.expires_ms = 2;
    if (!journal.suspend(*id, R"({"step":1})", {one, two})) ::_exit(1);
    if (::write(pipes[1], id->data(), id->size()) != static_cast<ssize_t>(id->size())) ::_exit(1);
  });
  std::string run(26, ' ');
  ASSERT_EQ(::read(pipes[0], run.data(), run.size()), 26);
  ::close(pipes[0]);
  ::close(pipes[1]);
  auto journal = open();
  EXPECT_EQ(journal->run(run)->at("status"), "waiting") << "not interrupted, though its engine died";
  EXPECT_EQ(journal->approvals(true)->size(), 1U);
  EXPECT_EQ(journal->approvals(false)->size(), 2U);
  EXPECT_FALSE(journal->take(run)->has_value());
  EXPECT_TRUE(journal->decided_runs()->empty());
  EXPECT_EQ(journal->decide("a2", true, "ana", "").error().code, ErrorCode::kConflict) << "it has expired";
  EXPECT_EQ(journal->decide("a3", true, "ana", "").error().code, ErrorCode::kNotFound);
  const auto decided = journal->decide("a1", true, "ana", "fine");
  ASSERT_TRUE(decided) << decided.error().message;
  EXPECT_EQ(decided->state, "approved");
  const auto again = journal->decide("a1", false, "bob", "");
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("'ana' has approved"), std::string::npos);
  EXPECT_EQ(*journal->decided_runs(), std::vector<std::string>{run});
  const auto taken = journal->take(run);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->state_json, R"({"step":1})");
  ASSERT_EQ((*taken)->approvals.size(), 2U);
  EXPECT_EQ((*taken)->approvals[0].decided_by, "ana");
  EXPECT_EQ((*taken)->approvals[1].state, "expired");
  EXPECT_FALSE(journal->take(run)->has_value()) << "once";
  EXPECT_EQ(journal->run(run)->at("status"), "running");
  EXPECT_EQ(to_json((*taken)->approvals[0]).at("arguments").at("amount"), 5);
}

}  // namespace
}  // namespace sabir::journal

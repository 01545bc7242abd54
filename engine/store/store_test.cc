#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "sabir/base/ids.h"
#include "sabir/store/connection.h"
#include "sabir/store/migration.h"
#include "sabir/store/writer.h"

namespace sabir::store {
namespace {

class Store : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sabir-store-" + new_id());
    file_ = folder_ / "state" / "store.db";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::int64_t number(Connection& connection, std::string_view sql) {
    auto statement = connection.prepare(sql);
    EXPECT_TRUE(statement.has_value()) << statement.error().message;
    auto row = statement->step();
    EXPECT_TRUE(row.has_value() && *row);
    return statement->integer(0);
  }
  static constexpr std::string_view kStep1 = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
  static constexpr std::string_view kStep2 = "ALTER TABLE note ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'";
  static constexpr std::int32_t kApplication = 0x7361626a;
  const Format one_{kApplication, {kStep1}};
  const Format two_{kApplication, {kStep1, kStep2}};

  std::filesystem::path folder_;
  std::filesystem::path file_;
};

TEST_F(Store, ANewStoreIsPrivateToItsOwner) {
  auto connection = open_format(file_, one_);
  ASSERT_TRUE(connection.has_value()) << connection.error().message;
  ASSERT_TRUE((*connection)->execute("INSERT INTO note (text) VALUES ('x')").has_value());
  struct stat info {};
  for (const char* suffix : {"", "-wal", "-shm"}) {
    ASSERT_EQ(::stat((file_.string() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << suffix;
  }
  ASSERT_EQ(::stat(file_.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(Store, SqliteIsFreeOfTheWriteAheadLogResetRace) { EXPECT_GE(sqlite3_libversion_number(), 3051003); }

TEST_F(Store, TextsOfStatementsMayBeGoneWhenAnotherIsPrepared) {
  auto connection = Connection::open(folder_ / "x.db");
  ASSERT_TRUE(connection) << connection.error().message;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 50; ++i) {
      // Longer than what a string holds in itself.
      auto statement = (*connection)->prepare("SELECT " + std::to_string(i) + " AS a_name_that_is_long_enough");
      ASSERT_TRUE(statement) << statement.error().message;
      ASSERT_TRUE(*statement->step());
      EXPECT_EQ(statement->integer(0), i);
    }
  }
}

TEST_F(Store, ANewerFormatIsRefusedAndLeftAlone) {
  { ASSERT_TRUE(open_format(file_, two_).has_value()); }
  const auto opened = open_format(file_, one_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kStoreNewer);
  EXPECT_NE(opened.error().message.find("written by a newer engine (format 2, this one knows up to 1)"),
            std::string::npos)
      << opened.error().message;
  EXPECT_NE(opened.error().hint.find("sabir.yml"), std::string::npos);
  ASSERT_TRUE(open_format(file_, two_).has_value());
}

TEST_F(Store, AnOlderFormatIsCopiedThenMigrated) {
  {
    auto connection = open_format(file_, one_);
    ASSERT_TRUE(connection.has_value());
    ASSERT_TRUE((*connection)->execute("INSERT INTO note (text) VALUES ('kept')").has_value());
  }
  {
    auto connection = open_format(file_, two_);
    ASSERT_TRUE(connection.has_value()) << connection.error().message;
    EXPECT_EQ(number(**connection, "SELECT count(*) FROM note WHERE text = 'kept' AND mood = 'calm'"), 1);
    EXPECT_EQ(number(**connection, "PRAGMA user_version"), 2);
  }
  const std::filesystem::path copy = file_.string() + ".format-1.bak";
  ASSERT_TRUE(std::filesystem::exists(copy));
  auto old = open_format(copy, one_);
  ASSERT_TRUE(old.has_value()) << old.error().message;
  EXPECT_EQ(number(**old, "SELECT count(*) FROM note WHERE text = 'kept'"), 1);
}

TEST_F(Store, AFailedMigrationLeavesTheOldFormat) {
  { ASSERT_TRUE(open_format(file_, one_).has_value()); }
  const Format broken{kApplication, {kStep1, "ALTER TABLE note ADD COLUMN ok TEXT; SELECT no_such_function()"}};
  ASSERT_FALSE(open_format(file_, broken).has_value());
  auto connection = open_format(file_, one_);
  ASSERT_TRUE(connection.has_value()) << connection.error().message;
  EXPECT_EQ(number(**connection, "SELECT count(*) FROM pragma_table_info('note')"), 2);
}

TEST_F(Store, ProcessesThatOpenANewStoreAtOnceAllSucceed) {
  for (int round = 0; round < 5; ++round) {
    const auto file = folder_ / ("race" + std::to_string(round)) / "store.db";
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      const pid_t pid = ::fork();
      ASSERT_GE(pid, 0);
      if (pid == 0) {
        auto connection = open_format(file, two_);
        const bool ok = connection && (*connection)->execute("INSERT INTO note (text) VALUES ('x')").has_value();
        ::_exit(ok ? 0 : 1);
      }
      children.push_back(pid);
    }
    for (const pid_t pid : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0);
    }
    auto connection = open_format(file, two_);
    ASSERT_TRUE(connection.has_value());
    EXPECT_EQ(number(**connection, "SELECT count(*) FROM note"), 6);
  }
}

TEST_F(Store, AnotherProgramsFileIsRefusedByName) {
  std::filesystem::create_directories(file_.parent_path());
  std::ofstream(file_) << std::string(4096, 'x');
  auto opened = open_format(file_, one_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kStorage);
  EXPECT_NE(opened.error().message.find("not a Sabir store"), std::string::npos) << opened.error().message;
  EXPECT_FALSE(opened.error().hint.empty());

  std::filesystem::remove(file_);
  { ASSERT_TRUE(open_format(file_, Format{1234, {kStep1}}).has_value()); }
  opened = open_format(file_, one_);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().message.find("not one that Sabir wrote"), std::string::npos);
}

TEST_F(Store, ALockHeldTooLongEndsInBusyWithinTheTimeout) {
  auto holder = open_format(file_, one_);
  ASSERT_TRUE(holder.has_value());
  ASSERT_TRUE((*holder)->execute("BEGIN IMMEDIATE").has_value());
  OpenOptions options;
  options.busy_timeout = std::chrono::milliseconds(150);
  auto other = open_format(file_, one_, options);
  ASSERT_TRUE(other.has_value());
  const auto start = std::chrono::steady_clock::now();
  const auto result = (*other)->transact([&] { return (*other)->execute("INSERT INTO note (text) VALUES ('x')"); });
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kBusy) << result.error().message;
  EXPECT_GE(took, std::chrono::milliseconds(140));
  EXPECT_LT(took, std::chrono::seconds(9));
  ASSERT_TRUE((*holder)->execute("ROLLBACK").has_value());
  EXPECT_TRUE((*other)->transact([&] { return (*other)->execute("INSERT INTO note (text) VALUES ('x')"); }).has_value());
}

TEST_F(Store, AnErrorInATransactionUndoesItsWrites) {
  auto connection = open_format(file_, one_);
  ASSERT_TRUE(connection.has_value());
  const auto result = (*connection)->transact([&]() -> Result<void> {
    auto written = (*connection)->execute("INSERT INTO note (text) VALUES ('x')");
    EXPECT_TRUE(written.has_value());
    return fail(ErrorCode::kConflict, "no");
  });
  EXPECT_EQ(result.error().code, ErrorCode::kConflict);
  EXPECT_EQ(number(**connection, "SELECT count(*) FROM note"), 0);
}

TEST_F(Store, AFullDatabaseSaysSoAndTheStoreStaysUsable) {
  auto connection = open_format(file_, one_);
  ASSERT_TRUE(connection.has_value());
  ASSERT_TRUE((*connection)->execute("PRAGMA max_page_count=16").has_value());
  const std::string large(200'000, 'x');
  const auto insert = [&](std::string_view text) {
    return (*connection)->transact([&]() -> Result<void> {
      auto statement = (*connection)->prepare("INSERT INTO note (text) VALUES (?)");
      if (!statement) return fail(statement.error());
      return statement->bind(text).run();
    });
  };
  const auto result = insert(large);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kStorageFull);
  EXPECT_NE(result.error().message.find(file_.string()), std::string::npos);
  EXPECT_NE(result.error().hint.find("Free some space"), std::string::npos);
  EXPECT_TRUE(insert("small").has_value());
  EXPECT_EQ(number(**connection, "SELECT count(*) FROM note"), 1);
}

TEST_F(Store, AFileSizeLimitReadsAsAFullDisk) {
  { ASSERT_TRUE(open_format(file_, one_).has_value()); }
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto connection = open_format(file_, one_);
    rlimit limit{65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text(300'000, 'x');
    auto statement = (*connection)->prepare("INSERT INTO note (text) VALUES (?)");
    const auto result = (*connection)->transact([&] { return statement->bind(text).run(); });
    if (result.has_value()) ::_exit(1);
    ::_exit(result.error().code == ErrorCode::kStorageFull ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST_F(Store, WritesThatWaitTogetherAllHaveTheirOwnOutcome) {
  auto connection = open_format(file_, one_);
  ASSERT_TRUE(connection.has_value());
  Writer writer(std::move(*connection));
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto result = writer.write([&](Connection& inside) -> Result<void> {
          if (t == 0) return fail(ErrorCode::kConflict, "always");
          if (t == 1) throw std::runtime_error("broken");
          return inside.execute("INSERT INTO note (text) VALUES ('x')");
        });
        if (!result) ++refused;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refused, 100);
  auto check = open_format(file_, one_);
  EXPECT_EQ(number(**check, "SELECT count(*) FROM note"), 300);
}

}  // namespace
}  // namespace sabir::store

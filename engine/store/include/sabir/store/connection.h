// Connection: one SQLite database file, opened for Sabir's use: write-ahead log, bounded waits, typed errors.
//
// Threads: a Connection and its Statements belong to one thread at a time; the owner holds a mutex or a pool.
// Processes: any number may hold connections to one file. Never open the database file by other means while a
// connection of this process is open: closing any descriptor of it drops the process's POSIX locks.
// Lifetime: a Statement must end before its Connection.
//
// Durability: a committed transaction survives the death of the process (kill -9) at every setting, since its bytes
// are in the kernel's hands. It survives the loss of power only under Durability::kPower, which waits for the disk on
// each commit; under kProcess the database stays whole, but the last commits may be missing. The last commits stand in
// `<file>-wal`, also when nobody has the database open: whoever copies it by hand copies both.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sabir/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sabir::store {

enum class Durability { kProcess, kPower };
enum class Access { kReadWrite, kReadOnly };

struct OpenOptions {
  Access access = Access::kReadWrite;
  Durability durability = Durability::kProcess;
  std::chrono::milliseconds busy_timeout{10'000};  // longest wait for another process's lock
};

class Connection;

// One prepared statement at work; on destruction it is reset and goes back to its connection's cache.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  ~Statement();

  // Parameters are bound in order of the calls; texts must outlive the last step().
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view text);
  Statement& bind(const std::optional<std::int64_t>& value);
  Statement& bind_null();

  // True when there is a row to read.
  Result<bool> step();
  // Runs to the end, ignoring rows.
  Result<void> run();

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  std::string_view view(int column) const;  // valid until the next step()
  bool is_null(int column) const;

 private:
  friend class Connection;
  Statement(Connection* connection, sqlite3_stmt* statement) : connection_(connection), statement_(statement) {}
  Connection* connection_;
  sqlite3_stmt* statement_;
  int next_parameter_ = 1;
  int bind_error_ = 0;
};

class Connection {
 public:
  // Errors: kNotFound (read-only, no such file), kStorage (not a database, corrupt, no permission), kStorageFull.
  // A new file gets mode 0600; missing folders are made with mode 0700.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file, const OpenOptions& options = {});
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // One or more statements without parameters.
  Result<void> execute(std::string_view sql);
  // Prepared once for each text. `sql` must be a literal or outlive the connection.
  Result<Statement> prepare(std::string_view sql);

  // Runs `body` inside BEGIN IMMEDIATE … COMMIT; whatever it returns as an error rolls back. When another process's
  // commit gets in between (SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT) the whole is repeated until the busy timeout is over, so
  // `body` must be repeatable. Errors: the body's, kStorageFull, kBusy after the timeout, kStorage.
  Result<void> transact(const std::function<Result<void>()>& body);

  Result<void> set_durability(Durability durability);
  std::int64_t changes() const;  // rows touched by the last statement
  std::int64_t last_insert_id() const;
  const std::filesystem::path& file() const { return file_; }
  sqlite3* handle() const { return db_; }

  // What SQLite's result code means for a person; `what` completes "cannot …".
  Error error(int code, std::string_view what) const;

 private:
  friend class Statement;
  Connection(std::filesystem::path file, const OpenOptions& options) : file_(std::move(file)), options_(options) {}
  static int on_busy(void* self, int count);
  Result<void> use_write_ahead_log();
  void roll_back();

  std::filesystem::path file_;
  OpenOptions options_;
  Durability durability_ = Durability::kProcess;
  sqlite3* db_ = nullptr;
  std::chrono::steady_clock::time_point busy_since_;
  // Statements that are not in use, by text.
  std::unordered_map<std::string_view, std::vector<sqlite3_stmt*>> idle_;
};

}  // namespace sabir::store

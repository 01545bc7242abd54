#include "sabir/store/connection.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

namespace sabir::store {
namespace {

bool is_disk_full(int code, int system_error) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  return (code & 0xff) == SQLITE_IOERR &&
         (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG);
}

bool is_busy(int code) { return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED; }

Result<void> make_private_folders(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> missing;
  std::error_code ec;
  for (auto at = folder; !at.empty() && !std::filesystem::exists(at, ec); at = at.parent_path()) {
    missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (::mkdir(at->c_str(), 0700) == 0 || errno == EEXIST) continue;
    const int number = errno;
    if (number == ENOSPC || number == EDQUOT) {
      return fail(ErrorCode::kStorageFull, "cannot make the folder " + at->string() + ": the disk is full",
                  "Free some space and try again.");
    }
    return fail(ErrorCode::kStorage, "cannot make the folder " + at->string() + ": " + std::strerror(number),
                "Check that you may write there.");
  }
  return {};
}

// SQLite gives -wal and -shm the mode of the main file. O_EXCL matters: a second descriptor on a database that this
// process already has open would drop its locks when closed.
Result<void> create_private_file(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    ::close(fd);
    return {};
  }
  const int number = errno;
  if (number == EEXIST) return {};
  if (number == ENOSPC || number == EDQUOT) {
    return fail(ErrorCode::kStorageFull, "cannot create " + file.string() + ": the disk is full",
                "Free some space and try again.");
  }
  return fail(ErrorCode::kStorage, "cannot create " + file.string() + ": " + std::strerror(number),
              "Check that you may write to " + file.parent_path().string() + ".");
}

// 0.2 ms growing to about 8 ms, spread so that processes do not wake together.
std::chrono::microseconds pause_before_retry(int count) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const int base = 200 << std::min(count, 5);
  return std::chrono::microseconds(base / 2 + static_cast<int>(random() % static_cast<unsigned>(base)));
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      next_parameter_(other.next_parameter_),
      bind_error_(other.bind_error_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  connection_->idle_[sqlite3_sql(statement_)].push_back(statement_);
}

Statement& Statement::bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, next_parameter_++, value);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  const int code =
      sqlite3_bind_text64(statement_, next_parameter_++, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(const std::optional<std::int64_t>& value) { return value ? bind(*value) : bind_null(); }

Statement& Statement::bind_null() {
  const int code = sqlite3_bind_null(statement_, next_parameter_++);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != 0) return fail(connection_->error(bind_error_, "use a value"));
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(connection_->error(sqlite3_extended_errcode(connection_->db_), "read or write"));
}

Result<void> Statement::run() {
  while (true) {
    auto row = step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return {};
  }
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::view(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string_view{} : std::string_view(text, static_cast<std::size_t>(size));
}

std::string Statement::text(int column) const { return std::string(view(column)); }

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& file, const OpenOptions& options) {
  std::unique_ptr<Connection> connection(new Connection(file, options));
  if (options.access == Access::kReadWrite) {
    if (!file.parent_path().empty()) {
      if (auto made = make_private_folders(file.parent_path()); !made) return fail(std::move(made.error()));
    }
    if (auto created = create_private_file(file); !created) return fail(std::move(created.error()));
  } else {
    std::error_code ec;
    if (!std::filesystem::exists(file, ec)) {
      return fail(ErrorCode::kNotFound, file.string() + ": there is no store yet");
    }
  }
  // SQLITE_OPEN_READWRITE without CREATE: the file exists by now, and a folder in its place is an error. Readers open
  // the file for writing too, since the write-ahead log's index must be writable; query_only keeps them readers.
  const int code = sqlite3_open_v2(file.c_str(), &connection->db_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (code != SQLITE_OK) return fail(connection->error(code, "open"));
  sqlite3_busy_handler(connection->db_, &Connection::on_busy, connection.get());
  sqlite3_limit(connection->db_, SQLITE_LIMIT_LENGTH, 128 << 20);
  // The log stays when the last connection closes: a process of one call would otherwise wait for the disk twice, to
  // empty the log and to begin the next one.
  sqlite3_db_config(connection->db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (auto ready = connection->use_write_ahead_log(); !ready) return fail(std::move(ready.error()));
  if (auto set = connection->execute("PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"
                                     "PRAGMA journal_size_limit=67108864;");
      !set) {
    return fail(std::move(set.error()));
  }
  if (auto set = connection->execute(options.durability == Durability::kPower ? "PRAGMA synchronous=FULL"
                                                                              : "PRAGMA synchronous=NORMAL");
      !set) {
    return fail(std::move(set.error()));
  }
  connection->durability_ = options.durability;
  if (options.access == Access::kReadOnly) {
    if (auto set = connection->execute("PRAGMA query_only=ON"); !set) return fail(std::move(set.error()));
  }
  return connection;
}

// The change to WAL mode and a recovery after a crash need a lock for which SQLite does not always ask the busy
// handler, hence the loop.
Result<void> Connection::use_write_ahead_log() {
  const auto until = std::chrono::steady_clock::now() + options_.busy_timeout;
  for (int count = 0;; ++count) {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(db_, "PRAGMA journal_mode=WAL", -1, &statement, nullptr);
    if (code == SQLITE_OK) {
      code = sqlite3_step(statement);
      const bool is_wal =
          code == SQLITE_ROW && std::strcmp(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)), "wal") == 0;
      sqlite3_finalize(statement);
      if (is_wal) return {};
      if (code == SQLITE_ROW) {
        return fail(ErrorCode::kStorage, file_.string() + ": this file system cannot hold a write-ahead log",
                    "Keep the project on a local disk; network file systems do not work.");
      }
    }
    if (!is_busy(code) || std::chrono::steady_clock::now() >= until) return fail(error(code, "open"));
    std::this_thread::sleep_for(pause_before_retry(count));
  }
}

Connection::~Connection() {
  for (auto& [sql, statements] : idle_) {
    for (auto* statement : statements) sqlite3_finalize(statement);
  }
  sqlite3_close(db_);
}

int Connection::on_busy(void* self, int count) {
  auto* connection = static_cast<Connection*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (count == 0) connection->busy_since_ = now;
  if (now - connection->busy_since_ >= connection->options_.busy_timeout) return 0;
  std::this_thread::sleep_for(pause_before_retry(count));
  return 1;
}

Result<void> Connection::execute(std::string_view sql) {
  const std::string text(sql);
  errno = 0;
  const int code = sqlite3_exec(db_, text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(sqlite3_extended_errcode(db_), "read or write"));
  return {};
}

Result<Statement> Connection::prepare(std::string_view sql) {
  if (auto found = idle_.find(sql); found != idle_.end() && !found->second.empty()) {
    auto* statement = found->second.back();
    found->second.pop_back();
    return Statement(this, statement);
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return fail(error(sqlite3_extended_errcode(db_), "read or write"));
  // Not the caller's text, which may be gone by the time that another is looked up.
  idle_.try_emplace(sqlite3_sql(statement));
  return Statement(this, statement);
}

void Connection::roll_back() {
  if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<void> Connection::transact(const std::function<Result<void>()>& body) {
  const auto until = std::chrono::steady_clock::now() + options_.busy_timeout;
  for (int count = 0;; ++count) {
    int code = SQLITE_OK;
    auto result = execute("BEGIN IMMEDIATE");
    if (!result) {
      code = sqlite3_extended_errcode(db_);
    } else {
      result = body();
      if (!result) {
        code = result.error().code == ErrorCode::kBusy ? sqlite3_extended_errcode(db_) : SQLITE_OK;
      } else {
        result = execute("COMMIT");
        if (!result) code = sqlite3_extended_errcode(db_);
      }
    }
    if (result) return {};
    roll_back();
    if (!is_busy(code) || std::chrono::steady_clock::now() >= until) return result;
    std::this_thread::sleep_for(pause_before_retry(count));
  }
}

Result<void> Connection::set_durability(Durability durability) {
  if (durability == durability_) return {};
  auto set = execute(durability == Durability::kPower ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  if (set) durability_ = durability;
  return set;
}

std::int64_t Connection::changes() const { return sqlite3_changes64(db_); }
std::int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }

Error Connection::error(int code, std::string_view what) const {
  // SQLite records the system's error on most paths; on COMMIT only errno still has it.
  const int at_entry = errno;
  int system_error = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  if (system_error == 0 && (code & 0xff) == SQLITE_IOERR) system_error = at_entry;
  const std::string path = file_.string();
  std::string detail = std::string("sqlite ") + std::to_string(code) + ": " +
                       (db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_));
  if (system_error != 0) detail += std::string(" (") + std::strerror(system_error) + ")";
  if (is_disk_full(code, system_error)) {
    return Error(ErrorCode::kStorageFull, "cannot write " + path + ": the disk is full",
                 "Nothing was changed. Free some space on the disk that holds " + file_.parent_path().string() +
                     " and try again.")
        .with_detail(std::move(detail));
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::kBusy,
                   "cannot " + std::string(what) + " " + path + ": another process has held its lock for " +
                       std::to_string(options_.busy_timeout.count() / 1000) + " s",
                   "Look for a program that keeps the file open in a transaction, end it and try again.")
          .with_detail(std::move(detail));
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return Error(ErrorCode::kStorage,
                   path + ": " + ((code & 0xff) == SQLITE_NOTADB ? "not a Sabir store" : "the store is damaged"),
                   "Move it away (with " + file_.filename().string() + "-wal and -shm, if they exist) and start again; "
                   "`sqlite3 FILE .recover` can save what is readable in it.")
          .with_detail(std::move(detail));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return Error(ErrorCode::kStorage, "cannot " + std::string(what) + " " + path + ": no permission",
                   "Check that you may read and write the file and its folder.")
          .with_detail(std::move(detail));
    default:
      return Error(ErrorCode::kStorage,
                   "cannot " + std::string(what) + " " + path + ": " +
                       (db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_)))
          .with_detail(std::move(detail));
  }
}

}  // namespace sabir::store

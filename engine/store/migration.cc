#include "sabir/store/migration.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "sabir/base/ids.h"

namespace sabir::store {
namespace {

Result<std::int64_t> pragma(Connection& connection, std::string_view sql) {
  auto statement = connection.prepare(sql);
  if (!statement) return fail(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return fail(std::move(row.error()));
  return *row ? statement->integer(0) : 0;
}

Result<bool> is_empty(Connection& connection) {
  auto tables = pragma(connection, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return fail(std::move(tables.error()));
  return *tables == 0;
}

struct Found {
  std::int64_t format = 0;
  bool empty = true;
};

Result<Found> look(Connection& connection, const Format& format) {
  auto number = pragma(connection, "PRAGMA user_version");
  if (!number) return fail(std::move(number.error()));
  auto empty = is_empty(connection);
  if (!empty) return fail(std::move(empty.error()));
  auto application = pragma(connection, "PRAGMA application_id");
  if (!application) return fail(std::move(application.error()));
  if (!*empty && *application != format.application_id) {
    return fail(ErrorCode::kStorage, connection.file().string() + ": a SQLite database, but not one that Sabir wrote",
                "Move it away; Sabir makes its own.");
  }
  const auto known = static_cast<std::int64_t>(format.steps.size());
  if (*number > known) {
    return fail(ErrorCode::kStoreNewer,
                connection.file().string() + ": written by a newer engine (format " + std::to_string(*number) +
                    ", this one knows up to " + std::to_string(known) + ")",
                "Install the engine that sabir.yml names, or a newer one. To go on with this one, move the file away "
                "or put back a copy from before (" +
                    connection.file().filename().string() + ".format-N.bak); nothing has been changed in it.");
  }
  return Found{*number, *empty};
}

// Copies what is committed; the caller holds the write lock through another connection, so nothing can come between
// this copy and the migration.
Result<void> back_up(const std::filesystem::path& file, std::int64_t number, const OpenOptions& options) {
  OpenOptions reading = options;
  reading.access = Access::kReadOnly;
  auto reader = Connection::open(file, reading);
  if (!reader) return fail(std::move(reader.error()));
  const std::string target = file.string() + ".format-" + std::to_string(number) + ".bak";
  const std::string beside = target + "." + new_id() + ".tmp";
  const auto copied = [&]() -> Result<void> {
    auto allow = (*reader)->execute("PRAGMA query_only=OFF");
    if (!allow) return allow;
    std::string quoted;
    for (const char c : beside) quoted += c == '\'' ? "''" : std::string(1, c);
    return (*reader)->execute("VACUUM INTO '" + quoted + "'");
  }();
  if (!copied) {
    ::unlink(beside.c_str());
    return copied;
  }
  ::chmod(beside.c_str(), 0600);
  const int fd = ::open(beside.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
  if (::rename(beside.c_str(), target.c_str()) != 0) {
    ::unlink(beside.c_str());
    return fail(ErrorCode::kStorage, "cannot write the copy " + target, "Check that you may write to its folder.");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Connection>> open_format(const std::filesystem::path& file, const Format& format,
                                                const OpenOptions& options) {
  auto opened = Connection::open(file, options);
  if (!opened) return fail(std::move(opened.error()));
  Connection& connection = **opened;
  const auto known = static_cast<std::int64_t>(format.steps.size());
  auto found = look(connection, format);
  if (!found) return fail(std::move(found.error()));
  if (found->format == known && !found->empty) return opened;
  if (options.access == Access::kReadOnly) {
    return fail(ErrorCode::kStorage, file.string() + ": the store is of an older format (" +
                                         std::to_string(found->format) + ") and opened for reading only");
  }
  auto migrated = connection.transact([&]() -> Result<void> {
    // Another engine may have done it while this one waited for the lock.
    auto now = look(connection, format);
    if (!now) return fail(std::move(now.error()));
    if (now->format == known && !now->empty) return {};
    if (!now->empty) {
      if (auto copied = back_up(file, now->format, options); !copied) return copied;
    }
    for (std::int64_t step = now->format; step < known; ++step) {
      if (auto done = connection.execute(format.steps[static_cast<std::size_t>(step)]); !done) return done;
    }
    return connection.execute("PRAGMA application_id=" + std::to_string(format.application_id) +
                              "; PRAGMA user_version=" + std::to_string(known));
  });
  if (!migrated) return fail(std::move(migrated.error()));
  return opened;
}

}  // namespace sabir::store

#include "sqlite_memory.h"

#include <algorithm>
#include <chrono>

#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/store/migration.h"

namespace sabir::memory {
namespace {

constexpr std::size_t kMostNameBytes = 512;
constexpr std::size_t kMostValueBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostAnswerBytes = std::size_t{48} << 20U;  // below the protocol's frame
constexpr int kMostRows = 10'000;
constexpr int kMostReaders = 4;
constexpr std::chrono::seconds kReaderWait{30};
constexpr std::int64_t kPurgeEveryMs = 1000;

const store::Format& format() {
  static const store::Format value{0x53414252,  // "SABR"
                                   {R"(
CREATE TABLE item (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  source TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (tenant, user, namespace, key)
);
CREATE INDEX item_expiry ON item (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  message TEXT NOT NULL,
  UNIQUE (tenant, user, conversation, seq)
);
)"}};
  return value;
}

Result<void> check_name(std::string_view what, std::string_view name, bool may_be_empty) {
  if (name.empty() && !may_be_empty) {
    return fail(ErrorCode::kInvalidArguments, "the " + std::string(what) + " is empty", "Give it a name.");
  }
  if (name.size() > kMostNameBytes) {
    return fail(ErrorCode::kInvalidArguments,
                "the " + std::string(what) + " is " + std::to_string(name.size()) + " bytes long; at most " +
                    std::to_string(kMostNameBytes) + " are possible",
                "Use a short name and put the rest into the value.");
  }
  if (name.find('\0') != std::string_view::npos || find_invalid_utf8(name) != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArguments, "the " + std::string(what) + " is not UTF-8 text",
                "Encode binary names, for instance as hexadecimal digits.");
  }
  return {};
}

Result<void> check_scope(const CallContext& scope) {
  if (auto ok = check_name("tenant", scope.tenant, true); !ok) return ok;
  return check_name("user", scope.user, true);
}

Result<void> check_item(const CallContext& scope, std::string_view name_space, std::string_view key) {
  if (auto ok = check_scope(scope); !ok) return ok;
  if (auto ok = check_name("namespace", name_space, false); !ok) return ok;
  return check_name("key", key, false);
}

Result<json::value> check_value(std::string_view what, std::string_view text) {
  if (text.size() > kMostValueBytes) {
    return fail(ErrorCode::kInvalidArguments,
                "the " + std::string(what) + " is " + std::to_string(text.size()) + " bytes long; at most " +
                    std::to_string(kMostValueBytes) + " are possible",
                "Keep large data in a file and store its path.");
  }
  auto value = parse_json(text);
  if (!value) {
    value.error().message = "the " + std::string(what) + " is " + value.error().message;
    return value;
  }
  return value;
}

Error too_large_answer() {
  return Error(ErrorCode::kLimit,
               "the answer is larger than " + std::to_string(kMostAnswerBytes >> 20U) + " MiB",
               "Ask for less at once: a smaller limit, a longer prefix, or page by `after`.");
}

std::int64_t system_clock_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

struct Existing {
  std::int64_t id = 0;
  std::int64_t version = 0;
};

// An expired item counts as absent, but its row is given back for reuse.
Result<std::optional<Existing>> find(store::Connection& connection, const CallContext& scope,
                                     std::string_view name_space, std::string_view key, std::int64_t now) {
  auto statement = connection.prepare(
      "SELECT id, CASE WHEN expires_ms IS NOT NULL AND expires_ms <= ?5 THEN 0 ELSE version END FROM item "
      "WHERE tenant = ?1 AND user = ?2 AND namespace = ?3 AND key = ?4");
  if (!statement) return fail(std::move(statement.error()));
  statement->bind(scope.tenant).bind(scope.user).bind(name_space).bind(key).bind(now);
  auto row = statement->step();
  if (!row) return fail(std::move(row.error()));
  if (!*row) return std::nullopt;
  return Existing{statement->integer(0), statement->integer(1)};
}

}  // namespace

Result<std::unique_ptr<SqliteMemory>> SqliteMemory::open(const std::filesystem::path& directory, Clock clock) {
  const auto file = directory / "store.db";
  auto writer = store::open_format(file, format());
  if (!writer) return fail(std::move(writer.error()));
  return std::unique_ptr<SqliteMemory>(new SqliteMemory(file, std::move(*writer), std::move(clock)));
}

SqliteMemory::SqliteMemory(std::filesystem::path file, std::unique_ptr<store::Connection> writer, Clock clock)
    : file_(std::move(file)), clock_(std::move(clock)), writer_(std::move(writer)) {}

SqliteMemory::~SqliteMemory() = default;

Result<void> SqliteMemory::read(const std::function<Result<void>(store::Connection&)>& body) {
  std::unique_ptr<store::Connection> reader;
  {
    std::unique_lock lock(readers_mutex_);
    if (idle_readers_.empty() && readers_ >= kMostReaders &&
        !reader_returned_.wait_for(lock, kReaderWait, [&] { return !idle_readers_.empty(); })) {
      return fail(ErrorCode::kBusy, "too many reads of " + file_.string() + " at once", "Try again in a moment.");
    }
    if (!idle_readers_.empty()) {
      reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    } else {
      ++readers_;
    }
  }
  Result<void> result;
  if (reader == nullptr) {
    store::OpenOptions options;
    options.access = store::Access::kReadOnly;
    auto opened = store::Connection::open(file_, options);
    if (opened) {
      reader = std::move(*opened);
    } else {
      result = fail(std::move(opened.error()));
    }
  }
  if (reader != nullptr) result = body(*reader);
  const std::lock_guard lock(readers_mutex_);
  if (reader != nullptr) {
    idle_readers_.push_back(std::move(reader));
  } else {
    --readers_;
  }
  reader_returned_.notify_one();
  return result;
}

Result<void> SqliteMemory::purge(store::Connection& connection) {
  const std::int64_t now = clock_();
  if (now - purged_ms_ < kPurgeEveryMs && now >= purged_ms_) return {};
  purged_ms_ = now;
  auto statement = connection.prepare(
      "DELETE FROM item WHERE id IN (SELECT id FROM item WHERE expires_ms IS NOT NULL AND expires_ms <= ? LIMIT 256)");
  if (!statement) return fail(std::move(statement.error()));
  return statement->bind(now).run();
}

Result<std::int64_t> SqliteMemory::put(const CallContext& scope, const std::string& name_space,
                                       const std::string& key, const std::string& value_json,
                                       const PutOptions& options) {
  if (auto ok = check_item(scope, name_space, key); !ok) return fail(std::move(ok.error()));
  if (auto value = check_value("value", value_json); !value) return fail(std::move(value.error()));
  if (options.ttl_ms && *options.ttl_ms <= 0) {
    return fail(ErrorCode::kInvalidArguments, "ttl is not positive", "Leave it out to keep the item for good.");
  }
  if (options.if_version && *options.if_version < 0) {
    return fail(ErrorCode::kInvalidArguments, "if_version is negative",
                "Use 0 for `must not exist yet`, or the version that was read.");
  }
  std::int64_t version = 0;
  auto written = writer_.write([&](store::Connection& connection) -> Result<void> {
    auto put = put_in(connection, scope, name_space, key, value_json, options);
    if (!put) return fail(std::move(put.error()));
    version = *put;
    return purge(connection);
  });
  if (!written) return fail(std::move(written.error()));
  return version;
}

Result<std::int64_t> SqliteMemory::put_in(store::Connection& connection, const CallContext& scope,
                                          const std::string& name_space, const std::string& key,
                                          const std::string& value_json, const PutOptions& options) {
  const std::int64_t now = clock_();
  auto existing = find(connection, scope, name_space, key, now);
  if (!existing) return fail(std::move(existing.error()));
  const std::int64_t current = *existing ? (*existing)->version : 0;
  if (options.if_version && *options.if_version != current) {
    return fail(Error(ErrorCode::kConflict,
                      "'" + key + "' is at version " + std::to_string(current) + ", not " +
                          std::to_string(*options.if_version),
                      "Read it again, apply the change to what is there now, and put it with the new version.")
                    .with_data("{\"version\":" + std::to_string(current) + "}"));
  }
  std::optional<std::int64_t> expires;
  if (options.ttl_ms) {
    expires = *options.ttl_ms > INT64_MAX - now ? INT64_MAX : now + *options.ttl_ms;
  }
  if (*existing) {
    auto update = connection.prepare(
        "UPDATE item SET version = ?, updated_ms = ?, expires_ms = ?, source = ?, value = ? WHERE id = ?");
    if (!update) return fail(std::move(update.error()));
    update->bind(current + 1).bind(now).bind(expires).bind(options.source).bind(value_json).bind((*existing)->id);
    if (auto done = update->run(); !done) return fail(std::move(done.error()));
  } else {
    auto insert = connection.prepare(
        "INSERT INTO item (tenant, user, namespace, key, version, updated_ms, expires_ms, source, value) "
        "VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(scope.tenant).bind(scope.user).bind(name_space).bind(key).bind(now).bind(expires);
    if (auto done = insert->bind(options.source).bind(value_json).run(); !done) return fail(std::move(done.error()));
  }
  return current + 1;
}

Result<std::optional<Item>> SqliteMemory::get(const CallContext& scope, const std::string& name_space,
                                              const std::string& key) {
  if (auto ok = check_item(scope, name_space, key); !ok) return fail(std::move(ok.error()));
  std::optional<Item> item;
  auto done = read([&](store::Connection& connection) -> Result<void> {
    auto statement = connection.prepare(
        "SELECT version, updated_ms, expires_ms, source, value FROM item "
        "WHERE tenant = ? AND user = ? AND namespace = ? AND key = ? AND (expires_ms IS NULL OR expires_ms > ?)");
    if (!statement) return fail(std::move(statement.error()));
    statement->bind(scope.tenant).bind(scope.user).bind(name_space).bind(key).bind(clock_());
    auto row = statement->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return {};
    item.emplace();
    item->key = key;
    item->version = statement->integer(0);
    item->updated_ms = statement->integer(1);
    if (!statement->is_null(2)) item->expires_ms = statement->integer(2);
    item->source = statement->text(3);
    item->value_json = statement->text(4);
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return item;
}

Result<std::vector<Item>> SqliteMemory::list(const CallContext& scope, const std::string& name_space,
                                             const std::string& prefix, const std::string& after, int limit) {
  if (auto ok = check_scope(scope); !ok) return fail(std::move(ok.error()));
  if (auto ok = check_name("namespace", name_space, false); !ok) return fail(std::move(ok.error()));
  if (auto ok = check_name("prefix", prefix, true); !ok) return fail(std::move(ok.error()));
  if (limit <= 0) return fail(ErrorCode::kInvalidArguments, "limit is not positive");
  limit = std::min(limit, kMostRows);
  std::vector<Item> items;
  auto done = read([&](store::Connection& connection) -> Result<void> {
    auto statement = connection.prepare(
        "SELECT key, version, updated_ms, expires_ms, source, value FROM item "
        "WHERE tenant = ? AND user = ? AND namespace = ? AND key >= ? AND key <> ? "
        "AND (expires_ms IS NULL OR expires_ms > ?) ORDER BY key");
    if (!statement) return fail(std::move(statement.error()));
    statement->bind(scope.tenant).bind(scope.user).bind(name_space);
    statement->bind(std::max(prefix, after)).bind(after).bind(clock_());
    std::size_t bytes = 0;
    while (static_cast<int>(items.size()) < limit) {
      auto row = statement->step();
      if (!row) return fail(std::move(row.error()));
      // Keys that share a prefix stand together, so the first other key ends them.
      if (!*row || !statement->view(0).starts_with(prefix)) return {};
      bytes += statement->view(0).size() + statement->view(5).size();
      if (bytes > kMostAnswerBytes) return fail(too_large_answer());
      Item item;
      item.key = statement->text(0);
      item.version = statement->integer(1);
      item.updated_ms = statement->integer(2);
      if (!statement->is_null(3)) item.expires_ms = statement->integer(3);
      item.source = statement->text(4);
      item.value_json = statement->text(5);
      items.push_back(std::move(item));
    }
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return items;
}

Result<bool> SqliteMemory::remove(const CallContext& scope, const std::string& name_space, const std::string& key) {
  if (auto ok = check_item(scope, name_space, key); !ok) return fail(std::move(ok.error()));
  bool removed = false;
  auto done = writer_.write([&](store::Connection& connection) -> Result<void> {
    removed = false;
    auto existing = find(connection, scope, name_space, key, clock_());
    if (!existing) return fail(std::move(existing.error()));
    if (!*existing) return {};
    auto statement = connection.prepare("DELETE FROM item WHERE id = ?");
    if (!statement) return fail(std::move(statement.error()));
    removed = (*existing)->version > 0;
    return statement->bind((*existing)->id).run();
  });
  if (!done) return fail(std::move(done.error()));
  return removed;
}

Result<std::int64_t> SqliteMemory::append(const CallContext& scope, const std::string& conversation,
                                          const std::string& message_json) {
  if (auto ok = check_scope(scope); !ok) return fail(std::move(ok.error()));
  if (auto ok = check_name("conversation", conversation, false); !ok) return fail(std::move(ok.error()));
  auto value = check_value("message", message_json);
  if (!value) return fail(std::move(value.error()));
  if (!value->is_object()) {
    return fail(ErrorCode::kInvalidArguments, "the message is not a JSON object",
                R"(Write it as {"role": "user", "content": "…"}.)");
  }
  std::int64_t seq = 0;
  auto done = writer_.write([&](store::Connection& connection) -> Result<void> {
    {
      auto newest = connection.prepare(
          "SELECT coalesce(max(seq), 0) FROM message WHERE tenant = ? AND user = ? AND conversation = ?");
      if (!newest) return fail(std::move(newest.error()));
      auto row = newest->bind(scope.tenant).bind(scope.user).bind(conversation).step();
      if (!row) return fail(std::move(row.error()));
      seq = newest->integer(0) + 1;
    }
    auto insert = connection.prepare(
        "INSERT INTO message (tenant, user, conversation, seq, created_ms, message) VALUES (?, ?, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(scope.tenant).bind(scope.user).bind(conversation).bind(seq).bind(clock_());
    return insert->bind(message_json).run();
  });
  if (!done) return fail(std::move(done.error()));
  return seq;
}

Result<std::vector<Message>> SqliteMemory::messages(const CallContext& scope, const std::string& conversation,
                                                    int limit) {
  if (auto ok = check_scope(scope); !ok) return fail(std::move(ok.error()));
  if (auto ok = check_name("conversation", conversation, false); !ok) return fail(std::move(ok.error()));
  if (limit <= 0) return fail(ErrorCode::kInvalidArguments, "limit is not positive");
  limit = std::min(limit, kMostRows);
  std::vector<Message> messages;
  auto done = read([&](store::Connection& connection) -> Result<void> {
    auto statement = connection.prepare(
        "SELECT seq, created_ms, message FROM message WHERE tenant = ? AND user = ? AND conversation = ? "
        "ORDER BY seq DESC LIMIT ?");
    if (!statement) return fail(std::move(statement.error()));
    statement->bind(scope.tenant).bind(scope.user).bind(conversation).bind(limit);
    std::size_t bytes = 0;
    while (true) {
      auto row = statement->step();
      if (!row) return fail(std::move(row.error()));
      if (!*row) break;
      bytes += statement->view(2).size();
      if (bytes > kMostAnswerBytes) return fail(too_large_answer());
      messages.push_back({statement->integer(0), statement->text(2), statement->integer(1)});
    }
    std::reverse(messages.begin(), messages.end());
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return messages;
}

Result<std::unique_ptr<Memory>> open_sqlite(const std::filesystem::path& directory) {
  auto opened = SqliteMemory::open(directory, system_clock_ms);
  if (!opened) return fail(std::move(opened.error()));
  return std::unique_ptr<Memory>(std::move(*opened));
}

}  // namespace sabir::memory

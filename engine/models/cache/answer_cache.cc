#include "sabir/models/answer_cache.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>

#include "sabir/project/project.h"
#include "sabir/store/migration.h"

namespace sabir::models {
namespace {

using std::chrono::milliseconds;

// The index holds all that the bounds need, so that keeping an answer reads no other's text.
const store::Format& format() {
  static const store::Format value{0x53414243,  // "SABC"
                                   {R"(
CREATE TABLE answer (
  key TEXT PRIMARY KEY,
  reply TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  made_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
);
CREATE INDEX answer_used ON answer (used_ms, key, bytes);
CREATE INDEX answer_expires ON answer (expires_ms);
)"}};
  return value;
}

constexpr std::pair<const char*, std::int64_t Usage::*> kTokens[] = {{"input_tokens", &Usage::input_tokens},
                                                                    {"output_tokens", &Usage::output_tokens},
                                                                    {"cached_tokens", &Usage::cached_tokens},
                                                                    {"cache_write_tokens", &Usage::cache_write_tokens},
                                                                    {"reasoning_tokens", &Usage::reasoning_tokens}};

json::object to_stored(const Reply& reply) {
  json::array calls;
  for (const auto& call : reply.tool_calls) calls.push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments_json}});
  return {{"content", reply.content}, {"reasoning", reply.reasoning}, {"reasoning_details", reply.reasoning_details}, {"tool_calls", std::move(calls)},
          {"finish_reason", reply.finish_reason}, {"model", reply.model}, {"provider", reply.provider}, {"usage", to_json(reply.usage)}, {"repaired", reply.repaired}};
}

std::optional<Reply> from_stored(std::string_view text) {
  const auto value = parse_json(text);
  if (!value || !value->is_object()) return std::nullopt;
  const auto& object = value->get_object();
  const auto get = [&](const char* key) { return std::string(string_or(object, key)); };
  Reply reply;
  reply.content = get("content");
  reply.reasoning = get("reasoning");
  reply.finish_reason = get("finish_reason");
  reply.model = get("model");
  reply.provider = get("provider");
  if (const auto* details = object.if_contains("reasoning_details"); details != nullptr && details->is_array()) reply.reasoning_details = details->get_array();
  if (const auto* calls = object.if_contains("tool_calls"); calls != nullptr && calls->is_array()) {
    for (const auto& call : calls->get_array()) {
      if (!call.is_object()) return std::nullopt;
      const auto& one = call.get_object();
      reply.tool_calls.push_back({std::string(string_or(one, "id")), std::string(string_or(one, "name")), std::string(string_or(one, "arguments"))});
    }
  }
  if (const auto* usage = object.if_contains("usage"); usage != nullptr && usage->is_object()) {
    for (const auto& [name, member] : kTokens) {
      const auto* count = usage->get_object().if_contains(name);
      if (count != nullptr && count->is_int64()) reply.usage.*member = count->get_int64();
    }
  }
  const auto* repaired = object.if_contains("repaired");
  reply.repaired = repaired != nullptr && repaired->is_bool() && repaired->get_bool();
  return reply;
}

}  // namespace

std::optional<milliseconds> parse_ttl(std::string_view text) {
  if (text.size() >= 2 && text.size() <= 4 && text.ends_with('d') && text.find_first_not_of("0123456789") == text.size() - 1) {
    const int days = std::atoi(std::string(text).c_str());
    return days >= 1 && days <= 366 ? std::optional<milliseconds>(std::chrono::hours(24 * days)) : std::nullopt;
  }
  const auto ms = project::parse_duration_ms(text);
  return ms ? std::optional<milliseconds>(*ms) : std::nullopt;
}

struct AnswerCache::State {
  std::filesystem::path file;
  HasSecret has_secret;
  Limits limits;
  Now now;
  std::mutex mutex;
  std::unique_ptr<store::Connection> connection;

  std::mutex turns_mutex;
  std::condition_variable turn_over;
  std::set<std::string> turns;

  std::int64_t now_ms() const { return std::chrono::duration_cast<milliseconds>(now().time_since_epoch()).count(); }

  // REQUIRES: mutex is held.
  Result<store::Connection*> open() {
    if (!connection) {
      auto opened = store::open_format(file, format());
      if (!opened) return fail(std::move(opened.error()));
      connection = std::move(*opened);
    }
    return connection.get();
  }

  Result<Size> total() {
    auto select = connection->prepare("SELECT count(*), coalesce(sum(bytes), 0) FROM answer INDEXED BY answer_used");
    if (!select) return fail(std::move(select.error()));
    if (auto row = select->step(); !row) return fail(std::move(row.error()));
    return Size{select->integer(0), select->integer(1)};
  }

  Result<void> drop_expired() {
    auto remove = connection->prepare("DELETE FROM answer WHERE expires_ms <= ?");
    if (!remove) return fail(std::move(remove.error()));
    remove->bind(now_ms());
    return remove->run();
  }

  // What lies beyond the bounds, counted from what was used last.
  Result<void> drop_surplus() {
    const auto size = total();
    if (!size) return fail(size.error());
    if (size->answers <= limits.answers && size->bytes <= limits.bytes) return {};
    auto remove = connection->prepare(
        "DELETE FROM answer WHERE key IN (SELECT key FROM (SELECT key, sum(bytes) OVER recent AS total, row_number() OVER recent AS place "
        "FROM answer INDEXED BY answer_used WINDOW recent AS (ORDER BY used_ms DESC, key DESC)) WHERE total > ? OR place > ?)");
    if (!remove) return fail(std::move(remove.error()));
    remove->bind(limits.bytes).bind(limits.answers);
    return remove->run();
  }
};

const AnswerCache::Limits AnswerCache::kLimits{10'000, std::int64_t{64} << 20U};

AnswerCache::AnswerCache(const std::filesystem::path& directory, HasSecret has_secret, const Limits& limits, Now now) : state_(std::make_unique<State>()) {
  state_->file = directory / "cache.db";
  state_->has_secret = std::move(has_secret);
  state_->limits = limits;
  state_->now = std::move(now);
}
AnswerCache::~AnswerCache() = default;

Result<std::optional<Reply>> AnswerCache::find(const std::string& key, milliseconds ttl) {
  const std::lock_guard lock(state_->mutex);
  auto connection = state_->open();
  if (!connection) return fail(std::move(connection.error()));
  const std::int64_t at_ms = state_->now_ms();
  std::string text;
  {
    auto select = (*connection)->prepare("SELECT reply FROM answer WHERE key = ? AND made_ms > ? AND expires_ms > ?");
    if (!select) return fail(std::move(select.error()));
    select->bind(key).bind(at_ms - ttl.count()).bind(at_ms);
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return std::nullopt;
    text = select->text(0);
  }
  auto touched = (*connection)->transact([&]() -> Result<void> {
    auto update = (*connection)->prepare("UPDATE answer SET used_ms = ? WHERE key = ?");
    if (!update) return fail(std::move(update.error()));
    update->bind(at_ms).bind(key);
    return update->run();
  });
  if (!touched) return fail(std::move(touched.error()));
  return from_stored(text);
}

Result<bool> AnswerCache::keep(const std::string& key, const Reply& reply, milliseconds ttl) {
  if (reply.finish_reason != "stop" && reply.finish_reason != "tool_calls") return false;
  const std::string text = compact_json(to_stored(reply));
  const auto bytes = static_cast<std::int64_t>(text.size());
  if (bytes > state_->limits.bytes / 4) return false;
  if (state_->has_secret) {
    // As JSON writes it, and as it is.
    std::string all = text + "\n" + reply.content + "\n" + reply.reasoning;
    for (const auto& call : reply.tool_calls) all += "\n" + call.arguments_json;
    if (state_->has_secret(all)) return false;
  }
  const std::lock_guard lock(state_->mutex);
  auto connection = state_->open();
  if (!connection) return fail(std::move(connection.error()));
  auto done = (*connection)->transact([&]() -> Result<void> {
    const std::int64_t at_ms = state_->now_ms();
    if (auto dropped = state_->drop_expired(); !dropped) return dropped;
    {
      auto insert = (*connection)->prepare("INSERT OR REPLACE INTO answer (key, reply, bytes, made_ms, expires_ms, used_ms) VALUES (?, ?, ?, ?, ?, ?)");
      if (!insert) return fail(std::move(insert.error()));
      insert->bind(key).bind(text).bind(bytes).bind(at_ms).bind(at_ms + ttl.count()).bind(at_ms);
      if (auto ran = insert->run(); !ran) return ran;
    }
    return state_->drop_surplus();
  });
  if (!done) return fail(std::move(done.error()));
  return true;
}

Result<AnswerCache::Size> AnswerCache::size() {
  const std::lock_guard lock(state_->mutex);
  auto connection = state_->open();
  if (!connection) return fail(std::move(connection.error()));
  if (auto dropped = (*connection)->transact([&] { return state_->drop_expired(); }); !dropped) return fail(std::move(dropped.error()));
  return state_->total();
}

Result<std::int64_t> AnswerCache::clear() {
  const std::lock_guard lock(state_->mutex);
  auto connection = state_->open();
  if (!connection) return fail(std::move(connection.error()));
  std::int64_t gone = 0;
  auto done = (*connection)->transact([&]() -> Result<void> {
    auto ran = (*connection)->execute("DELETE FROM answer");
    gone = (*connection)->changes();
    return ran;
  });
  if (!done) return fail(std::move(done.error()));
  if (auto shrunk = (*connection)->execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"); !shrunk) return fail(std::move(shrunk.error()));
  return gone;
}

AnswerCache::Turn::Turn(AnswerCache& cache, std::string key, std::chrono::steady_clock::time_point deadline, const std::atomic<bool>* cancelled)
    : cache_(cache), key_(std::move(key)) {
  auto& state = *cache_.state_;
  std::unique_lock lock(state.turns_mutex);
  has_it_ = state.turns.insert(key_).second;
  if (has_it_) return;
  // Whoever waited asks for itself when there is no answer then: many do not wait for each other after a failure.
  while (state.turns.contains(key_)) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline || (cancelled != nullptr && cancelled->load(std::memory_order_relaxed))) return;
    state.turn_over.wait_until(lock, std::min<std::chrono::steady_clock::time_point>(deadline, now + milliseconds(100)));
  }
}

AnswerCache::Turn::~Turn() {
  if (!has_it_) return;
  auto& state = *cache_.state_;
  {
    const std::lock_guard lock(state.turns_mutex);
    state.turns.erase(key_);
  }
  state.turn_over.notify_all();
}

}  // namespace sabir::models

#include "answers.h"

#include <unistd.h>

#include <fstream>

#include "sabir/store/migration.h"

namespace sabir::serve {
namespace {

constexpr std::int64_t kPurgeEveryMs = 60'000;
constexpr std::int64_t kMostRows = 100'000;   // beyond it the oldest go

const store::Format& format() {
  static const store::Format value{0x53425241,  // "SBRA"
                                   {R"(
CREATE TABLE answer (
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  request TEXT NOT NULL,
  owner TEXT NOT NULL,
  begun_ms INTEGER NOT NULL,
  status INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  trace TEXT NOT NULL,
  body TEXT,
  PRIMARY KEY (caller, key)
) WITHOUT ROWID;
CREATE INDEX answer_age ON answer (begun_ms);
)"}};
  return value;
}

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// When a process began, in the kernel's ticks; "" where there is none. With its number it names a process for good.
std::string begin_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The second field is a name in brackets and may hold anything.
  std::size_t at = text.rfind(')');
  if (at == std::string::npos) return {};
  for (int field = 0; field < 20 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return {};
  return text.substr(at + 1, text.find(' ', at + 1) - at - 1);
}

std::string own_name() {
  const std::string pid = std::to_string(::getpid());
  return pid + ":" + begin_of(pid);
}

bool lives(const std::string& owner) {
  if (owner == own_name()) return true;
  const std::size_t colon = owner.find(':');
  return colon != std::string::npos && begin_of(owner.substr(0, colon)) == owner.substr(colon + 1) && colon + 1 < owner.size();
}

}  // namespace

Result<std::unique_ptr<Answers>> Answers::open(const std::filesystem::path& state_dir, std::chrono::milliseconds keep) {
  auto connection = store::open_format(state_dir / "answers.db", format());
  if (!connection) return fail(std::move(connection.error()));
  return std::unique_ptr<Answers>(new Answers(std::move(*connection), keep));
}

Result<Answers::Found> Answers::begin(const std::string& caller, const std::string& key, const std::string& request) {
  const std::lock_guard lock(mutex_);
  Found found;
  const auto now = now_ms();
  auto done = connection_->transact([&]() -> Result<void> {
    found = {};
    if (now - purged_ms_ > kPurgeEveryMs) {
      auto old = connection_->prepare("DELETE FROM answer WHERE begun_ms < ?1 OR begun_ms < (SELECT begun_ms FROM answer ORDER BY begun_ms DESC LIMIT 1 OFFSET ?2)");
      if (!old) return fail(std::move(old.error()));
      if (auto ok = old->bind(now - keep_.count()).bind(kMostRows).run(); !ok) return ok;
    }
    auto select = connection_->prepare("SELECT request, owner, status, content_type, trace, body FROM answer WHERE caller = ?1 AND key = ?2 AND begun_ms >= ?3");
    if (!select) return fail(std::move(select.error()));
    auto row = select->bind(caller).bind(key).bind(now - keep_.count()).step();
    if (!row) return fail(std::move(row.error()));
    if (*row) {
      const auto status = static_cast<int>(select->integer(2));
      if (select->view(0) != request) {
        found.state = State::kOther;
      } else if (status == 0) {
        found.state = lives(select->text(1)) ? State::kRunning : State::kUnknown;
      } else if (select->is_null(5)) {
        found.state = State::kTooLarge;
      } else {
        found.state = State::kKept;
        found.answer = {status, select->text(3), select->text(5), select->text(4)};
      }
      return {};
    }
    auto insert = connection_->prepare("INSERT OR REPLACE INTO answer (caller, key, request, owner, begun_ms, status, content_type, trace, body) VALUES (?1, ?2, ?3, ?4, ?5, 0, '', '', NULL)");
    if (!insert) return fail(std::move(insert.error()));
    return insert->bind(caller).bind(key).bind(request).bind(own_name()).bind(now).run();
  });
  if (!done) return fail(std::move(done.error()));
  if (now - purged_ms_ > kPurgeEveryMs) purged_ms_ = now;
  return found;
}

Result<void> Answers::finish(const std::string& caller, const std::string& key, const KeptAnswer& answer) {
  const std::lock_guard lock(mutex_);
  return connection_->transact([&]() -> Result<void> {
    auto update = connection_->prepare("UPDATE answer SET status = ?1, content_type = ?2, trace = ?3, body = ?4 WHERE caller = ?5 AND key = ?6");
    if (!update) return fail(std::move(update.error()));
    update->bind(std::int64_t{answer.status}).bind(answer.content_type).bind(answer.trace);
    if (answer.body.size() > kMostBody) update->bind_null();
    else update->bind(answer.body);
    return update->bind(caller).bind(key).run();
  });
}

Result<void> Answers::release(const std::string& caller, const std::string& key) {
  const std::lock_guard lock(mutex_);
  return connection_->transact([&]() -> Result<void> {
    auto erase = connection_->prepare("DELETE FROM answer WHERE caller = ?1 AND key = ?2 AND status = 0");
    if (!erase) return fail(std::move(erase.error()));
    return erase->bind(caller).bind(key).run();
  });
}

}  // namespace sabir::serve

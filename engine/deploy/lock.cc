#include "sabir/deploy/lock.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "sabir/base/ids.h"
#include "who.h"

namespace sabir::deploy {
namespace {

constexpr const char* kName = "lock.json";

LockHolder holder_of(const json::object& object) {
  const auto number = [&](const char* key) -> std::int64_t {
    const auto* member = object.if_contains(key);
    return member && member->is_int64() ? member->get_int64() : 0;
  };
  LockHolder out;
  out.by = string_or(object, "by");
  out.what = string_or(object, "what");
  out.since_ms = number("since_ms");
  out.beat_ms = number("beat_ms");
  const std::string pid = std::to_string(number("pid"));
  if (string_or(object, "machine") == machine_name() && string_or(object, "boot") == boot_id() && !boot_id().empty()) {
    const auto started = started_ticks(static_cast<pid_t>(number("pid")));
    if (started == 0 || started != static_cast<std::uint64_t>(number("started"))) {
      out.dead = true;
      out.why_dead = "its process " + pid + " is gone";
    }
  } else if (const auto silent = now_ms() - out.beat_ms; silent > std::chrono::milliseconds(Lock::kTimeToLive).count()) {
    out.dead = true;
    out.why_dead = "nothing was heard of it for " + std::to_string(silent / 1000) + " s";
  }
  return out;
}

}  // namespace

struct Lock::State {
  Backend* backend = nullptr;
  json::object object;
  std::string version;
  std::mutex mutex;
  std::condition_variable end;
  bool ending = false;
  std::atomic<bool> lost{false};
  std::thread heart;

  void beat() {
    std::unique_lock guard(mutex);
    while (!end.wait_for(guard, kBeat, [this] { return ending; })) {
      object["beat_ms"] = now_ms();
      auto put = backend->put(kName, compact_json(object), version);
      if (put) version = *put;
      else if (put.error().code == ErrorCode::kConflict) lost = true;
      if (lost) return;
    }
  }
};

Lock::Lock() : state_(std::make_unique<State>()) {}

Result<std::optional<LockHolder>> Lock::look(Backend& backend) {
  auto there = backend.get(kName);
  if (!there) {
    if (there.error().code == ErrorCode::kNotFound) return std::optional<LockHolder>();
    return fail(std::move(there.error()));
  }
  auto value = parse_json(there->bytes);
  if (!value || !value->is_object()) return fail(ErrorCode::kStorage, backend.where() + "/" + kName + " cannot be read", "With --break-lock the next deployment writes it anew.");
  return std::optional<LockHolder>(holder_of(value->get_object()));
}

Result<std::unique_ptr<Lock>> Lock::take(Backend& backend, const std::string& what, bool break_it, std::optional<LockHolder>& broken) {
  std::unique_ptr<Lock> out(new Lock());
  auto& state = *out->state_;
  state.backend = &backend;
  state.object = {{"format", 1}, {"id", new_id()}, {"by", user_and_machine()}, {"what", what}, {"machine", machine_name()}, {"boot", boot_id()}, {"pid", ::getpid()},
                  {"started", started_ticks(::getpid())}, {"since_ms", now_ms()}, {"beat_ms", now_ms()}};
  std::string expected;
  auto there = backend.get(kName);
  if (!there && there.error().code != ErrorCode::kNotFound) return fail(std::move(there.error()));
  if (there) {
    auto value = parse_json(there->bytes);
    const bool readable = value && value->is_object();
    if (!readable && !break_it) return fail(ErrorCode::kStorage, backend.where() + "/" + kName + " cannot be read", "--break-lock writes it anew.");
    auto holder = readable ? holder_of(value->get_object()) : LockHolder();
    if (!holder.dead && !break_it) {
      return fail(ErrorCode::kBusy, holder.by + " deploys here: " + holder.what + ", for " + std::to_string((now_ms() - holder.since_ms) / 1000) + " s by now",
                  "Wait for its end. If you know that it is dead: --break-lock.");
    }
    if (!holder.dead) holder.why_dead = "--break-lock";
    broken = std::move(holder);
    expected = there->version;
  }
  auto put = backend.put(kName, compact_json(state.object), expected);
  if (!put) {
    if (put.error().code == ErrorCode::kConflict) return fail(ErrorCode::kBusy, "somebody else has just begun to deploy here", "Wait for its end.");
    return fail(std::move(put.error()));
  }
  state.version = *put;
  state.heart = std::thread([&state] { state.beat(); });
  return out;
}

Result<void> Lock::still_held() const {
  if (!state_->lost) return {};
  return fail(ErrorCode::kConflict, "somebody has broken this deployment's lock, so it stops here", "`sabir deploy status` says what they did.");
}

Lock::~Lock() {
  if (!state_->heart.joinable()) return;
  {
    const std::lock_guard guard(state_->mutex);
    state_->ending = true;
  }
  state_->end.notify_all();
  state_->heart.join();
  // Where it was broken, it is another's.
  if (!state_->lost) (void)state_->backend->remove(kName, state_->version);
}

}  // namespace sabir::deploy

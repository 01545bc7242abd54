// Lock: one deployment of an environment at a time, whoever asks and from wherever. Its holder shows that it lives by a heartbeat; a lock is
// dead when its process is gone (asked of the same machine) or when no heartbeat came for kTimeToLive.
//
// Threads: take() and the destructor on one; the heartbeat is a thread of its own. Lifetime: the backend outlives it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/deploy/backend.h"

namespace sabir::deploy {

struct LockHolder {
  std::string by;          // "ada@laptop"
  std::string what;        // "apply of r5"
  std::int64_t since_ms = 0;
  std::int64_t beat_ms = 0;
  bool dead = false;
  std::string why_dead;    // "its process 4711 is gone"
};

class Lock {
 public:
  static constexpr std::chrono::seconds kBeat{10};
  static constexpr std::chrono::seconds kTimeToLive{90};

  // A dead holder's lock is taken over, which `broken` says. Errors: kBusy with who holds it; the backend's.
  static Result<std::unique_ptr<Lock>> take(Backend& backend, const std::string& what, bool break_it, std::optional<LockHolder>& broken);
  // Who holds it; nothing = nobody.
  static Result<std::optional<LockHolder>> look(Backend& backend);
  // Gives it back.
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // Errors: kConflict once somebody else has broken it: nothing may be changed any more.
  Result<void> still_held() const;

 private:
  Lock();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::deploy

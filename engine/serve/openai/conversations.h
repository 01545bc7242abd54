// Conversations: what the Responses interface keeps between requests, and what a Chat Completions client does not see of a run: the calls
// of an assistant's own functions that came before it handed calls over. In the memory store, in the caller's scope.
//
// Threads: any; the methods block (SQLite, and Turns on another request's turn).
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/runtime/engine.h"

namespace sabir::serve::openai {

class Conversations {
 public:
  explicit Conversations(runtime::Engine& engine) : engine_(engine) {}

  // One turn: what was asked in it, what came of it, the response as it was answered.
  struct Kept {
    std::string previous;  // "" = the first
    std::string root;      // the first one's id
    json::array asked;     // messages in Chat Completions' form, without instructions
    json::array said;
    json::object response;
  };
  Result<void> keep(const CallContext& who, const std::string& id, const Kept& kept);
  // Errors: kNotFound.
  Result<Kept> find(const CallContext& who, const std::string& id);
  // Errors: kNotFound.
  Result<void> remove(const CallContext& who, const std::string& id);
  // The messages up to and with the turn `id`, oldest first. Errors: kNotFound, kLimit (more than 1,000 turns).
  Result<json::array> history(const CallContext& who, const std::string& id);

  // The latest response of a conversation that the client named; "" = none yet.
  Result<std::string> last_of(const CallContext& who, const std::string& conversation);
  Result<void> set_last(const CallContext& who, const std::string& conversation, const std::string& id);

  // Messages that stand before the one in which the call `call_id` was handed over.
  Result<void> hide(const CallContext& who, const std::string& call_id, const json::array& messages);
  // Puts them in their places.
  Result<json::array> restored(const CallContext& who, json::array messages);

 private:
  Result<void> put(const CallContext& who, const std::string& key, const json::value& value, std::chrono::hours keep);
  Result<std::optional<json::value>> get(const CallContext& who, const std::string& key);
  runtime::Engine& engine_;
};

// One turn of a conversation at a time.
class Turns {
 public:
  class Held {
   public:
    Held() = default;
    Held(Turns* turns, std::string key) : turns_(turns), key_(std::move(key)) {}
    Held(Held&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), key_(std::move(other.key_)) {}
    Held& operator=(Held&& other) noexcept;
    ~Held();

   private:
    Turns* turns_ = nullptr;
    std::string key_;
  };
  // Waits for its turn. "" has none to wait for. Errors: kBusy (eight wait already), kTimeout, kCancelled.
  Result<Held> take(const std::string& key, std::chrono::steady_clock::time_point deadline, const std::function<bool()>& cancelled);

 private:
  friend class Held;
  void leave(const std::string& key);
  struct Seat {
    bool taken = false;
    int waiting = 0;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Seat> seats_;
};

}  // namespace sabir::serve::openai

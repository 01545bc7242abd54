// Pool: the warm workers of one language and the calls that wait for them.
//
// A worker runs one call at a time. Progress is guaranteed: a call at depth d never waits for a worker that a shallower
// call holds, because beyond the pool's maximum one worker per depth is kept in reserve. When a worker dies, its
// unanswered `read` calls run once more elsewhere and the others answer kOutcomeUnknown.
//
// Threads: the loop's. Lifetimes: shutdown() before destruction; callbacks come on the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/net/loop.h"
#include "sabir/process/spawn.h"
#include "sabir/protocol/payload.h"

namespace sabir::workers {

using Clock = std::chrono::steady_clock;

inline constexpr int kMostDepth = 16;

struct CallSpec {
  std::string address;               // for messages and statistics
  std::string module;                // absolute path of the source file
  std::string receiver;
  std::string function;              // as written in the source
  protocol::Payload arguments;       // an object by names as written
  std::string binding;               // raw JSON members appended to the call's params: "positional", "variadic", …
  CallContext context;
  std::string context_parameter;
  Clock::time_point deadline;
  int depth = 1;
  std::string idempotency_key;
  bool read = false;                 // effect read: may be sent ahead, and once more after a crash
};

// The running call that a worker's request is made for; alive while its answer is outstanding.
struct Caller {
  std::string address;
  CallContext context;
  Clock::time_point deadline;
  int depth = 0;                                   // of the call itself; 0 = a client outside any worker
  bool ended = false;
  std::vector<std::function<void()>> when_ended;   // run once, when the call is answered, cancelled or lost
};

// A worker's request back into the engine. `reply` may be called later, once; after the worker is gone it does nothing.
struct EngineRequest {
  std::string method;
  std::string params;                // raw JSON object
  std::vector<std::string> blobs;
  std::shared_ptr<Caller> caller;
  std::function<void(Result<protocol::Payload>)> reply;  // the payload is the whole result object
};
using RequestHandler = std::function<void(EngineRequest)>;

struct CallEvents {
  std::function<void(Result<protocol::Payload>)> done;     // the function's value
  std::function<void(protocol::Payload)> chunk;            // may be empty
  std::function<void(std::string params_json)> progress;   // may be empty
};

struct LaunchSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::filesystem::path directory;
};

struct PoolSpec {
  std::string language;
  std::function<Result<LaunchSpec>()> launch;  // asked before each spawn
  std::string start_params = "{}";             // raw JSON of `start`
  int max = 2;
  std::size_t queue = 10'000;                  // waiting calls; beyond it kBusy
  std::chrono::milliseconds startup{20'000};
  std::chrono::milliseconds grace{500};        // between cancel and kill
  int pipeline = 32;                           // quick read calls sent ahead to one worker
  std::function<void(std::string_view line)> output;  // what workers print, line by line
};

struct PoolStats {
  int workers = 0;
  int starting = 0;
  std::size_t queued = 0;
  std::size_t running = 0;
  std::uint64_t started = 0;   // workers ever started
  std::uint64_t crashed = 0;   // workers lost while in use
  std::vector<pid_t> pids;
};

class Pool {
 public:
  Pool(net::Loop& loop, PoolSpec spec, RequestHandler handler);
  ~Pool();

  using CallId = std::uint64_t;
  // `events.done` is never called from inside call().
  CallId call(CallSpec spec, CallEvents events);
  // Ends a call with `code`: queued ones at once; a running one's worker is told, given the grace, then killed.
  void cancel(CallId id, ErrorCode code, const std::string& reason);

  // Starts one worker if there is none, so that the first call finds it warm.
  void warm();
  // Lets running calls finish, replaces every worker; calls in the queue wait for the new ones.
  void reload();
  // Fails what waits, drains what runs, kills after the grace. `done` is called once nothing is left.
  void shutdown(std::function<void()> done);
  PoolStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::workers

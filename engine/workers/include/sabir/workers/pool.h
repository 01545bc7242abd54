// Pool: the warm workers of one language and the calls that wait for them.
//
// A worker runs one call at a time. Progress is guaranteed: a call at depth d never waits for a worker that a shallower
// call holds, because beyond the pool's maximum one worker per depth is kept in reserve, and one more for functions that are
// not known to be slow, so that slow ones never hold up the others. When a worker dies, its unanswered `read` calls run once
// more elsewhere and the others answer kOutcomeUnknown. A function that ends its worker several times in a row is left
// alone for a while.
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
#include "sabir/trace/span.h"
#include "sabir/workers/call_client.h"

namespace sabir::workers {

using Clock = std::chrono::steady_clock;

inline constexpr int kMostDepth = 16;

// A function as its workers know it: what is the same for each of its calls.
struct Callee {
  std::string address;               // for messages and statistics
  std::string module;                // path of the source file, absolute unless the language's program knows it from the project's root
  std::string receiver;
  std::string function;              // as written in the source
  std::string context_parameter;
  int concurrency = 0;               // at most so many calls of this address at once; 0 = as many as there are workers
  bool read = false;                 // effect read: may be sent ahead, and once more after a crash
  std::string named;                 // raw JSON members of a call's params: module, receiver and function; made by shared()

  static std::shared_ptr<const Callee> shared(Callee callee);
};

struct CallSpec {
  std::shared_ptr<const Callee> callee;
  protocol::Payload arguments;       // an object by names as written
  std::string binding;               // raw JSON members appended to the call's params: "positional", "variadic", …
  CallContext context;
  Clock::time_point deadline;
  int depth = 1;
  std::string idempotency_key;
  std::uint64_t entry = 0;           // Caller::entry of what it asks for
  std::shared_ptr<trace::Span> span; // of the call; null: it is not traced
  std::shared_ptr<CallClient> client; // that it is made for; null: none that can be spoken to
};

// The running call that a worker's request is made for; alive while its answer is outstanding.
struct Caller {
  std::string address;
  CallContext context;
  Clock::time_point deadline;
  int depth = 0;                                   // of the call itself; 0 = a client outside any worker
  std::uint64_t entry = 0;                         // of a recording, which the call is; 0 = none
  trace::SpanContext span;                         // which the call is
  std::shared_ptr<CallClient> client;              // as CallSpec has it
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
  // Before the reply: `chunk` or `progress`; the members of its params without the id, as a JSON object.
  std::function<void(std::string_view method, std::string_view members)> notify;
};

// Who is calling, as a function gets it: a JSON object.
std::string context_json(const CallContext& context);

// A notification's params: `members`, a JSON object, with the id of the request that it belongs to.
std::string with_id(std::string_view id, std::string_view members);
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
  bool pipes = false;                    // two pipes instead of one socket
  std::string start_params;              // raw JSON of `start`; "" = PoolSpec's
  bool boots = false;                    // argv is a boot process, which forks the workers (boot_process.h)
  bool terminal = false;                 // reads and writes this process's terminal: a debugger may run in it
  std::optional<process::Sandbox> sandbox;
};

struct PoolSpec {
  std::string language;
  std::function<Result<LaunchSpec>()> launch;  // asked before each spawn
  std::string start_params = "{}";             // raw JSON of `start`
  int min = 1;                                 // workers that stay once they have started
  int max = 2;
  std::size_t queue = 10'000;                  // waiting calls; beyond it kBusy
  std::chrono::milliseconds startup{20'000};
  std::chrono::milliseconds grace{500};        // between cancel and kill
  std::chrono::milliseconds idle{60'000};      // a worker beyond `min` leaves after so long without a call
  std::uint64_t max_calls = 0;                 // a worker is renewed after so many calls; 0 = never
  std::chrono::milliseconds max_age{0};        // and after so long; 0 = never
  std::uint64_t max_memory = 0;                // bytes resident: a running call beyond it is ended, an idle worker beyond 80 % renewed; 0 = no bound
  int max_processes = 0;                       // of a worker in a sandbox; 0 = there is none, and no bound
  int pipeline = 64;                           // quick read calls sent ahead to one worker
  std::function<void(std::string_view line)> output;  // what workers print, line by line
};

struct WorkerStats {
  pid_t pid = 0;
  std::string_view state;      // "starting", "ready", "busy", "leaving"
  std::string running;         // the address that it runs; "" = none
  std::chrono::milliseconds running_for{0};
  std::size_t in_flight = 0;   // calls that it has been sent
  std::uint64_t calls = 0;     // ever
  std::chrono::milliseconds age{0};
};

struct PoolStats {
  int workers = 0;
  int starting = 0;
  std::size_t queued = 0;
  std::size_t running = 0;
  std::uint64_t started = 0;   // workers ever started
  std::uint64_t crashed = 0;   // workers lost while in use
  std::uint64_t renewed = 0;   // workers replaced for their calls, age or memory
  std::vector<pid_t> pids;
  std::chrono::milliseconds oldest_wait{0};  // of a queued call
  std::string start_failure;   // why no worker starts at present; "" = they do
  std::vector<std::string> left_alone;  // addresses that ended too many workers in a row and are refused for a while
  std::vector<WorkerStats> each;
};

// Whether a pool whose workers are forked from a boot process starts that anew. As needed: unless the process said that what
// it loaded reloads itself.
enum class Boot { kAsNeeded, kAnew };

class Pool {
 public:
  Pool(net::Loop& loop, PoolSpec spec, RequestHandler handler);
  ~Pool();

  using CallId = std::uint64_t;
  // `events.done` is never called from inside call().
  CallId call(CallSpec spec, CallEvents events);
  // Ends a call with `code`: queued ones at once; a running one's worker is told, given the grace, then killed.
  void cancel(CallId id, ErrorCode code, const std::string& reason);

  // Starts `min` workers, at least one, so that the first call finds one warm. `done`, on the loop and never from inside warm(), hears when
  // the first is ready, or why none starts; it is heard once, by the end of shutdown() at the latest.
  void warm(std::function<void(const std::optional<Error>& why_not)> done = {});
  // Lets running calls finish, replaces every worker at once; calls in the queue wait for the new ones. With a boot process
  // the old workers serve until a new one has loaded.
  void reload(Boot boot = Boot::kAsNeeded);
  // Fails what waits, drains what runs, kills after the grace. `done` is called once nothing is left.
  void shutdown(std::function<void()> done);
  PoolStats stats() const;
  // Adds what takes a look at each worker and each waiting call: the members from `oldest_wait` on.
  PoolStats details() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::workers

// Functions: calls by address. Finds the function, checks the arguments, journals what has effects, hands the call to a
// warm worker, checks the result.
//
// Threads: the loop's, but for registry(). Lifetimes: shutdown() before destruction.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sabir/functions/registry.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/payload.h"
#include "sabir/workers/pool.h"

namespace sabir::functions {

using workers::Clock;

struct CallRequest {
  std::string address;
  protocol::Payload arguments{"{}", {}};
  CallContext context;
  Clock::time_point deadline = Clock::time_point::max();  // the caller's own; the function's timeout applies besides
  int depth = 1;
  std::string idempotency_key;
  std::string caller;   // "cli", "sdk", "model", "python/reports.summarize": for the journal
};

// The record of calls that have effects; runtime/ plugs the journal in.
struct EffectRecord {
  std::string address;
  std::string language;
  schema::Effect effect = schema::Effect::kWrite;
  bool idempotent = false;
  std::string idempotency_key;
  std::string arguments_json;
  std::string caller;
  CallContext context;
};
class EffectLog {
 public:
  virtual ~EffectLog() = default;
  // `written` comes on the loop once the record is durable; an error refuses the call.
  virtual void begin(EffectRecord record, std::function<void(Result<std::int64_t>)> written) = 0;
  // `outcome` is "ok" or an error's name.
  virtual void finish(std::int64_t id, std::string_view outcome) = 0;
};

struct Setup {
  std::shared_ptr<const project::Project> project;
  std::vector<project::Language> languages;
  std::filesystem::path build_cache;                       // objects and programs of compiled languages
  EffectLog* effects = nullptr;                            // null: effects are not recorded
  std::function<void(std::function<void()>)> background;   // runs blocking work elsewhere
  workers::RequestHandler requests;                        // what workers ask of the engine
  std::function<void(const std::string& language, std::string_view line)> output;
  std::map<std::string, std::string> environment;          // beyond what workers always see
};

class Functions {
 public:
  Functions(net::Loop& loop, Setup setup);
  ~Functions();

  std::shared_ptr<const Registry> registry() const;

  // `events.done` is never called from inside call().
  using CallId = std::uint64_t;
  CallId call(CallRequest request, workers::CallEvents events);
  // Calls a function that is not in the registry: an assistant's respond(). Arguments are not checked.
  CallId call_source(const project::SourceFile& source, const std::string& function, const std::string& binding,
                     const std::string& context_parameter, CallRequest request, workers::CallEvents events);
  void cancel(CallId id, const std::string& reason);

  // Reads the sources again and replaces the workers; running calls finish.
  void reload(std::shared_ptr<const project::Project> project);
  // Builds what must be built and starts one worker of each language that the project uses; `done` gets a line per
  // language: {"language", "ok", "message"}.
  void prepare(std::function<void(std::vector<json::object>)> done);
  void shutdown(std::function<void()> done);
  std::map<std::string, workers::PoolStats> stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The interpreter or compiler that serves `language` in this project. Errors: kUnavailable naming what to install.
Result<std::string> find_interpreter(const project::Project& project, const project::Language& language);

}  // namespace sabir::functions

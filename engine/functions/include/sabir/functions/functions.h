// Functions: calls by address. Finds the function, checks the arguments, journals what has effects, hands the call to a
// warm worker, checks the result.
//
// Threads: the loop's, but for registry(). Lifetimes: shutdown() before destruction.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sabir/functions/provider.h"
#include "sabir/functions/registry.h"
#include "sabir/languages/languages.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/payload.h"
#include "sabir/trace/tracer.h"
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
  std::uint64_t entry = 0;   // of a recording: the call's own, and the one of the call that asks for it; 0 = none
  std::uint64_t parent = 0;
  trace::SpanContext span;   // of the call that asks for it
  std::string tool;          // the name by which a model knows the function and asks for it, and the id of its tool call; "" = no model
  std::string tool_call;
  std::shared_ptr<workers::CallClient> client;  // that can be spoken to while it runs; null: none
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

// A call that did not go well, whoever asked for it.
struct Failure {
  std::string address;   // with its language; as it was asked for where there is no such function
  Error error;
  trace::SpanContext span;  // of the call; none where it is not traced
};

// What one function is doing.
struct FunctionStats {
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  std::size_t in_flight = 0;
  double p50_ms = 0;
  double p99_ms = 0;
};

struct Setup {
  std::shared_ptr<const project::Project> project;
  std::vector<project::Language> languages;
  std::filesystem::path build_cache;                       // objects and programs of compiled languages
  EffectLog* effects = nullptr;                            // null: effects are not recorded
  Provider* provider = nullptr;                            // null: there are the sources' functions alone
  trace::Tracer* tracer = nullptr;                         // null: calls are not traced
  std::function<void(std::function<void()>)> background;   // runs blocking work elsewhere
  workers::RequestHandler requests;                        // what workers ask of the engine
  std::function<void(const std::string& language, std::string_view line)> output;
  // Takes secrets out of what a function whose language knows some has said: its outcome, or a piece of a stream; loop thread.
  std::function<void(const std::string& address, Result<protocol::Payload>& said)> clean;
  std::map<std::string, std::string> environment;          // beyond what workers always see
  std::function<void(const Failure&)> failed;              // hears of each on the loop; empty: nobody does
  bool debug = false;                                      // workers run on this terminal, one of a language, without time limits
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

  // Goes over to another reading of the project. The workers of the languages in `changed` are replaced, those of a compiled
  // one by the program in `built`; running calls finish where they are.
  void replace(std::shared_ptr<const project::Project> project, std::shared_ptr<const Registry> registry,
               const std::set<std::string>& changed, std::map<std::string, languages::Built> built,
               workers::Boot reboot = workers::Boot::kAsNeeded);
  // The compiled languages whose program has been built.
  std::set<std::string> built_languages() const;
  // Builds what must be built and starts one worker of each language that the project uses; `done` gets a line per
  // language: {"language", "ok", "message"}.
  void prepare(std::function<void(std::vector<json::object>)> done);
  // Workers of `language` have been given a secret: what they say goes through Setup::clean from now on.
  void knows_secrets(const std::string& language);
  bool has_secrets(std::string_view language) const;  // "": any language
  void shutdown(std::function<void()> done);
  std::map<std::string, workers::PoolStats> stats() const;
  // With what Pool::details() adds.
  std::map<std::string, workers::PoolStats> details() const;
  // Of each "language/address" that was called since this engine began.
  std::map<std::string, FunctionStats> function_stats() const;
  // Of the last 64 calls of "language/address" in this engine: {"calls", "failed", "median_ms", "most_ms", "last_error"};
  // empty when there was none. "calls" and "failed" count all.
  json::object recent(const std::string& key) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Builds a compiled language's program for `registry`. Blocks. Errors: kUnavailable, kBuildFailed, kIo.
Result<languages::Built> build_language(const project::Project& project, const project::Language& language, const Registry& registry,
                                        const std::filesystem::path& cache, const std::atomic<bool>& stopping);

}  // namespace sabir::functions

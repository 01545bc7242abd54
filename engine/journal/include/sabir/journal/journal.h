// Journal: the append-only record of what the engine set out to do and how it ended: calls that may change the world,
// and assistants' runs step by step. What resume, audit and "did it happen?" read after a crash.
//
// A call of effect write or irreversible is recorded before it is dispatched; a call without an outcome whose engine is
// dead is one that nobody knows the end of. `journal.db` lies beside store.db; every engine of a project writes to it.
//
// Threads: every method may be called from any thread. One thread of the journal's own commits what has gathered;
// callbacks run on that thread and must be short. Blocking methods end within 30 s.
// Lifetime: the destructor commits what is queued and marks this engine as ended.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::journal {

enum class CallEffect { kWrite, kIrreversible };

// A call about to be dispatched.
struct CallRecord {
  std::string address;          // "ruby/text.slugify"
  CallEffect effect = CallEffect::kWrite;
  bool idempotent = false;      // may be repeated under its idempotency key
  std::string idempotency_key;
  std::string arguments_json;   // kept up to 16 KiB, then cut; already redacted
  CallContext context;
};

struct Outcome {
  bool ok = false;
  std::string error_type;       // error_code_name when not ok; "outcome_unknown" when nobody can tell
  std::string message;          // kept up to 4 KiB
};

// A call that was begun and has no outcome.
struct Unfinished {
  std::int64_t id = 0;
  CallRecord call;
  std::int64_t begun_ms = 0;    // Unix milliseconds
  std::string engine;           // id of the engine that began it
};

struct RunRecord {
  std::string assistant;
  std::string input_json;       // what the run was asked, as JSON
  CallContext context;
};

class Journal {
 public:
  // Opens or creates `directory`/journal.db. Errors: kStoreNewer, kStorage, kStorageFull.
  static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& directory);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Returns the record's id once it is committed; for kIrreversible once it is on the disk, so that it outlives a loss
  // of power. Errors: kBusy (4096 records wait already), kStorageFull, kStorage: the call must not be dispatched then.
  Result<std::int64_t> begin(CallRecord record);
  // The same without blocking; `done` is called exactly once, on the journal's thread or, for kBusy, on this one.
  void begin_async(CallRecord record, std::function<void(Result<std::int64_t>)> done);

  // Queues the outcome and returns at once. An outcome that is lost with the process leaves its call unfinished.
  void finish(std::int64_t id, Outcome outcome);

  // Calls left without an outcome by engines that are no longer alive; oldest first, at most `limit`. Settle each with
  // finish().
  Result<std::vector<Unfinished>> unfinished(int limit = 1000);

  // ---- Runs of assistants ----
  // Returns the run's id.
  Result<std::string> start_run(const RunRecord& record);
  // Appends one step, e.g. kind "model_reply", "tool_call", "tool_result". Returns its number within the run, from 1.
  Result<std::int64_t> step(const std::string& run, const std::string& kind, const std::string& json_text);
  // `status`: "finished", "failed", "cancelled".
  Result<void> finish_run(const std::string& run, const std::string& status, const std::string& output_json);
  // {"run", "assistant", "status", "started_ms", "ended_ms", "input", "output", "context",
  //  "steps": [{"seq", "kind", "at_ms", "value"}]}; status "running" until it ends, "interrupted" when its engine died.
  // Errors: kNotFound.
  Result<json::object> run(const std::string& id);

  // Waits until everything queued so far is committed.
  Result<void> flush();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::journal

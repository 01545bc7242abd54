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

// A call of an assistant's run that waits for a person's word.
struct Approval {
  std::string id;               // 26 characters
  std::string run;
  std::string assistant;
  std::string call_id;          // the model's
  std::string address;
  std::string arguments_json;   // as it will be called with
  std::string why;              // the rule that it met; "" = the function is irreversible
  CallContext context;          // whose run it is
  std::int64_t asked_ms = 0;
  std::int64_t expires_ms = 0;
  std::string state = "waiting";  // "approved", "denied", "expired"
  std::int64_t decided_ms = 0;  // 0 = not yet
  std::string decided_by;
  std::string reason;
};
json::object to_json(const Approval& approval);

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
  //  "steps": [{"seq", "kind", "at_ms", "value"}]}; status "running" until it ends, "waiting" for approvals,
  // "interrupted" when its engine died.
  // Errors: kNotFound.
  Result<json::object> run(const std::string& id);

  // ---- Approvals ----
  // The run waits from now on: what goes on once `approvals` are decided is `state_json`. On the disk when it returns.
  Result<void> suspend(const std::string& run, const std::string& state_json, const std::vector<Approval>& approvals);
  // Newest first, at most 1000. `waiting`: those alone. Those whose time is over are "expired".
  Result<std::vector<Approval>> approvals(bool waiting);
  // Errors: kNotFound; kConflict when it was decided or has expired, with by whom.
  Result<Approval> decide(const std::string& id, bool approved, const std::string& who, const std::string& reason);
  struct Suspended {
    std::string state_json;
    std::vector<Approval> approvals;  // all decided or expired
  };
  // Takes a run that waits for nothing any more, for this engine to go on with; nothing where it still waits, or has been taken.
  Result<std::optional<Suspended>> take(const std::string& run);
  // Runs that wait for nothing any more, because approvals have expired or an engine died before it went on.
  Result<std::vector<std::string>> decided_runs();

  // Waits until everything queued so far is committed.
  Result<void> flush();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::journal

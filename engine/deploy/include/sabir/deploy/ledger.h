// Ledger: what has been done to one environment, as records that are only added, each with the hash of the one before. What is the
// truth after a kill is read from them: history_of() is a fold without I/O.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/deploy/backend.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {

inline constexpr int kLedgerFormat = 1;

enum class RecordKind {
  kBegun,     // of an operation: apply, rollback, destroy
  kStep,      // a step is about to be made
  kDone,      // it is made
  kFailed,    // it went wrong: `message`
  kSkipped,   // it was left out: `message` says why
  kEnded,     // of an operation: `outcome`
};
std::string_view record_kind_name(RecordKind kind);

// How operations end. kInterrupted is written by the next one that finds it without an end.
//   "released"     the release answers, and health and smoke tests passed
//   "rolled_back"  `release` answers again
//   "failed"       nothing is known to answer as it should
//   "stopped"      nothing of the target had been touched
//   "destroyed"
//   "unchanged"    all was as it should be already
//   "interrupted"
struct Record {
  std::uint64_t number = 0;    // 1, 2, …
  std::int64_t at_ms = 0;      // Unix time
  std::string operation;       // its id
  RecordKind kind = RecordKind::kBegun;
  std::string what;            // of kBegun "apply", "rollback", "destroy"; of steps the step
  std::string outcome;         // of kEnded
  std::string by;              // "user@machine"
  std::string message;         // for people; no secrets
  std::optional<Release> release;  // of kBegun, kEnded: what it is about
  json::object more;           // "commit", "skip_tests", "url"
};

struct Operation {
  std::string id;
  std::string what;
  std::string by;
  std::int64_t begun_ms = 0;
  std::int64_t last_ms = 0;
  std::optional<Release> release;
  std::string step;            // the last one that was begun
  RecordKind step_kind = RecordKind::kBegun;
  std::string outcome;         // "" = it has no end
  std::string message;
  bool touched = false;        // the target may have been changed
  std::vector<std::string> done;  // steps that were made
  json::object more;
};

struct History {
  std::vector<Operation> operations;   // oldest first
  std::vector<Release> good;           // releases that were released, oldest first, each once; the last time counts
  std::optional<Release> live;         // what should answer, by the last word on it
  std::string url;
  std::int64_t live_since_ms = 0;
  int last_release = 0;                // "r12" is 12
  bool certain = true;                 // false: an operation failed or was cut off while it changed the target

  const Operation* open() const { return !operations.empty() && operations.back().outcome.empty() ? &operations.back() : nullptr; }
  std::optional<Release> good_before(const std::string& id) const;  // the newest good release that is another
  const Release* find(const std::string& id) const;
};
History history_of(const std::vector<Record>& records);

class Ledger {
 public:
  explicit Ledger(Backend& backend) : backend_(backend) {}
  // Reads all of it and checks that each follows from the one before. Errors: kStorage for one that was changed or is missing,
  // kStoreNewer.
  Result<std::vector<Record>> read();
  // Number, time and `by` are filled in. REQUIRES: read() went well. Errors: kConflict when somebody else has written.
  Result<void> append(Record record);

 private:
  Backend& backend_;
  std::uint64_t last_ = 0;
  std::string last_hash_;
};

// As it stands in the ledger, one JSON object without its chain.
json::object to_json(const Record& record);
json::object to_json(const Release& release);
std::optional<Release> release_from_json(const json::value& value);
// From the bytes of one record. Errors: kStorage, kStoreNewer. `previous` gets the hash that it names.
Result<Record> record_from(std::string_view bytes, std::string& previous);

}  // namespace sabir::deploy

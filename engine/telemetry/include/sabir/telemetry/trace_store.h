// TraceStore: the spans of a project's environment, in .sabir/<environment>/traces.db, by trace; written in batches, searched by
// `sabir trace`.
//
// Threads: one at a time. Processes: any number, each with a store of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/store/connection.h"
#include "sabir/trace/span.h"

namespace sabir::telemetry {

// A text of a span that is in the store already.
struct LateText {
  trace::SpanContext span;
  std::string key;
  std::string text;
};

// Empty members stand for anything.
struct RunFilter {
  std::string user;
  std::string tenant;
  std::string assistant;
  std::string text;                // in names, attributes, events and kept texts; ASCII letters of either case are alike
  bool failed = false;
  std::int64_t since_ms = 0;       // Unix time: begun then or later
  std::int64_t until_ms = std::numeric_limits<std::int64_t>::max() / 1'000'000;  // and before
  int limit = 20;
};

// The first span of a trace in an engine, with what its trace took.
struct RunRow {
  std::string trace;               // 32 digits
  std::string run;                 // the journal's id of an assistant's run; "" = none
  std::string name;
  std::string operation;
  std::int64_t begun_us = 0;       // Unix time
  std::int64_t ended_us = 0;
  std::string error;               // its type; "" = it went well
  std::string user;
  std::string tenant;
  std::string conversation;
  std::int64_t spans = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t nusd = 0;           // 10^-9 USD, of the calls whose price is known
};
json::object to_json(const RunRow& row);
RunRow run_row_of(const json::object& row);            // what to_json() made; to the millisecond

struct StoredSpan {
  std::string span;                // 16 digits
  std::string parent;              // "" = none
  bool root = false;
  std::string name;
  std::string operation;
  std::int64_t begun_us = 0;
  std::int64_t ended_us = 0;
  std::string error;
  std::string message;
  json::object attributes;
  json::array events;              // trace::events_json
  json::object texts;              // by key
};
json::object to_json(const StoredSpan& span);
StoredSpan stored_span_of(const json::object& span);   // likewise

class TraceStore {
 public:
  // Errors: kStoreNewer, kStorage, kStorageFull, kBusy.
  static Result<std::unique_ptr<TraceStore>> open(const std::filesystem::path& directory);
  // For reading alone. Errors: also kNotFound where no trace was ever kept.
  static Result<std::unique_ptr<TraceStore>> open_reading(const std::filesystem::path& directory);

  // All or nothing. `dropped` spans could not be kept.
  Result<void> write(const std::vector<std::shared_ptr<trace::Span>>& spans, const std::vector<LateText>& late, std::uint64_t dropped, std::int64_t now_ms);
  // Removes whole traces: older ones than `keep_days`, then the oldest until what is left takes less than nine tenths of `keep_mb`,
  // if all took more than that.
  Result<void> prune(int keep_days, int keep_mb, std::int64_t now_ms);

  // Newest first.
  Result<std::vector<RunRow>> runs(const RunFilter& filter);
  // A trace's id in full, by the beginning of it, or of its run's id, or "last". Errors: kNotFound, kInvalidArguments when several
  // begin so.
  Result<std::string> find(const std::string& id);
  // The root of a trace; the earliest where it has several. Errors: kNotFound where it has none (yet).
  Result<RunRow> run(const std::string& trace);
  // In the order in which they began, at most `most`.
  Result<std::vector<StoredSpan>> spans(const std::string& trace, int most = 10'000);
  // Spans of this store that were dropped, since the oldest that is kept.
  Result<std::int64_t> dropped();
  // Bytes that the content takes; the file may be larger.
  Result<std::int64_t> size();

 private:
  explicit TraceStore(std::unique_ptr<store::Connection> connection) : connection_(std::move(connection)) {}
  Result<std::int64_t> number(std::string_view sql);
  Result<void> remove_up_to(std::int64_t row);

  std::unique_ptr<store::Connection> connection_;
};

// One trace: its run's members, where it has its beginning, else "trace" alone, and "span_list". Errors: those of TraceStore::find.
Result<json::object> trace_json(TraceStore& store, const std::string& id);

}  // namespace sabir::telemetry

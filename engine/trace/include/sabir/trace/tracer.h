// Tracer: begins spans and takes ended ones into a bounded ring, from which one thread elsewhere fetches them in batches.
//
// Threads: begin(), end() and keeps_text() from any; they never wait for the disk or the network. drain() from one thread.
// What begin() gives belongs to whoever asked for it until end(). Cost: docs/performance.md, "Traces".
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "sabir/trace/span.h"

namespace sabir::trace {

using Clock = std::chrono::steady_clock;

// Whether spans carry texts at all: of no trace, of a part of them (by the trace's id, so that all programs of one trace that
// sample like this decide alike), of all.
struct TextPolicy {
  double part = 1;
};

class Tracer {
 public:
  static constexpr std::size_t kMostCalls = 4096;   // spans of functions' calls that wait; what comes then is dropped and counted
  static constexpr std::size_t kMostWaiting = 8192;  // of all kinds

  explicit Tracer(TextPolicy texts);

  // A child of `parent`; without one, or where that is another program's, the root of what this engine does for it.
  std::shared_ptr<Span> begin(const SpanContext& parent, Clock::time_point now = Clock::now());
  void end(std::shared_ptr<Span> span, Clock::time_point now = Clock::now());
  bool keeps_text(const TraceId& trace) const;

  struct Batch {
    std::vector<std::shared_ptr<Span>> spans;  // in the order in which they ended
    std::uint64_t dropped = 0;                 // since the last batch
    bool closed = false;                       // nothing more comes
  };
  // Waits until the first span was begun; false when it is closed before.
  bool wait_for_first();
  // Waits until there is a span, then for `gather` for more of them, unless it is closed.
  Batch drain(std::chrono::milliseconds gather);
  // drain() gives what there is and waits no more; spans that end now are dropped.
  void close();

 private:
  std::int64_t unix_ns(Clock::time_point at) const;
  void set_clock();

  const std::uint64_t text_threshold_;
  const bool all_texts_;
  std::atomic<std::int64_t> offset_ns_{0};  // Unix time less the steady clock's
  std::atomic<bool> begun_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Span>> ring_;
  std::uint64_t dropped_ = 0;
  bool closed_ = false;
};

}  // namespace sabir::trace

// LogRing: the last lines of an engine's log, of what its workers print and of calls that failed, for whoever asks later. Bounded.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "sabir/base/json.h"

namespace sabir::runtime {

class LogRing {
 public:
  static constexpr std::size_t kMost = 2000;        // lines
  static constexpr std::size_t kMostBytes = 4000;   // of one; the rest is cut off

  // `source` is "engine", "function" or a language; `level` "" for what has none.
  void push(std::string_view source, std::string_view level, std::string_view text);
  // Those with a greater number than `after`, oldest first, at most `limit` of them, the newest: {"lines": [{"number", "time_ms", "source", "level"?,
  // "text"}], "last", "dropped"}. `dropped` is how many after `after` are gone or left out.
  json::object read(std::uint64_t after, std::size_t limit) const;

 private:
  struct Line {
    std::int64_t time_ms;
    std::string source;
    std::string level;
    std::string text;
  };
  mutable std::mutex mutex_;
  std::deque<Line> lines_;
  std::uint64_t last_ = 0;  // number of the newest
};

}  // namespace sabir::runtime

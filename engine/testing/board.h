// Board: what the terminal shows while suites run. One calm line that is repainted on a terminal, plain lines elsewhere.
//
// Threads: every method may be called from any thread.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "sabir/testing/testing.h"

namespace sabir::testing {

class Board {
 public:
  using Clock = std::chrono::steady_clock;
  // `fd` -1 shows nothing. `live`: fd is a terminal.
  Board(int fd, bool live, Clock::time_point start);

  std::size_t add(const std::string& suite);
  void phase(std::size_t suite, std::string what);         // "building", "collecting"
  void progress(std::size_t suite, int done, int expected, int failed);
  void finish(std::size_t suite, const Suite& result);
  // Repaints the line; a no-op unless live.
  void tick(Clock::time_point now);
  void clear();
  void say(std::string_view text);

  // The line as it stands, without control sequences; at most `width` columns.
  std::string status_line(Clock::time_point now, std::size_t width) const;

 private:
  struct Entry {
    std::string name;
    std::string phase = "waiting";
    int done = 0;
    int expected = 0;
    int failed = 0;
    bool finished = false;
  };
  void write(std::string_view text);

  int fd_;
  bool live_;
  Clock::time_point start_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  bool painted_ = false;
};

// "pytest: 12 passed in 3.2 s", "rspec: failed: no examples were collected".
std::string one_line(const Suite& suite);
// Failures quoted with file and line, problems, notes, and the closing line.
std::string report_text(const Summary& summary);

}  // namespace sabir::testing

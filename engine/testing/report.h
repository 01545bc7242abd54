// Reading what runners say: the reporters' event lines and ctest's output. No I/O.
//
// Threads: plain values; one reader belongs to one suite.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/testing/testing.h"

namespace sabir::testing {

// Bound on the cases one suite may report, so that a broken runner cannot fill the memory.
inline constexpr std::size_t kMostCases = 100'000;
inline constexpr std::size_t kMostText = 20'000;

// One line of a reporter: {"event": "collected"|"case"|"broken", …}. Lines that are none are ignored.
class EventReader {
 public:
  void line(std::string_view text, Suite& suite);
  // Files that failed to load, with what the runner said of each.
  const std::vector<std::pair<std::string, std::string>>& broken() const { return broken_; }
  bool collected() const { return collected_; }

 private:
  std::vector<std::pair<std::string, std::string>> broken_;
  bool collected_ = false;
};

// ctest's standard output with --output-on-failure: "1/3 Test #1: name … Passed 0.01 sec", failures followed by the test's
// own output, in which GoogleTest names file and line.
class CtestReader {
 public:
  explicit CtestReader(std::string root) : root_(std::move(root)) {}
  void line(std::string_view text, Suite& suite);
  void end(Suite& suite);

 private:
  void close(Suite& suite);
  std::string root_;
  bool in_failure_ = false;
  Case failure_;
};

// The last `most` bytes of what was added, whole lines.
class Tail {
 public:
  explicit Tail(std::size_t most = 8000) : most_(most) {}
  void line(std::string_view text);
  const std::string& text() const { return text_; }

 private:
  std::size_t most_;
  std::string text_;
};

}  // namespace sabir::testing

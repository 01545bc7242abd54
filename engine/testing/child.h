// One child process in a group of its own, read until it ends.
//
// Threads: run_child may be called from several threads at once. Every call ends: by the child's end, the deadline or
// stop_children().
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::testing {

struct ChildSpec {
  std::vector<std::string> argv;                  // argv[0] is looked up on PATH
  std::filesystem::path folder;                   // working directory
  std::map<std::string, std::string> environment; // added to this process's own
  std::chrono::steady_clock::time_point deadline;
  bool report = false;                            // gives descriptor 3 for lines, and SABIR_TEST_REPORT_FD=3
  std::function<void(std::string_view)> on_output_line;  // standard output and error, without the newline
  std::function<void(std::string_view)> on_report_line;  // descriptor 3
};

struct ChildEnd {
  int exit_code = -1;     // 128 + signal when killed
  bool timed_out = false;
  bool stopped = false;   // by stop_children
};

// Lines over 1 MiB are cut. When the child has ended, what is left of its process group is killed.
// Errors: kUnavailable when argv[0] is not found, kIo.
Result<ChildEnd> run_child(const ChildSpec& spec);

// Ends every running child's group, and every one started later, until allow_children(). Safe in a signal handler.
void stop_children();
void allow_children();
bool children_stopped();

}  // namespace sabir::testing

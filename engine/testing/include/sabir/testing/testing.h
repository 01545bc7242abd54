// Testing: runs a project's own suites with their own runners, pytest, rspec, ctest and what other languages name, side by side, and makes one
// report of them. The runners stay the judges; this room finds test files, starts runners and reads what they say.
//
// Threads: run() blocks, and one run at a time may be active in a process: while it runs it owns SIGINT and SIGTERM, which
// end every suite's process group.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/project/project.h"

namespace sabir::testing {

enum class Outcome { kPassed, kFailed, kSkipped };
std::string_view outcome_name(Outcome outcome);

struct Case {
  std::string id;        // the runner's own name for it
  Outcome outcome = Outcome::kPassed;
  double seconds = 0;
  std::string file;      // from the project's root; where a failure happened, else where the test stands
  int line = 0;          // 1-based; 0 = unknown
  std::string message;   // one paragraph: why it failed or was skipped
  std::string text;      // what the runner says of a failure, at most 20,000 bytes
};

struct Suite {
  std::string name;      // "pytest", "rspec", "c++"
  int files = 0;         // test files found on disk
  int expected = 0;      // cases collected; 0 until known
  std::vector<Case> cases;
  double seconds = 0;
  std::string problem;   // why the suite as a whole failed: no runner, nothing collected, timeout; "" = it did not
  std::string hint;      // what to do about it
  std::string output;    // the end of the runner's output, where it explains the problem

  int count(Outcome outcome) const;
  bool ok() const { return problem.empty() && count(Outcome::kFailed) == 0; }
};

struct Summary {
  std::vector<Suite> suites;
  std::vector<std::string> notes;  // test folders that no runner serves
  double seconds = 0;
  bool interrupted = false;

  int count(Outcome outcome) const;
  // A suite that failed as a whole counts as one failure more.
  int failed() const;
  bool ok() const;
};

struct Options {
  std::filesystem::path root;      // the project's
  std::filesystem::path only;      // run only tests below this path; empty = all
  std::filesystem::path engine;    // this binary; the suites see it as SABIR_BIN; empty = they find their own
  std::map<std::string, std::filesystem::path> sdk_paths;  // language -> folder for its load path
  std::map<std::string, std::string> environment;  // what the suites see besides; stronger than what they see anyway
  std::vector<project::Language> languages;   // those with a test command are run by it
  int timeout_ms = 0;              // of one suite; 0 = sabir.yml's tests.timeout, else ten minutes
  int output_fd = -1;              // progress and report as text; -1 = none
  bool live = false;               // output_fd is a terminal: one status line that is repainted
};

// Errors: kNoProject, kConfig, kNotFound when there is no test file at all. Failing tests are not errors: see ok().
Result<Summary> run(const Options& options);

// {"ok", "passed", "failed", "skipped", "seconds", "suites": [{"name", …, "cases": […]}], "notes"}.
json::object to_json(const Summary& summary);

// JUnit's XML as CI servers read it: one <testsuite> per suite.
std::string to_junit(const Summary& summary);

}  // namespace sabir::testing

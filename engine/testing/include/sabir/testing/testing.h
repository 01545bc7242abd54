// Testing: runs a project's own suites with their own runners, pytest, rspec, ctest and what other languages name, side by side, and makes one
// report of them. The runners stay the judges; this room finds test files, knows which of them a change reaches, starts runners and
// reads what they say.
//
// Threads: run() blocks, and one run at a time may be active in a process: while it runs it owns SIGINT and SIGTERM, which
// end every suite's process group.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
  std::string test_file; // the file that holds the test; "" = the runner does not say
  std::string rerun;     // by which the runner is asked for this test alone; "" = it cannot be
  int attempts = 1;      // passed at the second = flaky
};

struct Suite {
  std::string name;      // "pytest", "rspec", "c++"
  int files = 0;         // test files that were run
  int unchanged = 0;     // test files that were not, since nothing that they depend on has changed
  int expected = 0;      // cases collected; 0 until known
  std::vector<Case> cases;
  double seconds = 0;
  std::string problem;   // why the suite as a whole failed: no runner, nothing collected, timeout; "" = it did not
  std::string hint;      // what to do about it
  std::string output;    // the end of the runner's output, where it explains the problem
  bool stopped = false;  // by an interrupt

  int count(Outcome outcome) const;
  bool ok() const { return problem.empty() && count(Outcome::kFailed) == 0; }
};

struct Summary {
  std::vector<Suite> suites;
  std::vector<std::string> notes;  // test folders that no runner serves
  std::vector<std::string> flaky;  // tests that have two outcomes, with how that was seen
  std::vector<std::pair<std::string, std::string>> reasons;  // test file, why it was run; of an affected run
  int unchanged = 0;               // test files that an affected run left out
  double seconds = 0;
  bool interrupted = false;
  bool changed_meanwhile = false;  // something that a test depends on changed while it ran

  int count(Outcome outcome) const;
  // A suite that failed as a whole counts as one failure more.
  int failed() const;
  bool ok() const;
};

// What another part of the engine runs beside the runners: it is scheduled, shown and reported as they are. `files` take part in what a
// change reaches, as test files do; `run` gets those of them that are to run.
struct ExtraSuite {
  std::string name;
  std::vector<std::string> files;  // from the project's root
  int weight = 1;                  // processors that it keeps busy
  std::function<Suite(const std::vector<std::string>& files, std::chrono::milliseconds timeout)> run;
};

struct Options {
  std::filesystem::path root;      // the project's
  std::filesystem::path only;      // run only tests below this path; empty = all
  std::string test;                // of the file `only`: this test alone, as pytest names it behind "::"
  std::filesystem::path engine;    // this binary; the suites see it as SABIR_BIN; empty = they find their own
  std::string engine_version;      // another one runs every test
  std::string environment_name = "test";
  std::map<std::string, std::filesystem::path> sdk_paths;  // language -> folder for its load path
  std::map<std::string, std::string> environment;  // what the suites see besides; stronger than what they see anyway
  std::vector<project::Language> languages;   // those with a test command are run by it
  std::vector<ExtraSuite> extra;
  bool affected = false;           // only test files that have not passed with what they depend on now
  std::string since;               // in place of that: those that what changed since this commit reaches; "" = none
  bool explain = false;            // of an affected run: says why each file is run, and runs nothing
  std::filesystem::path report;    // that the caller writes: no file of the project's; empty = none
  int retries = 0;                 // a failed test is run so many times more
  int jobs = 0;                    // processors to keep busy; 0 = the machine's
  int timeout_ms = 0;              // of one suite; 0 = sabir.yml's tests.timeout, else ten minutes
  int output_fd = -1;              // progress and report as text; -1 = none
  bool live = false;               // output_fd is a terminal: one status line that is repainted
};

// Errors: kNoProject, kConfig, kNotFound when there is no test file at all. Failing tests are not errors: see ok().
Result<Summary> run(const Options& options);

// Returns once a file of the project has changed (its text, its name, a new one, one less), or `until` has come, or an interrupt: false.
bool wait_for_change(const std::filesystem::path& root, std::optional<std::chrono::steady_clock::time_point> until = std::nullopt);

// What depends on what: {"format", "nodes": [{"name", "kind"}], "edges": [[from, to]]}, with a `node` (a file, an address, a prompt's or an
// assistant's name) also {"node", "reaches", "reached_by", "tests"}. Errors: kNotFound for a node that there is not.
struct GraphOptions {
  std::filesystem::path root;
  std::string node;
  std::vector<project::Language> languages;
};
Result<json::object> dependency_graph(const GraphOptions& options);

// {"ok", "passed", "failed", "skipped", "seconds", "suites": [{"name", …, "cases": […]}], "notes"}.
json::object to_json(const Summary& summary);

// JUnit's XML as CI servers read it: one <testsuite> per suite; valid by the schema that Jenkins and Maven Surefire have of it.
std::string to_junit(const Summary& summary);
// Adds the cases of a JUnit XML report; `files` are the suite's test files, by which a failure's line is found in its text.
// Errors: kProtocol.
Result<void> read_junit(std::string_view xml, const std::filesystem::path& root, const std::vector<std::string>& files, Suite& suite);

}  // namespace sabir::testing

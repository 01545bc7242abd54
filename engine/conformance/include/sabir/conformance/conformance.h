// Conformance: runs a worker against the rules of spec/worker-protocol.md, at least one check for each MUST
// that binds a worker and each row of its value table. It is
// the engine's side of the protocol on purpose written apart from workers/: raw bytes, split and merged at will.
//
// Threads: run() blocks; several runs may go on at once. Every wait has a deadline, every worker it starts is ended.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::conformance {

enum class Outcome {
  kPass,
  kFail,
  kExpectedFailure,  // listed, with a reason
  kUnexpectedPass,   // listed, but it passes: the list is out of date
  kNotApplicable,    // the language has no such thing
};
std::string_view outcome_name(Outcome outcome);

struct Check {
  std::string id;      // "MUST-4.1", "VALUE-3"
  std::string title;
  Outcome outcome = Outcome::kPass;
  std::string detail;  // what was sent, what came instead; the reason of an expected failure
};

struct Report {
  std::vector<Check> checks;
  std::string language;  // as the worker's hello says; "" when it never answered
  std::string runtime;
  int count(Outcome outcome) const;
  bool ok() const { return count(Outcome::kFail) == 0 && count(Outcome::kUnexpectedPass) == 0; }
  json::object to_json() const;
};

struct Options {
  std::vector<std::string> command;              // the worker's argv
  std::filesystem::path directory;               // where it runs; "" = here
  std::filesystem::path project;                 // given to `start`; "" = the testee's folder
  std::string testee;                            // `module` of calls to conformance/README.md's functions
  std::string receiver;                          // `receiver` of these calls
  std::map<std::string, std::string> expected_failures;  // id -> reason
  std::vector<std::string> only;                 // ids, or rules ("MUST-4" for MUST-4.1, MUST-4.2 …); empty = all
  std::chrono::milliseconds patience{10'000};    // for one answer; a load or a JIT may be slow
  std::function<void(const Check&)> progress;    // told of each check as it ends
};

// Errors: kUnavailable when the worker's program cannot be started, kUsage for an unknown id in `only` or
// `expected_failures`.
Result<Report> run(const Options& options);

// The ids and titles of all checks, in order.
std::vector<Check> list();

// The options for a language that the engine carries, or that the project at `project` brings itself: its worker, its testee,
// its expected failures. A compiled language's testee is built first, and kept in the user's cache. `languages` is the folder
// of all languages.
// Errors: kUsage for an unknown language, kUnavailable when its interpreter or compiler is missing, kBuildFailed, kConfig.
Result<Options> for_language(const std::filesystem::path& languages, const std::string& name, const std::filesystem::path& project = {});

// Reads languages/<name>/expected_failures.yaml; a file that is not there lists nothing. Errors: kConfig.
Result<std::map<std::string, std::string>> read_expected_failures(const std::filesystem::path& path);

}  // namespace sabir::conformance

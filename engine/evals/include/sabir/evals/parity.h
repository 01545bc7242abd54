// Parity groups: functions of one address in several languages. All of a group are called with the same inputs, from their schemas, their
// doc comments and tests/parity/, and have to give the same (same.h).
//
// Threads: plain values and pure functions; compare() blocks, calls `call` one at a time on its own thread.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/evals/verdict.h"
#include "sabir/functions/registry.h"

namespace sabir::evals {

inline constexpr const char* kParityFolder = "tests/parity";

// One entry of `cases`.
struct GoldenCase {
  json::object arguments;
  std::optional<json::value> gives;
  bool fails = false;        // every member has to raise
  int line = 0;
};

// tests/parity/<address>.yml, .yaml or .json.
struct ParitySettings {
  std::string file;                      // from the project's root; "" = there is none
  std::vector<GoldenCase> cases;
  double tolerance = 0;                  // first_difference()
  std::vector<std::string> skip;         // languages
  std::string reason;                    // why
  bool effects_allowed = false;          // functions that write are called too
  bool schemas_same = false;             // schemas that differ are a failure
  std::optional<int> runs;
  json::object inputs;                   // by parameter: a schema that narrows what is generated
  std::chrono::milliseconds timeout{60'000};  // of the whole group
};
// `text` is YAML or JSON. Errors: kConfig with the place.
Result<ParitySettings> parse_parity_settings(std::string_view text, const std::string& file);

struct ParityGroup {
  std::string address;                             // "text.slugify"
  std::vector<const functions::Function*> members;  // in the registry's order
  ParitySettings settings;
};

// The groups of `registry`, which outlives them, by address; with the settings below `root`. Errors: kConfig; kNotFound for settings that
// no group has.
Result<std::vector<ParityGroup>> parity_groups(const functions::Registry& registry, const std::filesystem::path& root);

// What one member did with one input.
struct Answer {
  std::string value;            // JSON, where there is no error
  std::optional<Error> error;
  double ms = 0;
};

// Some members disagree, with the smallest such input that was found.
struct Disagreement {
  std::string input;                 // JSON
  std::string original;              // the input that it was shrunk from
  std::vector<Answer> answers;       // of each member that was called
  std::string what;                  // one line: "ruby gives another result at /points/0"
  std::string expected;              // JSON that the case says; "" = the members disagree with one another
};

struct Latency {
  std::size_t calls = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double per_second = 0;   // one call after another
};

// Where two schemas of a group differ.
struct SchemaDifference {
  std::string what;        // "text: minLength is 1 in python and missing in ruby"
  std::string one;         // "functions/python/text.py:3"
  std::string other;
};

struct ParityReport {
  std::string address;
  std::vector<const functions::Function*> members;   // that were called, or would have been
  Outcome outcome = Outcome::kPassed;
  std::string why;                                    // of kSkipped and kError
  std::vector<std::string> left_out;                  // "ruby: rounds half to even"
  std::vector<SchemaDifference> schemas;
  std::vector<Disagreement> disagreements;            // at most 3 kinds
  std::size_t inputs = 0;                             // that all members were called with
  std::size_t disagreeing = 0;                        // inputs
  bool out_of_time = false;                           // not all inputs were used
  std::vector<Latency> latencies;                     // of each member
  double seconds = 0;
};

std::vector<SchemaDifference> schema_differences(const std::vector<const functions::Function*>& members);

struct ParityOptions {
  int runs = 100;                       // inputs of a group, the cases not counted
  std::uint64_t seed = 1;
  std::chrono::milliseconds call_timeout{10'000};
  std::shared_ptr<std::atomic<bool>> cancelled;   // may be null
};

// Calls "language/address" with the arguments' JSON and gives the value's.
using ParityCall = std::function<Result<std::string>(const std::string& address, const std::string& arguments, std::chrono::milliseconds timeout)>;

ParityReport compare(const ParityGroup& group, const ParityOptions& options, const ParityCall& call);

// The command that repeats one member's part.
std::string command_of(const functions::Function& function, const std::string& input);

json::object to_json(const ParityReport& report);
Verdict verdict_of(const ParityReport& report);
// What went wrong, and the latencies, as lines for a person.
std::string to_text(const ParityReport& report, const std::function<std::string(std::string_view, const char* style)>& styled);

}  // namespace sabir::evals

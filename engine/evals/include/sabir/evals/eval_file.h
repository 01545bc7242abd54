// An eval: tests/evals/<name>.yml, which asks an assistant or a prompt a table of cases and says what has to come of each. Its
// cases stand in it, or in a CSV or JSONL file beside it.
//
// Threads: plain values and pure functions, but for load_evals, which reads files.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::evals {

inline constexpr const char* kEvalFolder = "tests/evals";

// A place in a file of the user's.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
};

struct TextExpectation {
  std::string text;
  Place place;
};

struct Called {
  std::string function;       // address, or a pattern with *
  json::object with;          // by argument: a value, or a matcher (fits() of expect.h)
  std::optional<int> times;   // nothing: at least once
  Place place;
};

struct JudgeRule {
  std::string model;          // alias; "" = the default
  std::string rubric;
  double pass = 0.7;          // the least score, of 0 to 1
  Place place;
};

// What has to hold of one answer. Lists: each of them.
struct Expect {
  std::vector<TextExpectation> contains;
  std::vector<TextExpectation> not_contains;
  std::vector<TextExpectation> regex;
  std::optional<std::pair<json::value, Place>> equals;   // a text is compared as a text, anything else with the answer's JSON
  std::optional<std::pair<json::value, Place>> json;     // `true`: it is JSON; else its members fit these
  std::optional<std::pair<json::object, Place>> schema;
  std::vector<Called> called;
  std::vector<TextExpectation> not_called;
  std::vector<TextExpectation> order;                    // functions, one after the other, others may come between
  std::optional<std::pair<std::int64_t, Place>> most_calls;
  std::optional<std::pair<std::int64_t, Place>> most_steps;
  std::optional<std::pair<std::int64_t, Place>> most_tokens;
  std::optional<std::pair<double, Place>> most_usd;
  std::optional<std::pair<std::int64_t, Place>> most_ms;  // of live answers alone
  std::optional<JudgeRule> judge;

  bool empty() const;
};

struct EvalCase {
  std::string id;                     // unique in its eval
  std::vector<std::string> asks;      // to an assistant: one message after the other in one conversation
  json::object with;                  // of a prompt: its variables
  Expect expect;
  int samples = 1;
  double pass_rate = 1;
  std::string skip;                   // why; "" = it runs
  Place place;
};

struct Eval {
  std::string name;                   // "helper", "support/refund": the path below tests/evals
  std::string file;                   // "tests/evals/helper.yml"
  std::string assistant;              // one of them is ""
  std::string prompt;
  std::string model;                  // alias; "" = as the assistant, the prompt or the project says
  std::vector<std::string> approve;   // irreversible functions that may be called
  std::optional<double> budget_usd;
  std::vector<EvalCase> cases;
};

// Gives a table's text by its path from the eval's folder. Errors: kNotFound, kIo, kLimit.
using ReadTable = std::function<Result<std::string>(const std::string& path)>;

// `file` as errors show it, `name` the eval's own. Errors: kConfig with file:line:column, what `read_table` gives.
Result<Eval> parse_eval(std::string_view text, const std::string& file, const std::string& name, const ReadTable& read_table);

// One row of a table.
struct Row {
  json::object members;
  int line = 0;
};
// RFC 4180 with a header line: members are texts, blank lines are none. Errors: kConfig with the line.
Result<std::vector<Row>> parse_csv(std::string_view text, const std::string& file);
// A JSON object in each line; blank lines are none. Errors: kConfig with the line.
Result<std::vector<Row>> parse_jsonl(std::string_view text, const std::string& file);

// The evals below `root`/tests/evals that `words` name (a path, or a name; empty: all), by name. Errors: kConfig, kNotFound.
Result<std::vector<Eval>> load_evals(const std::filesystem::path& root, const std::vector<std::string>& words);

// What a sample is called in a folder of recordings: "tests/evals/helper.yml::mean", "…::mean#2".
std::string recording_name(const Eval& eval, const EvalCase& one, int sample);

}  // namespace sabir::evals

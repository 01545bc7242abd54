// The checks. Each belongs to one rule of spec/worker-protocol.md, is named after it (MUST-5.2 is the second check of
// MUST-5, VALUE-4 that of the value table's fourth row), starts the workers it needs and throws Failure.
//
// Threads: a check runs in one thread. Lifetime: the entries are of static storage.
#pragma once

#include <string_view>
#include <vector>

#include "session.h"

namespace sabir::conformance {

struct CheckEntry {
  std::string_view id;
  std::string_view title;
  void (*run)(const Options&);
};

std::vector<CheckEntry> frame_checks();  // MUST-1 to MUST-9
std::vector<CheckEntry> life_checks();   // MUST-10 to MUST-14
std::vector<CheckEntry> call_checks();   // MUST-15 to MUST-22
std::vector<CheckEntry> blob_checks();   // MUST-23 to MUST-26
std::vector<CheckEntry> value_checks();  // VALUE-1 to VALUE-19

// The value that `function` of the testee gives; fails the check on an error answer.
json::value called(Session& session, std::string_view function, json::object arguments, CallExtras extras = {});
void expect_value(const json::value& got, const json::value& wanted, const std::string& what);
// Fails unless the worker still answers a call.
void expect_usable(Session& session, const std::string& after);

// Ends the check as not applicable when the answer says that the testee lacks a function that its language cannot have.
void needs_function(const Message& answer, std::string_view function);

// The file beside the testee that does not load, "" for a language without loading. `what`: "syntax" or "import".
std::string broken_testee(const Options& options, std::string_view what);

// 1-based number of the first line of `file` that contains `text`; 0 when there is none.
int line_with(const std::string& file, std::string_view text);

// Equality of JSON values, for which 2 and 2.0 are one number.
bool same(const json::value& a, const json::value& b);

// `count` copies of `text`, one after the other.
std::string repeated(std::string_view text, std::size_t count);

}  // namespace sabir::conformance

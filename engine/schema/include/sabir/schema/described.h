// What a language's own `describe` program says of a file, for languages whose syntax the engine does not read itself.
// spec/describe.md is the contract.
//
// Threads: pure functions.
#pragma once

#include <set>
#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/schema/function_schema.h"

namespace sabir::schema {

// Says of JSON objects whether they are schemas, which takes most of the time of reading an entry; what was one is remembered.
// Used by one thread at a time.
class SchemaChecks {
 public:
  enum class Trust { kNothing, kAll };
  // kAll: every object is one; for entries that were checked when they were told.
  explicit SchemaChecks(Trust trust = Trust::kNothing) : trust_(trust) {}
  bool is_schema(const json::object& object);

 private:
  Trust trust_;
  std::set<std::string> known_;
};

// One entry of the answer's `files`. Errors: kLoadFailed with the line and column that the program names; kProtocol where
// the entry is not as the contract has it, or a schema in it is none.
Result<Description> description_from_json(const json::value& entry, const std::string& file, SchemaChecks& checks);
Result<Description> description_from_json(const json::value& entry, const std::string& file);

}  // namespace sabir::schema

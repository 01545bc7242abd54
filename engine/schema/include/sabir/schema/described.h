// What a language's own `describe` program says of a file, for languages whose syntax the engine does not read itself.
// spec/describe.md is the contract.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/schema/function_schema.h"

namespace sabir::schema {

// One entry of the answer's `files`. Errors: kLoadFailed with the line and column that the program names; kProtocol where
// the entry is not as the contract has it, or a schema in it is none.
Result<Description> description_from_json(const json::value& entry, const std::string& file);

}  // namespace sabir::schema

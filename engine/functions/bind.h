// Arguments as the caller wrote them, made into arguments as the source names them.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "sabir/protocol/payload.h"
#include "sabir/schema/function_schema.h"

namespace sabir::functions {

struct Bound {
  protocol::Payload canonical;  // keys in snake_case: what the schema checks
  protocol::Payload native;     // keys as written in the source: what the worker gets
  std::string binding;          // raw members of the call's params: "positional", "variadic", "keyword_variadic"
};

// Errors: kInvalidArguments when `arguments` is no object, names a parameter twice, or leaves a gap before a positional
// argument that its language cannot leave.
Result<Bound> bind(const schema::FunctionSchema& function, protocol::Payload arguments);

}  // namespace sabir::functions

// Arguments as the caller wrote them, made into arguments as the source names them.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "sabir/protocol/payload.h"
#include "sabir/schema/function_schema.h"

namespace sabir::functions {

struct Bound {
  protocol::Payload canonical;  // keys in snake_case: what the schema checks; empty when `same`
  protocol::Payload native;     // keys as written in the source: what the worker gets
  bool same = false;            // both are the same, and `native` has them
  std::string binding;          // raw members of the call's params: "positional", "variadic", "keyword_variadic"

  const protocol::Payload& to_check() const { return same ? native : canonical; }
};

// The raw members of a call's params when the parameters `present` are given.
std::string binding_of(const schema::FunctionSchema& function, const std::vector<const schema::Parameter*>& present);

// Errors: kInvalidArguments when `arguments` is no object, names a parameter twice, or leaves a gap before a positional
// argument that its language cannot leave.
Result<Bound> bind(const schema::FunctionSchema& function, protocol::Payload arguments);

}  // namespace sabir::functions

// What a compiled language's glue template is rendered with.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "sabir/schema/function_schema.h"

namespace sabir::schema {

// JSON text {"sources": [{"path", "module", "types": Description::types, "functions": [{"name", "receiver", "call", "returns",
// "parameters": [{"name", "type", "required", "default", "is_context"}]}]}]}. `call` is the qualified name, `returns` is
// false for void. All texts are C++ as the source has it; "path_literal" and "name_literal" are quoted for C++.
std::string glue_input(const Description& description, const std::string& path, const std::string& module);

}  // namespace sabir::schema

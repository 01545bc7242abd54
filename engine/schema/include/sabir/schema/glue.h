// What a compiled language's glue template is rendered with.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "sabir/schema/function_schema.h"

namespace sabir::schema {

// JSON text {"sources": [{"path", "module", "types": Description::types, "defines": [{"name", "file"}], "functions": [{"name",
// "receiver", "call", "returns", "yields", "watched", "parameters": [{"name", "type", "required", "default", "is_context",
// "filled_with"}]}]}]}. `call` is the qualified name, `returns` is false for void; `watched` functions know of cancellation;
// `filled_with` is "context", "stop" or "yield". All texts are C++ as the source has it; "path_literal" and "name_literal" are quoted for C++.
std::string glue_input(const Description& description, const std::string& path, const std::string& module);

}  // namespace sabir::schema

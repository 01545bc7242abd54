// Python's literals as JSON values.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "syntax.h"

namespace sabir::schema {

// The value of a literal expression; nothing when it is not one, or not one that JSON carries.
std::optional<json::value> python_literal(const Node& node, int depth = 0);

// One string token with its prefix and quotes; nothing for bytes, f-strings and \N{…}.
std::optional<std::string> python_string(std::string_view token);

}  // namespace sabir::schema

// Boost.JSON under one name, and the conversions every room needs.
//
// Threads: plain values.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

namespace sabir {

namespace json = boost::json;

// Parses one JSON text. The error names line and column of the first offending byte. Depth is bounded at 256.
Result<json::value> parse_json(std::string_view text);

// Indented by two spaces, keys in their order, ends without a newline.
std::string pretty_json(const json::value& value);

// On one line, without blanks. Unlike json::serialize it writes 6.0 and 0.25, not 6E0 and 2.5E-1.
std::string compact_json(const json::value& value);
std::string compact_json(const json::object& object);  // which would be copied into a value

// {"type": "unknown_function", "message": …, "hint": …, "file": …, "line": …, …data} without detail.
json::object to_json(const Error& error);
Error error_from_json(const json::object& object);

// The member's string, or `otherwise` when it is absent or of another kind.
std::string_view string_or(const json::object& object, std::string_view key, std::string_view otherwise = {});

}  // namespace sabir

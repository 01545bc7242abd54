// Building blocks of JSON Schemas that the readers of all languages share.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/schema/function_schema.h"

namespace sabir::schema {

// What a type in a source means in JSON; `problem` says why it has no meaning, and `schema` is then {}.
struct TypeSchema {
  json::object schema;
  bool is_context = false;  // the caller's context
  bool is_iterator = false;  // yields values; `schema` is that of one value
  bool is_none = false;     // no value
  std::string doc;          // from Annotated
  std::string problem;
  json::value build;        // Ruby: how the worker makes the value from JSON's, as spec/worker-protocol.md says; null = not at all
};

json::object of_type(std::string_view name);
json::object array_of(json::object items);
json::object tuple_of(const std::vector<json::object>& items);
json::object map_of(json::object values);
json::object bytes_schema();
// Values that a Literal or an enumeration allows; "type" is added when they share one.
json::object enum_of(const json::array& values);
// Any of `choices`; {} among them makes {}. Plain types are merged: {"type": ["string", "null"]}.
json::object any_of(std::vector<json::object> choices);
json::object nullable(json::object schema);

// Reads one JSON number written with an optional sign, underscores or ', 0x/0o/0b; nothing when it is none.
std::optional<json::value> number_literal(std::string_view text);

// Appends one Unicode character as UTF-8; false when it is none.
bool append_utf8(std::string& out, std::uint32_t code);

std::string lower_case(std::string_view text);

}  // namespace sabir::schema

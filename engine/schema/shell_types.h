// The types of shell tags (docs/function-schema.md): `integer(1..9)`, `string[]`, `'a'|'b'`, `{name: string, count?: integer}`.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/json.h"

namespace sabir::schema {

struct ShellType {
  json::object schema;     // {} = anything
  std::string form;        // how a parameter's value is written: "text", "json", "list", "map"
  std::string result;      // how standard output is read: "text", "json", "bytes", "none", "status", "lines"
  std::string written;     // as in the source
};

// The type at the beginning of `text`, which ends at a blank, at '=' or with the text; `rest` becomes what follows it.
// Nothing when there is no type there. Types nest up to 32 deep.
std::optional<ShellType> read_shell_type(std::string_view text, std::string_view& rest);

}  // namespace sabir::schema

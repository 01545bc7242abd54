// Plain files of a language that has a describe program, read by the engine: starting the program takes most of the time that
// such a file's description takes (docs/decisions/0012). A reader answers for what it knows to the letter, as the program
// would, and leaves every other file to the program.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/json.h"

namespace sabir::schema {

// The file's entry as spec/describe.md has it. Nothing where the source is not plain, has an error, or there is no such
// reader. `reader` is "java"; `file` is the path that the entry names.
std::optional<json::object> describe_plain(std::string_view reader, std::string_view source, const std::string& file);

// Whether what stands beside a plain file may declare a type by a name that the reader takes for the language's own.
bool hides_plain_types(std::string_view reader, std::string_view source);

}  // namespace sabir::schema

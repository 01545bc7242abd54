// What a bash file offers, read from its text alone: functions at the top level with the tags above them, and literal
// assignments. The answer has the form of spec/describe.md, with the members that spec/exec-adapter.md adds.
//
// Threads: pure functions. Bounds: 10,000 functions of a file; nesting of quotes and substitutions up to 100 deep, beyond
// which the file is unavailable.
#pragma once

#include <string>
#include <string_view>

#include "sabir/base/json.h"

namespace sabir::schema {

// One entry of the answer's `files`, its "path" included. Whether the text is bash at all is not judged here: `bash -n` does that.
json::object describe_shell(std::string_view source, const std::string& path);

// True when every quote, here-document and block of the text is closed, so that texts put one after another are read as each
// alone would be.
bool shell_text_is_closed(std::string_view source);

}  // namespace sabir::schema

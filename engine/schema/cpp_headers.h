// The headers of a project that a C++ file includes, as far as they are the project's own.
//
// Threads: pure functions. Lifetime: the syntax trees own their text; Nodes point into them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sabir/schema/function_schema.h"
#include "syntax.h"

namespace sabir::schema {

struct CppHeader {
  std::string path;  // from the project's root
  std::unique_ptr<Syntax> syntax;
};

// What `#include "…"` names, beside the including file or from the project's root, with what those include in turn, each
// once and after what it includes. What cannot be read is left out: the compiler has the better words for it. At most 64
// headers and 4 MB.
std::vector<CppHeader> cpp_headers(const Syntax& source, const std::string& file, const ReadOther& read_other);

}  // namespace sabir::schema

// One reader per grammar: a syntax tree without errors -> what the file offers.
//
// Threads: pure functions.
#pragma once

#include "sabir/schema/function_schema.h"
#include "syntax.h"

namespace sabir::schema {

Description describe_python(const Syntax& syntax, const ReadOther& read_other);
Description describe_ruby(const Syntax& syntax, const ReadOther& read_other, Written written);
Description describe_cpp(const Syntax& syntax, const ReadOther& read_other, Written written);

// Adds a function unless its canonical name is taken, which makes it unavailable with that reason.
void add_function(Description& description, FunctionSchema function, Written written = Written::kForTheProject);

}  // namespace sabir::schema

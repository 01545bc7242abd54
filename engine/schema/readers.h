// One reader per grammar: a syntax tree without errors -> what the file offers.
//
// Threads: pure functions.
#pragma once

#include "sabir/schema/function_schema.h"
#include "syntax.h"

namespace sabir::schema {

Description describe_python(const Syntax& syntax);
Description describe_ruby(const Syntax& syntax);
Description describe_cpp(const Syntax& syntax);

// Adds a function unless its canonical name is taken, which makes it unavailable with that reason.
void add_function(Description& description, FunctionSchema function);

}  // namespace sabir::schema

// The outline of a bash text: where functions begin and end, which lines are comments, what is assigned at the top level.
// Quotes, substitutions, here-documents and `case` patterns are followed; nothing is expanded or run.
//
// Threads: pure functions. Lifetimes: views point into the text that was scanned.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sabir::schema {

struct ShellFunction {
  std::string_view name;
  int line = 0;             // from 1
  std::string_view body;    // with its braces
  std::string inside;       // "if", "for", …: the block that it stands in; "" at the top level
};

struct ShellAssignment {
  std::string_view name;
  std::string_view value;   // as written
};

struct ShellOutline {
  std::vector<ShellFunction> functions;      // those inside of other functions are left out
  std::vector<ShellAssignment> assignments;  // at the top level, with nothing else in the command
  std::vector<bool> comment;                 // by line from 1: it holds a comment and nothing else
  std::vector<std::size_t> lines;            // where each line begins, from line 1 at [0]
  bool closed = true;                        // every quote, here-document and block ends
  bool too_deep = false;
  int open_line = 0;                         // where what is not closed begins
};

ShellOutline scan_shell(std::string_view text);

}  // namespace sabir::schema

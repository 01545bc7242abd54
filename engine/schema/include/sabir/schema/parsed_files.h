// ParsedFiles: while one lives, a file that several sources take their types from is parsed once for all of them.
//
// Threads: concerns the thread that makes it, and describe() on that thread. Lifetimes: one at a time on a thread; what was
// parsed goes with it.
#pragma once

namespace sabir::schema {

class ParsedFiles {
 public:
  ParsedFiles();
  ~ParsedFiles();
  ParsedFiles(const ParsedFiles&) = delete;
  ParsedFiles& operator=(const ParsedFiles&) = delete;
};

}  // namespace sabir::schema

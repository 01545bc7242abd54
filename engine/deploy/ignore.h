// What .gitignore leaves out, for projects outside of a repository. Private to the room.
//
// Threads: immutable once read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sabir::deploy {

// The patterns of one .gitignore at the root, as git reads them, but for those of folders below.
class Ignore {
 public:
  explicit Ignore(std::string_view text);
  // `path` from the root, with "/" between its parts.
  bool matches(const std::string& path, bool folder) const;

 private:
  struct Pattern {
    std::string glob;
    bool negated = false;
    bool folders = false;   // ended with "/"
    bool anchored = false;  // has a "/" before its end
  };
  std::vector<Pattern> patterns_;
};

}  // namespace sabir::deploy

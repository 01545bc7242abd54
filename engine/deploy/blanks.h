// Blanks: what a file of variables leaves open for a person to fill in, as the project's own templates do: "" or [], and after it
// `# blank: what belongs there`.
//
// Threads: plain functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::deploy {

struct Blank {
  std::string name;
  std::string hint;  // what stands after "blank:"
  int line = 0;
};

// Of `name = ""` (tfvars) and `Name: ""` (YAML) alike.
std::vector<Blank> blanks_in(std::string_view text);

// Refuses a file with blanks, at the first one's line, and names all. Errors: kConfig.
Result<void> refuse_blanks(std::string_view text, const std::string& file);

}  // namespace sabir::deploy

// The lines by which two texts differ.
//
// Threads: pure functions.
#pragma once

#include <string_view>
#include <vector>

namespace sabir::completions {

struct DiffLine {
  char kind = ' ';        // ' ' in both, '-' in the first alone, '+' in the second alone
  std::string_view text;  // without its line end; a view of the text that was given
};

// As few lines as can be are not in both, as long as that is no more than some thousand; beyond, whole stretches differ.
std::vector<DiffLine> diff_lines(std::string_view first, std::string_view second);

}  // namespace sabir::completions

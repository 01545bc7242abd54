// Text as a terminal shows it: how many columns it takes, and what of it is safe to show.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sabir::terminal {

// Of UTF-8 without control characters; wide characters take two columns, combining ones none. As the C library knows them.
int width_of(std::string_view text);

// At most `columns` of it, ending in … where something is left out.
std::string clipped(std::string_view text, int columns);
// The same from its end: "…nctions/python/notes.py:12".
std::string clipped_left(std::string_view text, int columns);
// Exactly `columns`: clipped, or blanks behind it, before it where `right`.
std::string fitted(std::string_view text, int columns, bool right = false);

// Control characters and broken UTF-8 are replaced, so that foreign text cannot steer the terminal; a tab becomes blanks.
std::string harmless(std::string_view text);

// Lines of at most `columns`, broken at blanks where there are any.
std::vector<std::string> wrapped(std::string_view text, int columns);

}  // namespace sabir::terminal

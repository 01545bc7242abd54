// What each language says of other files: imports, includes, sources; types by their names where a language has no imports of files.
//
// Threads: pure functions.
#pragma once

#include <functional>
#include <string_view>

#include "scan.h"

namespace sabir::testing {

using AddRef = std::function<void(RefKind kind, std::string_view text)>;

void read_imports(Language language, std::string_view code, const AddRef& add);

inline bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0;
}
inline bool is_path_char(char c) { return is_word_char(c) || c == '.' || c == '/' || c == '-' || c == ' ' || c == '+' || c == '@' || c == '*' || c == '~'; }

}  // namespace sabir::testing

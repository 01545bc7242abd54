// A UTF-8 locale for this room's use of the C library, whatever the process's own is. Private to the room.
//
// Threads: any; the scope is its thread's.
#pragma once

#include <locale.h>

namespace sabir::terminal {

// Null where the system has none.
locale_t utf8_locale();

class InUtf8 {
 public:
  InUtf8();
  ~InUtf8();
  InUtf8(const InUtf8&) = delete;
  InUtf8& operator=(const InUtf8&) = delete;

 private:
  locale_t before_{};
};

}  // namespace sabir::terminal

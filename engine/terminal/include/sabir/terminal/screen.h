// Screen: the whole of a terminal for a live view: lines of styled text in, keys out. Only what differs from what is shown goes out,
// as one update. What the terminal was before is there again when the screen is gone, however that comes: also when the process
// exits, or dies by a fault of its own.
//
// Threads: one, but that any may write to standard error, which is taken meanwhile. Lifetimes: one at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::terminal {

// Of the sixteen colours that a terminal has, those that can be read on a light and on a dark ground; none with NO_COLOR.
enum class Style { kPlain, kBold, kDim, kGood, kBad, kWarning, kAccent, kReversed };

struct Span {
  std::string text;  // UTF-8 without control characters
  Style style = Style::kPlain;
};
using Line = std::vector<Span>;

// Columns that it takes.
int width_of(const Line& line);

struct Size {
  int columns = 80;
  int rows = 24;
  bool operator==(const Size&) const = default;
};

struct Key {
  enum class Code { kText, kEnter, kEscape, kBackspace, kUp, kDown, kPageUp, kPageDown, kHome, kEnd, kOther };
  Code code = Code::kOther;
  std::string text;  // of kText: one character
};

class Screen {
 public:
  // Errors: kUnavailable where standard input and output are no terminal, or one that cannot be drawn on.
  static Result<std::unique_ptr<Screen>> open();
  ~Screen();

  Size size() const;
  // Lines beyond the last row are left out, as what is too wide of a line. The cursor is shown at the end of `cursor_line`, where
  // that is one of them.
  void show(const std::vector<Line>& lines, int cursor_line = -1);
  // The next key that was pressed, if one was.
  std::optional<Key> key();
  // Becomes readable when a key is pressed.
  int descriptor() const;
  // What was written to standard error meanwhile, and a descriptor that becomes readable when there is some.
  std::string take_stray();
  int stray_descriptor() const;
  // After SIGWINCH.
  void resized();
  // The terminal as it was before, while `meanwhile` runs.
  void away(const std::function<void()>& meanwhile);

 private:
  struct State;
  explicit Screen(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::terminal

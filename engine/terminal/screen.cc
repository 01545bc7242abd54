#include "sabir/terminal/screen.h"

#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <cwchar>

#include "sabir/terminal/text.h"
#include "utf8_locale.h"

namespace sabir::terminal {
namespace {

constexpr std::string_view kBeginUpdate = "\x1b[?2026h";  // terminals that do not know it pass over it
constexpr std::string_view kEndUpdate = "\x1b[?2026l";
constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

enum Pair : short { kRed = 1, kGreen, kMagenta, kCyan };

void put(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// What a process that dies has to put right; plain data, since that happens in a signal handler.
struct Rescue {
  volatile sig_atomic_t needed = 0;
  int terminal = -1;
  int stray = -1;
  int error = -1;      // standard error as it was
  termios before{};
  std::array<char, 256> leave{};
  std::size_t leave_size = 0;
};
Rescue rescue;

void put_right() {
  if (rescue.needed == 0) return;
  rescue.needed = 0;
  put(rescue.terminal, {rescue.leave.data(), rescue.leave_size});
  ::tcsetattr(rescue.terminal, TCSANOW, &rescue.before);
  if (rescue.error >= 0) ::dup2(rescue.error, STDERR_FILENO);
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; rescue.stray >= 0 && (n = ::read(rescue.stray, buffer.data(), buffer.size())) > 0;) put(STDERR_FILENO, {buffer.data(), static_cast<std::size_t>(n)});
}

void on_fault(int signal) {
  put_right();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

// REQUIRES: UTF-8 that harmless() gave.
std::wstring wide(const std::string& text) {
  std::wstring out(text.size() + 1, L'\0');
  const char* at = text.c_str();
  std::mbstate_t state{};
  const auto size = std::mbsrtowcs(out.data(), &at, out.size(), &state);
  out.resize(size == static_cast<std::size_t>(-1) ? 0 : size);
  return out;
}

attr_t attributes_of(Style style, bool colours) {
  const auto pair = [&](Pair which) { return colours ? static_cast<attr_t>(COLOR_PAIR(which)) : attr_t{A_NORMAL}; };
  switch (style) {
    case Style::kBold: return A_BOLD;
    case Style::kDim: return A_DIM;
    case Style::kGood: return pair(kGreen);
    case Style::kBad: return pair(kRed) | A_BOLD;
    case Style::kWarning: return pair(kMagenta);
    case Style::kAccent: return pair(kCyan);
    case Style::kReversed: return A_REVERSE;
    case Style::kPlain: break;
  }
  return A_NORMAL;
}

bool same(const std::vector<Line>& a, const std::vector<Line>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Line& x, const Line& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const Span& p, const Span& q) { return p.style == q.style && p.text == q.text; });
  });
}

}  // namespace

int width_of(const Line& line) {
  int out = 0;
  for (const auto& span : line) out += width_of(span.text);
  return out;
}

struct Screen::State {
  FILE* in = nullptr;
  FILE* out = nullptr;
  SCREEN* screen = nullptr;
  bool colours = false;
  std::vector<Line> shown;
  int cursor = -1;
  bool drawn = false;
  std::array<int, 2> stray{-1, -1};
  std::array<struct sigaction, kFaults.size()> faults{};

  void take_faults() {
    struct sigaction mine {};
    mine.sa_handler = on_fault;
    for (std::size_t i = 0; i < kFaults.size(); ++i) {
      ::sigaction(kFaults[i], nullptr, &faults[i]);
      // A sanitizer's own tells more.
      if (faults[i].sa_handler == SIG_DFL) ::sigaction(kFaults[i], &mine, nullptr);
    }
  }

  ~State() {
    if (screen) {
      const InUtf8 scope;
      ::endwin();
      // A terminal whose end was not written with one update would wait for it.
      put(rescue.terminal, kEndUpdate);
      rescue.needed = 0;
      ::tcsetattr(rescue.terminal, TCSADRAIN, &rescue.before);
      ::delscreen(screen);
      for (std::size_t i = 0; i < kFaults.size(); ++i) ::sigaction(kFaults[i], &faults[i], nullptr);
    }
    if (rescue.error >= 0) {
      ::dup2(rescue.error, STDERR_FILENO);
      ::close(rescue.error);
      rescue.error = -1;
    }
    rescue.stray = -1;
    for (const int fd : stray) {
      if (fd >= 0) ::close(fd);
    }
    if (in) std::fclose(in);
    if (out) std::fclose(out);
  }
};

Screen::Screen(std::unique_ptr<State> state) : state_(std::move(state)) {}

Screen::~Screen() {
  const std::string rest = state_ ? take_stray() : std::string();
  state_.reset();
  put(STDERR_FILENO, rest);
}

Result<std::unique_ptr<Screen>> Screen::open() {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) return fail(ErrorCode::kUnavailable, "standard input and output are no terminal");
  const char* name = std::getenv("TERM");
  if (name == nullptr || *name == '\0' || std::string_view(name) == "dumb") return fail(ErrorCode::kUnavailable, "TERM says that this terminal cannot be drawn on");
  if (!utf8_locale()) return fail(ErrorCode::kUnavailable, "this system has no UTF-8 locale");
  auto state = std::make_unique<State>();
  State& s = *state;
  const InUtf8 scope;
  const int in_fd = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  const int out_fd = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  s.in = in_fd < 0 ? nullptr : ::fdopen(in_fd, "r");
  s.out = out_fd < 0 ? nullptr : ::fdopen(out_fd, "w");
  if (!s.in || !s.out) return fail(ErrorCode::kUnavailable, std::string("the terminal cannot be opened: ") + std::strerror(errno));
  rescue.terminal = out_fd;
  ::tcgetattr(out_fd, &rescue.before);
  s.screen = ::newterm(nullptr, s.out, s.in);
  // A machine may not know a terminal of another's.
  if (!s.screen && std::string_view(name).starts_with("xterm")) s.screen = ::newterm("xterm", s.out, s.in);
  if (!s.screen) return fail(ErrorCode::kUnavailable, "this system knows no terminal '" + std::string(name) + "'");
  std::string leave("\x1b[0m");
  leave += kEndUpdate;
  for (const char* capability : {"cnorm", "rmkx", "rmcup"}) {
    const char* text = ::tigetstr(capability);
    if (text != nullptr && text != reinterpret_cast<char*>(-1)) leave += text;
  }
  rescue.leave_size = std::min(leave.size(), rescue.leave.size());
  std::copy_n(leave.data(), rescue.leave_size, rescue.leave.data());
  rescue.needed = 1;
  static const bool at_exit = [] { return std::atexit(put_right) == 0; }();
  static_cast<void>(at_exit);
  s.take_faults();
  ::set_escdelay(25);
  ::cbreak();
  ::noecho();
  ::nodelay(::stdscr, true);
  ::keypad(::stdscr, true);
  ::curs_set(0);
  const char* plain = std::getenv("NO_COLOR");
  if ((plain == nullptr || *plain == '\0') && ::has_colors() && ::start_color() == OK && ::use_default_colors() == OK) {
    s.colours = true;
    ::init_pair(kRed, COLOR_RED, -1);
    ::init_pair(kGreen, COLOR_GREEN, -1);
    ::init_pair(kMagenta, COLOR_MAGENTA, -1);
    ::init_pair(kCyan, COLOR_CYAN, -1);
  }
  // Who writes to standard error must neither draw over the view nor wait for it.
  if (::pipe2(s.stray.data(), O_CLOEXEC | O_NONBLOCK) == 0) {
    rescue.error = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    ::dup2(s.stray[1], STDERR_FILENO);
    rescue.stray = s.stray[0];
  }
  auto screen = std::unique_ptr<Screen>(new Screen(std::move(state)));
  // The window itself knows better than LINES and COLUMNS of whatever shell.
  screen->resized();
  return screen;
}

Size Screen::size() const {
  winsize size{};
  if (::ioctl(rescue.terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) return {size.ws_col, size.ws_row};
  return {::getmaxx(::stdscr), ::getmaxy(::stdscr)};
}

void Screen::show(const std::vector<Line>& lines, int cursor_line) {
  State& s = *state_;
  if (s.drawn && s.cursor == cursor_line && same(lines, s.shown)) return;
  s.shown = lines;
  s.cursor = cursor_line;
  s.drawn = true;
  const InUtf8 scope;
  const int columns = ::getmaxx(::stdscr);
  const int rows = ::getmaxy(::stdscr);
  int cursor_column = 0;
  for (int row = 0; row < rows; ++row) {
    ::wmove(::stdscr, row, 0);
    int left = columns;
    if (row < static_cast<int>(lines.size())) {
      for (const auto& span : lines[static_cast<std::size_t>(row)]) {
        const std::string text = harmless(clipped(span.text, left));
        if (text.empty()) continue;
        ::wattrset(::stdscr, static_cast<int>(attributes_of(span.style, s.colours)));
        ::waddwstr(::stdscr, wide(text).c_str());
        left -= width_of(text);
      }
    }
    if (row == cursor_line) cursor_column = std::min(columns - 1, columns - left);
    ::wattrset(::stdscr, A_NORMAL);
    if (left > 0) ::wclrtoeol(::stdscr);
  }
  if (cursor_line >= 0 && cursor_line < rows) ::wmove(::stdscr, cursor_line, cursor_column);
  ::curs_set(cursor_line >= 0 ? 1 : 0);
  put(rescue.terminal, kBeginUpdate);
  ::wnoutrefresh(::stdscr);
  ::doupdate();
  put(rescue.terminal, kEndUpdate);
}

std::optional<Key> Screen::key() {
  const InUtf8 scope;
  wint_t got = 0;
  const int kind = ::wget_wch(::stdscr, &got);
  if (kind == ERR) return std::nullopt;
  if (kind == KEY_CODE_YES) {
    switch (got) {
      case KEY_UP: return Key{Key::Code::kUp, {}};
      case KEY_DOWN: return Key{Key::Code::kDown, {}};
      case KEY_PPAGE: return Key{Key::Code::kPageUp, {}};
      case KEY_NPAGE: return Key{Key::Code::kPageDown, {}};
      case KEY_HOME: return Key{Key::Code::kHome, {}};
      case KEY_END: return Key{Key::Code::kEnd, {}};
      case KEY_ENTER: return Key{Key::Code::kEnter, {}};
      case KEY_BACKSPACE:
      case KEY_DC: return Key{Key::Code::kBackspace, {}};
      default: return Key{};
    }
  }
  if (got == '\r' || got == '\n') return Key{Key::Code::kEnter, {}};
  if (got == 27) return Key{Key::Code::kEscape, {}};
  if (got == 127 || got == 8) return Key{Key::Code::kBackspace, {}};
  if (got < 32) return Key{};
  std::array<char, MB_LEN_MAX> bytes;
  std::mbstate_t state{};
  const auto size = std::wcrtomb(bytes.data(), static_cast<wchar_t>(got), &state);
  if (size == static_cast<std::size_t>(-1)) return Key{};
  return Key{Key::Code::kText, std::string(bytes.data(), size)};
}

int Screen::descriptor() const { return ::fileno(state_->in); }
int Screen::stray_descriptor() const { return state_->stray[0]; }

std::string Screen::take_stray() {
  std::string out;
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; state_->stray[0] >= 0 && (n = ::read(state_->stray[0], buffer.data(), buffer.size())) > 0;) out.append(buffer.data(), static_cast<std::size_t>(n));
  return out;
}

void Screen::resized() {
  const InUtf8 scope;
  const auto now = size();
  ::resizeterm(now.rows, now.columns);
  ::wclear(::stdscr);
  state_->drawn = false;
}

void Screen::away(const std::function<void()>& meanwhile) {
  const InUtf8 scope;
  ::endwin();
  rescue.needed = 0;
  meanwhile();
  rescue.needed = 1;
  resized();
  ::wrefresh(::stdscr);
}

}  // namespace sabir::terminal

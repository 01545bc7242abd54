#include "board.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "sabir/base/text.h"

namespace sabir::testing {
namespace {

std::string seconds_text(double seconds) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
  return buffer;
}

std::string counts(int passed, int failed, int skipped) {
  std::string text = std::to_string(passed) + " passed";
  if (failed > 0) text += ", " + std::to_string(failed) + " failed";
  if (skipped > 0) text += ", " + std::to_string(skipped) + " skipped";
  return text;
}

// Quoted text, indented, at most `most` lines; what is left out is said.
std::string quoted(std::string_view text, std::size_t most) {
  auto lines = split_lines(text);
  while (!lines.empty() && trim(lines.front()).empty()) lines.erase(lines.begin());
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  std::string out;
  const std::size_t from = lines.size() > most ? lines.size() - most : 0;
  if (from > 0) out += "    … " + std::to_string(from) + " lines before this\n";
  for (std::size_t i = from; i < lines.size(); ++i) out += "    " + std::string(lines[i]) + "\n";
  return out;
}

constexpr std::size_t kMostSlow = 3;
constexpr double kSlow = 1.0;  // seconds

// The tests that took longest, where any took long.
std::string slowest(const Summary& summary) {
  std::vector<const Case*> slow;
  for (const auto& suite : summary.suites) {
    for (const auto& one : suite.cases) {
      if (one.seconds >= kSlow) slow.push_back(&one);
    }
  }
  if (slow.empty()) return "";
  std::sort(slow.begin(), slow.end(), [](const Case* a, const Case* b) { return a->seconds > b->seconds; });
  if (slow.size() > kMostSlow) slow.resize(kMostSlow);
  std::string out = "\nSlowest:\n";
  for (const auto* one : slow) out += "  " + seconds_text(one->seconds) + "  " + one->id + "\n";
  return out;
}

}  // namespace

Board::Board(int fd, bool live, Clock::time_point start) : fd_(fd), live_(live && fd >= 0), start_(start) {}

std::size_t Board::add(const std::string& suite) {
  const std::lock_guard lock(mutex_);
  Entry entry;
  entry.name = suite;
  entries_.push_back(std::move(entry));
  return entries_.size() - 1;
}

void Board::phase(std::size_t suite, std::string what) {
  const std::lock_guard lock(mutex_);
  entries_[suite].phase = std::move(what);
}

void Board::progress(std::size_t suite, int done, int expected, int failed) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[suite];
  entry.done = done;
  entry.expected = expected;
  entry.failed = failed;
}

void Board::finish(std::size_t suite, const Suite& result) {
  clear();
  const std::lock_guard lock(mutex_);
  entries_[suite].finished = true;
  write(one_line(result) + "\n");
}

std::string Board::status_line(Clock::time_point now, std::size_t width) const {
  const std::lock_guard lock(mutex_);
  std::string line;
  for (const auto& entry : entries_) {
    if (entry.finished) continue;
    if (!line.empty()) line += "   ";
    line += entry.name + " ";
    if (entry.expected > 0 || entry.done > 0) {
      line += std::to_string(entry.done) + "/" + std::to_string(std::max(entry.done, entry.expected));
      if (entry.failed > 0) line += " (" + std::to_string(entry.failed) + " failed)";
    } else {
      line += entry.phase;
    }
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
  line += "   " + std::to_string(seconds) + " s";
  if (line.size() > width) line.resize(width);
  return line;
}

void Board::tick(Clock::time_point now) {
  if (!live_) return;
  winsize size{};
  const std::size_t width = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : 79U;
  const std::string line = status_line(now, width);
  const std::lock_guard lock(mutex_);
  write("\r\x1b[2K" + line);
  painted_ = true;
}

void Board::clear() {
  const std::lock_guard lock(mutex_);
  if (painted_) write("\r\x1b[2K");
  painted_ = false;
}

void Board::say(std::string_view text) {
  const std::lock_guard lock(mutex_);
  write(text);
}

void Board::write(std::string_view text) {
  while (fd_ >= 0 && !text.empty()) {
    const auto n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string one_line(const Suite& suite) {
  std::string text = suite.name + ": ";
  if (!suite.problem.empty()) {
    text += "failed: " + suite.problem;
    if (!suite.cases.empty()) {
      text += " (" + counts(suite.count(Outcome::kPassed), suite.count(Outcome::kFailed), suite.count(Outcome::kSkipped)) + ")";
    }
    return text;
  }
  text += counts(suite.count(Outcome::kPassed), suite.count(Outcome::kFailed), suite.count(Outcome::kSkipped));
  return text + " in " + seconds_text(suite.seconds);
}

std::string report_text(const Summary& summary) {
  std::string out;
  for (const auto& suite : summary.suites) {
    for (const auto& one : suite.cases) {
      if (one.outcome != Outcome::kFailed) continue;
      out += "\n";
      if (!one.file.empty()) out += one.file + (one.line > 0 ? ":" + std::to_string(one.line) : "") + ": ";
      out += one.id + "\n";
      out += quoted(one.text.empty() ? one.message : one.text, 40);
    }
    if (suite.problem.empty()) continue;
    out += "\n" + suite.name + ": " + suite.problem + "\n";
    if (!suite.hint.empty()) out += "  " + suite.hint + "\n";
    out += quoted(suite.output, 40);
  }
  out += slowest(summary);
  if (!summary.flaky.empty()) out += "\nFlaky:\n";
  for (const auto& one : summary.flaky) out += "  " + one + "\n";
  if (!summary.notes.empty()) out += "\n";
  for (const auto& note : summary.notes) out += note + "\n";
  if (summary.suites.empty() && summary.unchanged > 0) {
    return out + std::to_string(summary.unchanged) + (summary.unchanged == 1 ? " test file" : " test files") + " unchanged since they passed; nothing to run\n";
  }
  out += "\n" + counts(summary.count(Outcome::kPassed), summary.failed(), summary.count(Outcome::kSkipped)) + " in " +
         seconds_text(summary.seconds) + (summary.unchanged > 0 ? "; " + std::to_string(summary.unchanged) + " test files unchanged" : "") + (summary.interrupted ? ", interrupted" : "") + "\n";
  return out;
}

}  // namespace sabir::testing

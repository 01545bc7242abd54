#include "sabir/completions/text_diff.h"

#include <algorithm>
#include <cstddef>

namespace sabir::completions {
namespace {

using Lines = std::vector<std::string_view>;
constexpr std::ptrdiff_t kMostSteps = 2000;  // four million numbers are kept of them

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void add(std::vector<DiffLine>& out, char kind, const Lines& lines, std::ptrdiff_t from, std::ptrdiff_t to) {
  for (std::ptrdiff_t at = from; at < to; ++at) out.push_back({kind, lines[static_cast<std::size_t>(at)]});
}

// Myers: the furthest place in `a` on each diagonal after each step; back along them for the way.
void shortest(const Lines& a, const Lines& b, std::ptrdiff_t from, std::ptrdiff_t a_end, std::ptrdiff_t b_end, std::vector<DiffLine>& out) {
  const std::ptrdiff_t n = a_end - from;
  const std::ptrdiff_t m = b_end - from;
  const auto line = [from](const Lines& lines, std::ptrdiff_t at) { return lines[static_cast<std::size_t>(from + at)]; };
  std::vector<std::vector<std::ptrdiff_t>> steps;
  std::vector<std::ptrdiff_t> last{0};
  for (std::ptrdiff_t d = 0; d <= std::min(n + m, kMostSteps); ++d) {
    std::vector<std::ptrdiff_t> furthest(static_cast<std::size_t>(2 * d + 1));
    for (std::ptrdiff_t k = -d; k <= d; k += 2) {
      // Index k + d - 1 of the step before is diagonal k there.
      const auto before = [&](std::ptrdiff_t diagonal) { return last[static_cast<std::size_t>(diagonal + d - 1)]; };
      std::ptrdiff_t x = 0;
      if (d > 0) x = k == -d || (k != d && before(k - 1) < before(k + 1)) ? before(k + 1) : before(k - 1) + 1;
      while (x < n && x - k >= 0 && x - k < m && line(a, x) == line(b, x - k)) ++x;
      furthest[static_cast<std::size_t>(k + d)] = x;
      if (x < n || x - k < m) continue;
      // Backwards, from the end of both.
      std::vector<DiffLine> way;
      steps.push_back(std::move(furthest));
      std::ptrdiff_t diagonal = k;
      for (std::ptrdiff_t step = d; step > 0; --step) {
        const auto at = [&](std::ptrdiff_t other) { return steps[static_cast<std::size_t>(step - 1)][static_cast<std::size_t>(other + step - 1)]; };
        const bool down = diagonal == -step || (diagonal != step && at(diagonal - 1) < at(diagonal + 1));
        const std::ptrdiff_t came = down ? diagonal + 1 : diagonal - 1;
        const std::ptrdiff_t start = down ? at(came) : at(came) + 1;
        for (; x > start; --x) way.push_back({' ', line(a, x - 1)});
        way.push_back(down ? DiffLine{'+', line(b, x - diagonal - 1)} : DiffLine{'-', line(a, x - 1)});
        x = at(came);
        diagonal = came;
      }
      for (; x > 0; --x) way.push_back({' ', line(a, x - 1)});
      out.insert(out.end(), way.rbegin(), way.rend());
      return;
    }
    last = furthest;
    steps.push_back(std::move(furthest));
  }
  add(out, '-', a, from, a_end);
  add(out, '+', b, from, b_end);
}

}  // namespace

std::vector<DiffLine> diff_lines(std::string_view first, std::string_view second) {
  const Lines a = lines_of(first);
  const Lines b = lines_of(second);
  auto a_end = static_cast<std::ptrdiff_t>(a.size());
  auto b_end = static_cast<std::ptrdiff_t>(b.size());
  const auto same = [&](std::ptrdiff_t in_a, std::ptrdiff_t in_b) { return a[static_cast<std::size_t>(in_a)] == b[static_cast<std::size_t>(in_b)]; };
  std::ptrdiff_t from = 0;
  while (from < a_end && from < b_end && same(from, from)) ++from;
  while (a_end > from && b_end > from && same(a_end - 1, b_end - 1)) {
    --a_end;
    --b_end;
  }
  std::vector<DiffLine> out;
  add(out, ' ', a, 0, from);
  shortest(a, b, from, a_end, b_end, out);
  add(out, ' ', a, a_end, static_cast<std::ptrdiff_t>(a.size()));
  return out;
}

}  // namespace sabir::completions

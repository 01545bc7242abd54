#include "recent.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace sabir::functions {

void Durations::note(std::chrono::nanoseconds took) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 1000)) / 1000;
  const auto octave = static_cast<std::size_t>(std::bit_width(us)) - 1;
  const std::size_t quarter = octave >= 2 ? (us >> (octave - 2)) & 3U : (us << (2 - octave)) & 3U;
  ++counts_[std::min(octave * 4 + quarter, counts_.size() - 1)];
  if (++all_ < kMost) return;
  all_ = 0;
  for (auto& count : counts_) all_ += count /= 2;
}

double Durations::quantile_ms(double part) const {
  if (all_ == 0) return 0;
  const auto wanted = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(std::ceil(part * all_)));
  std::uint32_t below = 0;
  std::size_t at = 0;
  while (at + 1 < counts_.size() && (below += counts_[at]) < wanted) ++at;
  return std::ldexp(1.0 + static_cast<double>(at % 4 + 1) / 4, static_cast<int>(at / 4)) / 1000;
}

void Recent::note(std::chrono::nanoseconds took, const Error* error) {
  ms[calls++ % ms.size()] = std::chrono::duration<float, std::milli>(took).count();
  durations.note(took);
  if (!error) return;
  ++failed;
  last_error = error->message.substr(0, 500);
}

json::object Recent::to_json() const {
  std::vector<float> sorted(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(calls, ms.size())));
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  const auto rounded = [](float value) { return std::round(static_cast<double>(value) * 100) / 100; };
  json::object out{{"calls", calls}, {"failed", failed}, {"median_ms", rounded(sorted[sorted.size() / 2])}, {"most_ms", rounded(sorted.back())}};
  if (!last_error.empty()) out["last_error"] = last_error;
  return out;
}

}  // namespace sabir::functions

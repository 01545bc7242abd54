#include "recent.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sabir::functions {

void Recent::note(std::chrono::duration<float, std::milli> took, const Error* error) {
  ms[calls++ % ms.size()] = took.count();
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

// Server-sent events: any bytes, cut anywhere, give the same events as in one piece, and memory stays bounded.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "sabir/net/sse_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t step = data[0] % 17U + 1U;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  constexpr std::size_t kMost = 4096;
  sabir::net::SseParser whole(kMost);
  sabir::net::SseParser cut(kMost);
  std::vector<sabir::net::SseEvent> expected;
  std::vector<sabir::net::SseEvent> got;
  const auto first = whole.feed(text);
  if (first) expected = *first;
  bool failed = false;
  for (std::size_t i = 0; i < text.size() && !failed; i += step) {
    const auto events = cut.feed(text.substr(i, step));
    failed = !events;
    if (events) got.insert(got.end(), events->begin(), events->end());
  }
  // Refused inputs may differ in where they are refused; accepted ones must agree event by event.
  if (first.has_value() == failed) std::abort();
  if (!first) return 0;
  if (auto last = whole.finish()) expected.push_back(*last);
  if (auto last = cut.finish()) got.push_back(*last);
  if (expected != got) std::abort();
  for (const auto& event : got) {
    if (event.data.size() > kMost) std::abort();
  }
  return 0;
}

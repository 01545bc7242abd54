// Times as texts. How long a server asks to wait: any bytes as the value of each header that tells of it; and how long an answer is kept.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/models/answer_cache.h"
#include "sabir/net/pauses.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto now = sabir::net::WallClock::from_time_t(1'700'000'000);
  const auto in_bounds = [](const std::optional<std::chrono::milliseconds>& pause) {
    if (pause && (pause->count() < 0 || pause->count() > 1'000'000'000'000)) std::abort();
  };
  in_bounds(sabir::net::parse_reset(text, now));
  sabir::net::HttpResponse response;
  for (const char* name : {"retry-after-ms", "retry-after", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"}) {
    response.headers.emplace_back(name, text);
  }
  in_bounds(sabir::net::asked_pause(response, now));
  if (const auto ttl = sabir::models::parse_ttl(text); ttl && (ttl->count() <= 0 || *ttl > std::chrono::hours(24 * 366))) std::abort();
  return 0;
}

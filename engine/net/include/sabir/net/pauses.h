// How long a server asks to wait, as its answers' headers say it.
//
// Threads: pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "sabir/net/http_client.h"

namespace sabir::net {

using WallClock = std::chrono::system_clock;

// A point in time or a span as rate limit headers write it: "17ms", "1s", "6m0s", a number of seconds, seconds since 1970
// (above 10^9), an RFC 3339 date, an HTTP date. Nothing for what is none of these; never below zero.
std::optional<std::chrono::milliseconds> parse_reset(std::string_view text, WallClock::time_point now);

// retry-after-ms, else Retry-After, else the longest reset of a limit of which nothing remains
// (x-ratelimit-remaining-requests and -tokens, anthropic-ratelimit-…-remaining).
std::optional<std::chrono::milliseconds> asked_pause(const HttpResponse& response, WallClock::time_point now = WallClock::now());
// The last of these alone: of an answer that was good.
std::optional<std::chrono::milliseconds> exhausted_until(const HttpResponse& response, WallClock::time_point now = WallClock::now());

}  // namespace sabir::net

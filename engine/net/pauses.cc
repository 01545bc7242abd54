#include "sabir/net/pauses.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string>

#include "sabir/base/text.h"

namespace sabir::net {
namespace {

using std::chrono::milliseconds;

constexpr double kMostSeconds = 1e9;
constexpr std::size_t kMostBytes = 64;

// The number at the start of `text`; `rest` is what follows. No sign, no exponent, no "inf".
std::optional<double> leading_number(std::string_view text, std::string_view& rest) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  if (end == 0 || text[0] == '.') return std::nullopt;
  const std::string digits(text.substr(0, end));
  char* stop = nullptr;
  const double value = std::strtod(digits.c_str(), &stop);
  if (stop != digits.c_str() + digits.size()) return std::nullopt;
  rest = text.substr(end);
  return std::min(value, 1e15);
}

milliseconds span(double seconds) { return milliseconds(static_cast<std::int64_t>(std::ceil(std::clamp(seconds, 0.0, kMostSeconds) * 1000))); }

std::optional<milliseconds> date(std::string_view text, WallClock::time_point now) {
  const std::string owned(text);
  std::tm when{};
  const char* rest = ::strptime(owned.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when);
  std::int64_t offset = 0;
  if (rest == nullptr) {
    when = {};
    rest = ::strptime(owned.c_str(), "%Y-%m-%dT%H:%M:%S", &when);
    if (rest == nullptr) return std::nullopt;
    if (*rest == '.') {
      ++rest;
      while (*rest >= '0' && *rest <= '9') ++rest;
    }
    if (*rest == 'Z' || *rest == 'z') {
      ++rest;
    } else if ((*rest == '+' || *rest == '-') && std::string_view(rest).size() == 6 && rest[3] == ':') {
      offset = (std::strtol(std::string(rest + 1, 2).c_str(), nullptr, 10) * 60 + std::strtol(rest + 4, nullptr, 10)) * 60 * (*rest == '-' ? -1 : 1);
      rest += 6;
    } else {
      return std::nullopt;
    }
  }
  if (*rest != '\0' || when.tm_year > 8000) return std::nullopt;
  const std::int64_t at = static_cast<std::int64_t>(::timegm(&when)) - offset;
  return span(static_cast<double>(at) - std::chrono::duration<double>(now.time_since_epoch()).count());
}

std::optional<milliseconds> one_limit(const HttpResponse& response, const std::string& remaining, const std::string& reset, WallClock::time_point now) {
  const std::string_view left = trim(response.header(remaining));
  std::string_view rest;
  const auto value = leading_number(left, rest);
  if (!value || !rest.empty() || *value > 0) return std::nullopt;
  return parse_reset(response.header(reset), now);
}

}  // namespace

std::optional<milliseconds> parse_reset(std::string_view text, WallClock::time_point now) {
  text = trim(text);
  if (text.empty() || text.size() > kMostBytes) return std::nullopt;
  if (auto at = date(text, now)) return at;
  double seconds = 0;
  std::string_view rest = text;
  for (int parts = 0; !rest.empty(); ++parts) {
    const auto value = leading_number(rest, rest);
    if (!value) return std::nullopt;
    if (rest.empty()) {
      // A bare number, alone.
      if (parts > 0) return std::nullopt;
      const double epoch = std::chrono::duration<double>(now.time_since_epoch()).count();
      return span(*value >= 1e9 ? *value - epoch : *value);
    }
    if (rest.starts_with("ms")) {
      seconds += *value / 1000;
      rest.remove_prefix(2);
    } else if (const auto unit = std::string_view("smhd").find(rest.front()); unit != std::string_view::npos) {
      static constexpr double kUnits[] = {1, 60, 3600, 86400};
      seconds += *value * kUnits[unit];
      rest.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  return span(seconds);
}

std::optional<milliseconds> exhausted_until(const HttpResponse& response, WallClock::time_point now) {
  std::optional<milliseconds> longest;
  const auto consider = [&](std::optional<milliseconds> one) {
    if (one && (!longest || *one > *longest)) longest = one;
  };
  for (const char* what : {"requests", "tokens"}) {
    consider(one_limit(response, std::string("x-ratelimit-remaining-") + what, std::string("x-ratelimit-reset-") + what, now));
  }
  for (const char* what : {"requests", "tokens", "input-tokens", "output-tokens"}) {
    const std::string prefix = std::string("anthropic-ratelimit-") + what;
    consider(one_limit(response, prefix + "-remaining", prefix + "-reset", now));
  }
  return longest;
}

std::optional<milliseconds> asked_pause(const HttpResponse& response, WallClock::time_point now) {
  std::string_view rest;
  if (const auto ms = leading_number(trim(response.header("retry-after-ms")), rest); ms && rest.empty()) return span(*ms / 1000);
  if (const auto after = parse_reset(response.header("retry-after"), now)) return after;
  return exhausted_until(response, now);
}

}  // namespace sabir::net

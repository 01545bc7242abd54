#include "sabir/evals/same.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sabir::evals {
namespace {

bool is_integer(const json::value& value) { return value.is_int64() || value.is_uint64(); }

bool same_numbers(const json::value& one, const json::value& other, double tolerance) {
  if (is_integer(one) && is_integer(other)) {
    if (one.is_uint64() != other.is_uint64()) {
      // An unsigned one is beyond what the signed one can be, unless it was made by hand.
      const auto& big = one.is_uint64() ? one : other;
      const auto& small = one.is_uint64() ? other : one;
      return small.get_int64() >= 0 && static_cast<std::uint64_t>(small.get_int64()) == big.get_uint64();
    }
    return one == other;
  }
  const auto a = one.to_number<double>();
  const auto b = other.to_number<double>();
  if (a == b) return true;
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

std::string token(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// Puts the numbers as they were written in place of those that were read.
void settle(json::value& value, const std::vector<std::string_view>& numbers, std::size_t& next) {
  if (value.is_array()) {
    for (auto& one : value.get_array()) settle(one, numbers, next);
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) settle(member.value(), numbers, next);
  } else if (value.is_number()) {
    if (next >= numbers.size()) return;
    const auto text = numbers[next++];
    double exact = 0;
    if (value.is_double() && std::from_chars(text.data(), text.data() + text.size(), exact).ec == std::errc()) value = exact;
  }
}

std::size_t count_numbers(const json::value& value) {
  std::size_t out = value.is_number() ? 1 : 0;
  if (value.is_array()) {
    for (const auto& one : value.get_array()) out += count_numbers(one);
  } else if (value.is_object()) {
    for (const auto& member : value.get_object()) out += count_numbers(member.value());
  }
  return out;
}

}  // namespace

std::vector<std::string_view> numbers_of(std::string_view text) {
  std::vector<std::string_view> out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && ((text[i] >= '0' && text[i] <= '9') || text[i] == '-')) {
      const std::size_t begin = i;
      while (i + 1 < text.size() && std::string_view("0123456789.eE+-").find(text[i + 1]) != std::string_view::npos) ++i;
      out.push_back(text.substr(begin, i + 1 - begin));
    }
  }
  return out;
}

Result<json::value> exact_value(std::string_view text) {
  auto value = parse_json(text);
  if (!value) return value;
  const auto numbers = numbers_of(text);
  // Of a member that stands there twice one is gone.
  if (numbers.size() != count_numbers(*value)) return value;
  std::size_t next = 0;
  settle(*value, numbers, next);
  return value;
}

std::optional<std::string> first_difference(const json::value& one, const json::value& other, double tolerance) {
  if (one.is_number() && other.is_number()) return same_numbers(one, other, tolerance) ? std::nullopt : std::optional<std::string>("");
  if (one.kind() != other.kind()) return "";
  if (one.is_array()) {
    const auto& a = one.get_array();
    const auto& b = other.get_array();
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (auto inner = first_difference(a[i], b[i], tolerance)) return "/" + std::to_string(i) + *inner;
    }
    return a.size() == b.size() ? std::nullopt : std::optional<std::string>("/" + std::to_string(std::min(a.size(), b.size())));
  }
  if (one.is_object()) {
    const auto& a = one.get_object();
    const auto& b = other.get_object();
    for (const auto& member : a) {
      const auto* theirs = b.if_contains(member.key());
      if (theirs == nullptr) return "/" + token(member.key());
      if (auto inner = first_difference(member.value(), *theirs, tolerance)) return "/" + token(member.key()) + *inner;
    }
    for (const auto& member : b) {
      if (!a.contains(member.key())) return "/" + token(member.key());
    }
    return std::nullopt;
  }
  return one == other ? std::nullopt : std::optional<std::string>("");
}

}  // namespace sabir::evals

#include "sabir/evals/same.h"

#include <algorithm>
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

}  // namespace

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

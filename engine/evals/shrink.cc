#include <algorithm>
#include <cmath>

#include "sabir/evals/inputs.h"

namespace sabir::evals {
namespace {

constexpr std::size_t kMostCandidates = 400;  // of one value
constexpr std::size_t kMostParts = 24;        // members, items and characters that are looked at one by one

std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) ++end;
    out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += parts[i];
  return out;
}

// Where a list or text of `size` is looked at one by one.
std::vector<std::size_t> places(std::size_t size) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < std::min(size, kMostParts); ++i) out.push_back(size <= kMostParts ? i : i * size / kMostParts);
  return out;
}

std::vector<json::value> smaller(const json::value& value, int depth);

void smaller_text(const json::string& text, std::vector<json::value>& out) {
  const auto parts = characters_of({text.data(), text.size()});
  const std::size_t n = parts.size();
  if (n == 0) return;
  out.emplace_back("");
  if (n > 1) {
    out.emplace_back(joined(parts, 0, n / 2));
    out.emplace_back(joined(parts, n / 2, n));
  }
  for (const auto i : places(n)) out.emplace_back(joined(parts, 0, i) + joined(parts, i + 1, n));
  for (const auto i : places(n)) {
    if (parts[i] != "a") out.emplace_back(joined(parts, 0, i) + "a" + joined(parts, i + 1, n));
  }
}

void smaller_number(const json::value& value, std::vector<json::value>& out) {
  if (value.is_int64()) {
    const auto n = value.get_int64();
    if (n == 0) return;
    out.emplace_back(0);
    if (n < 0 && n != INT64_MIN) out.emplace_back(-n);
    for (std::int64_t part = n / 2; part != 0; part /= 2) out.emplace_back(n - part);
    out.emplace_back(n > 0 ? n - 1 : n + 1);
    return;
  }
  const auto x = value.to_number<double>();
  if (x == 0) return;
  out.emplace_back(0);
  for (const double whole : {std::trunc(x), std::floor(x), std::ceil(x)}) {
    if (std::abs(whole) < 9e15) out.emplace_back(static_cast<std::int64_t>(whole));
  }
  if (x < 0) out.emplace_back(-x);
  for (const double unit : {1.0, 2.0, 4.0, 10.0, 100.0, 1000.0}) {
    out.emplace_back(std::round(x * unit) / unit);
    out.emplace_back(std::fmod(x, unit));
  }
  out.emplace_back(x / 2);
}

void smaller_list(const json::array& list, int depth, std::vector<json::value>& out) {
  const std::size_t n = list.size();
  if (n == 0) return;
  const auto part = [&](std::size_t from, std::size_t to) {
    json::array some;
    for (std::size_t i = from; i < to; ++i) some.push_back(list[i]);
    return some;
  };
  out.emplace_back(json::array());
  if (n > 1) {
    out.emplace_back(part(0, n / 2));
    out.emplace_back(part(n / 2, n));
  }
  for (const auto i : places(n)) {
    json::array without = list;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    out.emplace_back(std::move(without));
  }
  for (const auto i : places(n)) {
    for (auto& one : smaller(list[i], depth + 1)) {
      if (out.size() > kMostCandidates) return;
      json::array changed = list;
      changed[i] = std::move(one);
      out.emplace_back(std::move(changed));
    }
  }
}

void smaller_object(const json::object& object, int depth, std::vector<json::value>& out) {
  std::size_t seen = 0;
  for (const auto& member : object) {
    if (++seen > kMostParts) break;
    json::object without = object;
    without.erase(member.key());
    out.emplace_back(std::move(without));
  }
  seen = 0;
  for (const auto& member : object) {
    if (++seen > kMostParts) break;
    for (auto& one : smaller(member.value(), depth + 1)) {
      if (out.size() > kMostCandidates) return;
      json::object changed = object;
      changed[member.key()] = std::move(one);
      out.emplace_back(std::move(changed));
    }
  }
}

std::vector<json::value> smaller(const json::value& value, int depth) {
  std::vector<json::value> out;
  if (depth > 24) return out;
  if (value.is_string()) smaller_text(value.get_string(), out);
  else if (value.is_number()) smaller_number(value, out);
  else if (value.is_array()) smaller_list(value.get_array(), depth, out);
  else if (value.is_object()) smaller_object(value.get_object(), depth, out);
  else if (value.is_bool() && value.get_bool()) out.emplace_back(false);
  const double now = size_of(value);
  std::erase_if(out, [now](const json::value& one) { return size_of(one) >= now; });
  return out;
}

}  // namespace

double size_of(const json::value& value) {
  if (value.is_null()) return 0.5;
  if (value.is_bool()) return value.get_bool() ? 1 : 0.5;
  if (value.is_string()) {
    double size = 0.5;
    for (const auto& c : characters_of({value.get_string().data(), value.get_string().size()})) size += c == "a" ? 1 : c.size() == 1 ? 1.25 : 1.5;
    return size;
  }
  if (value.is_int64() || value.is_uint64()) {
    const auto x = value.to_number<double>();
    return 0.5 + (x < 0 ? 0.25 : 0) + std::log2(std::abs(x) + 1);
  }
  if (value.is_double()) {
    const double x = value.get_double();
    if (x == 0) return 0.6;
    // A number with fewer digits is smaller, whatever its amount.
    return 1 + (x < 0 ? 0.25 : 0) + std::log2(std::abs(x) + 1) / 16 + 1.5 * static_cast<double>(compact_json(value).size());
  }
  double size = 1;
  if (value.is_array()) {
    for (const auto& one : value.get_array()) size += 0.5 + size_of(one);
  } else {
    for (const auto& member : value.get_object()) size += 0.5 + size_of(member.value());
  }
  return size;
}

json::value shrink(json::value failing, const std::function<bool(const json::value&)>& still_fails, std::size_t most) {
  std::size_t asked = 0;
  while (asked < most) {
    auto candidates = smaller(failing, 0);
    bool found = false;
    for (auto& candidate : candidates) {
      if (asked >= most) break;
      ++asked;
      if (!still_fails(candidate)) continue;
      failing = std::move(candidate);
      found = true;
      break;
    }
    if (!found) break;
  }
  return failing;
}

}  // namespace sabir::evals

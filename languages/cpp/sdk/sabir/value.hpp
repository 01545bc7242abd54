// JSON values as the wire carries them: base64 for byte sequences, blobs for what is large, and what has no JSON form.
//
// Threads: pure functions.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sabir {

using Json = nlohmann::json;

// A byte sequence: base64 text in JSON, or a blob beside it from 65,536 bytes on.
using Bytes = std::vector<std::byte>;

namespace detail {

inline constexpr std::size_t kBlob = 65536;
inline constexpr int kMaxDepth = 200;

// A value that JSON cannot carry.
struct Unfit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string base64(const std::uint8_t* data, std::size_t size) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((size + 2) / 3 * 4);
  for (std::size_t i = 0; i < size; i += 3) {
    const std::uint32_t group = (static_cast<std::uint32_t>(data[i]) << 16U) |
                                (i + 1 < size ? static_cast<std::uint32_t>(data[i + 1]) << 8U : 0U) |
                                (i + 2 < size ? static_cast<std::uint32_t>(data[i + 2]) : 0U);
    out += kDigits[group >> 18U];
    out += kDigits[(group >> 12U) & 63U];
    out += i + 1 < size ? kDigits[(group >> 6U) & 63U] : '=';
    out += i + 2 < size ? kDigits[group & 63U] : '=';
  }
  return out;
}

// Errors: std::invalid_argument for text that is no base64 (RFC 4648, section 4).
inline std::vector<std::uint8_t> from_base64(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  if (text.size() % 4 != 0) throw std::invalid_argument("not base64: its length is no multiple of 4");
  std::vector<std::uint8_t> out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int padding = !last ? 0 : text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
    std::uint32_t group = 0;
    for (int j = 0; j < 4; ++j) {
      const int value = j >= 4 - padding ? 0 : digit(text[i + static_cast<std::size_t>(j)]);
      if (value < 0) throw std::invalid_argument("not base64");
      group = (group << 6U) | static_cast<std::uint32_t>(value);
    }
    for (int j = 0; j < 3 - padding; ++j) out.push_back(static_cast<std::uint8_t>((group >> (16U - 8U * static_cast<unsigned>(j))) & 255U));
  }
  return out;
}

inline std::string pointer_key(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// Whether dump() writes `value` as it should, and nothing in it is large.
inline bool is_plain(const Json& value, int depth = 0) {
  switch (value.type()) {
    case Json::value_t::string: return value.get_ref<const std::string&>().size() < kBlob;
    case Json::value_t::number_float: return std::isfinite(value.get_ref<const double&>());
    case Json::value_t::binary:
    case Json::value_t::discarded: return false;
    case Json::value_t::array:
    case Json::value_t::object:
      if (depth >= kMaxDepth) return false;
      for (const auto& item : value) {
        if (!is_plain(item, depth + 1)) return false;
      }
      return true;
    default: return true;
  }
}

// Makes `value` fit for the wire: large strings and byte sequences move to `blobs`, their entries to `listed`.
// Errors: Unfit, naming the place.
inline void externalize(Json& value, const std::string& at, std::vector<std::string>& blobs, Json& listed, int depth = 0) {
  switch (value.type()) {
    case Json::value_t::string:
      if (value.get_ref<const std::string&>().size() >= kBlob) {
        blobs.push_back(std::move(value.get_ref<std::string&>()));
        listed.push_back({{"at", at}, {"type", "string"}});
        value = nullptr;
      }
      return;
    case Json::value_t::binary: {
      const auto& bytes = value.get_binary();
      if (bytes.size() >= kBlob) {
        blobs.emplace_back(bytes.begin(), bytes.end());
        listed.push_back({{"at", at}, {"type", "bytes"}});
        value = nullptr;
      } else {
        value = base64(bytes.data(), bytes.size());
      }
      return;
    }
    case Json::value_t::number_float:
      if (!std::isfinite(value.get<double>())) throw Unfit(at + ": NaN and the infinities are no JSON numbers");
      return;
    case Json::value_t::discarded: throw Unfit(at + ": a discarded value has no JSON form");
    case Json::value_t::array:
      if (depth >= kMaxDepth) throw Unfit("nested deeper than 200 levels");
      for (std::size_t i = 0; i < value.size(); ++i) externalize(value[i], at + "/" + std::to_string(i), blobs, listed, depth + 1);
      return;
    case Json::value_t::object:
      if (depth >= kMaxDepth) throw Unfit("nested deeper than 200 levels");
      for (auto& [key, item] : value.items()) externalize(item, at + "/" + pointer_key(key), blobs, listed, depth + 1);
      return;
    default: return;
  }
}

}  // namespace detail
}  // namespace sabir

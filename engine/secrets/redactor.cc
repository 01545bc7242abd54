#include "sabir/secrets/redactor.h"

#include <algorithm>
#include <mutex>

#include "sabir/base/json.h"
#include "sabir/base/text.h"

namespace sabir::secrets {
namespace {

std::string hexadecimal(std::string_view bytes, const char* digits) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

std::string percent_encoded(std::string_view bytes, const char* digits) {
  static constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : bytes) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += hexadecimal({&c, 1}, digits);
    }
  }
  return out;
}

// What `value` looks like inside a longer text's base64 when `before` bytes precede it: the digits that depend on the
// value alone.
std::string base64_core(std::string_view value, std::size_t before) {
  const std::string digits = base64_encode(std::string(before, '\0') + std::string(value));
  const std::size_t first = (before * 8 + 5) / 6;  // digits that hold a bit of what comes before
  const std::size_t last = (before + value.size()) * 8 / 6;
  return first < last ? digits.substr(first, last - first) : std::string{};
}

// A JSON string's inside, written in ASCII alone as Python's json does. REQUIRES: valid UTF-8.
std::string ascii_json(std::string_view text, const char* digits) {
  const std::string quoted = json::serialize(json::string(text.data(), text.size()));
  std::string out;
  const auto unit = [&](unsigned code) {
    out += "\\u";
    for (const unsigned shift : {12U, 8U, 4U, 0U}) out += digits[(code >> shift) & 15U];
  };
  for (std::size_t i = 1; i + 1 < quoted.size();) {
    const auto lead = static_cast<unsigned char>(quoted[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 1) {
      out += quoted[i++];
      continue;
    }
    unsigned code = lead & (0x7fU >> size);
    for (std::size_t n = 1; n < size; ++n) code = (code << 6U) | (static_cast<unsigned char>(quoted[i + n]) & 0x3fU);
    i += size;
    if (code < 0x10000) {
      unit(code);
    } else {
      unit(0xd800U + ((code - 0x10000U) >> 10U));
      unit(0xdc00U + ((code - 0x10000U) & 0x3ffU));
    }
  }
  return out;
}

std::string url_alphabet(std::string text) {
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

}  // namespace

std::vector<std::string> Redactor::forms(std::string_view value) {
  static constexpr const char* kLower = "0123456789abcdef";
  static constexpr const char* kUpper = "0123456789ABCDEF";
  std::vector<std::string> forms = {std::string(value),           percent_encoded(value, kUpper),
                                    percent_encoded(value, kLower), hexadecimal(value, kLower),
                                    hexadecimal(value, kUpper),   base64_encode(value)};
  if (find_invalid_utf8(value) == std::string_view::npos) {
    const std::string quoted = json::serialize(json::string(value.data(), value.size()));
    forms.push_back(quoted.substr(1, quoted.size() - 2));
    const std::string twice = json::serialize(json::string(forms.back()));
    forms.push_back(twice.substr(1, twice.size() - 2));
    for (const char* digits : {kLower, kUpper}) forms.push_back(ascii_json(value, digits));
  }
  forms.push_back(url_alphabet(base64_encode(value)));
  for (const std::size_t before : {0U, 1U, 2U}) {
    const std::string core = base64_core(value, before);
    if (core.size() < kLeastBytes) continue;
    forms.push_back(core);
    forms.push_back(url_alphabet(core));
  }
  return forms;
}

void Redactor::add(std::string_view name, std::string_view value) {
  if (value.size() < kLeastBytes) return;
  {
    // Most are known: the same value is looked up for each call.
    const std::shared_lock lock(mutex_);
    if (std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& p) { return p.text == value && p.name == name; })) return;
  }
  const std::unique_lock lock(mutex_);
  for (auto& form : forms(value)) {
    const bool known = std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& p) { return p.text == form; });
    const bool plain = form == value;
    if (!known) patterns_.push_back({std::move(form), std::string(name), plain});
  }
  std::stable_sort(patterns_.begin(), patterns_.end(),
                   [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
}

std::string Redactor::redact(std::string_view text) const {
  std::string out(text);
  const std::shared_lock lock(mutex_);
  for (const auto& pattern : patterns_) {
    std::size_t at = out.find(pattern.text);
    if (at == std::string::npos) continue;
    std::string next;
    std::size_t from = 0;
    for (; at != std::string::npos; at = out.find(pattern.text, from)) {
      next.append(out, from, at - from);
      next += "[secret:" + pattern.name + "]";
      from = at + pattern.text.size();
    }
    next.append(out, from);
    out = std::move(next);
  }
  return out;
}

std::string Redactor::redact_pieces(std::string_view text) const {
  std::string out = redact(text);
  const std::shared_lock lock(mutex_);
  for (const auto& pattern : patterns_) {
    if (!pattern.plain) continue;
    const std::string_view value = pattern.text;
    const std::size_t least = std::max(kLeastBytes, (value.size() + 1) / 2);
    // A piece of that size has its beginning in the value's first half.
    for (std::size_t from = 0; from + least <= value.size(); ++from) {
      std::size_t at = out.find(value.substr(from, least));
      while (at != std::string::npos) {
        std::size_t size = least;
        while (from + size < value.size() && at + size < out.size() && out[at + size] == value[from + size]) ++size;
        const std::string with = "[secret:" + pattern.name + "]";
        out.replace(at, size, with);
        at = out.find(value.substr(from, least), at + with.size());
      }
    }
  }
  return out;
}

std::string_view Redactor::without_begun(std::string_view text) const {
  const std::shared_lock lock(mutex_);
  while (true) {
    std::size_t longest = 0;
    for (const auto& pattern : patterns_) {
      for (std::size_t size = std::min(pattern.text.size() - 1, text.size()); size > longest; --size) {
        if (text.ends_with(std::string_view(pattern.text).substr(0, size))) longest = size;
      }
    }
    if (longest == 0) return text;
    // What is left may end within another one.
    text.remove_suffix(longest);
  }
}

}  // namespace sabir::secrets

#include "sabir/terminal/text.h"

#include <locale.h>

#include <algorithm>
#include <cstdint>
#include <cwchar>

#include "utf8_locale.h"

namespace sabir::terminal {
namespace {

// The character at the beginning of `text` and its bytes; U+FFFD for a byte that begins none.
std::pair<char32_t, std::size_t> first_of(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {0xFFFD, 1};
  char32_t out = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {0xFFFD, 1};
    out = (out << 6U) | (byte(i) & 0x3FU);
  }
  const bool too_long = (size == 3 && out < 0x800) || (size == 4 && out < 0x10000);
  if (too_long || out > 0x10FFFF || (out >= 0xD800 && out < 0xE000)) return {0xFFFD, 1};
  return {out, size};
}

int columns_of(char32_t character) {
  if (character < 0x300) return 1;
  if (!utf8_locale()) return 1;
  return std::max(0, ::wcwidth(static_cast<wchar_t>(character)));
}

}  // namespace

locale_t utf8_locale() {
  static const locale_t found = [] {
    for (const char* name : {"C.UTF-8", "C.utf8", "en_US.UTF-8"}) {
      if (const auto one = ::newlocale(LC_CTYPE_MASK, name, nullptr)) return one;
    }
    return locale_t{};
  }();
  return found;
}

InUtf8::InUtf8() {
  if (const auto mine = utf8_locale()) before_ = ::uselocale(mine);
}
InUtf8::~InUtf8() {
  if (before_) ::uselocale(before_);
}

int width_of(std::string_view text) {
  const InUtf8 scope;
  int out = 0;
  while (!text.empty()) {
    const auto [character, size] = first_of(text);
    out += columns_of(character);
    text.remove_prefix(size);
  }
  return out;
}

std::string clipped(std::string_view text, int columns) {
  if (columns <= 0) return "";
  if (width_of(text) <= columns) return std::string(text);
  const InUtf8 scope;
  std::size_t taken = 0;
  int width = 0;
  while (taken < text.size()) {
    const auto [character, size] = first_of(text.substr(taken));
    const int more = columns_of(character);
    if (width + more > columns - 1) break;
    width += more;
    taken += size;
  }
  return std::string(text.substr(0, taken)) + "…";
}

std::string clipped_left(std::string_view text, int columns) {
  if (columns <= 0) return "";
  int width = width_of(text);
  if (width <= columns) return std::string(text);
  const InUtf8 scope;
  while (width > columns - 1 && !text.empty()) {
    const auto [character, size] = first_of(text);
    width -= columns_of(character);
    text.remove_prefix(size);
  }
  return "…" + std::string(text);
}

std::string fitted(std::string_view text, int columns, bool right) {
  std::string out = clipped(text, columns);
  const std::string fill(static_cast<std::size_t>(std::max(0, columns - width_of(out))), ' ');
  return right ? fill + out : out + fill;
}

std::string harmless(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [character, size] = first_of(text);
    const bool control = character < 0x20 || (character >= 0x7F && character < 0xA0);
    // Marks that turn the direction of what follows would show one text as another.
    const bool turns = (character >= 0x202A && character <= 0x202E) || (character >= 0x2066 && character <= 0x2069);
    if (character == '\t') out += "    ";
    else if (character == '\n' || character == '\r') out += ' ';
    else if (control || turns || character == 0xFFFD) out += "\xEF\xBF\xBD";
    else out += text.substr(0, size);
    text.remove_prefix(size);
  }
  return out;
}

std::vector<std::string> wrapped(std::string_view text, int columns) {
  std::vector<std::string> out;
  columns = std::max(columns, 2);
  const InUtf8 scope;
  while (!text.empty()) {
    std::size_t taken = 0;
    std::size_t blank = 0;
    int width = 0;
    while (taken < text.size() && text[taken] != '\n') {
      const auto [character, size] = first_of(text.substr(taken));
      if (width + columns_of(character) > columns) break;
      if (character == ' ') blank = taken;
      width += columns_of(character);
      taken += size;
    }
    const bool ends = taken == text.size() || text[taken] == '\n' || text[taken] == ' ';
    if (!ends && blank > 0) taken = blank;
    out.emplace_back(text.substr(0, taken));
    text.remove_prefix(taken);
    if (!text.empty() && (text.front() == '\n' || text.front() == ' ')) text.remove_prefix(1);
  }
  return out;
}

}  // namespace sabir::terminal

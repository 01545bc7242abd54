#include "sabir/protocol/raw_json.h"

#include <algorithm>
#include <array>

#include "sabir/base/text.h"

namespace sabir::protocol {
namespace {

constexpr int kMostDepth = 256;

// Walks one JSON text; `at` ends behind it.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool value(int depth) {
    if (depth > kMostDepth || at >= text_.size()) return false;
    switch (text_[at]) {
      case '{':
        return container('}', true, depth);
      case '[':
        return container(']', false, depth);
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        return number();
    }
  }

  bool string() {
    if (at >= text_.size() || text_[at] != '"') return false;
    const std::size_t begin = ++at;
    while (at < text_.size()) {
      if ((at - begin) % 8 == 0) {
        at += plain_json_bytes(text_.substr(at));
        if (at == text_.size()) return false;
      }
      const auto c = static_cast<unsigned char>(text_[at]);
      if (c == '"') {
        ++at;
        return true;
      }
      if (c < 0x20) return false;
      if (c == '\\') {
        if (++at >= text_.size()) return false;
        const char e = text_[at];
        if (e == 'u') {
          for (int i = 0; i < 4; ++i) {
            if (++at >= text_.size() || !is_hex(text_[at])) return false;
          }
        } else if (std::string_view("\"\\/bfnrt").find(e) == std::string_view::npos) {
          return false;
        }
      }
      ++at;
    }
    return false;
  }

  void blanks() {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t' || text_[at] == '\n' || text_[at] == '\r')) ++at;
  }

  std::size_t at = 0;

 private:
  static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
  bool is_digit() const { return at < text_.size() && text_[at] >= '0' && text_[at] <= '9'; }

  bool literal(std::string_view word) {
    if (text_.substr(at, word.size()) != word) return false;
    at += word.size();
    return true;
  }

  bool digits() {
    if (!is_digit()) return false;
    while (is_digit()) ++at;
    return true;
  }

  bool number() {
    if (text_[at] == '-') ++at;
    if (at < text_.size() && text_[at] == '0') {
      ++at;
    } else if (!digits()) {
      return false;
    }
    if (at < text_.size() && text_[at] == '.') {
      ++at;
      if (!digits()) return false;
    }
    if (at < text_.size() && (text_[at] == 'e' || text_[at] == 'E')) {
      ++at;
      if (at < text_.size() && (text_[at] == '+' || text_[at] == '-')) ++at;
      if (!digits()) return false;
    }
    return true;
  }

  bool container(char close, bool keyed, int depth) {
    ++at;
    blanks();
    if (at < text_.size() && text_[at] == close) {
      ++at;
      return true;
    }
    while (true) {
      blanks();
      if (keyed) {
        if (!string()) return false;
        blanks();
        if (at >= text_.size() || text_[at] != ':') return false;
        ++at;
        blanks();
      }
      if (!value(depth + 1)) return false;
      blanks();
      if (at >= text_.size()) return false;
      if (text_[at] == close) {
        ++at;
        return true;
      }
      if (text_[at] != ',') return false;
      ++at;
    }
  }

  std::string_view text_;
};

std::unexpected<Error> malformed(std::size_t at) {
  return fail(ErrorCode::kProtocol, "malformed JSON at byte " + std::to_string(at));
}

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0U | (point >> 6U));
    out += static_cast<char>(0x80U | (point & 63U));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0U | (point >> 12U));
    out += static_cast<char>(0x80U | ((point >> 6U) & 63U));
    out += static_cast<char>(0x80U | (point & 63U));
  } else {
    out += static_cast<char>(0xf0U | (point >> 18U));
    out += static_cast<char>(0x80U | ((point >> 12U) & 63U));
    out += static_cast<char>(0x80U | ((point >> 6U) & 63U));
    out += static_cast<char>(0x80U | (point & 63U));
  }
}

std::uint32_t hex4(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    value <<= 4U;
    value |= static_cast<std::uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

}  // namespace

Result<void> check_json(std::string_view text) {
  if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    return fail(ErrorCode::kProtocol, "invalid UTF-8 at byte " + std::to_string(bad));
  }
  Scanner scanner(text);
  scanner.blanks();
  if (!scanner.value(0)) return malformed(scanner.at);
  scanner.blanks();
  if (scanner.at != text.size()) return malformed(scanner.at);
  return {};
}

Result<std::vector<RawMember>> raw_members(std::string_view text) {
  if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    return fail(ErrorCode::kProtocol, "invalid UTF-8 at byte " + std::to_string(bad));
  }
  std::vector<RawMember> members;
  members.reserve(8);
  Scanner s(text);
  s.blanks();
  if (s.at >= text.size() || text[s.at] != '{') return fail(ErrorCode::kProtocol, "not a JSON object");
  ++s.at;
  s.blanks();
  if (s.at < text.size() && text[s.at] == '}') {
    ++s.at;
  } else {
    while (true) {
      s.blanks();
      const std::size_t key = s.at;
      if (!s.string()) return malformed(s.at);
      const std::string_view name = text.substr(key + 1, s.at - key - 2);
      s.blanks();
      if (s.at >= text.size() || text[s.at] != ':') return malformed(s.at);
      ++s.at;
      s.blanks();
      const std::size_t value = s.at;
      if (!s.value(1)) return malformed(s.at);
      members.push_back({name, text.substr(value, s.at - value)});
      s.blanks();
      if (s.at >= text.size()) return malformed(s.at);
      if (text[s.at] == '}') {
        ++s.at;
        break;
      }
      if (text[s.at] != ',') return malformed(s.at);
      ++s.at;
    }
  }
  s.blanks();
  if (s.at != text.size()) return malformed(s.at);
  return members;
}

std::optional<std::string_view> find_member(const std::vector<RawMember>& members, std::string_view key) {
  for (const auto& member : members) {
    if (member.key == key) return member.value;
  }
  return std::nullopt;
}

std::string unquote(std::string_view text) {
  std::string out;
  if (text.size() < 2) return out;
  text = text.substr(1, text.size() - 2);
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    const char e = text[++i];
    if (e == 'u' && text.size() - i > 4) {
      std::uint32_t point = hex4(text.substr(i + 1));
      i += 4;
      if (point >= 0xd800 && point <= 0xdbff && text.size() - i > 6 && text[i + 1] == '\\' && text[i + 2] == 'u') {
        const std::uint32_t low = hex4(text.substr(i + 3));
        if (low >= 0xdc00 && low <= 0xdfff) {
          point = 0x10000 + ((point - 0xd800) << 10U) + (low - 0xdc00);
          i += 6;
        }
      }
      if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
      append_utf8(out, point);
    } else if (e == 'b') {
      out += '\b';
    } else if (e == 'f') {
      out += '\f';
    } else if (e == 'n') {
      out += '\n';
    } else if (e == 'r') {
      out += '\r';
    } else if (e == 't') {
      out += '\t';
    } else {
      out += e;
    }
  }
  return out;
}

void append_quoted(std::string& out, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  // A byte that stands for itself in a string that is known to be UTF-8.
  const auto is_plain = [](unsigned char byte) { return byte >= 0x20 && byte != '"' && byte != '\\'; };
  out += '"';
  std::size_t from = 0;  // of the bytes that are to be copied as they are
  std::size_t i = plain_json_bytes(value);
  const bool valid = find_invalid_utf8(value.substr(i)) == std::string_view::npos;
  for (; i < value.size(); ++i) {
    const char c = value[i];
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(byte) && (byte < 0x80 || valid)) continue;
    out.append(value, from, i - from);
    from = i + 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      // Copies the valid sequences and replaces each byte of the others.
      const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      if (byte >= 0xc2 && i + length <= value.size() &&
          find_invalid_utf8(value.substr(i, length)) == std::string_view::npos) {
        out += value.substr(i, length);
        i += length - 1;
      } else {
        out += "\xef\xbf\xbd";
      }
      from = i + 1;
    }
  }
  out.append(value, from);
  out += '"';
}

std::string pointer_token(std::string_view written) {
  std::string out;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] == '~' && i + 1 < written.size() && (written[i + 1] == '0' || written[i + 1] == '1')) {
      out += written[++i] == '0' ? '~' : '/';
    } else {
      out += written[i];
    }
  }
  return out;
}

std::string unquote_key(std::string_view raw) { return unquote("\"" + std::string(raw) + "\""); }

std::vector<std::string_view> raw_elements(std::string_view text) {
  std::vector<std::string_view> out;
  text = trim(text);
  if (text.size() < 2) return out;
  text = text.substr(1, text.size() - 2);
  if (trim(text).empty()) return out;
  std::size_t from = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      out.push_back(trim(text.substr(from, i - from)));
      from = i + 1;
    }
  }
  out.push_back(trim(text.substr(from)));
  return out;
}

std::string_view raw_at(std::string_view text, std::string_view pointer) {
  while (!pointer.empty()) {
    if (pointer.front() != '/') return {};
    const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
    const std::string token = pointer_token(pointer.substr(1, end - 1));
    pointer.remove_prefix(end);
    if (text.starts_with('{')) {
      const auto members = raw_members(text);
      if (!members) return {};
      const auto found = std::find_if(members->begin(), members->end(), [&](const auto& member) { return unquote_key(member.key) == token; });
      if (found == members->end()) return {};
      text = found->value;
    } else if (text.starts_with('[')) {
      const auto elements = raw_elements(text);
      std::size_t index = 0;
      if (token.empty() || token.size() > 9 || token.find_first_not_of("0123456789") != std::string::npos || (token.size() > 1 && token[0] == '0')) return {};
      for (const char c : token) index = index * 10 + static_cast<std::size_t>(c - '0');
      if (index >= elements.size()) return {};
      text = elements[index];
    } else {
      return {};
    }
  }
  return text;
}

std::string quote(std::string_view value) {
  std::string out;
  append_quoted(out, value);
  return out;
}

bool has_long_integer(std::string_view text) {
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c >= '0' && c <= '9') {
      const std::size_t from = i;
      while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
      const bool fraction = i < text.size() && (text[i] == '.' || text[i] == 'e' || text[i] == 'E');
      if (!fraction && i - from > 18) return true;
      // The rest of a number with a fraction is no integer.
      while (i < text.size() && std::string_view("0123456789.eE+-").find(text[i]) != std::string_view::npos) ++i;
      --i;
    }
  }
  return false;
}

std::string indented(std::string_view text) {
  std::string out;
  std::size_t depth = 0;
  const auto new_line = [&] {
    out += '\n';
    out.append(2 * depth, ' ');
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      const std::size_t from = i;
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
      out += text.substr(from, i + 1 - from);
    } else if (c == '{' || c == '[') {
      const std::size_t next = text.find_first_not_of(" \t\r\n", i + 1);
      out += c;
      if (next != std::string_view::npos && (text[next] == '}' || text[next] == ']')) {
        out += text[next];
        i = next;
        continue;
      }
      ++depth;
      new_line();
    } else if (c == '}' || c == ']') {
      depth -= depth > 0 ? 1 : 0;
      new_line();
      out += c;
    } else if (c == ',') {
      out += c;
      new_line();
    } else if (c == ':') {
      out += ": ";
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      out += c;
    }
  }
  return out;
}

}  // namespace sabir::protocol

#include "python_literals.h"

#include <cctype>

#include "types.h"

namespace sabir::schema {
namespace {
constexpr int kMaxDepth = 64;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads exactly `count` hexadecimal digits at `at`.
std::optional<std::uint32_t> hex(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  std::uint32_t out = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return std::nullopt;
    out = out * 16 + static_cast<std::uint32_t>(digit);
  }
  return out;
}
}  // namespace

std::optional<std::string> python_string(std::string_view token) {
  bool raw = false;
  while (!token.empty() && token.front() != '"' && token.front() != '\'') {
    const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(token.front())));
    if (c == 'r') raw = true;
    else if (c != 'u') return std::nullopt;
    token.remove_prefix(1);
  }
  if (token.empty()) return std::nullopt;
  const std::string triple(3, token.front());
  const std::size_t quotes = token.size() >= 6 && token.starts_with(triple) ? 3 : 1;
  if (token.size() < 2 * quotes) return std::nullopt;
  token = token.substr(quotes, token.size() - 2 * quotes);
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '\r' && i + 1 < token.size() && token[i + 1] == '\n') continue;
    if (token[i] != '\\' || raw || i + 1 >= token.size()) {
      out += token[i];
      continue;
    }
    const char c = token[++i];
    switch (c) {
      case '\n': break;
      case '\\': case '\'': case '"': out += c; break;
      case 'a': out += '\a'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'v': out += '\v'; break;
      case 'x': case 'u': case 'U': {
        const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const auto code = hex(token, i + 1, count);
        if (!code || !append_utf8(out, *code)) return std::nullopt;
        i += count;
        break;
      }
      case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': {
        std::uint32_t code = 0;
        std::size_t used = 0;
        while (used < 3 && i + used < token.size() && token[i + used] >= '0' && token[i + used] <= '7') {
          code = code * 8 + static_cast<std::uint32_t>(token[i + used] - '0');
          ++used;
        }
        append_utf8(out, code);
        i += used - 1;
        break;
      }
      case 'N': return std::nullopt;
      default:
        out += '\\';
        out += c;
    }
  }
  return out;
}

std::optional<json::value> python_literal(const Node& node, int depth) {
  if (!node || depth > kMaxDepth) return std::nullopt;
  const auto kind = node.kind();
  if (kind == "string") {
    if (node.first("interpolation")) return std::nullopt;
    if (auto text = python_string(node.text())) return json::value(json::string(*text));
    return std::nullopt;
  }
  if (kind == "concatenated_string") {
    std::string all;
    for (const auto& part : node.children()) {
      const auto text = part.is("string") && !part.first("interpolation") ? python_string(part.text()) : std::nullopt;
      if (!text) return std::nullopt;
      all += *text;
    }
    return json::value(json::string(all));
  }
  if (kind == "integer" || kind == "float") return number_literal(node.text());
  if (kind == "true") return json::value(true);
  if (kind == "false") return json::value(false);
  if (kind == "none") return json::value(nullptr);
  if (kind == "parenthesized_expression") {
    const auto inner = node.children();
    return inner.size() == 1 ? python_literal(inner.front(), depth + 1) : std::nullopt;
  }
  if (kind == "unary_operator") {
    const Node argument = node.child("argument");
    if (!argument.is("integer") && !argument.is("float")) return std::nullopt;
    return number_literal(node.text());
  }
  if (kind == "binary_operator") {
    if (!node.first("+")) return std::nullopt;
    const auto left = python_literal(node.child("left"), depth + 1);
    const auto right = python_literal(node.child("right"), depth + 1);
    if (!left || !right || !left->is_string() || !right->is_string()) return std::nullopt;
    json::string all = left->get_string();
    all += right->get_string();
    return json::value(std::move(all));
  }
  if (kind == "list" || kind == "tuple" || kind == "set") {
    json::array out;
    for (const auto& item : node.children()) {
      auto value = python_literal(item, depth + 1);
      if (!value) return std::nullopt;
      out.push_back(std::move(*value));
    }
    return json::value(std::move(out));
  }
  if (kind == "dictionary") {
    json::object out;
    for (const auto& pair : node.children()) {
      const auto key = python_literal(pair.child("key"), depth + 1);
      auto value = python_literal(pair.child("value"), depth + 1);
      if (!pair.is("pair") || !key || !key->is_string() || !value) return std::nullopt;
      out[key->get_string()] = std::move(*value);
    }
    return json::value(std::move(out));
  }
  return std::nullopt;
}

}  // namespace sabir::schema

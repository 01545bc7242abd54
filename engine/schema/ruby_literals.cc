#include "ruby_literals.h"

#include <algorithm>
#include <cctype>

#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 48;

// The value of what stands between double quotes.
std::optional<std::string> unescape_double(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    switch (c) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 's': out += ' '; break;
      case 'e': out += '\x1b'; break;
      case '0': out += '\0'; break;
      case 'a': out += '\a'; break;
      case 'b': out += '\b'; break;
      case '\n': break;
      case 'u': {
        const bool braces = i + 1 < text.size() && text[i + 1] == '{';
        const std::size_t from = i + (braces ? 2 : 1);
        const std::size_t to = braces ? text.find('}', from) : from + 4;
        if (to == std::string_view::npos || to > text.size()) return std::nullopt;
        const auto number = number_literal("0x" + std::string(text.substr(from, to - from)));
        if (!number || !number->is_int64() || !append_utf8(out, static_cast<std::uint32_t>(number->get_int64()))) return std::nullopt;
        i = braces ? to : to - 1;
        break;
      }
      case 'x': case 'C': case 'M': case 'c': return std::nullopt;
      default: out += c;
    }
  }
  return out;
}

std::string unescape_single(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '\\' || text[i + 1] == '\'')) ++i;
    out += text[i];
  }
  return out;
}

// "…", '…', %q(…), %Q(…), %(…).
std::optional<std::string> string_value(std::string_view token) {
  if (token.size() < 2) return std::nullopt;
  if (token.front() == '\'') return unescape_single(token.substr(1, token.size() - 2));
  if (token.front() == '"') return unescape_double(token.substr(1, token.size() - 2));
  if (token.front() != '%') return std::nullopt;
  token.remove_prefix(1);
  const bool single = token.starts_with('q');
  if (token.starts_with('q') || token.starts_with('Q')) token.remove_prefix(1);
  if (token.size() < 2) return std::nullopt;
  const auto inner = token.substr(1, token.size() - 2);
  return single ? std::optional<std::string>(unescape_single(inner)) : unescape_double(inner);
}

std::optional<std::string> heredoc_value(const Node& beginning, const Heredocs& heredocs) {
  const auto at = std::find(heredocs.beginnings.begin(), heredocs.beginnings.end(), beginning);
  const auto index = static_cast<std::size_t>(at - heredocs.beginnings.begin());
  if (index >= heredocs.bodies.size()) return std::nullopt;
  const Node body = heredocs.bodies[index];
  if (body.first("interpolation")) return std::nullopt;
  const Node end = body.first("heredoc_end");
  if (!end) return std::nullopt;
  std::string_view text = body.text().substr(0, end.start() - body.start());
  if (text.starts_with('\r')) text.remove_prefix(1);
  if (text.starts_with('\n')) text.remove_prefix(1);
  // The end mark may be indented; its indentation is no part of the text.
  const std::size_t last = text.rfind('\n');
  text = last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
  const std::string_view mark = beginning.text();
  std::string raw;
  if (mark.starts_with("<<~")) {
    std::size_t margin = std::string::npos;
    const auto lines = split_lines(text);
    for (const auto line : lines) {
      if (!trim(line).empty()) margin = std::min(margin, line.find_first_not_of(" \t"));
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i + 1 == lines.size() && lines[i].empty()) break;
      const auto line = lines[i];
      raw += std::string(line.substr(std::min(margin, line.size()))) + "\n";
    }
  } else {
    raw = text;
  }
  if (mark.find('\'') != std::string_view::npos) return raw;
  return unescape_double(raw);
}

}  // namespace

Heredocs heredocs_of(const Node& root, std::size_t bound) {
  Heredocs out;
  std::vector<Node> open{root};
  // A walk in source order: children are pushed in reverse.
  for (std::size_t seen = 0; !open.empty() && seen < bound; ++seen) {
    const Node node = open.back();
    open.pop_back();
    if (node.is("heredoc_beginning")) out.beginnings.push_back(node);
    if (node.is("heredoc_body")) out.bodies.push_back(node);
    auto children = node.children();
    open.insert(open.end(), children.rbegin(), children.rend());
  }
  return out;
}

std::optional<json::value> ruby_literal(const Node& node, const Heredocs& heredocs, int depth) {
  if (!node || depth > kMaxDepth) return std::nullopt;
  const auto kind = node.kind();
  const auto as_string = [](const std::optional<std::string>& text) -> std::optional<json::value> {
    if (!text) return std::nullopt;
    return json::value(json::string(*text));
  };
  if (kind == "string") return node.first("interpolation") ? std::nullopt : as_string(string_value(node.text()));
  if (kind == "chained_string") {
    std::string all;
    for (const auto& part : node.children()) {
      const auto text = part.first("interpolation") ? std::nullopt : string_value(part.text());
      if (!text) return std::nullopt;
      all += *text;
    }
    return json::value(json::string(all));
  }
  if (kind == "heredoc_beginning") return as_string(heredoc_value(node, heredocs));
  if (kind == "simple_symbol") return json::value(json::string(node.text().substr(1)));
  if (kind == "delimited_symbol") {
    return node.first("interpolation") ? std::nullopt : as_string(string_value(node.text().substr(1)));
  }
  if (kind == "hash_key_symbol" || kind == "bare_string" || kind == "bare_symbol") return json::value(json::string(node.text()));
  if (kind == "integer" || kind == "float") return number_literal(node.text());
  if (kind == "unary") {
    const Node operand = node.child("operand");
    return operand.is("integer") || operand.is("float") ? number_literal(node.text()) : std::nullopt;
  }
  if (kind == "true") return json::value(true);
  if (kind == "false") return json::value(false);
  if (kind == "nil") return json::value(nullptr);
  if (kind == "parenthesized_statements") {
    const auto inner = node.children();
    return inner.size() == 1 ? ruby_literal(inner[0], heredocs, depth + 1) : std::nullopt;
  }
  if (kind == "call") {
    const auto method = node.child("method").text();
    if (node.child("arguments") || (method != "freeze" && method != "strip" && method != "chomp")) return std::nullopt;
    auto value = ruby_literal(node.child("receiver"), heredocs, depth + 1);
    if (value && method != "freeze") {
      if (!value->is_string()) return std::nullopt;
      std::string text(value->get_string());
      if (method == "strip") text = std::string(trim(text));
      else if (text.ends_with('\n')) text.pop_back();
      return json::value(json::string(text));
    }
    return value;
  }
  if (kind == "array" || kind == "string_array" || kind == "symbol_array") {
    json::array out;
    for (const auto& item : node.children()) {
      if (item.is("heredoc_body")) continue;
      auto value = item.first("interpolation") ? std::nullopt : ruby_literal(item, heredocs, depth + 1);
      if (!value) return std::nullopt;
      out.push_back(std::move(*value));
    }
    return json::value(std::move(out));
  }
  if (kind == "hash") {
    json::object out;
    for (const auto& pair : node.children()) {
      if (pair.is("heredoc_body")) continue;
      const auto key = ruby_literal(pair.child("key"), heredocs, depth + 1);
      auto value = ruby_literal(pair.child("value"), heredocs, depth + 1);
      if (!pair.is("pair") || !key || !key->is_string() || !value) return std::nullopt;
      out[key->get_string()] = std::move(*value);
    }
    return json::value(std::move(out));
  }
  return std::nullopt;
}

}  // namespace sabir::schema

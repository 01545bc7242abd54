#include "ruby_types.h"

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

namespace {

class Yard {
 public:
  explicit Yard(std::string_view text) : text_(text) {}
  TypeSchema parse() {
    TypeSchema out = list('\0');
    skip();
    if (at_ < text_.size() && out.problem.empty()) out = unknown(std::string(text_));
    return out;
  }

 private:
  static TypeSchema unknown(const std::string& what) {
    TypeSchema out;
    out.problem = "type '" + what.substr(0, 80) + "' is not known: anything is accepted";
    return out;
  }
  void skip() {
    while (at_ < text_.size() && (std::isspace(static_cast<unsigned char>(text_[at_])) != 0)) ++at_;
  }
  bool take(std::string_view word) {
    skip();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool at_end(char closer) {
    skip();
    return at_ >= text_.size() || text_[at_] == closer || (closer == '=' && text_.substr(at_).starts_with("=>"));
  }

  // "A, B" up to the closer: any of them.
  TypeSchema list(char closer) {
    TypeSchema out;
    if (++depth_ > kMaxDepth) return unknown("nested too deeply");
    std::vector<json::object> choices;
    json::array literals;
    bool booleans[2] = {false, false};
    do {
      if (at_end(closer)) break;
      TypeSchema one = single(literals, booleans);
      if (one.is_context || one.is_iterator) return one;
      if (!one.problem.empty()) {
        out.problem = one.problem;
        choices.push_back({});
      } else if (!literal_) {
        out.is_none = one.is_none;
        choices.push_back(std::move(one.schema));
      }
    } while (take(",") || take("|"));
    --depth_;
    if (booleans[0] && booleans[1]) choices.push_back(of_type("boolean"));
    else if (booleans[0] || booleans[1]) literals.push_back(booleans[1]);
    if (!literals.empty()) choices.insert(choices.begin(), enum_of(literals));
    if (choices.empty()) return unknown(std::string(text_));
    out.schema = any_of(std::move(choices));
    return out;
  }

  // Several positions of a fixed array: Array(String, Integer).
  std::vector<json::object> positions(char closer, std::string& problem) {
    std::vector<json::object> out;
    do {
      if (at_end(closer)) break;
      json::array literals;
      bool booleans[2] = {false, false};
      TypeSchema one = single(literals, booleans);
      if (!one.problem.empty()) problem = one.problem;
      if (!literals.empty()) one.schema = enum_of(literals);
      if (booleans[0] || booleans[1]) one.schema = of_type("boolean");
      out.push_back(std::move(one.schema));
    } while (take(","));
    return out;
  }

  TypeSchema single(json::array& literals, bool (&booleans)[2]) {
    skip();
    literal_ = false;
    TypeSchema out;
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with('"') || rest.starts_with('\'')) {
      const std::size_t end = rest.find(rest.front(), 1);
      if (end == std::string_view::npos) {
        at_ = text_.size();
        return unknown(std::string(rest));
      }
      literals.push_back(json::string(rest.substr(1, end - 1)));
      at_ += end + 1;
      literal_ = true;
      return out;
    }
    if (rest.starts_with('{') || rest.starts_with('<') || rest.starts_with('(')) {
      // Hash and Array without their names.
      const std::string name = rest.front() == '{' ? "Hash" : "Array";
      return generic(name);
    }
    const bool symbol = rest.starts_with(':') && !rest.starts_with("::");
    const bool duck = rest.starts_with('#');
    if (symbol || duck) ++at_;
    const std::size_t from = at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (std::isalnum(c) == 0 && c != '_' && c != ':' && c != '?' && c != '!' && c != '-' && c != '.' && c < 0x80) break;
      ++at_;
    }
    std::string name(text_.substr(from, at_ - from));
    if (symbol) {
      literals.push_back(json::string(name));
      literal_ = true;
      return out;
    }
    if (duck) return out;
    if (name.empty()) {
      ++at_;
      return unknown(std::string(rest.substr(0, 40)));
    }
    if (name == "true" || name == "false") {
      booleans[name == "true" ? 1 : 0] = true;
      literal_ = true;
      return out;
    }
    if (auto number = number_literal(name)) {
      literals.push_back(std::move(*number));
      literal_ = true;
      return out;
    }
    if (name.starts_with("::")) name.erase(0, 2);
    return generic(name);
  }

  TypeSchema generic(const std::string& name) {
    TypeSchema out;
    skip();
    const char open = at_ < text_.size() ? text_[at_] : '\0';
    if (name == "Hash" || name == "Mapping") {
      out.schema = of_type("object");
      if (open == '{' || open == '<') {
        ++at_;
        const char closer = open == '{' ? '}' : '>';
        if (open == '{') {
          list('=');
        } else {
          json::array keys;
          bool booleans[2] = {false, false};
          single(keys, booleans);
        }
        if (take("=>") || take(",")) {
          TypeSchema value = list(closer);
          out.problem = value.problem;
          out.schema = map_of(std::move(value.schema));
        }
        if (!take(std::string_view(&closer, 1))) return unknown(std::string(text_));
      }
      literal_ = false;
      return out;
    }
    const bool set = name == "Set";
    const bool lazy = name == "Enumerator" || name == "Enumerator::Lazy";
    if (name == "Array" || set || lazy || name == "Enumerable") {
      out.schema = of_type("array");
      if (open == '<') {
        ++at_;
        TypeSchema items = list('>');
        if (!take(">")) return unknown(std::string(text_));
        out.problem = items.problem;
        out.schema = lazy ? std::move(items.schema) : array_of(std::move(items.schema));
      } else if (open == '(') {
        ++at_;
        const auto items = positions(')', out.problem);
        if (!take(")")) return unknown(std::string(text_));
        out.schema = tuple_of(items);
      } else if (lazy) {
        out.schema = {};
      }
      if (set) out.schema["uniqueItems"] = true;
      out.is_iterator = lazy;
      literal_ = false;
      return out;
    }
    if (open == '<' || open == '{' || open == '(') {
      const std::string all(text_);
      at_ = text_.size();
      return unknown(all);
    }
    if (name == "String" || name == "Symbol" || name == "Pathname") out.schema = of_type("string");
    else if (name == "Integer" || name == "Fixnum") out.schema = of_type("integer");
    else if (name == "Float" || name == "Numeric" || name == "Number" || name == "Rational" || name == "BigDecimal") out.schema = of_type("number");
    else if (name == "Boolean" || name == "Bool" || name == "TrueClass" || name == "FalseClass") out.schema = of_type("boolean");
    else if (name == "nil" || name == "NilClass" || name == "void") {
      out.schema = of_type("null");
      out.is_none = true;
    } else if (name == "Time" || name == "DateTime" || name == "Date") {
      out.schema = of_type("string");
      out.schema["format"] = name == "Date" ? "date" : "date-time";
    } else if (name == "Sabir::Context") {
      out.is_context = true;
    } else if (name != "Object" && name != "BasicObject" && name != "Any" && name != "untyped" && name != "Comparable") {
      return unknown(name);
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool literal_ = false;  // the last single() was one value, kept in `literals`
};

}  // namespace

TypeSchema yard_type(std::string_view text) { return Yard(text).parse(); }

}  // namespace sabir::schema

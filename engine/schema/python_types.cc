#include "python_types.h"

#include <cctype>

#include "doc.h"
#include "sabir/base/text.h"

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

// Recursive descent over the text of a type hint.
class PythonTypes::Parser {
 public:
  Parser(const PythonTypes& types, std::string_view text, std::set<std::string>& open, int depth)
      : types_(types), text_(text), open_(open), depth_(depth) {}

  TypeSchema parse_all() {
    TypeSchema out = parse_union();
    skip();
    if (at_ < text_.size() && out.problem.empty()) out = unknown(text_);
    return out;
  }

 private:
  static TypeSchema unknown(std::string_view what) {
    TypeSchema out;
    out.problem = "type '" + std::string(what.substr(0, 80)) + "' says nothing that JSON Schema can";
    return out;
  }
  static TypeSchema plain(json::object schema) {
    TypeSchema out;
    out.schema = std::move(schema);
    return out;
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  TypeSchema join(std::vector<TypeSchema> parts) {
    if (parts.size() == 1) return std::move(parts.front());
    TypeSchema out;
    std::vector<json::object> choices;
    for (auto& part : parts) {
      // Optional[Context] is the context.
      if (part.is_context) return std::move(part);
      if (!part.problem.empty()) out.problem = part.problem;
      choices.push_back(std::move(part.schema));
    }
    out.schema = any_of(std::move(choices));
    return out;
  }

  TypeSchema parse_union() {
    if (++depth_ > kMaxDepth) return unknown("nested too deeply");
    std::vector<TypeSchema> parts;
    parts.push_back(parse_one());
    while (take('|')) parts.push_back(parse_one());
    --depth_;
    return join(std::move(parts));
  }

  // A quoted string at the cursor, as its value.
  std::optional<std::string> quoted() {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) return std::nullopt;
    const std::size_t from = at_;
    const char quote = text_[at_];
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') ++at_;
      else if (text_[at_] == quote) {
        ++at_;
        return python_string(text_.substr(from, at_ - from));
      }
    }
    at_ = text_.size();
    return std::nullopt;
  }

  std::string_view word() {
    skip();
    const std::size_t from = at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (std::isalnum(c) == 0 && c != '_' && c != '.' && c != '-' && c < 0x80) break;
      ++at_;
    }
    return text_.substr(from, at_ - from);
  }

  TypeSchema parse_one() {
    skip();
    if (take('(')) {
      TypeSchema out = parse_union();
      if (!take(')')) return unknown(text_);
      return out;
    }
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
      const auto inner = quoted();
      if (!inner) return unknown(text_);
      return Parser(types_, *inner, open_, depth_ + 1).parse_deeper();
    }
    const std::string full(word());
    if (full.empty()) return unknown(text_);
    const std::string name = full.substr(full.rfind('.') + 1);
    skip();
    const bool has_arguments = at_ < text_.size() && text_[at_] == '[';
    if (name == "Literal") return literal();
    if (name == "Annotated") return annotated();
    std::vector<TypeSchema> arguments;
    bool ellipsis = false;
    if (has_arguments && take('[')) {
      skip();
      while (at_ < text_.size() && text_[at_] != ']') {
        if (text_.substr(at_, 3) == "...") {
          ellipsis = true;
          at_ += 3;
        } else if (take('[')) {  // Callable[[int], str]
          arguments.push_back(unknown(full));
          while (at_ < text_.size() && text_[at_] != ']') ++at_;
          take(']');
        } else if (take('(')) {  // tuple[()]
          take(')');
        } else {
          const std::size_t before = at_;
          arguments.push_back(parse_union());
          if (at_ == before) return unknown(text_);
        }
        if (!take(',')) break;
        skip();
      }
      if (!take(']')) return unknown(text_);
    }
    return named(full, name, std::move(arguments), has_arguments, ellipsis);
  }

  TypeSchema parse_deeper() { return depth_ > kMaxDepth ? unknown("nested too deeply") : parse_all(); }

  TypeSchema literal() {
    if (!take('[')) return unknown("Literal");
    json::array values;
    do {
      skip();
      if (at_ < text_.size() && text_[at_] == ']') break;
      if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
        const auto text = quoted();
        if (!text) return unknown(text_);
        values.push_back(json::string(*text));
        continue;
      }
      const std::string value(word());
      if (value == "True" || value == "False") values.push_back(value == "True");
      else if (value == "None") values.push_back(nullptr);
      else if (auto number = number_literal(value); number && !value.empty()) values.push_back(std::move(*number));
      else if (const auto schema = enum_member(value)) values.push_back(*schema);
      else return unknown(text_);
    } while (take(','));
    if (!take(']')) return unknown(text_);
    return plain(enum_of(values));
  }

  // The value of Color.RED.
  std::optional<json::value> enum_member(const std::string& path) const {
    const std::size_t dot = path.rfind('.');
    if (dot == std::string::npos) return std::nullopt;
    const auto found = types_.classes_.find(path.substr(0, dot));
    if (found == types_.classes_.end()) return std::nullopt;
    for (const auto& statement : found->second.child("body").children()) {
      const auto inner = statement.children();
      if (inner.size() == 1 && inner[0].is("assignment") && inner[0].child("left").text() == path.substr(dot + 1)) {
        return python_literal(inner[0].child("right"));
      }
    }
    return std::nullopt;
  }

  TypeSchema annotated() {
    if (!take('[')) return unknown("Annotated");
    TypeSchema out = parse_union();
    int depth = 1;
    while (at_ < text_.size() && depth > 0) {
      skip();
      if (at_ >= text_.size()) break;
      const char c = text_[at_];
      if ((c == '"' || c == '\'') && depth == 1 && out.doc.empty()) {
        if (const auto text = quoted()) out.doc = *text;
        continue;
      }
      if (c == '"' || c == '\'') {
        quoted();
        continue;
      }
      depth += c == '[' || c == '(' ? 1 : c == ']' || c == ')' ? -1 : 0;
      ++at_;
    }
    return out;
  }

  TypeSchema named(const std::string& full, const std::string& name, std::vector<TypeSchema> arguments, bool has_arguments,
                   bool ellipsis) {
    const auto argument = [&](std::size_t i) { return i < arguments.size() ? std::move(arguments[i].schema) : json::object(); };
    std::string problem;
    for (const auto& one : arguments) {
      if (!one.problem.empty()) problem = one.problem;
    }
    const auto with_problem = [&](TypeSchema out) {
      if (out.problem.empty()) out.problem = problem;
      return out;
    };
    // The module's own names come first.
    if (!has_arguments || types_.classes_.contains(full)) {
      if (const auto found = types_.classes_.find(full); found != types_.classes_.end()) {
        return types_.of_class(found->second, open_);
      }
      if (const auto found = types_.aliases_.find(full); found != types_.aliases_.end()) {
        if (!open_.insert(full).second) return plain({});
        TypeSchema out = Parser(types_, found->second, open_, depth_ + 1).parse_deeper();
        open_.erase(full);
        return out;
      }
    }
    if (name == "int") return plain(of_type("integer"));
    if (name == "float") return plain(of_type("number"));
    if (name == "str") return plain(of_type("string"));
    if (name == "bool") return plain(of_type("boolean"));
    if (name == "None" || name == "NoneType") {
      TypeSchema out = plain(of_type("null"));
      out.is_none = true;
      return out;
    }
    if (name == "bytes" || name == "bytearray") return plain(bytes_schema());
    if (name == "Any" || name == "object") return plain({});
    if (name == "datetime" || name == "date" || name == "time" || name == "UUID") {
      json::object out = of_type("string");
      out["format"] = name == "datetime" ? "date-time" : name == "UUID" ? "uuid" : name;
      return plain(std::move(out));
    }
    if (name == "Path" || name == "PurePath") return plain(of_type("string"));
    if (name == "Decimal") return plain(any_of({of_type("string"), of_type("number")}));
    if (name == "Context" && (full == "Context" || full == "sabir.Context")) {
      TypeSchema out;
      out.is_context = true;
      return out;
    }
    if (name == "list" || name == "List" || name == "Sequence" || name == "MutableSequence" || name == "Collection" ||
        name == "Iterable" || name == "deque") {
      return with_problem(plain(array_of(argument(0))));
    }
    if (name == "set" || name == "Set" || name == "frozenset" || name == "FrozenSet" || name == "AbstractSet" ||
        name == "MutableSet") {
      json::object out = array_of(argument(0));
      out["uniqueItems"] = true;
      return with_problem(plain(std::move(out)));
    }
    if (name == "tuple" || name == "Tuple") {
      if (!has_arguments || ellipsis) return with_problem(plain(array_of(argument(0))));
      std::vector<json::object> items;
      for (auto& one : arguments) items.push_back(std::move(one.schema));
      return with_problem(plain(tuple_of(items)));
    }
    if (name == "dict" || name == "Dict" || name == "Mapping" || name == "MutableMapping" || name == "OrderedDict" ||
        name == "defaultdict") {
      return with_problem(plain(map_of(argument(1))));
    }
    if (name == "Optional") {
      if (!arguments.empty() && arguments[0].is_context) return std::move(arguments[0]);
      return with_problem(plain(nullable(argument(0))));
    }
    if (name == "Union") return arguments.empty() ? unknown(full) : join(std::move(arguments));
    if (name == "Final" || name == "Required" || name == "NotRequired" || name == "ReadOnly" || name == "Awaitable") {
      return arguments.empty() ? plain({}) : std::move(arguments[0]);
    }
    if (name == "Coroutine") return arguments.size() == 3 ? std::move(arguments[2]) : plain({});
    if (name == "Iterator" || name == "Generator" || name == "AsyncIterator" || name == "AsyncGenerator" ||
        name == "AsyncIterable") {
      TypeSchema out = with_problem(plain(argument(0)));
      out.is_iterator = true;
      return out;
    }
    if (name == "LiteralString" || name == "AnyStr") return plain(of_type("string"));
    TypeSchema out;
    out.problem = "type '" + full + "' is not known from this file: anything is accepted";
    return out;
  }

  const PythonTypes& types_;
  std::string_view text_;
  std::set<std::string>& open_;
  int depth_;
  std::size_t at_ = 0;
};

PythonTypes::PythonTypes(const Node& module) {
  for (const auto& statement : module.children()) {
    Node definition = statement;
    if (statement.is("decorated_definition")) definition = statement.child("definition");
    if (definition.is("class_definition")) classes_[std::string(definition.child("name").text())] = definition;
    if (statement.is("type_alias_statement")) {
      const auto parts = statement.children();
      if (parts.size() == 2) aliases_[std::string(parts[0].text())] = parts[1].text();
    }
    if (!statement.is("expression_statement")) continue;
    for (const auto& assignment : statement.children()) {
      const Node left = assignment.child("left");
      const Node right = assignment.child("right");
      if (!assignment.is("assignment") || !left.is("identifier") || !right) continue;
      if (right.is("subscript") || right.is("identifier") || right.is("attribute") || right.is("binary_operator")) {
        aliases_[std::string(left.text())] = right.text();
      } else if (right.is("call") && right.child("function").text().ends_with("NewType")) {
        const auto arguments = right.child("arguments").children();
        if (arguments.size() == 2) aliases_[std::string(left.text())] = arguments[1].text();
      } else if (right.is("call") && right.child("function").text().ends_with("TypeVar")) {
        aliases_[std::string(left.text())] = "Any";
      }
    }
  }
}

TypeSchema PythonTypes::resolve(std::string_view hint) const {
  std::set<std::string> open;
  return Parser(*this, hint, open, 0).parse_all();
}

TypeSchema PythonTypes::of_class(const Node& definition, std::set<std::string>& open) const {
  const std::string name(definition.child("name").text());
  TypeSchema out;
  // A class that contains itself is described once; below that anything is accepted.
  if (open.size() > 24 || !open.insert(name).second) return out;
  struct Closer {
    std::set<std::string>& open;
    const std::string& name;
    ~Closer() { open.erase(name); }
  } closer{open, name};

  std::vector<std::string> bases;
  bool total = true;
  for (const auto& base : definition.child("superclasses").children()) {
    if (base.is("keyword_argument")) {
      if (base.child("name").text() == "total") total = base.child("value").text() != "False";
      continue;
    }
    std::string text(base.text());
    text = text.substr(0, text.find('['));
    bases.push_back(text.substr(text.rfind('.') + 1));
  }
  bool dataclass = false;
  for (const auto& decorator : definition.parent().is("decorated_definition") ? definition.parent().children() : std::vector<Node>()) {
    if (decorator.is("decorator") && decorator.text().find("dataclass") != std::string_view::npos) dataclass = true;
  }
  const auto has_base = [&](std::initializer_list<std::string_view> names) {
    for (const auto& base : bases) {
      for (const auto wanted : names) {
        if (base == wanted) return true;
      }
    }
    return false;
  };

  const Node body = definition.child("body");
  std::string doc;
  if (has_base({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})) {
    json::array values;
    for (const auto& statement : body.children()) {
      const auto inner = statement.children();
      if (!statement.is("expression_statement") || inner.size() != 1 || !inner[0].is("assignment")) continue;
      const std::string_view member = inner[0].child("left").text();
      if (member.starts_with('_')) continue;
      if (auto value = python_literal(inner[0].child("right"))) {
        values.push_back(std::move(*value));
      } else if (inner[0].child("right").text().ends_with("auto()")) {
        if (has_base({"StrEnum"})) values.push_back(json::string(lower_case(member)));
        else values.push_back(static_cast<std::int64_t>(values.size() + 1));
      } else {
        out.problem = "the members of enumeration '" + name + "' are not all literal: anything is accepted";
        return out;
      }
    }
    if (values.empty()) out.problem = "enumeration '" + name + "' has no members: anything is accepted";
    else out.schema = enum_of(values);
    return out;
  }

  const bool typed_dict = has_base({"TypedDict"});
  const bool model = has_base({"BaseModel"});
  if (!typed_dict && !dataclass && !model) {
    // A subclass of a class of this file that is one of those.
    for (const auto& base : bases) {
      if (const auto parent = classes_.find(base); parent != classes_.end() && open.size() < 16) {
        const TypeSchema inherited = of_class(parent->second, open);
        if (inherited.schema.contains("properties") && body.children().size() <= 1) return inherited;
      }
    }
    out.problem = "class '" + name + "' is none of Enum, TypedDict, dataclass: anything is accepted";
    return out;
  }
  json::object properties;
  json::array required;
  for (const auto& base : bases) {
    const auto parent = classes_.find(base);
    if (parent == classes_.end()) continue;
    const TypeSchema inherited = of_class(parent->second, open);
    if (const auto* more = inherited.schema.if_contains("properties"); more && more->is_object()) {
      for (const auto& member : more->get_object()) properties[member.key()] = member.value();
    }
    if (const auto* more = inherited.schema.if_contains("required"); more && more->is_array()) {
      for (const auto& member : more->get_array()) required.push_back(member);
    }
  }
  for (const auto& statement : body.children()) {
    const auto inner = statement.children();
    if (!statement.is("expression_statement") || inner.size() != 1) continue;
    if (inner[0].is("string") && doc.empty()) {
      if (const auto text = python_string(inner[0].text())) doc = python_doc(*text).summary;
      continue;
    }
    const Node type = inner[0].child("type");
    const Node left = inner[0].child("left");
    if (!inner[0].is("assignment") || !type || !left.is("identifier")) continue;
    const std::string_view hint = type.text();
    if (hint.find("ClassVar") != std::string_view::npos) continue;
    std::string field(left.text());
    Parser parser(*this, hint, open, static_cast<int>(open.size()));
    TypeSchema field_type = parser.parse_all();
    if (!field_type.problem.empty() && out.problem.empty()) out.problem = "member '" + field + "' of '" + name + "': " + field_type.problem;
    if (!field_type.doc.empty()) field_type.schema["description"] = field_type.doc;
    const Node value = inner[0].child("right");
    bool needed = !value;
    if (typed_dict) {
      needed = hint.find("NotRequired") != std::string_view::npos ? false
               : hint.find("Required") != std::string_view::npos  ? true
                                                                  : total;
    } else if (value.is("call") && value.child("function").text().ends_with("ield")) {
      // field(default=…), field(default_factory=…), Field(…): needed unless one of them or a first argument is there.
      const auto arguments = value.child("arguments").children();
      needed = true;
      for (const auto& argument : arguments) {
        const bool keyword = argument.is("keyword_argument");
        const auto key = argument.child("name").text();
        if ((!keyword && argument.text() != "...") || (keyword && (key == "default" || key == "default_factory"))) needed = false;
        if (keyword && key == "default") {
          if (auto literal = python_literal(argument.child("value"))) field_type.schema["default"] = *literal;
        }
        if (keyword && key == "description") {
          if (auto literal = python_literal(argument.child("value"))) field_type.schema["description"] = *literal;
        }
      }
    } else if (auto literal = python_literal(value)) {
      field_type.schema["default"] = *literal;
    }
    properties[field] = std::move(field_type.schema);
    if (needed) required.push_back(json::string(field));
  }
  out.schema = of_type("object");
  if (!doc.empty()) out.schema["description"] = doc;
  out.schema["properties"] = std::move(properties);
  if (!required.empty()) out.schema["required"] = std::move(required);
  if (!model) out.schema["additionalProperties"] = false;
  return out;
}

}  // namespace sabir::schema

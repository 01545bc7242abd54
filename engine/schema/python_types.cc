#include "python_types.h"

#include <algorithm>
#include <cctype>

#include "python_literals.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 64;
constexpr int kMostInlined = 64;  // classes in one schema, before the others become definitions of their own

json::object object_of(std::string_view text) {
  auto value = parse_json(text);
  return value && value->is_object() ? std::move(value->get_object()) : json::object();
}

// Types that stand for one schema, from the standard library and pydantic.
const std::map<std::string_view, json::object>& simple_types() {
  static const std::map<std::string_view, json::object> kTypes = [] {
    std::map<std::string_view, json::object> out;
    const auto add = [&](std::initializer_list<std::string_view> names, std::string_view schema) {
      for (const auto name : names) out[name] = object_of(schema);
    };
    add({"int", "StrictInt"}, R"({"type":"integer"})");
    add({"float", "StrictFloat", "FiniteFloat"}, R"({"type":"number"})");
    add({"str", "StrictStr", "LiteralString", "AnyStr"}, R"({"type":"string"})");
    add({"bool", "StrictBool"}, R"({"type":"boolean"})");
    add({"bytes", "bytearray", "memoryview", "StrictBytes"}, R"({"type":"string","contentEncoding":"base64"})");
    add({"Any", "object", "Hashable", "JsonValue"}, "{}");
    add({"datetime", "AwareDatetime", "NaiveDatetime", "PastDatetime", "FutureDatetime"}, R"({"type":"string","format":"date-time"})");
    add({"date", "PastDate", "FutureDate"}, R"({"type":"string","format":"date"})");
    add({"time"}, R"({"type":"string","format":"time"})");
    add({"timedelta"}, R"({"anyOf":[{"type":"string","format":"duration"},{"type":"number"}]})");
    add({"UUID", "UUID1", "UUID3", "UUID4", "UUID5", "UUID6", "UUID7", "UUID8"}, R"({"type":"string","format":"uuid"})");
    add({"Path", "PurePath", "PosixPath", "FilePath", "DirectoryPath", "NewPath"}, R"({"type":"string"})");
    add({"Decimal"}, R"({"type":["string","number"]})");
    add({"IPv4Address"}, R"({"type":"string","format":"ipv4"})");
    add({"IPv6Address"}, R"({"type":"string","format":"ipv6"})");
    add({"PositiveInt"}, R"({"type":"integer","exclusiveMinimum":0})");
    add({"NonNegativeInt"}, R"({"type":"integer","minimum":0})");
    add({"NegativeInt"}, R"({"type":"integer","exclusiveMaximum":0})");
    add({"NonPositiveInt"}, R"({"type":"integer","maximum":0})");
    add({"PositiveFloat"}, R"({"type":"number","exclusiveMinimum":0})");
    add({"NonNegativeFloat"}, R"({"type":"number","minimum":0})");
    add({"NegativeFloat"}, R"({"type":"number","exclusiveMaximum":0})");
    add({"NonPositiveFloat"}, R"({"type":"number","maximum":0})");
    add({"EmailStr"}, R"({"type":"string","format":"email"})");
    add({"SecretStr"}, R"({"type":"string","format":"password","writeOnly":true})");
    add({"AnyUrl"}, R"({"type":"string","format":"uri","minLength":1})");
    add({"HttpUrl", "AnyHttpUrl"}, R"({"type":"string","format":"uri","minLength":1,"maxLength":2083})");
    return out;
  }();
  return kTypes;
}

std::string definition_name(std::string_view written) {
  std::string out;
  for (const char c : written) out += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ? c : '_';
  return out.substr(0, 100);
}

}  // namespace

// Recursive descent over the text of a type hint.
class PythonTypes::Parser {
 public:
  Parser(PythonTypes& types, const PythonModule& module, std::string_view text, PythonScope& scope, const PythonBindings* bindings, int depth)
      : types_(types), module_(module), text_(text), scope_(scope), bindings_(bindings), depth_(depth) {}

  TypeSchema parse_all() {
    if (depth_ > kMaxDepth) return unknown("nested too deeply");
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
      return Parser(types_, module_, *inner, scope_, bindings_, depth_ + 1).parse_all();
    }
    const std::string full(word());
    if (full.empty()) return unknown(text_);
    if (bindings_ != nullptr) {
      if (const auto bound = bindings_->find(full); bound != bindings_->end()) return bound->second;
    }
    const PythonName found = types_.modules_.find(module_, full);
    std::string name = found.full.substr(found.full.rfind('.') + 1);
    // What another package defines only shares the name.
    if (found.imported && !found.module && !found.known) name.clear();
    skip();
    const bool has_arguments = at_ < text_.size() && text_[at_] == '[';
    if (!found.module && name == "Literal") return literal();
    if (!found.module && name == "Annotated") return annotated();
    if (at_ < text_.size() && text_[at_] == '(') return constrained(name);
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
    if (found.module) {
      if (!found.alias.empty() && arguments.empty() && found.alias == full) return unknown(full);
      return types_.of_name(found, full, scope_, std::move(arguments), depth_ + 1);
    }
    return named(full, name, std::move(arguments), has_arguments, ellipsis);
  }

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
      else if (auto member = types_.member_value(module_, value)) values.push_back(std::move(*member));
      else return unknown(text_);
    } while (take(','));
    if (!take(']')) return unknown(text_);
    return plain(enum_of(values));
  }

  // The text up to the bracket that closes the one before the cursor, which is left behind it.
  std::string_view until_closed(char close) {
    const std::size_t from = at_;
    int depth = 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        quoted();
        continue;
      }
      depth += c == '[' || c == '(' || c == '{' ? 1 : c == ']' || c == ')' || c == '}' ? -1 : 0;
      ++at_;
      if (depth == 0) return text_.substr(from, at_ - 1 - from);
    }
    (void)close;
    return text_.substr(from);
  }

  // What stands between the brackets of a call, as a syntax tree; `tree` keeps it.
  static std::vector<Node> expressions(std::string_view text, std::unique_ptr<Syntax>& tree) {
    auto parsed = Syntax::parse("python", "_(" + std::string(text) + ")", "");
    if (!parsed) return {};
    tree = std::move(*parsed);
    const auto statements = tree->root().children();
    if (tree->root().has_error() || statements.empty() || statements[0].children().empty()) return {};
    return statements[0].children()[0].child("arguments").children();
  }

  TypeSchema annotated() {
    if (!take('[')) return unknown("Annotated");
    TypeSchema out = parse_union();
    skip();
    if (take(']')) return out;
    if (!take(',')) return unknown(text_);
    std::unique_ptr<Syntax> tree;
    PythonField field;
    for (const auto& node : expressions(until_closed(']'), tree)) {
      if (node.is("string") || node.is("concatenated_string")) {
        const auto text = python_literal(node);
        if (text && text->is_string() && out.doc.empty()) out.doc = text->get_string();
      } else if (node.is("call")) {
        types_.read_field(module_, node, field);
      }
    }
    if (!field.doc.empty()) out.doc = field.doc;
    constrain(out.schema, field.constraints);
    return out;
  }

  // conint(ge=1), constr(…), conlist(int, min_length=1) of pydantic.
  TypeSchema constrained(std::string_view name) {
    if (!take('(') || !name.starts_with("con")) return unknown(text_);
    const auto inside = until_closed(')');
    std::unique_ptr<Syntax> tree;
    const auto arguments = expressions(inside, tree);
    const std::string_view base = name.substr(3);
    TypeSchema out;
    if (base == "list" || base == "set" || base == "frozenset") {
      if (!arguments.empty() && !arguments[0].is("keyword_argument")) {
        out = Parser(types_, module_, arguments[0].text(), scope_, bindings_, depth_ + 1).parse_all();
      }
      out.schema = array_of(std::move(out.schema));
      if (base != "list") out.schema["uniqueItems"] = true;
    } else {
      static const std::map<std::string_view, std::string_view> kBases = {
          {"int", "int"}, {"float", "float"}, {"str", "str"}, {"bytes", "bytes"}, {"decimal", "Decimal"}, {"date", "date"}};
      const auto found = kBases.find(base);
      if (found == kBases.end()) return unknown(text_);
      out.schema = simple_types().at(found->second);
    }
    PythonField field;
    for (const auto& argument : arguments) {
      if (argument.is("keyword_argument")) types_.read_field(module_, argument, field);
    }
    constrain(out.schema, field.constraints);
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
    if (name == "None" || name == "NoneType") {
      TypeSchema out = plain(of_type("null"));
      out.is_none = true;
      return out;
    }
    if (!scope_.bytes_format.empty() && (name == "bytes" || name == "bytearray")) {
      TypeSchema out = plain(of_type("string"));
      out.schema["format"] = scope_.bytes_format;
      return out;
    }
    if (const auto simple = simple_types().find(name); simple != simple_types().end()) return plain(simple->second);
    if (name == "Context" && (full == "Context" || full == "sabir.Context")) {
      TypeSchema out;
      out.is_context = true;
      return out;
    }
    if (name == "list" || name == "List" || name == "Sequence" || name == "MutableSequence" || name == "Collection" ||
        name == "Iterable" || name == "deque" || name == "Deque" || name == "KeysView" || name == "ValuesView") {
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
        name == "defaultdict" || name == "DefaultDict" || name == "ChainMap") {
      json::object key = argument(0);
      json::object out = map_of(argument(1));
      // Keys are text in JSON; what else is known of them counts.
      if (string_or(key, "type") == "string" && key.size() > 1) out["propertyNames"] = std::move(key);
      return with_problem(plain(std::move(out)));
    }
    if (name == "Counter") return plain(map_of(of_type("integer")));
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
    if (name == "InitVar" && !arguments.empty()) return std::move(arguments[0]);
    TypeSchema out;
    out.problem = "type '" + full + "' is not known from the project's sources: anything is accepted";
    return out;
  }

  PythonTypes& types_;
  const PythonModule& module_;
  std::string_view text_;
  PythonScope& scope_;
  const PythonBindings* bindings_;
  int depth_;
  std::size_t at_ = 0;
};

TypeSchema PythonTypes::resolve(const PythonModule& module, std::string_view hint, PythonScope& scope, const PythonBindings* bindings,
                                int depth) {
  return Parser(*this, module, hint, scope, bindings, depth).parse_all();
}

// A class or alias of the project. One that contains itself, and whatever comes after many others, becomes a definition that
// is referred to.
TypeSchema PythonTypes::of_name(const PythonName& name, const std::string& written, PythonScope& scope, std::vector<TypeSchema> arguments,
                                int depth) {
  TypeSchema out;
  if (depth > kMaxDepth) {
    out.problem = "type '" + written + "' is nested too deeply: anything is accepted";
    return out;
  }
  PythonBindings bindings;
  std::string key = name.module->path + ":" + (name.definition ? std::to_string(name.definition.start()) : name.alias);
  std::string shown = name.definition.is("class_definition") ? std::string(name.definition.child("name").text()) : written;
  if (!arguments.empty() && name.definition.is("class_definition")) {
    const auto parameters = parameters_of(*name.module, name.definition);
    for (std::size_t i = 0; i < parameters.size() && i < arguments.size(); ++i) {
      key += "[" + json::serialize(arguments[i].schema) + "]";
      bindings[parameters[i]] = std::move(arguments[i]);
    }
  }
  const auto reference = [&] {
    scope.referenced.insert(key);
    auto& own = scope.names[key];
    if (own.empty()) {
      own = definition_name(shown);
      const auto taken = [&](const std::string& wanted) {
        return std::any_of(scope.names.begin(), scope.names.end(), [&](const auto& one) { return one.first != key && one.second == wanted; });
      };
      for (int i = 2; taken(own); ++i) own = definition_name(shown) + "_" + std::to_string(i);
    }
    out.schema["$ref"] = "#/$defs/" + own;
    return own;
  };
  if (scope.open.contains(key) || (scope.names.contains(key) && scope.definitions.contains(scope.names[key]))) {
    reference();
    return out;
  }
  if (++scope.inlined > kMostInlined) reference();
  scope.open.insert(key);
  TypeSchema made = !name.alias.empty()                    ? resolve(*name.module, name.alias, scope, nullptr, depth + 1)
                    : name.definition.is("class_definition") ? of_class(*name.module, name.definition, scope, bindings, depth + 1)
                                                             : of_call(*name.module, name.definition, scope, depth + 1);
  scope.open.erase(key);
  if (!scope.referenced.contains(key)) return made;
  const std::string own = reference();
  // `type Loop = Loop` says nothing.
  if (made.schema == out.schema) made.schema = {};
  scope.definitions[own] = std::move(made.schema);
  out.problem = std::move(made.problem);
  out.doc = std::move(made.doc);
  return out;
}

}  // namespace sabir::schema

#include "ruby_types.h"

#include <algorithm>
#include <cctype>

#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 48;
constexpr std::size_t kMostOpen = 16;  // classes inside each other

TypeSchema unknown(const std::string& what) {
  TypeSchema out;
  out.problem = "type '" + what.substr(0, 80) + "' is not known: anything is accepted";
  return out;
}

TypeSchema plain(std::string_view type, const char* build = nullptr) {
  TypeSchema out;
  out.schema = of_type(type);
  if (build) out.build = build;
  return out;
}

json::value inside(const char* how, const json::value& build) {
  return build.is_null() ? json::value(nullptr) : json::value(json::object{{how, build}});
}

bool has_type(const json::object& schema, std::string_view name) {
  const auto* type = schema.if_contains("type");
  if (!type) return schema.empty();
  if (type->is_string()) return std::string_view(type->get_string()) == name;
  return type->is_array() && std::any_of(type->get_array().begin(), type->get_array().end(),
                                         [&](const auto& one) { return one.is_string() && std::string_view(one.get_string()) == name; });
}

}  // namespace

TypeSchema any_type(std::vector<TypeSchema> choices) {
  TypeSchema out;
  std::vector<json::object> schemas;
  json::array builds;
  const auto as_it_is = [&](std::string_view type) {
    return std::any_of(choices.begin(), choices.end(), [&](const auto& c) { return c.build.is_null() && !c.schema.empty() && has_type(c.schema, type); });
  };
  for (auto& one : choices) {
    if (!one.problem.empty() && out.problem.empty()) out.problem = one.problem;
    out.is_none = one.is_none;
    // Where a String is as good as a Symbol, or an Integer as a Float, what comes stays as it is.
    const bool text = one.build.is_string() && one.build != "float";
    const bool ambiguous = (text && as_it_is("string")) || (one.build == "float" && as_it_is("integer"));
    if (!one.build.is_null() && !ambiguous && std::find(builds.begin(), builds.end(), one.build) == builds.end()) builds.push_back(one.build);
    schemas.push_back(std::move(one.schema));
  }
  out.schema = any_of(std::move(schemas));
  if (builds.size() == 1) out.build = builds.front();
  if (builds.size() > 1) out.build = json::object{{"any", std::move(builds)}};
  return out;
}

// YARD's notation: "Array<Integer>, nil".
class YardParser {
 public:
  YardParser(std::string_view text, const RubyTypes& types, const std::string& scope, RubyTypes::Open& open)
      : text_(text), types_(types), scope_(scope), open_(open) {}
  TypeSchema parse() {
    TypeSchema out = list('\0');
    skip();
    if (at_ < text_.size() && out.problem.empty()) out = unknown(std::string(text_));
    return out;
  }

 private:
  // Literals that stand side by side make one enumeration.
  struct Literals {
    json::array values;
    bool symbols = false;
    bool others = false;
    bool yes = false;
    bool no = false;
  };

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

  static void settle(Literals& literals, std::vector<TypeSchema>& choices) {
    if (literals.yes && literals.no) choices.push_back(plain("boolean"));
    else if (literals.yes || literals.no) literals.values.push_back(literals.yes);
    if (literals.values.empty()) return;
    TypeSchema one;
    one.schema = enum_of(literals.values);
    if (literals.symbols && !literals.others) one.build = "symbol";
    choices.insert(choices.begin(), std::move(one));
  }

  // "A, B" up to the closer: any of them.
  TypeSchema list(char closer) {
    if (++depth_ > kMaxDepth) return unknown("nested too deeply");
    std::vector<TypeSchema> choices;
    Literals literals;
    do {
      if (at_end(closer)) break;
      TypeSchema one = single(literals);
      if (one.is_context || one.is_iterator) return one;
      if (!one.problem.empty()) one.schema = {};
      if (!literal_) choices.push_back(std::move(one));
    } while (take(",") || take("|"));
    --depth_;
    settle(literals, choices);
    if (choices.empty()) return unknown(std::string(text_));
    return any_type(std::move(choices));
  }

  // Several positions of a fixed array: Array(String, Integer).
  std::vector<TypeSchema> positions(char closer) {
    std::vector<TypeSchema> out;
    do {
      if (at_end(closer)) break;
      Literals literals;
      std::vector<TypeSchema> choices;
      TypeSchema one = single(literals);
      if (!literal_) choices.push_back(std::move(one));
      settle(literals, choices);
      out.push_back(any_type(std::move(choices)));
    } while (take(","));
    return out;
  }

  TypeSchema single(Literals& literals) {
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
      literals.values.push_back(json::string(rest.substr(1, end - 1)));
      literals.others = true;
      at_ += end + 1;
      literal_ = true;
      return out;
    }
    if (rest.starts_with('{') || rest.starts_with('<') || rest.starts_with('(')) {
      // Hash and Array without their names.
      return generic(rest.front() == '{' ? "Hash" : "Array");
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
      literals.values.push_back(json::string(name));
      literals.symbols = true;
      literal_ = true;
      return out;
    }
    if (duck) return out;
    if (name.empty()) {
      ++at_;
      return unknown(std::string(rest.substr(0, 40)));
    }
    if (name == "true" || name == "false") {
      (name == "true" ? literals.yes : literals.no) = true;
      literal_ = true;
      return out;
    }
    if (auto number = number_literal(name)) {
      literals.values.push_back(std::move(*number));
      literals.others = true;
      literal_ = true;
      return out;
    }
    return generic(name);
  }

  TypeSchema generic(const std::string& name) {
    skip();
    const char open = at_ < text_.size() ? text_[at_] : '\0';
    std::vector<TypeSchema> arguments;
    const bool hash = name == "Hash" || name == "Mapping";
    if (open == '(' && name == "Array") {
      ++at_;
      const auto items = positions(')');
      if (!take(")")) return unknown(std::string(text_));
      TypeSchema out;
      std::vector<json::object> schemas;
      json::array builds;
      bool built = false;
      for (const auto& item : items) {
        if (!item.problem.empty()) out.problem = item.problem;
        schemas.push_back(item.schema);
        builds.push_back(item.build);
        built = built || !item.build.is_null();
      }
      out.schema = tuple_of(schemas);
      if (built) out.build = json::object{{"tuple", std::move(builds)}};
      literal_ = false;
      return out;
    }
    if (open == '{' || (open == '<' && hash)) {
      if (!hash) return foreign();
      ++at_;
      const char closer = open == '{' ? '}' : '>';
      if (open == '{') {
        arguments.push_back(list('='));
      } else {
        Literals literals;
        arguments.push_back(single(literals));
        if (literal_) arguments.back() = plain("string", literals.symbols ? "symbol" : nullptr);
      }
      if (take("=>") || take(",")) arguments.push_back(list(closer));
      if (!take(std::string_view(&closer, 1))) return unknown(std::string(text_));
    } else if (open == '<') {
      ++at_;
      arguments.push_back(list('>'));
      if (!take(">")) return unknown(std::string(text_));
    } else if (open == '(') {
      return foreign();
    }
    literal_ = false;
    return types_.named(name, std::move(arguments), scope_, open_);
  }

  TypeSchema foreign() {
    at_ = text_.size();
    return unknown(std::string(text_));
  }

  std::string_view text_;
  const RubyTypes& types_;
  const std::string& scope_;
  RubyTypes::Open& open_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool literal_ = false;  // the last single() was one value, kept in Literals
};

TypeSchema RubyTypes::named(std::string name, std::vector<TypeSchema> arguments, const std::string& scope, Open& open) const {
  if (name.starts_with("::")) name.erase(0, 2);
  TypeSchema out;
  for (const auto& argument : arguments) {
    if (!argument.problem.empty()) out.problem = argument.problem;
  }
  if (const auto known = find(name, scope)) {
    if (arguments.empty() || classes_.contains(*known)) {
      const auto alias = signatures_.aliases.find(*known);
      if (alias == signatures_.aliases.end()) return object(*known, classes_.at(*known), open);
      if (!open.insert("type " + *known).second) return TypeSchema{};
      const std::size_t cut = known->rfind("::");
      TypeSchema target = rbs(alias->second, cut == std::string::npos ? "" : known->substr(0, cut), open);
      open.erase("type " + *known);
      return target;
    }
  }
  if (name == "Hash" || name == "Mapping") {
    out.schema = of_type("object");
    if (arguments.empty()) return out;
    TypeSchema& value = arguments.back();
    json::object build;
    if (arguments.size() > 1 && arguments.front().build == "symbol") build["symbols"] = true;
    if (arguments.size() > 1 || !value.build.is_null() || !build.empty()) {
      if (arguments.size() > 1) out.schema = map_of(std::move(value.schema));
      if (!value.build.is_null() || !build.empty()) {
        build["hash"] = value.build;
        out.build = std::move(build);
      }
    }
    return out;
  }
  const bool set = name == "Set";
  const bool lazy = name == "Enumerator" || name == "Enumerator::Lazy";
  if (name == "Array" || set || lazy || name == "Enumerable") {
    TypeSchema items = arguments.empty() ? TypeSchema{} : std::move(arguments.front());
    out.is_iterator = lazy;
    if (lazy) {
      out.schema = std::move(items.schema);
      return out;
    }
    out.schema = array_of(std::move(items.schema));
    out.build = inside("array", items.build);
    if (set) {
      out.schema["uniqueItems"] = true;
      out.build = json::object{{"set", items.build}};
    }
    return out;
  }
  if (!arguments.empty()) return unknown(name + "<…>");
  if (name == "String" || name == "string") return plain("string");
  if (name == "Pathname") return plain("string", "path");
  if (name == "Symbol") return plain("string", "symbol");
  if (name == "Integer" || name == "Fixnum" || name == "int") return plain("integer");
  if (name == "Float" || name == "float") return plain("number", "float");
  if (name == "Rational") return plain("number", "rational");
  if (name == "BigDecimal") {
    out.schema["type"] = json::array{"number", "string"};
    out.build = "decimal";
    return out;
  }
  if (name == "Numeric" || name == "Number") return plain("number");
  if (name == "Boolean" || name == "Bool" || name == "bool" || name == "boolish" || name == "TrueClass" || name == "FalseClass") return plain("boolean");
  if (name == "nil" || name == "NilClass" || name == "void") {
    out = plain("null");
    out.is_none = true;
    return out;
  }
  if (name == "Time" || name == "DateTime" || name == "Date") {
    out = plain("string", name == "Date" ? "date" : name == "Time" ? "time" : "datetime");
    out.schema["format"] = name == "Date" ? "date" : "date-time";
    return out;
  }
  if (name == "Sabir::Context") {
    out.is_context = true;
    return out;
  }
  if (name == "Object" || name == "BasicObject" || name == "Any" || name == "untyped" || name == "Comparable") return out;
  return unknown(name);
}

TypeSchema RubyTypes::object(const std::string& name, const RubyClass& known, Open& open) const {
  TypeSchema out;
  if (!known.problem.empty()) {
    out.problem = "type '" + name + "' " + known.problem + ": anything is accepted";
    return out;
  }
  if (open.contains(name)) {
    // A class that contains itself is described once; below that anything is accepted, and made an object where it fits.
    out.build = json::object{{"again", name}};
    return out;
  }
  if (open.size() >= kMostOpen) return unknown(name);
  open.insert(name);
  const std::size_t cut = name.rfind("::");
  const std::string around = cut == std::string::npos ? "" : name.substr(0, cut);
  json::object properties;
  json::array required;
  json::object members;
  json::array order;
  for (const auto& member : known.members) {
    TypeSchema type = member.rbs ? rbs(*member.rbs, name, open) : member.yard.empty() ? TypeSchema{} : yard(member.yard, name, open);
    if (!type.problem.empty()) {
      out.problem = "member '" + member.name + "' of '" + name + "': " + type.problem;
      type.schema = {};
    }
    const bool may_lack = !member.required || has_type(type.schema, "null") || type.schema.contains("anyOf");
    if (!may_lack) required.push_back(json::string(member.name));
    if (!member.doc.empty()) type.schema["description"] = member.doc;
    if (!member.default_value.is_null()) type.schema["default"] = member.default_value;
    properties[member.name] = std::move(type.schema);
    if (!member.built) continue;
    order.push_back(json::string(member.name));
    if (!type.build.is_null()) members[member.name] = type.build;
  }
  open.erase(name);
  out.schema = of_type("object");
  out.schema["properties"] = std::move(properties);
  if (!required.empty()) out.schema["required"] = std::move(required);
  out.schema["additionalProperties"] = false;
  json::object build{{"class", name}, {"order", std::move(order)}};
  build["made"] = known.made == RubyClass::Made::kKeywords ? "keywords" : known.made == RubyClass::Made::kSetters ? "setters" : "positional";
  if (!members.empty()) build["members"] = std::move(members);
  out.build = std::move(build);
  return out;
}

TypeSchema RubyTypes::yard(std::string_view text, const std::string& scope) const {
  Open open;
  return yard(text, scope, open);
}
TypeSchema RubyTypes::yard(std::string_view text, const std::string& scope, Open& open) const { return YardParser(text, *this, scope, open).parse(); }

TypeSchema RubyTypes::rbs(const RbsType& type, const std::string& scope) const {
  Open open;
  return rbs(type, scope, open);
}

TypeSchema RubyTypes::rbs(const RbsType& type, const std::string& scope, Open& open) const {
  TypeSchema out;
  std::vector<TypeSchema> inner;
  for (const auto& one : type.inner) inner.push_back(rbs(one, scope, open));
  for (const auto& one : inner) {
    if (!one.problem.empty() && out.problem.empty()) out.problem = one.problem;
  }
  switch (type.kind) {
    case RbsType::Kind::kUntyped: return out;
    case RbsType::Kind::kOther: return unknown(type.name);
    case RbsType::Kind::kName: return named(type.name, std::move(inner), scope, open);
    case RbsType::Kind::kLiteral:
      out.schema = enum_of(json::array{type.literal});
      if (type.is_symbol) out.build = "symbol";
      return out;
    case RbsType::Kind::kOptional: {
      if (inner.front().is_context || inner.front().is_iterator) return inner.front();
      std::vector<TypeSchema> choices;
      choices.push_back(std::move(inner.front()));
      choices.push_back(plain("null"));
      if (choices.front().schema.contains("enum")) choices.front().schema = nullable(std::move(choices.front().schema)), choices.pop_back();
      return any_type(std::move(choices));
    }
    case RbsType::Kind::kUnion: {
      // Literals side by side make one enumeration.
      json::array values;
      bool symbols = true;
      std::vector<TypeSchema> choices;
      for (std::size_t i = 0; i < inner.size(); ++i) {
        if (type.inner[i].kind != RbsType::Kind::kLiteral) {
          choices.push_back(std::move(inner[i]));
          continue;
        }
        values.push_back(type.inner[i].literal);
        symbols = symbols && type.inner[i].is_symbol;
      }
      if (!values.empty()) {
        TypeSchema one;
        one.schema = enum_of(values);
        if (symbols) one.build = "symbol";
        choices.insert(choices.begin(), std::move(one));
      }
      return any_type(std::move(choices));
    }
    case RbsType::Kind::kTuple: {
      std::vector<json::object> schemas;
      json::array builds;
      bool built = false;
      for (auto& one : inner) {
        built = built || !one.build.is_null();
        builds.push_back(one.build);
        schemas.push_back(std::move(one.schema));
      }
      out.schema = tuple_of(schemas);
      if (built) out.build = json::object{{"tuple", std::move(builds)}};
      return out;
    }
    case RbsType::Kind::kRecord: {
      json::object properties;
      json::array required;
      json::object builds;
      for (std::size_t i = 0; i < inner.size(); ++i) {
        const auto& [key, must] = type.keys[i];
        if (must) required.push_back(json::string(key));
        builds[key] = inner[i].build;
        properties[key] = std::move(inner[i].schema);
      }
      out.schema = of_type("object");
      out.schema["properties"] = std::move(properties);
      if (!required.empty()) out.schema["required"] = std::move(required);
      out.schema["additionalProperties"] = false;
      out.build = json::object{{"record", std::move(builds)}};
      return out;
    }
  }
  return out;
}

std::optional<std::string> RubyTypes::find(const std::string& name, const std::string& scope) const {
  for (std::string at = scope;;) {
    std::string qualified = at.empty() ? name : at + "::" + name;
    if (classes_.contains(qualified) || signatures_.aliases.contains(qualified)) return qualified;
    if (at.empty()) return std::nullopt;
    const std::size_t cut = at.rfind("::");
    at = cut == std::string::npos ? "" : at.substr(0, cut);
  }
}

const RbsMethod* RubyTypes::signature(const std::string& receiver, const std::string& name, bool singleton) const {
  for (const std::string& owner : receiver.empty() ? std::vector<std::string>{"", "Object", "Kernel"} : std::vector<std::string>{receiver}) {
    const auto known = signatures_.classes.find(owner);
    if (known == signatures_.classes.end()) continue;
    const auto& first = singleton ? known->second.singleton_methods : known->second.methods;
    const auto& second = singleton ? known->second.methods : known->second.singleton_methods;
    if (const auto found = first.find(name); found != first.end()) return &found->second;
    if (const auto found = second.find(name); found != second.end() && receiver.empty()) return &found->second;
  }
  return nullptr;
}

}  // namespace sabir::schema

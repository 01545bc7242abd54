// Classes of Python as JSON Schema: enumerations, TypedDict, dataclasses, NamedTuple and pydantic models.
#include <algorithm>
#include <cctype>
#include <functional>

#include "doc.h"
#include "python_literals.h"
#include "python_types.h"
#include "sabir/base/text.h"
#include "sabir/schema/validator.h"

namespace sabir::schema {
namespace {

constexpr int kMostBases = 16;
constexpr int kMaxDepth = 48;

std::string_view last_part(std::string_view dotted) {
  const std::size_t dot = dotted.rfind('.');
  return dot == std::string_view::npos ? dotted : dotted.substr(dot + 1);
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_true(const Node& node) { return node.text() == "True"; }

std::string string_of(const Node& node) {
  const auto value = python_literal(node);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// The statements of a class body: an assignment, an annotation or a docstring stands inside an expression statement.
Node inner_of(const Node& statement) {
  const auto inner = statement.children();
  return statement.is("expression_statement") && inner.size() == 1 ? inner.front() : Node();
}

// Names in pydantic's alias generators: full_name -> fullName, FullName.
std::string camel(std::string_view name, bool first_is_upper) {
  std::string out;
  bool upper = first_is_upper;
  for (const char c : name) {
    if (c == '_') {
      upper = !out.empty() || first_is_upper;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out;
}

// The name that a model's alias generator makes.
std::string aliased(std::string_view generator, const std::string& name, std::string& problem) {
  const auto own = last_part(generator);
  if (own == "to_camel" || own == "to_pascal") return camel(name, own == "to_pascal");
  if (!generator.empty() && own != "to_snake" && problem.empty()) problem = "its alias_generator is not one of pydantic's";
  return name;
}

}  // namespace

struct PythonTypes::Member {
  std::string name;
  std::string property;
  json::object schema;
  bool required = true;
  bool shown = true;
  bool nullable_default = false;
};

struct PythonTypes::Config {
  std::string extra;
  std::string generator;
  bool base64 = false;  // bytes of a model; they are text otherwise
};

struct PythonTypes::Fields {
  std::vector<Member> members;
  Config config;
  bool total = true;
  std::string problem;
  std::string doc;
  std::map<std::string, std::string> docs;  // of members, from the class's docstring
  std::optional<json::object> root;         // of a RootModel
  bool base_is_unknown = false;             // so that there may be members which the sources do not show
  int visited = 0;
  void put(Member member) {
    for (auto& one : members) {
      if (one.name == member.name) {
        one = std::move(member);
        return;
      }
    }
    members.push_back(std::move(member));
  }
};

// Each base as written, with its arguments; keyword arguments are left out.
std::vector<std::string> PythonTypes::bases_of(const Node& definition) const {
  std::vector<std::string> out;
  for (const auto& base : definition.child("superclasses").children()) {
    if (!base.is("keyword_argument") && out.size() < kMostBases) out.emplace_back(base.text());
  }
  return out;
}

// The names of a generic class's type variables, in order.
std::vector<std::string> PythonTypes::parameters_of(const PythonModule& module, const Node& definition) const {
  (void)module;
  std::vector<std::string> out;
  const auto add = [&](std::string_view name) {
    name = trim(name.substr(0, name.find_first_of(":=")));
    if (!name.empty() && std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
  };
  for (const auto& one : definition.child("type_parameters").children()) add(one.text());
  for (const auto& base : bases_of(definition)) {
    const std::size_t bracket = base.find('[');
    if (bracket == std::string::npos || !is_one_of(last_part(trim(std::string_view(base).substr(0, bracket))), {"Generic", "Protocol"})) continue;
    std::string_view inside(base);
    inside = inside.substr(bracket + 1, inside.rfind(']') - bracket - 1);
    while (!inside.empty()) {
      const std::size_t comma = std::min(inside.find(','), inside.size());
      add(inside.substr(0, comma));
      inside.remove_prefix(std::min(comma + 1, inside.size()));
    }
  }
  return out;
}

// "dataclasses.dataclass" or "pydantic.dataclasses.dataclass", as imported, and the decorator; "" where there is none.
std::string PythonTypes::dataclass_decorator(const PythonModule& module, const Node& definition, Node& call) {
  if (!definition.parent().is("decorated_definition")) return "";
  for (const auto& decorator : definition.parent().children()) {
    if (!decorator.is("decorator")) continue;
    const std::string_view text = decorator.text().substr(1);
    std::string full = modules_.find(module, trim(text.substr(0, text.find('(')))).full;
    call = decorator.first("call");
    if (last_part(full) == "dataclass") return full;
  }
  return "";
}

PythonTypes::Kind PythonTypes::kind_of(const PythonModule& module, const Node& definition, int depth, std::string& why) {
  if (depth > kMostBases) return Kind::kOther;
  Node call;
  if (!dataclass_decorator(module, definition, call).empty()) return Kind::kDataclass;
  for (const auto& base : bases_of(definition)) {
    const auto written = trim(std::string_view(base).substr(0, base.find('[')));
    const PythonName found = modules_.find(module, written);
    if (found.module && found.definition.is("class_definition")) {
      const Kind kind = kind_of(*found.module, found.definition, depth + 1, why);
      if (kind != Kind::kOther) return kind;
      continue;
    }
    const auto name = last_part(found.full);
    if (found.imported && !found.known && !found.module) {
      why = "its base '" + std::string(written) + "' is not among the project's sources";
      return Kind::kUnknown;
    }
    if (is_one_of(name, {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})) return Kind::kEnum;
    if (name == "TypedDict") return Kind::kTypedDict;
    if (name == "NamedTuple") return Kind::kNamedTuple;
    if (is_one_of(name, {"BaseModel", "RootModel", "BaseSettings"})) return Kind::kModel;
  }
  return Kind::kOther;
}

std::optional<json::value> PythonTypes::member_value(const PythonModule& module, std::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::string_view member = path.substr(dot + 1);
  path = path.substr(0, dot);
  if (member == "value" && path.rfind('.') != std::string_view::npos) return member_value(module, path);
  const PythonName found = modules_.find(module, path);
  if (!found.module || !found.definition.is("class_definition")) return std::nullopt;
  std::string why;
  if (kind_of(*found.module, found.definition, 0, why) != Kind::kEnum) return std::nullopt;
  const TypeSchema described = of_enum(*found.module, found.definition);
  const auto* values = described.schema.if_contains("enum");
  if (!values) return std::nullopt;
  std::size_t index = 0;
  for (const auto& statement : found.definition.child("body").children()) {
    const Node assignment = inner_of(statement);
    if (!assignment.is("assignment") || assignment.child("left").text().starts_with('_') || !assignment.child("right")) continue;
    if (assignment.child("left").text() == member && index < values->get_array().size()) return values->get_array()[index];
    ++index;
  }
  return std::nullopt;
}

std::optional<json::value> PythonTypes::value_of(const PythonModule& module, const Node& expression) {
  if (auto literal = python_literal(expression)) return literal;
  if (expression.is("attribute")) return member_value(module, expression.text());
  return std::nullopt;
}

TypeSchema PythonTypes::of_enum(const PythonModule& module, const Node& definition) {
  (void)module;
  TypeSchema out;
  const std::string name(definition.child("name").text());
  bool lower_names = false;
  bool flags = false;
  for (const auto& base : bases_of(definition)) {
    lower_names = lower_names || last_part(base) == "StrEnum";
    flags = flags || is_one_of(last_part(base), {"Flag", "IntFlag"});
  }
  if (flags) {
    // Any combination of its members.
    out.schema = of_type("integer");
    out.schema["minimum"] = 0;
    return out;
  }
  json::array values;
  std::int64_t last = 0;
  for (const auto& statement : definition.child("body").children()) {
    const Node assignment = inner_of(statement);
    if (!assignment.is("assignment") || !assignment.child("right")) continue;
    const std::string_view member = assignment.child("left").text();
    if (member.starts_with('_')) continue;
    const Node right = assignment.child("right");
    if (auto value = python_literal(right)) {
      if (value->is_int64()) last = value->get_int64();
      values.push_back(std::move(*value));
    } else if (right.text().ends_with("auto()")) {
      if (lower_names) values.push_back(json::string(lower_case(member)));
      else values.push_back(++last);
    } else {
      out.problem = "the members of enumeration '" + name + "' are not all literal: anything is accepted";
      return out;
    }
  }
  if (values.empty()) out.problem = "enumeration '" + name + "' has no members: anything is accepted";
  else out.schema = enum_of(values);
  return out;
}

// TypedDict("Movie", {"name": str}), NamedTuple("P", [("x", int)]), Enum("Color", "RED GREEN").
TypeSchema PythonTypes::of_call(const PythonModule& module, const Node& call, PythonScope& scope, int depth) {
  TypeSchema out;
  const auto maker = last_part(call.child("function").text());
  const auto arguments = call.child("arguments").children();
  out.problem = "what " + std::string(maker) + "(…) makes is not written as a class: anything is accepted";
  if (arguments.size() < 2) return out;
  bool total = true;
  for (const auto& argument : arguments) {
    if (argument.is("keyword_argument") && argument.child("name").text() == "total") total = argument.child("value").text() != "False";
  }
  const Node content = arguments[1];
  if (maker == "TypedDict" && content.is("dictionary")) {
    json::object properties;
    json::array required;
    for (const auto& pair : content.children()) {
      const std::string key = string_of(pair.child("key"));
      if (!pair.is("pair") || key.empty()) return out;
      const std::string_view hint = pair.child("value").text();
      TypeSchema type = resolve(module, hint, scope, nullptr, depth);
      if (!type.doc.empty()) type.schema["description"] = type.doc;
      properties[key] = std::move(type.schema);
      if (hint.find("NotRequired") == std::string_view::npos && (total || hint.find("Required") != std::string_view::npos)) required.push_back(json::string(key));
    }
    out = {};
    out.schema = of_type("object");
    out.schema["properties"] = std::move(properties);
    if (!required.empty()) out.schema["required"] = std::move(required);
    out.schema["additionalProperties"] = false;
  } else if (maker == "NamedTuple" && content.is("list")) {
    std::vector<json::object> items;
    for (const auto& pair : content.children()) {
      const auto parts = pair.children();
      if (!pair.is("tuple") || parts.size() != 2) return out;
      items.push_back(resolve(module, parts[1].text(), scope, nullptr, depth).schema);
      items.back()["title"] = string_of(parts[0]);
    }
    out = {};
    out.schema = tuple_of(items);
  } else if (maker.ends_with("Enum")) {
    json::array names;
    if (const auto value = python_literal(content); value && value->is_array()) {
      names = value->get_array();
    } else if (value && value->is_string()) {
      std::string_view text = value->get_string();
      while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(" ,"), text.size());
        if (end > 0) names.push_back(json::string(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
      }
    } else if (value && value->is_object() && !value->get_object().empty()) {
      json::array values;
      for (const auto& member : value->get_object()) values.push_back(member.value());
      out = {};
      out.schema = enum_of(values);
      return out;
    }
    json::array values;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!names[i].is_string()) return out;
      if (maker == "StrEnum") values.push_back(json::string(lower_case(names[i].get_string())));
      else values.push_back(static_cast<std::int64_t>(i + 1));
    }
    if (values.empty()) return out;
    out = {};
    out.schema = enum_of(values);
  }
  return out;
}

void PythonTypes::configure(const Node& definition, Config& config) const {
  const auto take = [&](std::string_view key, const Node& value) {
    if (key == "extra") config.extra = value.is("string") ? string_of(value) : std::string(last_part(value.text()));
    if (key == "alias_generator") config.generator = value.text();
    if (key == "val_json_bytes") config.base64 = string_of(value) == "base64";
  };
  for (const auto& argument : definition.child("superclasses").children()) {
    if (argument.is("keyword_argument")) take(argument.child("name").text(), argument.child("value"));
  }
  for (const auto& statement : definition.child("body").children()) {
    if (statement.is("class_definition") && statement.child("name").text() == "Config") {
      for (const auto& line : statement.child("body").children()) {
        if (const Node one = inner_of(line); one.is("assignment")) take(one.child("left").text(), one.child("right"));
      }
    }
    const Node assignment = inner_of(statement);
    if (!assignment.is("assignment") || assignment.child("left").text() != "model_config") continue;
    const Node value = assignment.child("right");
    for (const auto& argument : value.child("arguments").children()) {
      if (argument.is("keyword_argument")) take(argument.child("name").text(), argument.child("value"));
    }
    if (!value.is("dictionary")) continue;
    for (const auto& pair : value.children()) take(string_of(pair.child("key")), pair.child("value"));
  }
}

// The members of a class and its bases, in the order in which Python has them.
void PythonTypes::collect(const PythonModule& module, const Node& definition, Kind kind, PythonScope& scope, const PythonBindings& bindings,
                          int depth, Fields& fields) {
  if (++fields.visited > kMostBases * 4 || depth > kMaxDepth) return;
  const auto bases = bases_of(definition);
  for (auto base = bases.rbegin(); base != bases.rend(); ++base) {
    const std::size_t bracket = base->find('[');
    const auto written = trim(std::string_view(*base).substr(0, bracket));
    const PythonName found = modules_.find(module, written);
    if (kind == Kind::kModel && last_part(found.full) == "RootModel" && !found.module && bracket != std::string::npos) {
      fields.root = resolve(module, std::string_view(*base).substr(bracket + 1, base->rfind(']') - bracket - 1), scope, &bindings, depth + 1).schema;
    }
    if (found.imported && !found.module && !found.known) {
      fields.base_is_unknown = true;
      fields.problem = "its base '" + std::string(written) + "' is not among the project's sources";
    }
    if (!found.module || !found.definition.is("class_definition")) continue;
    PythonBindings own;
    if (bracket != std::string::npos) {
      const auto parameters = parameters_of(*found.module, found.definition);
      // One argument, or as many as there are, parted at commas outside of brackets.
      std::string_view inside(*base);
      inside = inside.substr(bracket + 1, inside.rfind(']') - bracket - 1);
      int nested = 0;
      std::size_t from = 0;
      std::size_t index = 0;
      for (std::size_t i = 0; i <= inside.size() && index < parameters.size(); ++i) {
        const char c = i < inside.size() ? inside[i] : ',';
        nested += c == '[' ? 1 : c == ']' ? -1 : 0;
        if (c != ',' || nested > 0) continue;
        own[parameters[index++]] = resolve(module, inside.substr(from, i - from), scope, &bindings, depth + 1);
        from = i + 1;
      }
    }
    collect(*found.module, found.definition, kind, scope, own, depth + 1, fields);
  }
  configure(definition, fields.config);
  if (kind == Kind::kModel) scope.bytes_format = fields.config.base64 ? "base64url" : "binary";
  fields.total = true;
  for (const auto& argument : definition.child("superclasses").children()) {
    if (argument.is("keyword_argument") && argument.child("name").text() == "total") fields.total = argument.child("value").text() != "False";
  }
  fields.doc.clear();
  for (const auto& statement : definition.child("body").children()) {
    const Node text = inner_of(statement);
    if (!text.is("string") || !fields.doc.empty()) continue;
    if (const auto value = python_string(text.text())) {
      const Doc doc = python_doc(*value);
      fields.doc = doc.summary;
      for (const auto& [name, one] : doc.parameters) fields.docs[name] = one.text;
    }
    break;
  }
  for (const auto& statement : definition.child("body").children()) {
    collect_statement(module, statement, kind, scope, bindings, depth, fields);
  }
}

void PythonTypes::collect_statement(const PythonModule& module, const Node& statement, Kind kind, PythonScope& scope,
                                    const PythonBindings& bindings, int depth, Fields& fields) {
  const auto described = [&](TypeSchema type, const std::string& member) {
    if (!type.problem.empty() && fields.problem.empty()) fields.problem = "member '" + member + "': " + type.problem;
    if (!type.doc.empty()) type.schema["description"] = type.doc;
    return std::move(type.schema);
  };
  if (statement.is("decorated_definition")) {
    // What a model computes comes out and does not go in.
    const Node function = statement.child("definition");
    if (kind != Kind::kModel || !scope.output || !function.is("function_definition")) return;
    const auto decorators = statement.children();
    const bool computed = std::any_of(decorators.begin(), decorators.end(), [](const Node& one) {
      const auto text = one.is("decorator") ? one.text().substr(1) : std::string_view();
      return last_part(trim(text.substr(0, text.find('(')))) == "computed_field";
    });
    if (!computed) return;
    Member member;
    member.name = function.child("name").text();
    member.property = aliased(fields.config.generator, member.name, fields.problem);
    if (const Node type = function.child("return_type")) member.schema = described(resolve(module, type.text(), scope, &bindings, depth + 1), member.name);
    return fields.put(std::move(member));
  }
  const Node assignment = inner_of(statement);
  const Node type = assignment.child("type");
  const Node left = assignment.child("left");
  if (!assignment.is("assignment") || !type || !left.is("identifier")) return;
  const std::string_view hint = type.text();
  if (hint.find("ClassVar") != std::string_view::npos || hint.ends_with("KW_ONLY")) return;
  Member member;
  member.name = left.text();
  member.property = member.name;
  if (kind == Kind::kModel && member.name.starts_with('_')) return;
  if (kind == Kind::kModel && member.name == "root") {
    fields.root = resolve(module, hint, scope, &bindings, depth + 1).schema;
  }
  const bool initialised_alone = hint.find("InitVar") != std::string_view::npos;
  if (initialised_alone && scope.output) return;
  member.schema = described(resolve(module, hint, scope, &bindings, depth + 1), member.name);
  const Node value = assignment.child("right");
  member.required = !value;
  if (kind == Kind::kTypedDict) {
    member.required = hint.find("NotRequired") != std::string_view::npos ? false : hint.find("Required") != std::string_view::npos ? true : fields.total;
    return fields.put(std::move(member));
  }
  PythonField field;
  // Field(…) may stand inside Annotated as well; its constraints are in the schema by now.
  if (hint.find("Field(") != std::string_view::npos) {
    if (auto tree = Syntax::parse("python", hint, ""); tree) {
      const std::function<void(const Node&, int)> look = [&](const Node& node, int below) {
        if (below > 12) return;
        if (node.is("call") && last_part(node.child("function").text()) == "Field") read_field(module, node, field);
        for (const auto& child : node.children()) look(child, below + 1);
      };
      look((*tree)->root(), 0);
      field.constraints.clear();
      if (field.has_default) member.required = false;
    }
  }
  const auto maker = value.is("call") ? last_part(value.child("function").text()) : std::string_view();
  if (maker == "field" || maker == "Field" || maker == "PrivateAttr") {
    read_field(module, value, field);
    member.required = !field.has_default;
    constrain(member.schema, field.constraints);
    if (field.default_value) member.schema["default"] = *field.default_value;
  } else if (auto literal = value_of(module, value)) {
    member.nullable_default = literal->is_null();
    if (!literal->is_null()) member.schema["default"] = std::move(*literal);
  }
  if (!field.doc.empty()) member.schema["description"] = field.doc;
  if (!field.init) {
    member.shown = scope.output;
    member.required = member.required || scope.output;
  }
  if (field.exclude && scope.output) member.shown = false;
  if (kind == Kind::kModel) {
    member.property = aliased(fields.config.generator, member.name, fields.problem);
    if (!field.alias.empty()) member.property = field.alias;
    if (scope.output && !field.serialization_alias.empty()) member.property = field.serialization_alias;
    if (!scope.output && !field.validation_alias.empty()) member.property = field.validation_alias;
  }
  fields.put(std::move(member));
}

TypeSchema PythonTypes::of_class(const PythonModule& module, const Node& definition, PythonScope& scope, const PythonBindings& bindings,
                                 int depth) {
  TypeSchema out;
  const std::string name(definition.child("name").text());
  std::string why;
  const Kind kind = kind_of(module, definition, 0, why);
  if (kind == Kind::kUnknown || kind == Kind::kOther) {
    if (why.empty()) why = "it is none of Enum, TypedDict, NamedTuple, dataclass, pydantic model";
    out.problem = "class '" + name + "': " + why + ": anything is accepted";
    return out;
  }
  if (kind == Kind::kEnum) return of_enum(module, definition);
  Fields fields;
  const std::string outer = scope.bytes_format;
  collect(module, definition, kind, scope, bindings, depth, fields);
  scope.bytes_format = outer;
  if (!fields.problem.empty()) out.problem = "class '" + name + "': " + fields.problem;
  if (fields.base_is_unknown) {
    out.problem += ": anything is accepted";
    return out;
  }
  if (fields.root) {
    out.schema = std::move(*fields.root);
    return out;
  }
  if (kind == Kind::kNamedTuple) {
    std::vector<json::object> items;
    std::size_t needed = 0;
    for (auto& member : fields.members) {
      needed += member.required ? 1 : 0;
      member.schema["title"] = member.property;
      items.push_back(std::move(member.schema));
    }
    out.schema = tuple_of(items);
    if (!scope.output) out.schema["minItems"] = needed;
    if (!fields.doc.empty()) out.schema["description"] = fields.doc;
    return out;
  }
  json::object properties;
  json::array required;
  for (auto& member : fields.members) {
    if (!member.shown) continue;
    if (const auto doc = fields.docs.find(member.name); doc != fields.docs.end() && !doc->second.empty() && !member.schema.contains("description")) {
      member.schema["description"] = doc->second;
    }
    properties[member.property] = std::move(member.schema);
    if (member.required) required.push_back(json::string(member.property));
  }
  out.schema = of_type("object");
  if (!fields.doc.empty()) out.schema["description"] = fields.doc;
  out.schema["properties"] = std::move(properties);
  if (!required.empty()) out.schema["required"] = std::move(required);
  // pydantic decides about other members of its models and of its own dataclasses.
  Node call;
  const bool open = kind == Kind::kModel || dataclass_decorator(module, definition, call).starts_with("pydantic.");
  const bool forbids = fields.config.extra == "forbid" || call.text().find("forbid") != std::string_view::npos;
  if (!open || forbids) out.schema["additionalProperties"] = false;
  return out;
}

void PythonTypes::read_field(const PythonModule& module, const Node& call, PythonField& out) {
  static const std::map<std::string_view, std::string_view> kFirst = {
      {"Gt", "gt"}, {"Ge", "ge"}, {"Lt", "lt"}, {"Le", "le"}, {"MultipleOf", "multiple_of"}, {"MinLen", "min_length"}, {"MaxLen", "max_length"}};
  const auto keyword = [&](std::string_view key, const Node& value) {
    if (key == "default" || key == "default_factory" || key == "factory") {
      if (value.text() == "...") return;
      out.has_default = true;
      if (key == "default") {
        if (auto literal = value_of(module, value); literal && !literal->is_null()) out.default_value = std::move(*literal);
      }
    } else if (key == "description" || key == "documentation") {
      out.doc = string_of(value);
    } else if (key == "alias") {
      out.alias = string_of(value);
    } else if (key == "validation_alias") {
      out.validation_alias = string_of(value);
    } else if (key == "serialization_alias") {
      out.serialization_alias = string_of(value);
    } else if (key == "init") {
      out.init = value.text() != "False";
    } else if (key == "exclude") {
      out.exclude = is_true(value);
    } else if (auto literal = value_of(module, value)) {
      out.constraints[key == "regex" ? "pattern" : key == "min_items" ? "min_length" : key == "max_items" ? "max_length" : key] = std::move(*literal);
    }
  };
  if (call.is("keyword_argument")) return keyword(call.child("name").text(), call.child("value"));
  const auto name = last_part(call.child("function").text());
  const bool a_field = name == "Field" || name == "field" || name == "PrivateAttr";
  const bool constraints = a_field || name == "Interval" || name == "Len" || name == "StringConstraints" || kFirst.contains(name);
  std::size_t position = 0;
  for (const auto& argument : call.child("arguments").children()) {
    if (argument.is("keyword_argument")) {
      if (constraints) keyword(argument.child("name").text(), argument.child("value"));
      continue;
    }
    if (a_field && position == 0) keyword("default", argument);
    if (name == "Len") keyword(position == 0 ? "min_length" : "max_length", argument);
    if (const auto first = kFirst.find(name); first != kFirst.end() && position == 0) keyword(first->second, argument);
    if (name == "Doc" && position == 0) out.doc = string_of(argument);
    ++position;
  }
}

// Each constraint goes where it means something: to numbers, texts, arrays or objects, in each choice of a union.
void PythonTypes::constrain(json::object& schema, const json::object& constraints) {
  if (constraints.empty()) return;
  if (auto* choices = schema.if_contains("anyOf"); choices && choices->is_array()) {
    for (auto& choice : choices->get_array()) {
      if (choice.is_object()) constrain(choice.get_object(), constraints);
    }
    return;
  }
  const auto takes = [&](std::string_view type) {
    const auto* own = schema.if_contains("type");
    if (!own) return false;
    if (own->is_string()) return std::string_view(own->get_string()) == type;
    return own->is_array() && std::any_of(own->get_array().begin(), own->get_array().end(), [&](const json::value& one) {
             return one.is_string() && std::string_view(one.get_string()) == type;
           });
  };
  static const std::map<std::string_view, std::string_view> kNumbers = {
      {"gt", "exclusiveMinimum"}, {"ge", "minimum"}, {"lt", "exclusiveMaximum"}, {"le", "maximum"}, {"multiple_of", "multipleOf"}};
  for (const auto& [key, value] : constraints) {
    const std::string_view name(key);
    if (const auto number = kNumbers.find(name); number != kNumbers.end()) {
      const bool above_zero = name != "multiple_of" || (value.is_int64() && value.get_int64() > 0) || (value.is_double() && value.get_double() > 0);
      if (value.is_number() && above_zero && (takes("integer") || takes("number"))) schema[number->second] = value;
    } else if (name == "min_length" || name == "max_length") {
      if (!value.is_int64() || value.get_int64() < 0) continue;
      const std::string bound = name == "min_length" ? "min" : "max";
      if (takes("string")) schema[bound + "Length"] = value;
      else if (takes("array")) schema[bound + "Items"] = value;
      else if (takes("object")) schema[bound + "Properties"] = value;
    } else if (name == "pattern" && value.is_string() && takes("string")) {
      // An expression of Python's that JSON Schema does not have is left to pydantic.
      json::object with = of_type("string");
      with["pattern"] = value;
      if (Validator::compile(with)) schema["pattern"] = value;
    }
  }
}

}  // namespace sabir::schema

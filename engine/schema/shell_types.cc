#include "shell_types.h"

#include <algorithm>
#include <charconv>
#include <cctype>

#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMostDepth = 32;
constexpr std::size_t kMostMembers = 256;

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

json::object typed(std::string_view name) { return {{"type", name}}; }

// The schema's one type beside null; "" when it allows several, or anything.
std::string single_type(const json::object& schema) {
  const auto* type = schema.if_contains("type");
  if (!type) return {};
  if (type->is_string()) return std::string(type->get_string());
  if (!type->is_array()) return {};
  std::string found;
  for (const auto& one : type->get_array()) {
    if (!one.is_string() || one.get_string() == "null") continue;
    if (!found.empty()) return {};
    found = one.get_string();
  }
  return found;
}

bool is_scalar(const json::object& schema) {
  const auto type = single_type(schema);
  return type == "string" || type == "integer" || type == "number" || type == "boolean";
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<json::object> type(int depth) {
    auto left = postfixed(depth);
    if (!left) return std::nullopt;
    if (!at('|')) return left;
    json::array options{std::move(*left)};
    while (take('|')) {
      auto next = postfixed(depth);
      if (!next || options.size() >= kMostMembers) return std::nullopt;
      options.push_back(std::move(*next));
    }
    return either(std::move(options));
  }

  std::size_t used() const { return at_; }
  const std::string& special() const { return special_; }

 private:
  bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    if (!at(c)) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (at(' ')) ++at_;
  }
  std::string word() {
    const std::size_t from = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || (at_ > from && (is_digit(text_[at_]) || text_[at_] == '-')))) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  // Literals become one enum, single types one list of types; the rest anyOf.
  static json::object either(json::array options) {
    json::array values;
    json::array types;
    bool plain = true;
    bool literals = true;
    for (const auto& option : options) {
      const auto& schema = option.get_object();
      const auto* type = schema.if_contains("type");
      plain = plain && schema.size() == 1 && type && type->is_string();
      const auto* one = schema.if_contains("enum");
      const bool null = type && *type == "null";
      literals = literals && (one || null);
      if (one) values.insert(values.end(), one->get_array().begin(), one->get_array().end());
      if (null) values.emplace_back(nullptr);
      if (type && type->is_string() && std::find(types.begin(), types.end(), *type) == types.end()) types.push_back(*type);
    }
    if (literals) return {{"type", types.size() == 1 ? types[0] : json::value(types)}, {"enum", std::move(values)}};
    if (plain) return {{"type", types.size() == 1 ? types[0] : json::value(types)}};
    if (options.size() == 2 && options[1].get_object().size() == 1 && options[1].get_object().contains("type") &&
        options[1].get_object().at("type") == "null") {
      return nullable(std::move(options[0].get_object()));
    }
    return {{"anyOf", std::move(options)}};
  }

  static json::object nullable(json::object schema) {
    if (schema.empty()) return schema;
    auto* type = schema.if_contains("type");
    if (!type) return {{"anyOf", json::array{std::move(schema), typed("null")}}};
    if (type->is_string()) {
      *type = json::array{*type, "null"};
    } else if (std::find(type->get_array().begin(), type->get_array().end(), json::value("null")) == type->get_array().end()) {
      type->get_array().push_back("null");
    }
    if (auto* values = schema.if_contains("enum")) values->get_array().emplace_back(nullptr);
    return schema;
  }

  std::optional<json::object> postfixed(int depth) {
    auto inner = primary(depth);
    while (inner) {
      if (at('[') && at_ + 1 < text_.size() && text_[at_ + 1] == ']') {
        at_ += 2;
        inner = inner->empty() ? typed("array") : json::object{{"type", "array"}, {"items", std::move(*inner)}};
      } else if (take('?')) {
        inner = nullable(std::move(*inner));
      } else {
        break;
      }
    }
    return inner;
  }

  std::optional<json::object> primary(int depth) {
    if (depth > kMostDepth) return std::nullopt;
    if (at('\'') || at('"')) return literal();
    if (take('{')) return shape(depth);
    if (take('(')) {
      auto inner = type(depth + 1);
      if (!inner || !take(')')) return std::nullopt;
      return inner;
    }
    const std::string name = word();
    if (name == "string" || name == "str") return bounded(typed("string"), "minLength", "maxLength", true);
    if (name == "integer" || name == "int") return bounded(typed("integer"), "minimum", "maximum", true);
    if (name == "number" || name == "float") return bounded(typed("number"), "minimum", "maximum", false);
    if (name == "boolean" || name == "bool") return typed("boolean");
    if (name == "null" || name == "none") return typed("null");
    if (name == "any" || name == "json") return json::object{};
    if (name == "object") return typed("object");
    if (name == "array") return typed("array");
    if (name == "bytes") return json::object{{"type", "string"}, {"contentEncoding", "base64"}};
    if (name == "date" || name == "date-time" || name == "time" || name == "uuid" || name == "email" || name == "uri") {
      return json::object{{"type", "string"}, {"format", name}};
    }
    if (name == "map") {
      if (!take('<')) return typed("object");
      auto inner = type(depth + 1);
      if (!inner || !take('>')) return std::nullopt;
      return json::object{{"type", "object"}, {"additionalProperties", std::move(*inner)}};
    }
    if (depth == 0 && (name == "lines" || name == "status")) {
      special_ = name;
      return name == "lines" ? json::object{{"type", "array"}, {"items", typed("string")}} : typed("boolean");
    }
    return std::nullopt;
  }

  std::optional<json::object> literal() {
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return json::object{{"type", "string"}, {"enum", json::array{json::value(value)}}};
  }

  // `(a..b)`, `(a..)`, `(..b)`.
  std::optional<json::object> bounded(json::object schema, const char* least, const char* most, bool whole) {
    if (!take('(')) return schema;
    const std::size_t close = text_.find(')', at_);
    if (close == std::string_view::npos) return std::nullopt;
    const auto range = text_.substr(at_, close - at_);
    const std::size_t dots = range.find("..");
    if (dots == std::string_view::npos) return std::nullopt;
    for (const auto& [part, key] : {std::pair(range.substr(0, dots), least), std::pair(range.substr(dots + 2), most)}) {
      if (part.empty()) continue;
      auto value = parse_json(part);
      if (!value || !value->is_number() || (whole && value->is_double())) return std::nullopt;
      schema[key] = std::move(*value);
    }
    at_ = close + 1;
    return schema;
  }

  std::optional<json::object> shape(int depth) {
    json::object properties;
    json::array required;
    blanks();
    while (!take('}')) {
      const std::string name = word();
      if (name.empty() || properties.size() >= kMostMembers) return std::nullopt;
      const bool optional = take('?');
      blanks();
      if (!take(':')) return std::nullopt;
      blanks();
      auto inner = type(depth + 1);
      if (!inner) return std::nullopt;
      properties[name] = std::move(*inner);
      if (!optional) required.emplace_back(name);
      blanks();
      if (take(',')) {
        blanks();
      } else if (!at('}')) {
        return std::nullopt;
      }
    }
    json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) schema["required"] = std::move(required);
    schema["additionalProperties"] = false;
    return schema;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string special_;
};

}  // namespace

std::optional<ShellType> read_shell_type(std::string_view text, std::string_view& rest) {
  Reader reader(text);
  auto schema = reader.type(0);
  if (!schema) return std::nullopt;
  const std::size_t used = reader.used();
  if (used < text.size() && text[used] != ' ' && text[used] != '\t' && text[used] != '=') return std::nullopt;
  ShellType out;
  out.written = text.substr(0, used);
  const auto type = single_type(*schema);
  const auto* items = schema->if_contains("items");
  const auto* values = schema->if_contains("additionalProperties");
  if (type == "array" && items && is_scalar(items->get_object())) {
    out.form = "list";
  } else if (type == "object" && values && values->is_object() && is_scalar(values->get_object())) {
    out.form = "map";
  } else if (type == "string" || type == "integer" || type == "number" || type == "boolean") {
    out.form = "text";
  } else {
    out.form = "json";
  }
  if (!reader.special().empty()) {
    out.result = reader.special();
  } else if (type == "string") {
    out.result = schema->contains("contentEncoding") ? "bytes" : "text";
  } else if (type == "null" || (schema->contains("type") && schema->at("type") == "null")) {
    out.result = "none";
  } else {
    out.result = "json";
  }
  out.schema = std::move(*schema);
  rest = text.substr(used);
  return out;
}

}  // namespace sabir::schema

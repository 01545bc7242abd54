#include "examples.h"

#include <algorithm>
#include <cmath>

#include "sabir/schema/validator.h"

namespace sabir::serve {
namespace {

constexpr int kMostDepth = 12;
constexpr std::size_t kMostItems = 8;

class Maker {
 public:
  explicit Maker(const json::object& root) : root_(root) {}

  json::value make(const json::value& schema, std::string_view name, int depth) const {
    if (!schema.is_object() || depth > kMostDepth) return nullptr;
    const auto& object = schema.get_object();
    for (const char* key : {"const", "example", "default"}) {
      if (const auto* value = object.if_contains(key)) return *value;
    }
    for (const char* key : {"examples", "enum"}) {
      if (const auto* list = object.if_contains(key); list && list->is_array() && !list->get_array().empty()) return list->get_array().front();
    }
    if (const auto* ref = object.if_contains("$ref"); ref && ref->is_string()) {
      const auto* target = resolve(ref->get_string());
      return target ? make(*target, name, depth + 1) : json::value();
    }
    if (const auto* all = object.if_contains("allOf"); all && all->is_array()) {
      json::object merged;
      for (const auto& part : all->get_array()) {
        const auto one = make(part, name, depth + 1);
        if (!one.is_object()) return one;
        for (const auto& member : one.get_object()) merged[member.key()] = member.value();
      }
      return merged;
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      const auto* list = object.if_contains(key);
      if (!list || !list->is_array()) continue;
      for (const auto& one : list->get_array()) {
        if (one.is_object() && string_or(one.get_object(), "type") != "null") return make(one, name, depth + 1);
      }
    }
    return of_type(object, type_of(object), name, depth);
  }

 private:
  static std::string type_of(const json::object& object) {
    const auto* type = object.if_contains("type");
    if (type && type->is_string()) return std::string(type->get_string());
    if (type && type->is_array()) {
      for (const auto& one : type->get_array()) {
        if (one.is_string() && one.get_string() != "null") return std::string(one.get_string());
      }
    }
    if (object.contains("properties")) return "object";
    if (object.contains("items") || object.contains("prefixItems")) return "array";
    return type ? "null" : "string";
  }

  static std::optional<double> number(const json::object& object, const char* key) {
    const auto* value = object.if_contains(key);
    if (!value) return std::nullopt;
    if (value->is_int64()) return static_cast<double>(value->get_int64());
    if (value->is_uint64()) return static_cast<double>(value->get_uint64());
    if (value->is_double()) return value->get_double();
    return std::nullopt;
  }

  const json::value* resolve(std::string_view ref) const {
    if (ref == "#") return nullptr;
    if (!ref.starts_with("#/$defs/")) return nullptr;
    const auto* defs = root_.if_contains("$defs");
    return defs && defs->is_object() ? defs->get_object().if_contains(ref.substr(8)) : nullptr;
  }

  json::value of_type(const json::object& object, const std::string& type, std::string_view name, int depth) const {
    if (type == "boolean") return true;
    if (type == "integer" || type == "number") {
      const auto low = number(object, "minimum");
      const auto above = number(object, "exclusiveMinimum");
      const auto high = number(object, "maximum");
      const auto below = number(object, "exclusiveMaximum");
      double value = type == "integer" ? 1 : 1.5;
      if (low && value < *low) value = *low;
      if (above && value <= *above) value = std::floor(*above) + 1;
      if (high && value > *high) value = *high;
      if (below && value >= *below) value = std::ceil(*below) - 1;
      if (const auto step = number(object, "multipleOf"); step && *step > 0) value = std::ceil(value / *step) * *step;
      if (type == "integer") return static_cast<std::int64_t>(std::llround(value));
      return value;
    }
    if (type == "string") return text(object, name);
    if (type == "array") {
      json::array out;
      const auto* items = object.if_contains("items");
      if (const auto* first = object.if_contains("prefixItems"); first && first->is_array()) {
        for (const auto& one : first->get_array()) out.push_back(make(one, name, depth + 1));
      } else {
        const auto least = static_cast<std::size_t>(std::max(1.0, number(object, "minItems").value_or(1)));
        for (std::size_t i = 0; i < std::min(least, kMostItems); ++i) out.push_back(items ? make(*items, name, depth + 1) : json::value("text"));
      }
      return out;
    }
    if (type == "object") {
      json::object out;
      const auto* properties = object.if_contains("properties");
      const auto* required = object.if_contains("required");
      const auto is_required = [&](std::string_view key) {
        return required && required->is_array() &&
               std::any_of(required->get_array().begin(), required->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == key; });
      };
      if (properties && properties->is_object()) {
        for (const auto& member : properties->get_object()) {
          // What is nested deeply may be left out where it can be.
          if (depth > 4 && !is_required(member.key())) continue;
          out[member.key()] = make(member.value(), member.key(), depth + 1);
        }
      } else if (const auto* more = object.if_contains("additionalProperties"); more && more->is_object()) {
        out["key"] = make(*more, "key", depth + 1);
      }
      return out;
    }
    return nullptr;
  }

  static json::value text(const json::object& object, std::string_view name) {
    const auto format = string_or(object, "format");
    if (format == "date-time") return "2026-01-31T12:00:00Z";
    if (format == "date") return "2026-01-31";
    if (format == "time") return "12:00:00Z";
    if (format == "duration") return "PT1H";
    if (format == "email") return "ada@example.com";
    if (format == "uuid") return "7d444840-9dc0-11d1-b245-5ffdce74fad2";
    if (format == "uri" || format == "url") return "https://example.com/";
    if (format == "ipv4") return "192.0.2.1";
    if (format == "ipv6") return "2001:db8::1";
    if (format == "hostname") return "example.com";
    if (string_or(object, "contentEncoding") == "base64" || format == "byte" || format == "base64") return "dGV4dA==";
    std::string out = name.empty() ? "text" : std::string(name);
    const auto least = number(object, "minLength").value_or(0);
    const auto most = number(object, "maxLength").value_or(1e9);
    while (static_cast<double>(out.size()) < std::min(least, 1000.0)) out += "x";
    if (static_cast<double>(out.size()) > most) out.resize(static_cast<std::size_t>(most));
    return json::value(out);
  }

  const json::object& root_;
};

}  // namespace

std::optional<json::value> example_of(const json::object& schema) {
  auto made = Maker(schema).make(json::value(schema), {}, 0);
  const auto validator = schema::Validator::compile(schema);
  if (!validator || !validator->check(compact_json(made), ErrorCode::kInvalidArguments, "the example")) return std::nullopt;
  return made;
}

}  // namespace sabir::serve

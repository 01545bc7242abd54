#include "types.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace sabir::schema {

json::object of_type(std::string_view name) {
  json::object out;
  out["type"] = name;
  return out;
}

json::object array_of(json::object items) {
  json::object out = of_type("array");
  if (!items.empty()) out["items"] = std::move(items);
  return out;
}

json::object tuple_of(const std::vector<json::object>& items) {
  json::object out = of_type("array");
  json::array prefix;
  for (const auto& item : items) prefix.push_back(item);
  if (!prefix.empty()) out["prefixItems"] = std::move(prefix);
  out["minItems"] = items.size();
  out["maxItems"] = items.size();
  return out;
}

json::object map_of(json::object values) {
  json::object out = of_type("object");
  if (!values.empty()) out["additionalProperties"] = std::move(values);
  return out;
}

json::object bytes_schema() {
  json::object out = of_type("string");
  out["contentEncoding"] = "base64";
  return out;
}

json::object enum_of(const json::array& values) {
  json::object out;
  const auto all = [&](auto test) { return !values.empty() && std::all_of(values.begin(), values.end(), test); };
  if (all([](const json::value& v) { return v.is_string(); })) out["type"] = "string";
  if (all([](const json::value& v) { return v.is_int64() || v.is_uint64(); })) out["type"] = "integer";
  out["enum"] = values;
  return out;
}

json::object any_of(std::vector<json::object> choices) {
  std::vector<json::object> flat;
  for (auto& choice : choices) {
    if (choice.empty()) return {};
    if (choice.size() == 1 && choice.contains("anyOf")) {
      for (const auto& inner : choice["anyOf"].as_array()) flat.push_back(inner.as_object());
    } else {
      flat.push_back(std::move(choice));
    }
  }
  std::vector<json::object> unique;
  for (auto& choice : flat) {
    if (std::find(unique.begin(), unique.end(), choice) == unique.end()) unique.push_back(std::move(choice));
  }
  if (unique.size() == 1) return std::move(unique.front());
  const bool plain = std::all_of(unique.begin(), unique.end(), [](const json::object& choice) {
    return choice.size() == 1 && choice.contains("type");
  });
  if (plain) {
    json::array types;
    const auto add = [&](const json::value& type) {
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    };
    for (const auto& choice : unique) {
      const auto& type = choice.at("type");
      if (type.is_array()) {
        for (const auto& one : type.get_array()) add(one);
      } else {
        add(type);
      }
    }
    json::object out;
    out["type"] = std::move(types);
    return out;
  }
  json::array list;
  for (auto& choice : unique) list.push_back(std::move(choice));
  json::object out;
  out["anyOf"] = std::move(list);
  return out;
}

json::object nullable(json::object schema) {
  if (const auto* values = schema.if_contains("enum"); values && values->is_array()) {
    const auto& list = values->get_array();
    if (std::any_of(list.begin(), list.end(), [](const json::value& v) { return v.is_null(); })) return schema;
  }
  std::vector<json::object> choices;
  choices.push_back(std::move(schema));
  choices.push_back(of_type("null"));
  return any_of(std::move(choices));
}

void make_input_schema(FunctionSchema& function) {
  json::object properties;
  json::array required;
  bool open = false;
  json::object rest;
  for (const auto& parameter : function.parameters) {
    if (parameter.is_context) continue;
    if (parameter.kind == ParameterKind::kKeywordVariadic) {
      open = true;
      rest = parameter.schema;
      continue;
    }
    json::object property = parameter.schema;
    if (!parameter.doc.empty() && !property.contains("description")) property["description"] = parameter.doc;
    if (!parameter.required && !parameter.default_value.is_null()) property["default"] = parameter.default_value;
    properties[parameter.canonical] = std::move(property);
    if (parameter.required) required.push_back(json::string(parameter.canonical));
  }
  json::object schema = of_type("object");
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  if (!open) schema["additionalProperties"] = false;
  if (open && !rest.empty()) schema["additionalProperties"] = std::move(rest);
  function.input_schema = std::move(schema);
}

std::optional<json::value> number_literal(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '_' && c != '\'' && c != ' ') digits += c;
  }
  bool negative = false;
  std::string_view rest = digits;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  int base = 10;
  if (rest.size() > 2 && rest[0] == '0') {
    const char mark = static_cast<char>(std::tolower(static_cast<unsigned char>(rest[1])));
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base != 10) rest.remove_prefix(2);
  }
  std::uint64_t whole = 0;
  const char* const end = rest.data() + rest.size();
  const auto integer = std::from_chars(rest.data(), end, whole, base);
  if (integer.ec == std::errc() && integer.ptr == end && !rest.empty()) {
    if (!negative) {
      if (whole <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return static_cast<std::int64_t>(whole);
      return whole;
    }
    if (whole <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return -static_cast<std::int64_t>(whole);
  }
  if (base != 10) return std::nullopt;
  double number = 0;
  const auto real = std::from_chars(rest.data(), end, number);
  if (rest.empty() || real.ec != std::errc() || real.ptr != end || !std::isfinite(number)) return std::nullopt;
  return negative ? -number : number;
}

bool append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0U | (code >> 6U));
    put(0x80U | (code & 0x3fU));
  } else if (code < 0x10000) {
    put(0xe0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3fU));
    put(0x80U | (code & 0x3fU));
  } else {
    put(0xf0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3fU));
    put(0x80U | ((code >> 6U) & 0x3fU));
    put(0x80U | (code & 0x3fU));
  }
  return true;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace sabir::schema

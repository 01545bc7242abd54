#include "arguments.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::cli {
namespace {

constexpr std::size_t kMostInput = std::size_t{64} << 20U;

bool allows(const json::object& schema, std::string_view type) {
  const auto* own = schema.if_contains("type");
  if (!own) return false;
  if (own->is_string()) return std::string_view(own->get_string().data(), own->get_string().size()) == type;
  if (own->is_array()) {
    for (const auto& entry : own->get_array()) {
      if (entry.is_string() && std::string_view(entry.get_string().data(), entry.get_string().size()) == type) return true;
    }
  }
  return false;
}

Result<std::string> read_standard_input() {
  std::string text;
  char buffer[65536];
  while (true) {
    const auto n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > kMostInput) return fail(ErrorCode::kUsage, "standard input is larger than 64 MiB");
  }
  return text;
}

}  // namespace

Result<Word> split_word(const std::string& text) {
  const std::size_t equals = text.find('=');
  const bool raw = equals != std::string::npos && equals > 0 && text[equals - 1] == ':';
  const std::size_t name_end = raw ? equals - 1 : equals;
  if (equals == std::string::npos || name_end == 0) {
    return fail(ErrorCode::kUsage, "'" + text + "' is no argument", "Write name=value, or name:=JSON.");
  }
  return Word{text.substr(0, name_end), text.substr(equals + 1), raw};
}

json::value read_by_schema(const std::string& text, const json::object& schema) {
  std::vector<const json::object*> choices;
  for (const char* key : {"anyOf", "oneOf"}) {
    if (const auto* list = schema.if_contains(key); list && list->is_array()) {
      for (const auto& entry : list->get_array()) {
        if (entry.is_object()) choices.push_back(&entry.get_object());
      }
    }
  }
  if (!choices.empty()) {
    // What is no text comes first, so that 3 is a number where both are allowed.
    for (const bool text_last : {false, true}) {
      for (const auto* choice : choices) {
        if (allows(*choice, "string") != text_last) continue;
        auto value = read_by_schema(text, *choice);
        if (text_last || !value.is_string()) return value;
      }
    }
    return json::value(text);
  }
  auto parsed = parse_json(text);
  const bool typed = schema.contains("type") || schema.contains("enum") || schema.contains("const") || schema.contains("$ref");
  if (!typed) return parsed ? *parsed : json::value(text);
  if (parsed) {
    if (parsed->is_null() && allows(schema, "null")) return *parsed;
    if (parsed->is_bool() && allows(schema, "boolean")) return *parsed;
    if (parsed->is_number() && (allows(schema, "number") || allows(schema, "integer"))) return *parsed;
    if (parsed->is_array() && (allows(schema, "array") || schema.contains("$ref"))) return *parsed;
    if (parsed->is_object() && (allows(schema, "object") || schema.contains("$ref"))) return *parsed;
  }
  if (allows(schema, "boolean") && (text == "yes" || text == "no")) return json::value(text == "yes");
  if (const auto* list = schema.if_contains("enum"); list && list->is_array()) {
    for (const auto& entry : list->get_array()) {
      if (parsed && entry == *parsed) return *parsed;
    }
  }
  if (allows(schema, "array") && !allows(schema, "string") && !text.starts_with("[") && !text.starts_with("{")) {
    json::object items;
    if (const auto* own = schema.if_contains("items"); own && own->is_object()) items = own->get_object();
    json::array list;
    std::size_t begin = 0;
    while (begin <= text.size() && !text.empty()) {
      const std::size_t comma = std::min(text.find(',', begin), text.size());
      list.push_back(read_by_schema(std::string(trim(std::string_view(text).substr(begin, comma - begin))), items));
      begin = comma + 1;
    }
    return list;
  }
  return json::value(text);
}

namespace {

// The text that --args gives or names.
Result<std::string> whole_text(const std::string& whole) {
  if (whole != "-" && whole.front() != '@') return whole;
  auto read = whole == "-" ? read_standard_input() : read_file(whole.substr(1), kMostInput);
  if (!read) return fail(ErrorCode::kUsage, "--args: " + read.error().message);
  return std::move(*read);
}

}  // namespace

Result<std::string> read_arguments_text(const std::vector<std::string>& words, const std::string& whole, const json::object& properties) {
  std::string given = whole;
  if (!whole.empty()) {
    auto text = whole_text(whole);
    if (!text) return fail(std::move(text.error()));
    given = std::move(*text);
    if (given.empty() || given.front() == '@' || given == "-") return fail(ErrorCode::kUsage, "--args must be a JSON object");
  }
  auto arguments = read_arguments(words, given, properties);
  if (!arguments) return fail(std::move(arguments.error()));
  // Values whose text says more than the value that was read from it.
  std::map<std::string, std::string, std::less<>> exact;
  if (!given.empty()) {
    if (auto members = protocol::raw_members(given)) {
      for (const auto& member : *members) {
        if (protocol::has_long_integer(member.value)) exact[protocol::unquote("\"" + std::string(member.key) + "\"")] = member.value;
      }
    }
  }
  for (const auto& text : words) {
    const auto word = split_word(text);
    if (!word) continue;
    exact.erase(word->name);
    const auto* value = arguments->if_contains(word->name);
    const bool as_json = word->raw || (value && !value->is_string());
    if (as_json && protocol::check_json(word->value) && protocol::has_long_integer(word->value)) exact[word->name] = word->value;
  }
  if (exact.empty()) return json::serialize(*arguments);
  std::string out = "{";
  for (const auto& [name, value] : *arguments) {
    const auto found = exact.find(name);
    out += (out.size() > 1 ? "," : "") + protocol::quote(name) + ":" + (found != exact.end() ? found->second : json::serialize(value));
  }
  return out + "}";
}

Result<std::string> read_variables(const std::vector<std::string>& words, const std::string& whole, const json::object& front_matter) {
  json::error_code none;
  json::object properties;
  const json::value front(front_matter);
  if (const auto* own = front.find_pointer("/input/schema/properties", none); own != nullptr && own->is_object()) properties = own->get_object();
  return read_arguments_text(words, whole, properties);
}

Result<json::object> read_arguments(const std::vector<std::string>& words, const std::string& whole, const json::object& properties) {
  json::object arguments;
  if (!whole.empty()) {
    auto text = whole_text(whole);
    if (!text) return fail(std::move(text.error()));
    auto value = parse_json(*text);
    if (!value) return fail(ErrorCode::kUsage, "--args: " + value.error().message);
    if (!value->is_object()) return fail(ErrorCode::kUsage, "--args must be a JSON object");
    arguments = std::move(value->get_object());
  }
  for (const auto& text : words) {
    auto word = split_word(text);
    if (!word) return fail(std::move(word.error()));
    if (word->raw) {
      auto value = parse_json(word->value);
      if (!value) return fail(ErrorCode::kUsage, word->name + ":=… " + value.error().message, "For a plain text write " + word->name + "=" + word->value + ".");
      arguments[word->name] = std::move(*value);
      continue;
    }
    const auto* schema = properties.if_contains(word->name);
    if (!schema) schema = properties.if_contains(to_snake_case(word->name));
    arguments[word->name] = read_by_schema(word->value, schema && schema->is_object() ? schema->get_object() : json::object());
  }
  return arguments;
}

}  // namespace sabir::cli

#include "sabir/schema/described.h"

#include <algorithm>
#include <optional>
#include <set>

#include "doc.h"
#include "readers.h"
#include "sabir/base/text.h"
#include "sabir/schema/validator.h"
#include "types.h"

namespace sabir::schema {
namespace {

constexpr std::size_t kMostFunctions = 10'000;
constexpr std::size_t kMostParameters = 256;
constexpr int kMostUsualDepth = 32;
constexpr std::size_t kMostRemembered = 10'000;    // schemas
constexpr std::size_t kLongestRemembered = 4'096;  // bytes of one

int number_or_zero(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() && value->get_int64() > 0 && value->get_int64() < 100'000'000 ? static_cast<int>(value->get_int64()) : 0;
}

bool flag(const json::object& object, std::string_view key, bool otherwise = false) {
  const auto* value = object.if_contains(key);
  return value && value->is_bool() ? value->get_bool() : otherwise;
}

const json::array& list(const json::object& object, std::string_view key) {
  static const json::array empty;
  const auto* value = object.if_contains(key);
  return value && value->is_array() ? value->get_array() : empty;
}

std::optional<ParameterKind> kind_of(std::string_view name) {
  if (name.empty() || name == "positional") return ParameterKind::kPositional;
  if (name == "keyword") return ParameterKind::kKeyword;
  if (name == "variadic") return ParameterKind::kVariadic;
  if (name == "keyword_variadic") return ParameterKind::kKeywordVariadic;
  return std::nullopt;
}

bool is_whole(const json::value& value) { return value.is_int64() && value.get_int64() >= 0; }

// Surely a schema: of the usual keywords alone, each with a value of its kind. What is none of these may be one all the same.
bool is_usual_schema(const json::value& value, int depth) {
  if (value.is_bool()) return depth > 0;
  if (!value.is_object() || depth > kMostUsualDepth) return false;
  const auto are_schemas = [depth](const json::value& list) {
    return list.is_array() && !list.get_array().empty() &&
           std::all_of(list.get_array().begin(), list.get_array().end(), [depth](const auto& one) { return is_usual_schema(one, depth + 1); });
  };
  const auto are_names = [](const json::value& list) {
    if (!list.is_array()) return false;
    std::set<std::string_view> seen;
    return std::all_of(list.get_array().begin(), list.get_array().end(), [&seen](const auto& one) { return one.is_string() && seen.insert(one.get_string()).second; });
  };
  static const std::set<std::string_view> types = {"null", "boolean", "integer", "number", "string", "array", "object"};
  for (const auto& [key, one] : value.get_object()) {
    bool good = false;
    if (key == "type") {
      good = one.is_string() ? types.contains(one.get_string())
                             : are_names(one) && !one.get_array().empty() && std::all_of(one.get_array().begin(), one.get_array().end(), [](const auto& name) { return types.contains(name.get_string()); });
    } else if (key == "properties") {
      good = one.is_object() && std::all_of(one.get_object().begin(), one.get_object().end(), [depth](const auto& member) { return is_usual_schema(member.value(), depth + 1); });
    } else if (key == "items" || key == "additionalProperties") {
      good = is_usual_schema(one, depth + 1);
    } else if (key == "anyOf") {
      good = are_schemas(one);
    } else if (key == "required") {
      good = are_names(one);
    } else if (key == "enum") {
      good = are_names(one) && !one.get_array().empty();
    } else if (key == "minimum" || key == "maximum") {
      good = one.is_int64() || one.is_double();
    } else if (key == "minLength" || key == "maxLength" || key == "minItems" || key == "maxItems") {
      good = is_whole(one);
    } else if (key == "uniqueItems" || key == "deprecated") {
      good = one.is_bool();
    } else if (key == "title" || key == "description" || key == "contentEncoding") {
      good = one.is_string();
    } else if (key == "default") {
      good = true;
    }
    if (!good) return false;
  }
  return true;
}

// The member as a JSON Schema; nothing when it is none.
std::optional<json::object> schema_of(const json::object& object, SchemaChecks& checks) {
  const auto* value = object.if_contains("schema");
  if (!value || value->is_null()) return json::object{};
  if (!value->is_object() || !checks.is_schema(value->get_object())) return std::nullopt;
  return value->get_object();
}

Result<FunctionSchema> function_of(const json::object& entry, const std::string& file, SchemaChecks& checks) {
  const auto wrong = [&](const std::string& what) {
    return fail(Error(ErrorCode::kProtocol, "the describe program says of '" + std::string(string_or(entry, "name")) + "': " + what)
                    .at(file, number_or_zero(entry, "line")));
  };
  FunctionSchema function;
  function.name = string_or(entry, "name");
  if (function.name.empty()) return wrong("no name");
  function.canonical = to_snake_case(function.name);
  function.receiver = string_or(entry, "receiver");
  function.line = number_or_zero(entry, "line");
  plain_doc(string_or(entry, "doc")).apply(function);
  function.is_async = flag(entry, "async");
  function.is_generator = flag(entry, "generator");
  if (list(entry, "parameters").size() > kMostParameters) return wrong("more than " + std::to_string(kMostParameters) + " parameters");
  for (const auto& one : list(entry, "parameters")) {
    if (!one.is_object()) return wrong("a parameter that is no object");
    const auto& given = one.get_object();
    Parameter parameter;
    parameter.name = string_or(given, "name");
    if (parameter.name.empty()) return wrong("a parameter without a name");
    parameter.canonical = to_snake_case(parameter.name);
    const auto kind = kind_of(string_or(given, "kind"));
    if (!kind) return wrong("parameter '" + parameter.name + "' of unknown kind '" + std::string(string_or(given, "kind")) + "'");
    parameter.kind = *kind;
    parameter.doc = string_or(given, "doc");
    parameter.native_type = string_or(given, "type");
    parameter.is_context = flag(given, "context");
    parameter.required = flag(given, "required", true) && !parameter.is_context && parameter.kind != ParameterKind::kVariadic &&
                         parameter.kind != ParameterKind::kKeywordVariadic;
    parameter.unresolved = flag(given, "unresolved");
    auto schema = schema_of(given, checks);
    if (!schema) return wrong("the schema of parameter '" + parameter.name + "' is none");
    if (!parameter.is_context) parameter.schema = std::move(*schema);
    if (const auto* value = given.if_contains("default")) {
      parameter.default_value = *value;
      parameter.required = false;
    }
    function.parameters.push_back(std::move(parameter));
  }
  if (const auto* result = entry.if_contains("result"); result && result->is_object()) {
    auto schema = schema_of(result->get_object(), checks);
    if (!schema) return wrong("the schema of its result is none");
    function.output_schema = function.is_generator ? array_of(std::move(*schema)) : std::move(*schema);
    function.result_unresolved = flag(result->get_object(), "unresolved");
    function.native_return = string_or(result->get_object(), "type");
    function.return_doc = string_or(result->get_object(), "doc");
  }
  for (const auto& warning : list(entry, "warnings")) {
    if (warning.is_string()) function.warnings.emplace_back(warning.get_string());
  }
  make_input_schema(function);
  return function;
}

}  // namespace

bool SchemaChecks::is_schema(const json::object& object) {
  if (trust_ == Trust::kAll || is_usual_schema(object, 0)) return true;
  std::string text = json::serialize(object);
  if (known_.contains(text)) return true;
  if (!Validator::compile(object)) return false;
  if (known_.size() < kMostRemembered && text.size() <= kLongestRemembered) known_.insert(std::move(text));
  return true;
}

Result<Description> description_from_json(const json::value& value, const std::string& file) {
  SchemaChecks checks;
  return description_from_json(value, file, checks);
}

Result<Description> description_from_json(const json::value& value, const std::string& file, SchemaChecks& checks) {
  if (!value.is_object()) return fail(Error(ErrorCode::kProtocol, "the describe program's entry for this file is no object").at(file));
  const auto& entry = value.get_object();
  if (const auto* error = entry.if_contains("error"); error && error->is_object()) {
    const auto& told = error->get_object();
    std::string message(string_or(told, "message"));
    if (message.empty()) message = "it cannot be read";
    return fail(Error(ErrorCode::kLoadFailed, std::move(message)).at(file, number_or_zero(told, "line"), number_or_zero(told, "column")));
  }
  Description out;
  out.module_doc = string_or(entry, "module_doc");
  if (const auto* constants = entry.if_contains("constants"); constants && constants->is_object()) {
    for (const auto& member : constants->get_object()) out.constants[lower_case(member.key())] = member.value();
  }
  for (const auto& one : list(entry, "unavailable")) {
    if (!one.is_object()) continue;
    out.unavailable.push_back({std::string(string_or(one.get_object(), "name")), number_or_zero(one.get_object(), "line"),
                               std::string(string_or(one.get_object(), "reason", "the describe program gives no reason"))});
  }
  if (list(entry, "functions").size() > kMostFunctions) {
    return fail(Error(ErrorCode::kLimit, "more than " + std::to_string(kMostFunctions) + " functions in one file").at(file));
  }
  for (const auto& one : list(entry, "functions")) {
    if (!one.is_object()) return fail(Error(ErrorCode::kProtocol, "the describe program names a function that is no object").at(file));
    auto function = function_of(one.get_object(), file, checks);
    if (!function) return fail(std::move(function.error()));
    add_function(out, std::move(*function));
  }
  return out;
}

}  // namespace sabir::schema

#include "sabir/schema/function_schema.h"

#include <algorithm>

#include "readers.h"
#include "syntax.h"

namespace sabir::schema {

std::string_view effect_name(Effect effect) {
  switch (effect) {
    case Effect::kRead: return "read";
    case Effect::kWrite: return "write";
    case Effect::kIrreversible: return "irreversible";
  }
  return "write";
}

std::string_view parameter_kind_name(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::kPositional: return "positional";
    case ParameterKind::kKeyword: return "keyword";
    case ParameterKind::kVariadic: return "variadic";
    case ParameterKind::kKeywordVariadic: return "keyword_variadic";
  }
  return "positional";
}

json::object to_json(const FunctionSchema& function) {
  json::object out;
  out["name"] = function.name;
  if (function.canonical != function.name) out["canonical"] = function.canonical;
  if (!function.receiver.empty()) out["receiver"] = function.receiver;
  out["line"] = function.line;
  out["summary"] = function.summary;
  if (function.doc != function.summary) out["doc"] = function.doc;
  out["effect"] = effect_name(function.effect);
  if (function.idempotent) out["idempotent"] = true;
  if (!function.secrets.empty()) {
    json::array secrets;
    for (const auto& secret : function.secrets) secrets.push_back(json::string(secret));
    out["secrets"] = std::move(secrets);
  }
  if (function.timeout_ms > 0) out["timeout_ms"] = function.timeout_ms;
  if (function.concurrency > 0) out["concurrency"] = function.concurrency;
  if (function.retries > 0) out["retries"] = function.retries;
  if (function.is_async) out["async"] = true;
  if (function.is_generator) out["generator"] = true;
  json::array parameters;
  for (const auto& parameter : function.parameters) {
    json::object one;
    one["name"] = parameter.name;
    if (parameter.canonical != parameter.name) one["canonical"] = parameter.canonical;
    one["kind"] = parameter_kind_name(parameter.kind);
    if (parameter.is_context) one["context"] = true;
    else one["required"] = parameter.required;
    if (!parameter.native_type.empty()) one["native_type"] = parameter.native_type;
    parameters.push_back(std::move(one));
  }
  out["parameters"] = std::move(parameters);
  out["input_schema"] = function.input_schema;
  out["output_schema"] = function.output_schema;
  if (!function.return_doc.empty()) out["return_doc"] = function.return_doc;
  if (!function.native_return.empty()) out["native_return"] = function.native_return;
  if (!function.warnings.empty()) {
    json::array warnings;
    for (const auto& warning : function.warnings) warnings.push_back(json::string(warning));
    out["warnings"] = std::move(warnings);
  }
  return out;
}

json::object to_json(const Description& description) {
  json::object out;
  json::array functions;
  for (const auto& function : description.functions) functions.push_back(to_json(function));
  out["functions"] = std::move(functions);
  if (!description.unavailable.empty()) {
    json::array unavailable;
    for (const auto& one : description.unavailable) {
      json::object entry;
      entry["name"] = one.name;
      entry["line"] = one.line;
      entry["reason"] = one.reason;
      unavailable.push_back(std::move(entry));
    }
    out["unavailable"] = std::move(unavailable);
  }
  if (!description.module_doc.empty()) out["module_doc"] = description.module_doc;
  if (!description.constants.empty()) out["constants"] = description.constants;
  if (!description.depends.empty()) out["depends"] = json::value_from(description.depends);
  if (!description.types.empty()) out["types"] = description.types;
  return out;
}

void add_function(Description& description, FunctionSchema function, Written written) {
  const auto taken = std::find_if(description.functions.begin(), description.functions.end(), [&](const auto& other) {
    return other.canonical == function.canonical && (written == Written::kForTheProject || other.receiver == function.receiver);
  });
  if (taken != description.functions.end()) {
    description.unavailable.push_back({function.name, function.line, "the name '" + function.canonical +
        "' is taken by the definition in line " + std::to_string(taken->line)});
    return;
  }
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (function.parameters[i].canonical == function.parameters[k].canonical) {
        description.unavailable.push_back({function.name, function.line, "its parameters '" + function.parameters[k].name +
            "' and '" + function.parameters[i].name + "' have the same canonical name"});
        return;
      }
    }
  }
  description.functions.push_back(std::move(function));
}

Result<Description> describe(std::string_view grammar, std::string_view source, const std::string& file, const ReadOther& read_other, Written written) {
  // Of Java there is a reader of plain files alone.
  auto syntax = Syntax::parse(grammar == "java" ? "" : grammar, source, file);
  if (!syntax) return fail(std::move(syntax.error()));
  // Inside C++ bodies the compiler is the better judge: macros may stand there that only look like errors.
  Error error = (*syntax)->first_error(grammar == "cpp" ? "compound_statement" : "");
  if (!error.message.empty()) return fail(std::move(error));
  if (grammar == "python") return describe_python(**syntax, read_other);
  if (grammar == "ruby") return describe_ruby(**syntax, read_other, written);
  return describe_cpp(**syntax, read_other, written);
}

}  // namespace sabir::schema

#include "exec_file.h"

#include <sys/stat.h>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"

namespace sabir::adapter {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kLongest{20};
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;
constexpr std::size_t kMostSource = std::size_t{4} << 20U;

std::string stamp_of(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return std::to_string(status.st_size) + "-" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "-" +
         std::to_string(status.st_ino);
}

bool flag(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

// The schema's one type beside null.
std::string single_type(const json::object& schema, bool& nullable) {
  const auto* type = schema.if_contains("type");
  if (!type) return {};
  if (type->is_string()) {
    nullable = type->get_string() == "null";
    return std::string(type->get_string());
  }
  std::string found;
  bool several = false;
  if (type->is_array()) {
    for (const auto& one : type->get_array()) {
      if (!one.is_string()) continue;
      if (one.get_string() == "null") nullable = true;
      else if (!found.empty()) several = true;
      else found = one.get_string();
    }
  }
  return several ? std::string() : found;
}

const json::object& schema_in(const json::object& object) {
  static const json::object kAny;
  const auto* schema = object.if_contains("schema");
  return schema && schema->is_object() ? schema->get_object() : kAny;
}

Result<ExecFunction> function_of(const json::object& told) {
  ExecFunction function;
  function.name = string_or(told, "name");
  function.generator = flag(told, "generator");
  if (const auto* list = told.if_contains("parameters"); list && list->is_array()) {
    for (const auto& one : list->get_array()) {
      if (!one.is_object()) continue;
      const auto& given = one.get_object();
      if (flag(given, "context")) continue;  // every call has it in its environment
      const auto kind = string_or(given, "kind", "positional");
      ExecParameter parameter;
      parameter.name = string_or(given, "name");
      parameter.variadic = kind == "variadic";
      parameter.pass = string_or(given, "pass", kind == "keyword" ? "option" : kind == "keyword_variadic" ? "options" : "word");
      const auto* required = given.if_contains("required");
      parameter.required = !(required && required->is_bool() && !required->get_bool()) && !parameter.variadic && parameter.pass != "options";
      if (const auto* value = given.if_contains("default")) {
        parameter.fallback = compact_json(*value);
        parameter.required = false;
      }
      bool nullable = false;
      const auto& schema = schema_in(given);
      parameter.form = string_or(given, "form", single_type(schema, nullable) == "string" ? "text" : "json");
      if (!schema.empty()) {
        auto validator = schema::Validator::compile(schema);
        if (!validator) return fail(std::move(validator.error()));
        parameter.validator = std::make_shared<schema::Validator>(std::move(*validator));
      }
      function.parameters.push_back(std::move(parameter));
    }
  }
  if (const auto* result = told.if_contains("result"); result && result->is_object()) {
    const auto& schema = schema_in(result->get_object());
    function.result_type = single_type(schema, function.nullable);
    function.result = string_or(result->get_object(), "as", function.result_type == "string" ? "text" : "json");
  }
  return function;
}

}  // namespace

Result<const ExecFunction*> ExecFiles::find(const fs::path& root, const std::string& file, const std::string& function) {
  const std::string stamp = stamp_of(file);
  if (stamp.empty()) return fail(Error(ErrorCode::kLoadFailed, "there is no file " + file).at(file));
  auto known = files_.find(file);
  if (known == files_.end() || known->second.stamp != stamp) {
    auto functions = ask(root, file);
    if (!functions) return fail(std::move(functions.error()));
    known = files_.insert_or_assign(file, Known{stamp, std::move(*functions)}).first;
  }
  const auto found = known->second.functions.find(function);
  if (found == known->second.functions.end()) return fail(ErrorCode::kUnknownFunction, file + " has no function " + function);
  return &found->second;
}

Result<std::map<std::string, ExecFunction>> ExecFiles::ask(const fs::path& root, const std::string& file) const {
  auto source = read_file(file, kMostSource);
  if (!source) return fail(Error(ErrorCode::kLoadFailed, source.error().message).at(file));
  process::SpawnSpec spec;
  spec.argv = languages::filled(language_.describe, languages::usual_values(language_, root, interpreter_));
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
  spec.directory = root;
  spec.input = compact_json(json::object{{"version", 1}, {"files", json::array{json::object{{"path", file}, {"source", *source}}}}});
  spec.separate_errors = true;
  auto run = process::run(std::move(spec), kLongest, kMostAnswer);
  if (!run) return fail(std::move(run.error()));
  const std::string what = "the describe program of " + language_.name;
  if (run->timed_out) return fail(ErrorCode::kTimeout, what + " took more than " + std::to_string(kLongest.count()) + " s");
  auto answer = parse_json(run->output);
  const auto* files = answer && answer->is_object() ? answer->get_object().if_contains("files") : nullptr;
  if (run->status.code != 0 || !files || !files->is_array() || files->get_array().size() != 1 || !files->get_array()[0].is_object()) {
    return fail(Error(ErrorCode::kUnavailable, what + " " + (run->status.code != 0 ? run->status.text() : "gave no answer")).with_detail(run->errors));
  }
  const auto& told = files->get_array()[0].get_object();
  if (const auto* error = told.if_contains("error"); error && error->is_object()) {
    const auto* line = error->get_object().if_contains("line");
    return fail(Error(ErrorCode::kLoadFailed, std::string(string_or(error->get_object(), "message", "it cannot be read")))
                    .at(file, line && line->is_int64() ? static_cast<int>(line->get_int64()) : 0));
  }
  std::map<std::string, ExecFunction> functions;
  if (const auto* list = told.if_contains("functions"); list && list->is_array()) {
    for (const auto& one : list->get_array()) {
      if (!one.is_object()) continue;
      auto function = function_of(one.get_object());
      if (!function) return fail(std::move(function.error()));
      const std::string name = function->name;
      functions.try_emplace(name, std::move(*function));
    }
  }
  return functions;
}

}  // namespace sabir::adapter

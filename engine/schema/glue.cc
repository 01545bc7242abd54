#include "sabir/schema/glue.h"

#include "sabir/base/text.h"

namespace sabir::schema {

std::string glue_input(const Description& description, const std::string& path, const std::string& module) {
  json::array functions;
  for (const auto& function : description.functions) {
    json::object one;
    one["name"] = function.name;
    one["name_literal"] = json::serialize(json::string(function.name));
    one["receiver"] = function.receiver;
    one["call"] = "::" + (function.receiver.empty() ? "" : function.receiver + "::") + function.name;
    one["returns"] = function.native_return != "void";
    one["yields"] = function.is_generator;
    bool watched = false;
    one["line"] = function.line;
    json::array parameters;
    for (const auto& parameter : function.parameters) {
      json::object p;
      p["name"] = parameter.name;
      p["type"] = parameter.native_type;
      p["required"] = parameter.required;
      p["default"] = parameter.native_default;
      p["is_context"] = parameter.is_context;
      p["filled_with"] = parameter.is_context && parameter.filled_with.empty() ? "context" : parameter.filled_with;
      watched = watched || !parameter.filled_with.empty();
      parameters.push_back(std::move(p));
    }
    one["parameters"] = std::move(parameters);
    one["watched"] = watched;
    functions.push_back(std::move(one));
  }
  json::object source;
  source["path"] = path;
  source["path_literal"] = json::serialize(json::string(path));
  source["module"] = module;
  source["types"] = description.types;
  // Files by a number that is the same wherever they are included.
  json::array defines;
  for (const auto& definition : description.defines) {
    json::object one;
    one["name"] = definition.at("name");
    one["file"] = fingerprint(std::string_view(definition.at("file").as_string()));
    defines.push_back(std::move(one));
  }
  source["defines"] = std::move(defines);
  source["functions"] = std::move(functions);
  json::array sources;
  sources.push_back(std::move(source));
  json::object out;
  out["sources"] = std::move(sources);
  return json::serialize(out);
}

}  // namespace sabir::schema

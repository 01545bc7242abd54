#include "bind.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::functions {
namespace {
using schema::ParameterKind;

std::string object_of(const std::vector<std::pair<std::string, std::string_view>>& members) {
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    protocol::append_quoted(out, key);
    out += ':';
    out += value;
  }
  return out + "}";
}

// The first token of a JSON Pointer, unescaped.
std::string first_token(const std::string& pointer) {
  std::string out;
  for (std::size_t i = 1; i < pointer.size() && pointer[i] != '/'; ++i) {
    if (pointer[i] == '~' && i + 1 < pointer.size()) {
      out += pointer[++i] == '1' ? '/' : '~';
    } else {
      out += pointer[i];
    }
  }
  return out;
}

std::string rest_of(const std::string& pointer) {
  const std::size_t slash = pointer.find('/', 1);
  return slash == std::string::npos ? std::string() : pointer.substr(slash);
}

}  // namespace

std::string binding_of(const schema::FunctionSchema& function, const std::vector<const schema::Parameter*>& present) {
  std::vector<std::string> positional;
  std::string variadic;
  std::string keyword_variadic;
  const schema::Parameter* gap = nullptr;
  for (const auto& parameter : function.parameters) {
    if (parameter.is_context) continue;
    const bool here = std::find(present.begin(), present.end(), &parameter) != present.end();
    if (parameter.kind == ParameterKind::kPositional) {
      if (!here) {
        if (!gap) gap = &parameter;
      } else if (!gap) {
        positional.push_back(parameter.name);
      }
    } else if (parameter.kind == ParameterKind::kVariadic && here) {
      variadic = parameter.name;
    } else if (parameter.kind == ParameterKind::kKeywordVariadic) {
      keyword_variadic = parameter.name;
    }
  }
  std::string binding = "\"positional\":[";
  for (const auto& name : positional) {
    if (&name != &positional.front()) binding += ',';
    protocol::append_quoted(binding, name);
  }
  binding += ']';
  std::string build;
  for (const auto* parameter : present) {
    if (parameter->build.is_null()) continue;
    build += build.empty() ? ",\"build\":{" : ",";
    protocol::append_quoted(build, parameter->name);
    build += ":" + json::serialize(parameter->build);
  }
  if (!build.empty()) binding += build + "}";
  if (!variadic.empty()) binding += ",\"variadic\":" + protocol::quote(variadic);
  if (!keyword_variadic.empty()) binding += ",\"keyword_variadic\":" + protocol::quote(keyword_variadic);
  return binding;
}

Result<Bound> bind(const schema::FunctionSchema& function, protocol::Payload arguments) {
  auto members = protocol::raw_members(arguments.json);
  if (!members) {
    return fail(ErrorCode::kInvalidArguments, "the arguments are not a JSON object: " + members.error().message,
                R"(Write them as {"name": value}.)");
  }
  bool as_written = true;
  std::vector<std::pair<std::string, std::string_view>> canonical;
  std::vector<std::pair<std::string, std::string_view>> native;
  std::vector<const schema::Parameter*> present;
  for (const auto& [raw_key, value] : *members) {
    const std::string key = raw_key.find('\\') == std::string_view::npos ? std::string(raw_key)
                                                                         : protocol::unquote("\"" + std::string(raw_key) + "\"");
    const auto match = std::find_if(function.parameters.begin(), function.parameters.end(), [&](const auto& p) {
      return !p.is_context && (p.canonical == key || p.name == key || p.canonical == to_snake_case(key));
    });
    if (match == function.parameters.end()) {
      canonical.emplace_back(key, value);
      native.emplace_back(key, value);
      continue;
    }
    if (std::find(present.begin(), present.end(), &*match) != present.end()) {
      return fail(ErrorCode::kInvalidArguments, "the argument '" + match->canonical + "' is given twice");
    }
    present.push_back(&*match);
    as_written = as_written && key == match->canonical && key == match->name;
    canonical.emplace_back(match->canonical, value);
    native.emplace_back(match->name, value);
  }

  Bound bound;
  bound.binding = binding_of(function, present);

  if (as_written) {
    bound.same = true;
    bound.native = std::move(arguments);
    return bound;
  }
  bound.canonical.json = object_of(canonical);
  bound.native.json = object_of(native);
  for (const auto& blob : arguments.blobs) {
    const std::string key = first_token(blob.at);
    std::string canonical_key = key;
    std::string native_key = key;
    for (const auto* parameter : present) {
      if (parameter->canonical == key || parameter->name == key || parameter->canonical == to_snake_case(key)) {
        canonical_key = parameter->canonical;
        native_key = parameter->name;
      }
    }
    bound.canonical.blobs.push_back({"/" + canonical_key + rest_of(blob.at), blob.bytes, blob.data});
    bound.native.blobs.push_back({"/" + native_key + rest_of(blob.at), blob.bytes, blob.data});
  }
  return bound;
}

}  // namespace sabir::functions

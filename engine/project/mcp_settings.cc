#include <algorithm>

#include "shape.h"

namespace sabir::project {
namespace {

constexpr std::size_t kMost = 1000;

using Read = Result<void>;

bool is_header_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

Result<const json::object*> mapping(const json::value& value, const Shape& shape, const std::string& at, const std::string& example) {
  if (!value.is_object()) return fail(shape.wrong(at, at.substr(at.rfind('/') + 1) + " must be a mapping, not " + kind_of(value), "Write " + example + "."));
  if (value.get_object().size() > kMost) return fail(shape.wrong(at, "that are more than " + std::to_string(kMost)));
  return &value.get_object();
}

Read read_text(const json::object& object, const char* key, const Shape& shape, const std::string& at, std::string& out) {
  const auto* value = object.if_contains(key);
  if (!value) return {};
  auto text = shape.text(*value, at + "/" + key);
  if (!text) return fail(std::move(text.error()));
  out = std::move(*text);
  return {};
}

Read read_resource(std::string_view uri, const json::value& value, const Shape& shape, const std::string& at, McpSettings& out) {
  McpResource resource;
  resource.uri = uri;
  if (resource.uri.find(':') == std::string::npos) return fail(shape.wrong(at, "'" + resource.uri + "' is no URI", "Write one such as orders://{id}."));
  if (resource.uri.starts_with("sabir://")) return fail(shape.wrong(at, "URIs that begin with sabir:// are the engine's own", "Choose another scheme."));
  if (value.is_string()) {
    auto text = shape.text(value, at);
    if (!text) return fail(std::move(text.error()));
    resource.function = std::move(*text);
  } else {
    auto object = mapping(value, shape, at, "{function: orders.as_text, type: text/plain}");
    if (!object) return fail(std::move(object.error()));
    if (!(*object)->contains("function")) return fail(shape.wrong(at, "the key 'function' is missing", "Name the function that gives the contents."));
    for (const auto& [key, target] : {std::pair("function", &resource.function), std::pair("title", &resource.title), std::pair("description", &resource.description),
                                      std::pair("type", &resource.media_type)}) {
      if (auto ok = read_text(**object, key, shape, at, *target); !ok) return ok;
    }
  }
  out.resources.push_back(std::move(resource));
  return {};
}

}  // namespace

Result<void> read_mcp(const json::value* value, const Shape& shape, Project& project) {
  if (!value) return {};
  McpSettings& out = project.mcp;
  const std::string at = "/mcp";
  auto object = mapping(*value, shape, at, "mcp: {instructions: …}");
  if (!object) return fail(std::move(object.error()));
  if (auto ok = read_text(**object, "title", shape, at, out.title); !ok) return ok;
  if (auto ok = read_text(**object, "instructions", shape, at, out.instructions); !ok) return ok;
  std::string irreversible = "ask";
  if (auto ok = read_text(**object, "irreversible", shape, at, irreversible); !ok) return ok;
  if (irreversible != "ask" && irreversible != "client") {
    return fail(shape.wrong(at + "/irreversible", "irreversible cannot be '" + irreversible + "'", "ask: a person is asked before each such call. client: the client asks by itself."));
  }
  out.asks = irreversible == "ask";
  if (const auto* memory = (*object)->if_contains("memory")) {
    auto names = shape.texts(*memory, at + "/memory");
    if (!names) return fail(std::move(names.error()));
    out.memory = std::move(*names);
  }
  if (const auto* prompts = (*object)->if_contains("prompts")) {
    auto list = mapping(*prompts, shape, at + "/prompts", "prompts: {review: prompts.review}");
    if (!list) return fail(std::move(list.error()));
    for (const auto& one : **list) {
      auto function = shape.text(one.value(), at + "/prompts/" + escape_pointer(one.key()));
      if (!function) return fail(std::move(function.error()));
      out.prompts.emplace_back(one.key(), std::move(*function));
    }
  }
  if (const auto* resources = (*object)->if_contains("resources")) {
    auto list = mapping(*resources, shape, at + "/resources", "resources: {\"orders://{id}\": orders.as_text}");
    if (!list) return fail(std::move(list.error()));
    for (const auto& one : **list) {
      if (auto ok = read_resource(one.key(), one.value(), shape, at + "/resources/" + escape_pointer(one.key()), out); !ok) return ok;
    }
  }
  if (const auto* headers = (*object)->if_contains("headers")) {
    auto list = mapping(*headers, shape, at + "/headers", "headers: {orders.find: {region: Region}}");
    if (!list) return fail(std::move(list.error()));
    for (const auto& one : **list) {
      const std::string pointer = at + "/headers/" + escape_pointer(one.key());
      auto parameters = mapping(one.value(), shape, pointer, "orders.find: {region: Region}");
      if (!parameters) return fail(std::move(parameters.error()));
      for (const auto& parameter : **parameters) {
        auto header = shape.text(parameter.value(), pointer + "/" + escape_pointer(parameter.key()));
        if (!header) return fail(std::move(header.error()));
        if (!is_header_name(*header)) return fail(shape.wrong(pointer + "/" + escape_pointer(parameter.key()), "'" + *header + "' cannot be part of a header's name", "Use letters, digits, '-' and '_'; it becomes Mcp-Param-NAME."));
        out.headers[one.key()][parameter.key()] = std::move(*header);
      }
    }
  }
  return {};
}

}  // namespace sabir::project

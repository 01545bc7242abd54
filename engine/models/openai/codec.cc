#include "openai/codec.h"

#include "sabir/net/http_client.h"

namespace sabir::models {

bool is_openai_host(const std::string& base_url) {
  const std::string host = net::host_and_port(base_url);
  return host == "api.openai.com:443" || host.ends_with(".api.openai.com:443");
}

std::unique_ptr<Codec> make_codec(OpenAiApi api) {
  return api == OpenAiApi::kChat ? make_chat_codec() : make_responses_codec();
}

Error provider_error(const json::value& error) {
  if (error.is_string()) return Error(ErrorCode::kModel, std::string(error.get_string()));
  if (!error.is_object()) return Error(ErrorCode::kModel, "an error without a message");
  const auto& object = error.get_object();
  std::string message(string_or(object, "message", "an error without a message"));
  json::object data;
  for (const char* key : {"code", "type", "param"}) {
    if (const auto* value = object.if_contains(key); value != nullptr && !value->is_null()) {
      data[std::string("provider_") + key] = *value;
    }
  }
  return Error(ErrorCode::kModel, std::move(message)).with_data(json::serialize(data));
}

std::string content_text(const json::value* content) {
  if (content == nullptr) return {};
  if (content->is_string()) return std::string(content->get_string());
  std::string text;
  if (content->is_array()) {
    for (const auto& part : content->get_array()) {
      if (part.is_string()) text += std::string_view(part.get_string());
      if (part.is_object()) text += string_or(part.get_object(), "text");
    }
  }
  return text;
}

bool fits_strict_mode(const json::value& schema) {
  if (schema.is_array()) {
    for (const auto& item : schema.get_array()) {
      if (!fits_strict_mode(item)) return false;
    }
    return true;
  }
  if (!schema.is_object()) return true;
  const auto& object = schema.get_object();
  const auto* properties = object.if_contains("properties");
  if (string_or(object, "type") == "object" || properties != nullptr) {
    const auto* closed = object.if_contains("additionalProperties");
    if (closed == nullptr || !closed->is_bool() || closed->get_bool()) return false;
    if (properties != nullptr && properties->is_object()) {
      const auto* required = object.if_contains("required");
      if (required == nullptr || !required->is_array()) return properties->get_object().empty();
      for (const auto& property : properties->get_object()) {
        bool found = false;
        for (const auto& name : required->get_array()) found = found || (name.is_string() && name.get_string() == property.key());
        if (!found || !fits_strict_mode(property.value())) return false;
      }
    }
  }
  for (const auto& member : object) {
    const auto key = member.key();
    if (key == "items" || key == "anyOf" || key == "$defs" || key == "prefixItems") {
      if (key == "$defs" && member.value().is_object()) {
        for (const auto& definition : member.value().get_object()) {
          if (!fits_strict_mode(definition.value())) return false;
        }
      } else if (!fits_strict_mode(member.value())) {
        return false;
      }
    }
    // Keywords that strict mode does not take.
    if (key == "oneOf" || key == "allOf" || key == "not" || key == "if" || key == "patternProperties" || key == "default") {
      return false;
    }
  }
  return true;
}

json::object merged_parameters(const Request& request, const OpenAiOptions& options) {
  json::object merged = options.parameters;
  for (const auto& member : request.parameters) merged[member.key()] = member.value();
  return merged;
}

Result<json::object> event_object(const net::SseEvent& event) {
  auto value = parse_json(event.data);
  if (!value || !value->is_object()) {
    return fail(ErrorCode::kModel, "the stream holds an event that is not a JSON object: " + event.data.substr(0, 200));
  }
  return std::move(value->get_object());
}

std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return otherwise;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
  return otherwise;
}

}  // namespace sabir::models

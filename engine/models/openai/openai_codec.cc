#include "openai/openai_codec.h"

#include "sabir/net/http_client.h"

namespace sabir::models {

bool is_openai_host(const std::string& base_url) {
  const std::string host = net::host_and_port(base_url);
  return host == "api.openai.com:443" || host.ends_with(".api.openai.com:443");
}

std::unique_ptr<Codec> make_codec(OpenAiApi api) {
  return api == OpenAiApi::kChat ? make_chat_codec() : make_responses_codec();
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

}  // namespace sabir::models

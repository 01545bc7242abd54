#include "http/codec.h"

#include "failure.h"
#include "sabir/base/text.h"

namespace sabir::models {

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
  Error out = Error(ErrorCode::kModel, std::move(message)).with_data(data.empty() ? std::string() : json::serialize(data));
  const auto code = string_or(object, "code");
  const auto type = string_or(object, "type");
  const auto either = [&](std::string_view name) { return code == name || type == name; };
  Failure failure;
  if (tells_of_overflow(out.message, code.empty() ? type : code) || type == "exceed_context_size_error") {
    failure.reason = Reason::kContextOverflow;
  } else if (either("insufficient_quota") || either("billing_error") || out.message.find("credit balance is too low") != std::string::npos) {
    failure.reason = Reason::kQuota;
  } else if (either("rate_limit_exceeded") || either("rate_limit_error")) {
    failure.reason = Reason::kRateLimited;
  } else if (either("server_error") || either("overloaded_error") || either("api_error") || either("timeout_error")) {
    failure.reason = Reason::kServerFault;
  }
  if (failure.reason != Reason::kOther) add_failure(out, failure);
  return out;
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

Result<std::optional<Image>> image_of(const json::object& part) {
  if (string_or(part, "type") != "image_url") return std::nullopt;
  Image image;
  if (const auto* url = part.if_contains("image_url"); url != nullptr && url->is_object()) {
    image.url = string_or(url->get_object(), "url");
    image.detail = string_or(url->get_object(), "detail");
  } else if (url != nullptr && url->is_string()) {
    image.url = std::string(url->get_string());
  }
  if (image.url.starts_with("https://") || image.url.starts_with("http://")) return image;
  const std::string hint = "Give {\"type\": \"image_url\", \"image_url\": {\"url\": \"https://…\"}}, or \"data:image/png;base64,…\" for a picture of your own.";
  if (!image.url.starts_with("data:")) {
    return fail(ErrorCode::kInvalidArguments, "a picture's url is '" + image.url.substr(0, 60) + "', which is neither an address nor data", hint);
  }
  const std::string_view rest = std::string_view(image.url).substr(5);
  const std::size_t comma = rest.find(',');
  const std::string_view head = rest.substr(0, comma);
  if (comma == std::string_view::npos || !head.starts_with("image/") || !head.ends_with(";base64")) {
    return fail(ErrorCode::kInvalidArguments, "a picture's data: URL is not data:image/…;base64,…", hint);
  }
  image.media_type = head.substr(0, head.find(';'));
  image.data = rest.substr(comma + 1);
  if (image.data.empty() || image.data.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != std::string::npos) {
    return fail(ErrorCode::kInvalidArguments, "a picture's data: URL holds no base64", hint);
  }
  return image;
}

std::string schema_instruction(const json::object& schema) {
  return "Answer with one JSON value and nothing else: no explanation, no code fence. It must fit this JSON Schema:\n" + json::serialize(schema);
}

json::object merged_parameters(const Request& request, const Endpoint& endpoint) {
  json::object merged = endpoint.parameters;
  for (const auto& member : request.parameters) merged[member.key()] = member.value();
  return merged;
}

std::string excerpt(std::string_view text) {
  if (text.starts_with('<')) return "it is a page of HTML or XML";
  std::string out(text.substr(0, 200));
  if (const auto bad = find_invalid_utf8(out); bad != std::string::npos) out.resize(bad);
  return out.empty() && !text.empty() ? "bytes that are no text" : out;
}

Result<json::object> event_object(const net::SseEvent& event) {
  auto value = parse_json(event.data);
  if (!value || !value->is_object()) {
    return fail(ErrorCode::kModel, "the stream holds an event that is not a JSON object: " + excerpt(event.data));
  }
  return std::move(value->get_object());
}

std::int64_t details_of(const json::object& object, std::string_view details, std::string_view key, std::int64_t otherwise) {
  const auto* inner = object.if_contains(details);
  return inner != nullptr && inner->is_object() ? int_or(inner->get_object(), key, otherwise) : otherwise;
}

std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return otherwise;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
  return otherwise;
}

}  // namespace sabir::models

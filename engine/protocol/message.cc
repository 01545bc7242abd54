#include "sabir/protocol/message.h"

#include <charconv>

#include "sabir/base/json.h"

namespace sabir::protocol {
namespace {
Error broken(std::string message, int rpc) {
  return Error(ErrorCode::kProtocol, std::move(message)).with_data("{\"rpc\":" + std::to_string(rpc) + "}");
}

int rpc_code(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArguments:
      return -32602;
    case ErrorCode::kProtocol:
      return -32600;
    default:
      return -32000;
  }
}
}  // namespace

std::optional<std::int64_t> Message::number() const {
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(id.data(), id.data() + id.size(), value);
  if (id.empty() || ec != std::errc() || end != id.data() + id.size()) return std::nullopt;
  return value;
}

Result<Message> parse_message(std::string_view text) {
  auto members = raw_members(text);
  if (!members) {
    const bool is_json = check_json(text).has_value();
    return fail(broken(is_json ? "the frame's JSON is not an object" : members.error().message, is_json ? -32600 : -32700));
  }
  Message message;
  bool versioned = false;
  bool has_result = false;
  for (const auto& [key, value] : *members) {
    if (key == "jsonrpc") versioned = value == "\"2.0\"";
    if (key == "id") message.id = value;
    if (key == "method" && value.size() >= 2 && value.front() == '"') message.method = value.substr(1, value.size() - 2);
    if (key == "params") message.params = value;
    if (key == "result") {
      message.result = value;
      has_result = true;
    }
    if (key == "error") message.error = value;
  }
  if (!versioned) return fail(broken("no \"jsonrpc\": \"2.0\" in the message", -32600));
  if (!message.params.empty() && message.params.front() != '{') {
    // A request that can be answered is: by its id.
    if (message.method.empty() || message.id.empty()) return fail(broken("params is not an object", -32600));
    message.params_fit = false;
  }
  if (!message.method.empty()) {
    message.kind = message.id.empty() ? MessageKind::kNotification : MessageKind::kRequest;
    if (message.kind == MessageKind::kRequest && (message.id.front() == '{' || message.id.front() == '[')) {
      return fail(broken("id is neither a number nor a string", -32600));
    }
  } else if (!message.id.empty() && (has_result != !message.error.empty())) {
    if (!message.error.empty() && message.error.front() != '{') return fail(broken("error is not an object", -32600));
    message.kind = MessageKind::kResponse;
  } else {
    return fail(broken("neither a request, a response nor a notification", -32600));
  }
  return message;
}

void append_request(std::string& out, std::int64_t id, std::string_view method, std::string_view params) {
  char number[24];
  const auto [end, ec] = std::to_chars(number, number + sizeof number, id);
  out += "{\"jsonrpc\":\"2.0\",\"id\":";
  out.append(number, end);
  out += ",\"method\":\"";
  out += method;
  out += "\",\"params\":";
  out += params.empty() ? "{}" : params;
  out += '}';
}

void append_notification(std::string& out, std::string_view method, std::string_view params) {
  out += "{\"jsonrpc\":\"2.0\",\"method\":\"";
  out += method;
  out += "\",\"params\":";
  out += params.empty() ? "{}" : params;
  out += '}';
}

void append_response(std::string& out, std::string_view id, std::string_view result) {
  out += "{\"jsonrpc\":\"2.0\",\"id\":";
  out += id;
  out += ",\"result\":";
  out += result.empty() ? "null" : result;
  out += '}';
}

std::string make_request(std::int64_t id, std::string_view method, std::string_view params) {
  std::string out;
  append_request(out, id, method, params);
  return out;
}

std::string make_notification(std::string_view method, std::string_view params) {
  std::string out;
  append_notification(out, method, params);
  return out;
}

std::string make_response(std::string_view id, std::string_view result) {
  std::string out;
  append_response(out, id, result);
  return out;
}

std::string make_error(std::string_view id, const Error& error) {
  json::object data = to_json(error);
  data.erase("message");
  data.erase("rpc");
  int code = rpc_code(error);
  if (auto extra = error.data.empty() ? Result<json::value>(json::value()) : parse_json(error.data);
      extra && extra->is_object()) {
    if (const auto* rpc = extra->get_object().if_contains("rpc"); rpc && rpc->is_int64()) {
      code = static_cast<int>(rpc->get_int64());
      if (code == -32601) data["type"] = "unknown_method";
    }
  }
  const json::object object{{"code", code}, {"message", error.message}, {"data", std::move(data)}};
  std::string out = "{\"jsonrpc\":\"2.0\",\"id\":";
  out += id.empty() ? "null" : id;
  out += ",\"error\":" + json::serialize(object) + "}";
  return out;
}

Error error_of(std::string_view error_object) {
  auto value = parse_json(error_object);
  if (!value || !value->is_object()) return Error(ErrorCode::kProtocol, "the peer's error is not an object");
  const auto& object = value->get_object();
  json::object flat;
  std::string detail;
  if (const auto* data = object.if_contains("data"); data && data->is_object()) {
    flat = data->get_object();
    detail = string_or(flat, "traceback");
    flat.erase("traceback");
  }
  flat["message"] = string_or(object, "message", "unknown error");
  if (!flat.contains("type")) {
    const auto* code = object.if_contains("code");
    const std::int64_t number = code && code->is_int64() ? code->get_int64() : 0;
    flat["type"] = number == -32602 ? "invalid_arguments" : number == -32601 || number == -32600 ? "protocol" : "internal";
  } else if (string_or(flat, "type") == "unknown_method") {
    flat["type"] = "protocol";
  }
  return error_from_json(flat).with_detail(std::move(detail));
}

}  // namespace sabir::protocol

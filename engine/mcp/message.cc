#include "sabir/mcp/message.h"

#include <algorithm>

#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

bool is_id(std::string_view raw) {
  if (raw.empty() || raw.size() > 1024) return false;
  if (raw.front() == '"') return true;
  const auto digits = raw.substr(raw.front() == '-' ? 1 : 0);
  return !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::unexpected<Unreadable> unreadable(int code, std::string message, std::string id = {}) {
  return std::unexpected<Unreadable>({{code, std::move(message), {}}, std::move(id)});
}

}  // namespace

std::expected<Message, Unreadable> read_message(std::string_view text) {
  if (text.size() > kMostMessage) return unreadable(kInvalidRequest, "the message is larger than 64 MiB");
  if (auto valid = protocol::check_json(text); !valid) return unreadable(kParseError, "the message is not JSON: " + valid.error().message);
  const auto members = protocol::raw_members(text);
  if (!members) return unreadable(kInvalidRequest, "a message is one JSON object; batches are not part of these revisions");
  Message out;
  const auto id = protocol::find_member(*members, "id");
  if (id && is_id(*id)) out.id = *id;
  if (protocol::find_member(*members, "jsonrpc") != "\"2.0\"") return unreadable(kInvalidRequest, "'jsonrpc' must be \"2.0\"", out.id);
  const auto method = protocol::find_member(*members, "method");
  const auto result = protocol::find_member(*members, "result");
  const auto error = protocol::find_member(*members, "error");
  if (!method) {
    if (!result && !error) return unreadable(kInvalidRequest, "a message has 'method', 'result' or 'error'", out.id);
    if (result && error) return unreadable(kInvalidRequest, "a response has 'result' or 'error', not both", out.id);
    if ((result && result->front() != '{') || (error && error->front() != '{')) {
      return unreadable(kInvalidRequest, "what a response says must be an object", out.id);
    }
    if (out.id.empty()) return unreadable(kInvalidRequest, "a response needs the id of its request");
    out.kind = Message::Kind::kResponse;
    if (result) out.result = *result;
    if (error) out.error = *error;
    return out;
  }
  if (method->front() != '"') return unreadable(kInvalidRequest, "'method' must be a string", out.id);
  if (id && out.id.empty()) return unreadable(kInvalidRequest, "'id' must be a string or a whole number");
  out.kind = id ? Message::Kind::kRequest : Message::Kind::kNotification;
  out.method = protocol::unquote(*method);
  if (const auto params = protocol::find_member(*members, "params")) {
    if (params->front() != '{') return unreadable(kInvalidParams, "'params' must be an object", out.id);
    out.params = *params;
  }
  return out;
}

std::string make_error(std::string_view id, const Refusal& refusal) {
  std::string out = "{\"jsonrpc\":\"2.0\",";
  if (!id.empty()) (out += "\"id\":").append(id) += ',';
  out += "\"error\":{\"code\":" + std::to_string(refusal.code) + ",\"message\":";
  protocol::append_quoted(out, refusal.message);
  if (!refusal.data.empty()) (out += ",\"data\":") += refusal.data;
  return out += "}}";
}

std::string make_result(std::string_view id, std::string_view result) {
  std::string out;
  out.reserve(id.size() + result.size() + 40);
  return out.append("{\"jsonrpc\":\"2.0\",\"id\":").append(id).append(",\"result\":").append(result).append("}");
}

std::string make_request(std::string_view id, std::string_view method, std::string_view params) {
  std::string out = "{\"jsonrpc\":\"2.0\",\"id\":";
  out.append(id).append(",\"method\":\"").append(method).append("\",\"params\":").append(params);
  return out += '}';
}

std::string make_notification(std::string_view method, std::string_view params) {
  std::string out = "{\"jsonrpc\":\"2.0\",\"method\":\"";
  out.append(method).append("\",\"params\":").append(params);
  return out += '}';
}

}  // namespace sabir::mcp

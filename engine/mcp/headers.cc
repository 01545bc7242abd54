#include "sabir/mcp/headers.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr std::string_view kOpen = "=?base64?";
constexpr std::string_view kClose = "?=";

std::optional<std::string> member_text(std::string_view object, std::string_view key) {
  const auto members = protocol::raw_members(object);
  const auto found = members ? protocol::find_member(*members, key) : std::nullopt;
  if (!found || found->front() != '"') return std::nullopt;
  return protocol::unquote(*found);
}

std::optional<std::string> revision_in(const Message& message) {
  const auto meta = protocol::raw_at(message.params, "/_meta");
  return meta.empty() || meta.front() != '{' ? std::nullopt : member_text(meta, "io.modelcontextprotocol/protocolVersion");
}

Refusal mismatch(const std::string& header, const std::string& why) { return {kHeaderMismatch, "the header " + header + " " + why, {}}; }

bool is_plain(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c <= 0x7e); });
}

bool same_number(const std::string& header, std::string_view body) {
  const auto of_body = parse_json(body);
  const auto of_header = parse_json(header);
  return of_body && of_header && of_body->is_number() && of_header->is_number() && of_body->to_number<double>() == of_header->to_number<double>();
}

std::optional<Refusal> check_mirrored(const RequestHeaders& headers, const Message& message, const Tool& tool) {
  for (const auto& mirrored : tool.mirrored) {
    std::string lower = mirrored.header;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::string shown = "Mcp-Param-" + mirrored.header;
    std::string pointer = "/arguments";
    for (const auto& step : mirrored.path) {
      pointer += '/';
      for (const char c : step) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
    const auto body = protocol::raw_at(message.params, pointer);
    const bool there = !body.empty() && body != "null";
    const auto header = std::find_if(headers.parameters.begin(), headers.parameters.end(), [&](const auto& one) { return one.first == lower; });
    if (header == headers.parameters.end()) {
      if (there) return mismatch(shown, "is missing");
      continue;
    }
    if (!there) return mismatch(shown, "stands for an argument that the request does not have");
    if (!is_plain(header->second)) return mismatch(shown, "has characters that a header may not have");
    const auto value = decoded_header(header->second);
    if (!value) return mismatch(shown, "is not valid base64");
    const bool same = mirrored.is_whole_number ? same_number(*value, body) : body.front() == '"' ? protocol::unquote(body) == *value : body == *value;
    if (!same) return mismatch(shown, "does not match the request's argument");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> decoded_header(std::string_view value) {
  if (!value.starts_with(kOpen) || !value.ends_with(kClose) || value.size() < kOpen.size() + kClose.size()) return std::string(value);
  const auto text = value.substr(kOpen.size(), value.size() - kOpen.size() - kClose.size());
  if (text.size() % 4 != 0) return std::nullopt;
  auto bytes = base64_decode(text);
  if (!bytes || find_invalid_utf8(*bytes) != std::string_view::npos) return std::nullopt;
  return std::move(*bytes);
}

bool is_stateless_request(const RequestHeaders& headers, const Message& message) {
  if (headers.revision) {
    const auto known = revision_of(*headers.revision);
    if (known && is_stateless(*known)) return true;
  }
  return revision_in(message).has_value();
}

std::optional<Refusal> check_headers(const RequestHeaders& headers, const Message& message, const Catalogue& catalogue) {
  const auto revision = revision_in(message);
  if (!headers.revision) return mismatch("MCP-Protocol-Version", "is missing");
  if (revision && *revision != *headers.revision) return mismatch("MCP-Protocol-Version", "is " + *headers.revision + ", the request's own revision " + *revision);
  // What is wrong with the revision or with `_meta` has errors of its own.
  const auto known = revision ? revision_of(*revision) : std::nullopt;
  if (!known || !is_stateless(*known)) return std::nullopt;
  if (message.kind != Message::Kind::kRequest) return std::nullopt;
  if (!headers.method) return mismatch("Mcp-Method", "is missing");
  if (*headers.method != message.method) return mismatch("Mcp-Method", "is '" + *headers.method + "', the request's method '" + message.method + "'");
  const bool by_name = message.method == "tools/call" || message.method == "prompts/get";
  if (!by_name && message.method != "resources/read") return std::nullopt;
  const auto named = member_text(message.params, by_name ? "name" : "uri");
  if (!named) return std::nullopt;  // refused for that
  if (!headers.name) return mismatch("Mcp-Name", "is missing");
  if (!is_plain(*headers.name)) return mismatch("Mcp-Name", "has characters that a header may not have");
  const auto value = decoded_header(*headers.name);
  if (!value) return mismatch("Mcp-Name", "is not valid base64");
  if (*value != *named) return mismatch("Mcp-Name", "is '" + *value + "', the request names '" + *named + "'");
  if (message.method != "tools/call") return std::nullopt;
  const auto* tool = catalogue.tool(*named);
  return tool ? check_mirrored(headers, message, *tool) : std::nullopt;
}

}  // namespace sabir::mcp

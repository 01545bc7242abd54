#include "sabir/mcp/content.h"

#include <algorithm>
#include <optional>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

using protocol::Payload;

bool is_text(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string();
}

bool is_resource(const json::value* value) {
  if (!value || !value->is_object()) return false;
  const auto& object = value->get_object();
  return is_text(object, "uri") && is_text(object, "text") != is_text(object, "blob");
}

// Whether a value is a content block of MCP, and nothing that merely looks like one.
bool is_block(const json::value& value) {
  if (!value.is_object()) return false;
  const auto& object = value.get_object();
  const auto type = string_or(object, "type");
  if (type == "text") return is_text(object, "text");
  if (type == "image" || type == "audio") return is_text(object, "data") && is_text(object, "mimeType");
  if (type == "resource") return is_resource(object.if_contains("resource"));
  if (type == "resource_link") return is_text(object, "uri") && is_text(object, "name");
  return false;
}

bool are_blocks(const json::value& value) {
  return value.is_array() && std::all_of(value.get_array().begin(), value.get_array().end(), is_block);
}

void append_text_block(std::string& out, std::string_view quoted) { out.append("{\"type\":\"text\",\"text\":").append(quoted).append("}"); }

void append_bytes_block(std::string& out, std::string_view bytes, const Tool& tool, std::size_t number) {
  const auto type = media_type_of(bytes);
  const bool is_image = type.starts_with("image/");
  const std::string data = base64_encode(bytes);
  if (is_image || type.starts_with("audio/")) {
    out.append(is_image ? "{\"type\":\"image\"" : "{\"type\":\"audio\"").append(",\"data\":\"").append(data).append("\",\"mimeType\":\"").append(type).append("\"}");
    return;
  }
  out += "{\"type\":\"resource\",\"resource\":{\"uri\":";
  protocol::append_quoted(out, "sabir://results/" + percent_encoded(tool.address) + "/" + std::to_string(number));
  out.append(",\"mimeType\":\"").append(type).append("\",\"blob\":\"").append(data).append("\"}}");
}

// One value that the schema says is bytes: as base64, or, where it is large, beside the JSON. Nothing where it is none after all.
std::optional<std::string> bytes_of(std::string_view text) {
  if (text.empty() || text.front() != '"') return std::nullopt;
  auto bytes = base64_decode(protocol::unquote(text));
  return bytes ? std::optional(std::move(*bytes)) : std::nullopt;
}

// {"content": [blocks], …}, where the function gives the whole result itself. "" where it does not.
std::string own_result(std::string_view text) {
  if (!text.starts_with('{')) return {};
  const auto members = protocol::raw_members(text);
  if (!members) return {};
  const auto content = protocol::find_member(*members, "content");
  if (!content || content->front() != '[') return {};
  for (const auto& member : *members) {
    if (member.key != "content" && member.key != "structuredContent" && member.key != "isError" && member.key != "_meta") return {};
  }
  const auto value = parse_json(*content);
  if (!value || !are_blocks(*value)) return {};
  std::string out = "\"content\":" + std::string(*content);
  if (const auto structured = protocol::find_member(*members, "structuredContent"); structured && structured->front() == '{') {
    out.append(",\"structuredContent\":").append(*structured);
  }
  if (protocol::find_member(*members, "isError") == "true") out += ",\"isError\":true";
  return out;
}

Result<json::value> value_of(const Payload& payload) {
  auto text = protocol::inflate(payload);
  if (!text) return fail(std::move(text.error()));
  return parse_json(*text);
}

// A message's content as one block, or as several.
bool append_message(json::array& out, std::string_view role, const json::value& content) {
  if (content.is_string()) {
    out.push_back({{"role", role}, {"content", {{"type", "text"}, {"text", content.get_string()}}}});
  } else if (is_block(content)) {
    out.push_back({{"role", role}, {"content", content}});
  } else if (are_blocks(content)) {
    for (const auto& block : content.get_array()) out.push_back({{"role", role}, {"content", block}});
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string_view media_type_of(std::string_view bytes) {
  struct Known {
    std::size_t at;
    std::string_view first;
    std::string_view type;
  };
  using namespace std::string_view_literals;
  static constexpr Known kKnown[] = {
      {0, "\x89PNG\r\n\x1a\n"sv, "image/png"}, {0, "\xff\xd8\xff"sv, "image/jpeg"}, {0, "GIF87a"sv, "image/gif"}, {0, "GIF89a"sv, "image/gif"},
      {8, "WEBP"sv, "image/webp"}, {8, "WAVE"sv, "audio/wav"}, {0, "ID3"sv, "audio/mpeg"}, {0, "\xff\xfb"sv, "audio/mpeg"},
      {0, "OggS"sv, "audio/ogg"}, {0, "fLaC"sv, "audio/flac"}, {0, "%PDF-"sv, "application/pdf"}, {0, "PK\x03\x04"sv, "application/zip"},
      {0, "\x1f\x8b"sv, "application/gzip"}};
  for (const auto& known : kKnown) {
    if (bytes.size() < known.at || !bytes.substr(known.at).starts_with(known.first)) continue;
    if (known.at == 8 && !bytes.starts_with("RIFF")) continue;
    return known.type;
  }
  return "application/octet-stream";
}

Result<std::string> tool_result(Revision revision, const Tool& tool, const Payload& value) {
  std::string out = "\"content\":[";
  std::string inflated;
  std::string_view text = value.json;
  if (!value.blobs.empty()) {
    auto whole = protocol::inflate(value);
    if (!whole) return whole;
    inflated = std::move(*whole);
    text = inflated;
  }
  if (tool.bytes == Bytes::kValue) {
    if (const auto bytes = bytes_of(text)) {
      append_bytes_block(out, *bytes, tool, 0);
      return out += ']';
    }
  } else if (tool.bytes == Bytes::kItems && text.front() == '[') {
    std::size_t number = 0;
    for (const auto item : protocol::raw_elements(text)) {
      if (number > 0) out += ',';
      const auto bytes = bytes_of(item);
      if (bytes) append_bytes_block(out, *bytes, tool, number);
      else append_text_block(out, protocol::quote(item));
      ++number;
    }
    return out += ']';
  }
  if (!tool.has_output) {
    if (auto own = own_result(text); !own.empty()) return own;
  }
  if (text.front() == '"') {
    append_text_block(out, text);
  } else if (text != "null") {
    append_text_block(out, protocol::quote(text));
  }
  out += ']';
  const bool is_object = text.front() == '{';
  if (tool.has_output && tool.is_wrapped && !is_stateless(revision)) {
    out.append(",\"structuredContent\":{\"result\":").append(text).append("}");
  } else if (tool.has_output || is_object) {
    out.append(",\"structuredContent\":").append(text);
  }
  return out;
}

std::string tool_failure(const Error& error) {
  std::string text = error.message;
  if (!error.hint.empty()) text += "\n" + error.hint;
  std::string out = "\"content\":[";
  append_text_block(out, protocol::quote(text));
  return out += "],\"isError\":true";
}

Result<json::array> prompt_messages(const Payload& payload) {
  auto value = value_of(payload);
  if (!value) return fail(std::move(value.error()));
  json::array out;
  bool fits = true;
  const auto add = [&](const json::value& one) {
    if (one.is_object() && one.get_object().contains("content") && !is_block(one)) {
      const auto role = string_or(one.get_object(), "role", "user");
      return append_message(out, role == "assistant" ? "assistant" : "user", one.get_object().at("content"));
    }
    return append_message(out, "user", one);
  };
  if (value->is_array()) {
    for (const auto& one : value->get_array()) fits = fits && add(one);
  } else {
    fits = add(*value);
  }
  if (!fits || out.empty()) {
    return fail(ErrorCode::kInvalidResult, "a prompt's function gives a text or messages, and this gave something else",
                "Return a text, or a list of {\"role\": \"user\", \"content\": text or content blocks}.");
  }
  return out;
}

json::array prompt_messages(const json::array& messages) {
  json::array out;
  for (const auto& message : messages) {
    if (!message.is_object()) continue;
    const auto& object = message.get_object();
    const auto* content = object.if_contains("content");
    if (content) append_message(out, string_or(object, "role") == "assistant" ? "assistant" : "user", *content);
  }
  return out;
}

Result<json::object> resource_content(const std::string& uri, const std::string& media_type, bool is_bytes, const Payload& payload) {
  json::object out{{"uri", uri}};
  auto text = protocol::inflate(payload);
  if (!text) return fail(std::move(text.error()));
  if (is_bytes) {
    if (const auto bytes = bytes_of(*text)) {
      out["mimeType"] = media_type.empty() ? media_type_of(*bytes) : std::string_view(media_type);
      out["blob"] = base64_encode(*bytes);
      return out;
    }
  }
  const bool is_plain = text->front() == '"';
  out["mimeType"] = !media_type.empty() ? media_type : is_plain ? "text/plain" : "application/json";
  out["text"] = is_plain ? protocol::unquote(*text) : *text;
  return out;
}

}  // namespace sabir::mcp

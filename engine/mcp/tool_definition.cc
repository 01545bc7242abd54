#include "sabir/mcp/tool_definition.h"

#include <algorithm>
#include <set>

#include "sabir/base/text.h"
#include "sabir/mcp/headers.h"
#include "sabir/mcp/request_state.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr int kDeepest = 32;           // of properties with headers
constexpr std::size_t kMostHeaders = 64;
constexpr std::size_t kMostErrorText = 8192;

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? &value->get_object() : nullptr;
}

bool is_header_token(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// Every x-mcp-header of a schema: those that properties alone lead to are mirrored, others are a mistake.
class Headers {
 public:
  explicit Headers(ToolDefinition& tool) : tool_(tool) {}

  void walk(const json::object& schema, std::vector<std::string>& path, bool reachable, int depth) {
    if (depth > kDeepest || !tool_.problem.empty()) return;
    if (const auto* header = schema.if_contains("x-mcp-header")) take(*header, schema, path, reachable);
    for (const auto& [key, value] : schema) {
      if (key == "properties" || key == "patternProperties" || key == "dependentSchemas" || key == "$defs" || key == "definitions") {
        if (!value.is_object()) continue;
        for (const auto& [name, inner] : value.get_object()) {
          if (!inner.is_object()) continue;
          path.emplace_back(name);
          walk(inner.get_object(), path, reachable && key == "properties", depth + 1);
          path.pop_back();
        }
      } else if (key == "default" || key == "examples" || key == "const" || key == "enum") {
        continue;
      } else if (value.is_object()) {
        walk(value.get_object(), path, false, depth + 1);
      } else if (value.is_array()) {
        for (const auto& inner : value.get_array()) {
          if (inner.is_object()) walk(inner.get_object(), path, false, depth + 1);
        }
      }
    }
  }

 private:
  void take(const json::value& header, const json::object& schema, const std::vector<std::string>& path, bool reachable) {
    const auto wrong = [&](const std::string& why) { tool_.problem = "its schema has an x-mcp-header that " + why; };
    if (!header.is_string() || !is_header_token(header.get_string())) return wrong("is no header's name");
    const auto type = string_or(schema, "type");
    if (type != "string" && type != "integer" && type != "boolean") return wrong("is not on a string, an integer or a boolean");
    if (!reachable || path.empty()) return wrong("stands where no argument can be told from the schema alone");
    std::string lower(header.get_string());
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!seen_.insert(lower).second) return wrong("two parameters have");
    if (seen_.size() > kMostHeaders) return wrong("is one too many");
    tool_.mirrored.push_back({std::string(header.get_string()), path, type == "integer"});
  }

  ToolDefinition& tool_;
  std::set<std::string> seen_;
};

std::string pointer_to(const std::vector<std::string>& path) {
  std::string out;
  for (const auto& step : path) {
    out += '/';
    for (const char c : step) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  }
  return out;
}

// The text of text blocks, and whether there are no others.
bool text_of(std::string_view content, std::string& out) {
  bool only_text = true;
  for (const auto block : protocol::raw_elements(content)) {
    const auto members = protocol::raw_members(block);
    const auto text = members && protocol::find_member(*members, "type") == "\"text\"" ? protocol::find_member(*members, "text") : std::nullopt;
    if (!text || text->front() != '"') {
      only_text = false;
      continue;
    }
    if (!out.empty()) out += '\n';
    out += protocol::unquote(*text);
  }
  return only_text;
}

// How many bytes of `text` begin a character that hides, or turns the writing around.
std::size_t trick_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  if (byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) <= 0x9F) return 2;                                  // C1 controls
  if (byte(0) == 0xE2 && byte(1) == 0x80 && ((byte(2) >= 0x8B && byte(2) <= 0x8F) || (byte(2) >= 0xA8 && byte(2) <= 0xAE))) return 3;  // zero width, marks, overrides
  if (byte(0) == 0xE2 && byte(1) == 0x81 && byte(2) >= 0xA0 && byte(2) <= 0xAF) return 3;              // isolates, invisible operators
  if (byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF) return 3;                                 // byte order mark
  if (byte(0) == 0xF3 && byte(1) == 0xA0 && (byte(2) == 0x80 || byte(2) == 0x81)) return 4;            // tags
  return 0;
}

}  // namespace

bool ToolDefinition::hint(std::string_view annotation) const {
  const auto* value = annotations.if_contains(annotation);
  return value && value->is_bool() && value->get_bool();
}

ToolDefinition read_tool(const json::value& entry, bool over_http) {
  ToolDefinition tool;
  if (!entry.is_object()) {
    tool.problem = "its definition is no object";
    return tool;
  }
  const auto& object = entry.get_object();
  tool.name = string_or(object, "name");
  tool.title = string_or(object, "title");
  tool.description = string_or(object, "description");
  if (const auto* annotations = object_in(object, "annotations")) tool.annotations = *annotations;
  if (const auto* output = object_in(object, "outputSchema")) tool.output_schema = *output;
  if (const auto* input = object_in(object, "inputSchema")) tool.input_schema = *input;
  const json::object told{{"title", tool.title}, {"description", tool.description}, {"inputSchema", tool.input_schema}, {"outputSchema", tool.output_schema}, {"annotations", tool.annotations}};
  const std::string text = compact_json(told);
  tool.digest = "sha256:" + digest_of("tool", tool.name, text);
  if (tool.name.empty() || tool.name.size() > 256 || find_invalid_utf8(tool.name) != std::string::npos) {
    tool.problem = "its name is empty or too long";
  } else if (text.size() > kMostToolText) {
    tool.problem = "its definition is larger than 1 MiB";
  } else if (!object_in(object, "inputSchema")) {
    tool.problem = "it has no inputSchema";
  } else if (const auto* type = tool.input_schema.if_contains("type"); type && *type != "object") {
    tool.problem = "its inputSchema is not of an object";
  } else if (over_http) {
    std::vector<std::string> path;
    Headers(tool).walk(tool.input_schema, path, true, 0);
    if (!tool.problem.empty()) tool.mirrored.clear();
  }
  return tool;
}

json::object to_json(const ToolDefinition& tool) {
  json::object out{{"name", tool.name}};
  if (!tool.title.empty()) out["title"] = tool.title;
  if (!tool.description.empty()) out["description"] = tool.description;
  out["inputSchema"] = tool.input_schema;
  if (!tool.output_schema.empty()) out["outputSchema"] = tool.output_schema;
  if (!tool.annotations.empty()) out["annotations"] = tool.annotations;
  return out;
}

std::string encoded_header(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](unsigned char c) { return c >= 0x20 && c <= 0x7e; }) &&
                     (value.empty() || (value.front() != ' ' && value.back() != ' ')) && !value.starts_with("=?base64?");
  return plain ? std::string(value) : "=?base64?" + base64_encode(value) + "?=";
}

std::vector<std::pair<std::string, std::string>> mirrored_headers(const ToolDefinition& tool, std::string_view arguments) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& one : tool.mirrored) {
    const auto raw = protocol::raw_at(arguments, pointer_to(one.path));
    if (raw.empty() || raw == "null" || raw.front() == '{' || raw.front() == '[') continue;
    out.emplace_back("Mcp-Param-" + one.header, encoded_header(raw.front() == '"' ? protocol::unquote(raw) : std::string(raw)));
  }
  return out;
}

Result<protocol::Payload> value_of_result(std::string_view result, const std::string& shown) {
  const auto members = protocol::raw_members(result);
  if (!members) return fail(ErrorCode::kProtocol, shown + " gave a result that cannot be read: " + members.error().message);
  const auto content = protocol::find_member(*members, "content").value_or("[]");
  if (content.front() != '[') return fail(ErrorCode::kProtocol, shown + " gave a result whose content is no list");
  const auto structured = protocol::find_member(*members, "structuredContent");
  std::string text;
  const bool only_text = text_of(content, text);
  if (protocol::find_member(*members, "isError") == "true") {
    const std::string said = harmless(text, kMostErrorText);
    Error error(ErrorCode::kFunctionError, shown + ": " + (said.empty() ? "the tool says that it failed, and not why" : said));
    if (structured && structured->size() <= kMostErrorText) error.data = "{\"structured_content\":" + std::string(*structured) + "}";
    return fail(std::move(error));
  }
  if (structured && *structured != "null") return protocol::deflate(std::string(*structured));
  if (only_text) return protocol::deflate(protocol::quote(text));
  return protocol::deflate("{\"content\":" + std::string(content) + "}");
}

std::string harmless(std::string_view text, std::size_t most) {
  std::string out;
  bool cut = false;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= most) {
      cut = true;
      break;
    }
    const auto c = static_cast<unsigned char>(text[i]);
    if (const auto trick = trick_at(text.substr(i)); trick > 0) {
      i += trick;
    } else if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f && c < 0x80)) {
      out += text[i++];
    } else if (c < 0x80) {
      ++i;
    } else {
      const std::size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
      const auto character = text.substr(i, length);
      if (c < 0xC2 || find_invalid_utf8(character) != std::string_view::npos || character.size() < length) {
        out += "\xEF\xBF\xBD";
        ++i;
      } else {
        out += character;
        i += length;
      }
    }
  }
  if (cut) out += " …";
  return out;
}

}  // namespace sabir::mcp

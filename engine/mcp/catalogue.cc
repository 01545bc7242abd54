#include "sabir/mcp/catalogue.h"

#include <algorithm>
#include <set>

#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr int kDeepest = 16;  // of properties that are looked at for headers

bool is_token(std::string_view text) {
  static constexpr std::string_view kMore = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kMore.find(c) != std::string_view::npos;
  });
}

void find_mirrored(const json::object& schema, std::vector<std::string>& path, std::vector<MirroredParameter>& out) {
  const auto* properties = schema.if_contains("properties");
  if (!properties || !properties->is_object() || static_cast<int>(path.size()) >= kDeepest) return;
  for (const auto& member : properties->get_object()) {
    if (!member.value().is_object()) continue;
    const auto& property = member.value().get_object();
    path.emplace_back(member.key());
    const auto header = string_or(property, "x-mcp-header");
    const auto type = string_or(property, "type");
    if (is_token(header) && (type == "string" || type == "integer" || type == "boolean")) out.push_back({std::string(header), path, type == "integer"});
    find_mirrored(property, path, out);
    path.pop_back();
  }
}

// Whether a schema says something that a reader of results gains from.
bool says_something(const json::object& schema) {
  if (schema.empty() || bytes_in(schema) != Bytes::kNone) return false;
  const auto type = string_or(schema, "type");
  if (type == "null") return false;
  if (type == "object") return schema.size() > 1;
  return true;
}

json::object annotations_of(const Tool& tool) {
  json::object out;
  if (!tool.title.empty()) out["title"] = tool.title;
  out["readOnlyHint"] = tool.is_read_only;
  if (!tool.is_read_only) {
    out["destructiveHint"] = tool.is_irreversible;
    out["idempotentHint"] = tool.is_idempotent;
  }
  return out;
}

json::object described(std::string_view name, std::string_view title, std::string_view description) {
  json::object out{{"name", name}};
  if (!title.empty() && title != name) out["title"] = title;
  if (!description.empty()) out["description"] = description;
  return out;
}

void list_tool(Tool& tool) {
  std::vector<std::string> path;
  tool.mirrored.clear();
  find_mirrored(tool.input_schema, path, tool.mirrored);
  std::set<std::string> seen;
  for (const auto& one : tool.mirrored) {
    std::string lower = one.header;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!seen.insert(lower).second) tool.mirrored.clear();
    if (tool.mirrored.empty()) break;
  }
  auto out = described(tool.name, tool.title, tool.description);
  if (!tool.input_schema.contains("type")) tool.input_schema["type"] = "object";
  out["inputSchema"] = tool.input_schema;
  tool.bytes = bytes_in(tool.output_schema);
  tool.has_output = says_something(tool.output_schema);
  tool.is_wrapped = tool.has_output && string_or(tool.output_schema, "type") != "object";
  out["annotations"] = annotations_of(tool);
  auto stateless = out;
  if (tool.has_output) {
    stateless["outputSchema"] = tool.output_schema;
    if (tool.is_wrapped) {
      auto inner = tool.output_schema;
      json::object wrapper{{"type", "object"}};
      // References count from the root.
      for (const char* shared : {"$defs", "$schema"}) {
        if (const auto* found = inner.if_contains(shared)) {
          wrapper[shared] = *found;
          inner.erase(shared);
        }
      }
      wrapper["properties"] = json::object{{"result", std::move(inner)}};
      wrapper["required"] = json::array{"result"};
      out["outputSchema"] = std::move(wrapper);
    } else {
      out["outputSchema"] = tool.output_schema;
    }
  }
  tool.listed = compact_json(out);
  tool.listed_stateless = compact_json(stateless);
}

void list_prompt(Prompt& prompt) {
  auto out = described(prompt.name, prompt.title, prompt.description);
  json::array arguments;
  for (const auto& argument : prompt.arguments) {
    auto one = described(argument.name, "", argument.description);
    one["required"] = argument.is_required;
    arguments.push_back(std::move(one));
  }
  if (!arguments.empty()) out["arguments"] = std::move(arguments);
  prompt.listed = compact_json(out);
}

template <class Entry, class Key>
void sort_by(std::vector<Entry>& entries, Key key) {
  std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) { return key(a) < key(b); });
  entries.erase(std::unique(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) { return key(a) == key(b); }), entries.end());
}

template <class Entry, class Key>
const Entry* found_by(const std::vector<Entry>& entries, std::string_view wanted, Key key) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), wanted, [&](const Entry& entry, std::string_view name) { return key(entry) < name; });
  return at != entries.end() && key(*at) == wanted ? &*at : nullptr;
}

constexpr auto kName = [](const auto& entry) -> const std::string& { return entry.name; };
constexpr auto kUri = [](const auto& entry) -> const std::string& { return entry.uri; };

struct Piece {
  std::string text;          // literal, or a variable's name
  bool is_variable = false;
  bool takes_slashes = false;
};

std::optional<std::vector<Piece>> pieces_of(std::string_view pattern) {
  std::vector<Piece> out;
  while (!pattern.empty()) {
    const auto open = pattern.find('{');
    if (open != 0) {
      const auto literal = pattern.substr(0, open);
      if (literal.find('}') != std::string_view::npos) return std::nullopt;
      out.push_back({std::string(literal)});
      pattern.remove_prefix(literal.size());
      continue;
    }
    const auto close = pattern.find('}');
    if (close == std::string_view::npos) return std::nullopt;
    auto name = pattern.substr(1, close - 1);
    const bool plus = name.starts_with('+');
    if (plus) name.remove_prefix(1);
    const bool fits = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    if (!fits || (!out.empty() && out.back().is_variable)) return std::nullopt;
    out.push_back({std::string(name), true, plus});
    pattern.remove_prefix(close + 1);
  }
  return out;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

}  // namespace

Bytes bytes_in(const json::object& output_schema) {
  if (string_or(output_schema, "contentEncoding") == "base64") return Bytes::kValue;
  const auto* items = output_schema.if_contains("items");
  if (items && items->is_object() && string_or(items->get_object(), "contentEncoding") == "base64") return Bytes::kItems;
  return Bytes::kNone;
}

std::string listed(const Resource& resource) {
  auto out = described(resource.name, resource.title, resource.description);
  out["uri"] = resource.uri;
  if (!resource.media_type.empty()) out["mimeType"] = resource.media_type;
  if (resource.size) out["size"] = *resource.size;
  return compact_json(out);
}

void Catalogue::finish() {
  sort_by(tools, kName);
  sort_by(prompts, kName);
  sort_by(resources, kUri);
  sort_by(templates, kUri);
  for (auto& tool : tools) list_tool(tool);
  for (auto& prompt : prompts) list_prompt(prompt);
  for (auto& resource : resources) resource.listed = mcp::listed(resource);
  for (auto& one : templates) {
    auto out = described(one.name, one.title, one.description);
    out["uriTemplate"] = one.uri;
    if (!one.media_type.empty()) out["mimeType"] = one.media_type;
    one.listed = compact_json(out);
  }
}

const Tool* Catalogue::tool(std::string_view name) const { return found_by(tools, name, kName); }
const Prompt* Catalogue::prompt(std::string_view name) const { return found_by(prompts, name, kName); }
const Resource* Catalogue::resource(std::string_view uri) const { return found_by(resources, uri, kUri); }

std::optional<std::vector<std::string>> variables_of(std::string_view pattern) {
  const auto pieces = pieces_of(pattern);
  if (!pieces) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& piece : *pieces) {
    if (piece.is_variable) out.push_back(piece.text);
  }
  return out;
}

std::optional<Variables> match_uri(std::string_view pattern, std::string_view uri) {
  const auto pieces = pieces_of(pattern);
  if (!pieces) return std::nullopt;
  Variables out;
  for (std::size_t i = 0; i < pieces->size(); ++i) {
    const auto& piece = (*pieces)[i];
    if (!piece.is_variable) {
      if (!uri.starts_with(piece.text)) return std::nullopt;
      uri.remove_prefix(piece.text.size());
      continue;
    }
    // Up to where the next literal begins; the last literal counts from the end.
    std::size_t end = uri.size();
    if (i + 1 < pieces->size()) end = i + 2 == pieces->size() ? uri.rfind((*pieces)[i + 1].text) : uri.find((*pieces)[i + 1].text, 1);
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    const auto raw = uri.substr(0, end);
    if (!piece.takes_slashes && raw.find('/') != std::string_view::npos) return std::nullopt;
    auto value = percent_decoded(raw);
    if (!value) return std::nullopt;
    out.emplace_back(piece.text, std::move(*value));
    uri.remove_prefix(end);
  }
  if (!uri.empty()) return std::nullopt;
  return out;
}

std::string percent_encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

std::vector<std::string> choices_of(const json::object& schema) {
  std::vector<std::string> out;
  const auto add = [&](const json::value& value) {
    if (value.is_object() || value.is_array() || value.is_null()) return;
    std::string text = value.is_string() ? std::string(value.get_string()) : compact_json(value);
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  };
  for (const char* key : {"enum", "examples"}) {
    const auto* list = schema.if_contains(key);
    if (!list || !list->is_array()) continue;
    for (const auto& value : list->get_array()) add(value);
  }
  if (const auto* value = schema.if_contains("const")) add(*value);
  if (string_or(schema, "type") == "boolean") {
    add(true);
    add(false);
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto* list = schema.if_contains(key);
    if (!list || !list->is_array()) continue;
    for (const auto& one : list->get_array()) {
      if (!one.is_object()) continue;
      // Nested choices are one level deep in the schemas that signatures make.
      if (const auto* value = one.get_object().if_contains("const")) add(*value);
      if (const auto* values = one.get_object().if_contains("enum"); values && values->is_array()) {
        for (const auto& value : values->get_array()) add(value);
      }
      if (string_or(one.get_object(), "type") == "boolean") {
        add(true);
        add(false);
      }
    }
  }
  return out;
}

}  // namespace sabir::mcp

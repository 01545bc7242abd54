#include "docs_page.h"

#include <algorithm>

namespace sabir::serve {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--text:#1c1e21;--soft:#5b6168;--line:#dfe2e6;--back:#fff;--card:#f6f7f9;--accent:#0b5fad;--get:#1a7f37;--post:#8250df}
@media(prefers-color-scheme:dark){:root{--text:#e4e6e8;--soft:#9aa2ab;--line:#33383e;--back:#15181b;--card:#1d2125;--accent:#6cb2f5;--get:#57c777;--post:#b998f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.55 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 5rem}
h1{font-size:1.7rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.5rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:.85rem;margin:1.1rem 0 .35rem;color:var(--soft);font-weight:600}
p{margin:.4rem 0}a{color:var(--accent)}code,pre{font:.86rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--back);border:1px solid var(--line);border-radius:6px;padding:.7rem .85rem;margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
details{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:.5rem 0}
summary{cursor:pointer;padding:.6rem .9rem;display:flex;flex-wrap:wrap;gap:.1rem .7rem;align-items:baseline}
summary::marker{content:""}summary::-webkit-details-marker{display:none}
summary .method{font:600 .78rem/1 ui-monospace,monospace;min-width:3.1rem}.GET{color:var(--get)}.POST{color:var(--post)}
summary .path{font:600 .92rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}summary .what{color:var(--soft);flex:1 1 16rem}
details>div{padding:.2rem .9rem 1rem;border-top:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-size:.92rem}th{text-align:left;color:var(--soft);font-weight:600}
th,td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}td:first-child{white-space:nowrap}
.badge{font-size:.75rem;border:1px solid var(--line);border-radius:99px;padding:0 .55rem;color:var(--soft)}.soft{color:var(--soft)}
)";

const json::object* object_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? &value->get_object() : nullptr;
}

std::string last_part(std::string_view ref) { return std::string(ref.substr(ref.rfind('/') + 1)); }

// "string", "list of integers": the kind of value, in few words.
std::string kind_of(const json::value& schema, int depth = 0) {
  if (!schema.is_object() || depth > 4) return "anything";
  const auto& object = schema.get_object();
  if (const auto ref = string_or(object, "$ref"); !ref.empty()) {
    const auto name = last_part(ref);
    return name.substr(name.rfind('.') + 1);
  }
  if (const auto* values = object.if_contains("enum"); values && values->is_array()) {
    std::string out;
    for (const auto& one : values->get_array()) {
      if (out.size() > 120) return out + " | …";
      out += (out.empty() ? "" : " | ") + compact_json(one);
    }
    return out;
  }
  if (const auto* value = object.if_contains("const")) return compact_json(*value);
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto* list = object.if_contains(key);
    if (!list || !list->is_array()) continue;
    std::string out;
    for (const auto& one : list->get_array()) out += (out.empty() ? "" : " or ") + kind_of(one, depth + 1);
    return out;
  }
  const auto* type = object.if_contains("type");
  if (type && type->is_array()) {
    std::string out;
    for (const auto& one : type->get_array()) {
      if (one.is_string()) out += (out.empty() ? "" : " or ") + std::string(one.get_string());
    }
    return out;
  }
  const std::string name(string_or(object, "type"));
  if (name == "array") {
    const auto* items = object.if_contains("items");
    return items && items->is_object() ? "list of " + kind_of(*items, depth + 1) : "list";
  }
  if (name == "object") {
    const auto* more = object.if_contains("additionalProperties");
    return more && more->is_object() ? "object of " + kind_of(*more, depth + 1) : "object";
  }
  const std::string format(string_or(object, "format"));
  return name.empty() ? "anything" : format.empty() ? name : name + " (" + format + ")";
}

std::string bounds_of(const json::object& schema) {
  std::string out;
  static constexpr std::pair<const char*, const char*> kWords[] = {
      {"default", "default "},        {"minimum", "at least "},       {"exclusiveMinimum", "above "},          {"maximum", "at most "},      {"exclusiveMaximum", "below "},
      {"minLength", "characters ≥ "}, {"maxLength", "characters ≤ "}, {"minItems", "items ≥ "}, {"maxItems", "items ≤ "}, {"pattern", "matches "}};
  for (const auto& [key, word] : kWords) {
    if (const auto* value = schema.if_contains(key)) out += (out.empty() ? "" : ", ") + std::string(word) + compact_json(*value);
  }
  return out;
}

// What stands between backticks is code.
std::string with_code(std::string_view text) {
  std::string out;
  bool in_code = false;
  const bool paired = std::count(text.begin(), text.end(), '`') % 2 == 0;
  for (const char c : text) {
    if (c == '`' && paired) {
      out += in_code ? "</code>" : "<code>";
      in_code = !in_code;
    } else {
      out += escaped(std::string_view(&c, 1));
    }
  }
  return out;
}

std::string row(std::string_view name, bool required, const json::value& schema, std::string_view description) {
  std::string out = "<tr><td><code>" + escaped(name) + "</code>" + (required ? "" : " <span class=soft>optional</span>") + "</td><td>" + escaped(kind_of(schema));
  const std::string bounds = schema.is_object() ? bounds_of(schema.get_object()) : std::string();
  if (!bounds.empty()) out += "<br><span class=soft>" + escaped(bounds) + "</span>";
  if (description.empty() && schema.is_object()) description = string_or(schema.get_object(), "description");
  return out + "</td><td>" + with_code(description) + "</td></tr>";
}

// The members of an object, and those of objects in it, as far as they are written out: note, note.title.
std::string property_rows(const json::object& schema, const std::string& before, int depth) {
  const auto* properties = object_at(schema, "properties");
  if (!properties) return {};
  const auto* required = schema.if_contains("required");
  std::string out;
  for (const auto& member : *properties) {
    const bool needed = required && required->is_array() &&
                        std::any_of(required->get_array().begin(), required->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == member.key(); });
    const std::string name = before + std::string(member.key());
    out += row(name, needed, member.value(), {});
    if (depth < 3 && member.value().is_object()) out += property_rows(member.value().get_object(), name + ".", depth + 1);
  }
  return out;
}

std::string properties_table(const json::object& schema) {
  const std::string rows = property_rows(schema, {}, 0);
  return rows.empty() ? rows : "<table><tr><th>Argument</th><th>Kind</th><th></th></tr>" + rows + "</table>";
}

// A text in single quotes, as a shell reads it.
std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string operation_html(std::string_view path, std::string method, const json::object& operation, bool asks_who) {
  std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string out = "<details id=\"" + escaped(string_or(operation, "operationId")) + "\"><summary><span class=\"method " + method + "\">" + method + "</span><span class=path>" +
                    escaped(path) + "</span><span class=what>" + escaped(string_or(operation, "summary")) + "</span>";
  const auto effect = string_or(operation, "x-sabir-effect");
  if (!effect.empty()) out += "<span class=badge>" + escaped(effect) + "</span>";
  out += "</summary><div>";
  const auto description = string_or(operation, "description");
  if (!description.empty() && description != string_or(operation, "summary")) {
    std::string text = with_code(description);
    for (std::size_t at = text.find("\n\n"); at != std::string::npos; at = text.find("\n\n", at + 7)) text.replace(at, 2, "</p><p>");
    out += "<p>" + text + "</p>";
  }
  std::string body;
  bool takes_body = false;
  if (const auto* request = object_at(operation, "requestBody")) {
    takes_body = true;
    const auto* content = object_at(*request, "content");
    const auto* json_part = content ? object_at(*content, "application/json") : nullptr;
    if (json_part) {
      if (const auto* schema = object_at(*json_part, "schema")) {
        const std::string table = properties_table(*schema);
        if (!table.empty()) out += "<h3>Arguments</h3>" + table;
      }
      if (const auto* example = json_part->if_contains("example")) body = compact_json(*example);
    }
  }
  if (const auto* parameters = operation.if_contains("parameters"); parameters && parameters->is_array()) {
    out += "<h3>Parameters</h3><table><tr><th>Name</th><th>Kind</th><th></th></tr>";
    for (const auto& one : parameters->get_array()) {
      if (!one.is_object()) continue;
      const auto& parameter = one.get_object();
      const auto* schema = parameter.if_contains("schema");
      const auto* required = parameter.if_contains("required");
      out += row(std::string(string_or(parameter, "name")) + " (" + std::string(string_or(parameter, "in")) + ")", required && required->is_bool() && required->get_bool(),
                 schema ? *schema : json::value(), string_or(parameter, "description"));
    }
    out += "</table>";
  }
  const auto* responses = object_at(operation, "responses");
  const auto* ok = responses ? object_at(*responses, "200") : nullptr;
  const auto* content = ok ? object_at(*ok, "content") : nullptr;
  if (const auto* result = content ? object_at(*content, "application/json") : nullptr) {
    const auto* schema = result->if_contains("schema");
    out += "<h3>Answer</h3><p>" + escaped(schema ? kind_of(*schema) : "anything") + ". <span class=soft>" + escaped(string_or(*ok, "description")) + "</span></p>";
    if (const auto* object = schema && schema->is_object() ? &schema->get_object() : nullptr) {
      std::string table = properties_table(*object);
      if (const auto at = table.find("Argument"); at != std::string::npos) table.replace(at, 8, "Member");
      out += table;
    }
  }
  std::string command = "curl";
  if (method == "POST") command += " -X POST";
  if (asks_who) command += " -H \"Authorization: Bearer $TOKEN\"";
  if (takes_body) command += " -H 'Content-Type: application/json' -d " + shell_quoted(body.empty() ? "{}" : body);
  out += "<h3>Ask</h3><pre>" + escaped(command + " \"$URL" + std::string(path) + "\"") + "</pre>";
  return out + "</div></details>";
}

}  // namespace

std::string docs_page(const json::object& document) {
  const auto* info = object_at(document, "info");
  const std::string title = info ? std::string(string_or(*info, "title")) : "API";
  const bool asks_who = document.contains("security");
  std::string out = "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>" + escaped(title) + "</title><style>" +
                    std::string(kStyle) + "</style></head><body><main><h1>" + escaped(title) + "</h1><p class=soft>The document that programs read is <a href=\"openapi.json\">openapi.json</a>. " +
                    (asks_who ? "Requests carry a token: <code>Authorization: Bearer TOKEN</code>." : "Whoever reaches this server may ask; no token is needed.") +
                    " Errors are <code>application/problem+json</code>, with a hint of what to do. Below, <code>$URL</code> is this page's address without <code>/docs</code>.</p>";
  const auto* paths = object_at(document, "paths");
  std::string functions;
  std::string others;
  for (const auto& path : paths ? *paths : json::object()) {
    if (!path.value().is_object()) continue;
    for (const auto& operation : path.value().get_object()) {
      if (!operation.value().is_object()) continue;
      const bool call = operation.value().get_object().contains("x-sabir-effect");
      (call ? functions : others) += operation_html(path.key(), std::string(operation.key()), operation.value().get_object(), asks_who);
    }
  }
  if (functions.empty()) functions = "<p class=soft>No function is exposed: name some under <code>expose: rest:</code> in sabir.yml.</p>";
  return out + "<h2>Functions</h2>" + functions + "<h2>Beside them</h2>" + others + "</main></body></html>\n";
}

}  // namespace sabir::serve

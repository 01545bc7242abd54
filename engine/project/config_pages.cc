// What derives from the schema for people and editors: the reference page and the JSON Schemas.
#include <algorithm>
#include <cmath>

#include "sabir/base/text.h"
#include "sabir/project/config_schema.h"
#include "sabir/project/project.h"

namespace sabir::project {
namespace {

std::string plain_number(double number) { return number == std::floor(number) && std::abs(number) < 1e15 ? std::to_string(static_cast<std::int64_t>(number)) : compact_json(json::value(number)); }

bool is_prose(const std::string& otherwise) { return otherwise.starts_with('('); }

// A default or an example as the value that it is in YAML; null where it is none.
json::value value_of(const std::string& yaml) {
  if (yaml.empty() || is_prose(yaml)) return nullptr;
  // $ is plain here: examples show ${secret:NAME}.
  auto value = parse_yaml(yaml, "schema", nullptr, SecretNames::kKept);
  return value ? std::move(*value) : json::value(nullptr);
}

// A text that is filled in when the file is read has any type.
json::object or_variable(json::object schema) {
  return {{"anyOf", json::array{std::move(schema), json::object{{"type", "string"}, {"pattern", "\\$\\{[A-Za-z_]"}}}}};
}

json::object schema_of(const ConfigType& type);

json::object schema_of_keys(const std::vector<ConfigKey>& keys, const std::string& also, const std::vector<std::string>& cases) {
  json::object properties;
  if (!also.empty()) {
    json::array values;
    for (const auto& one : cases) values.emplace_back(one);
    properties[also] = json::object{{"enum", std::move(values)}, {"description", "It decides which keys there are."}};
  }
  for (const auto& key : keys) {
    json::object schema = schema_of(key.type);
    schema["description"] = key.meaning + (is_prose(key.otherwise) ? " Default: " + key.otherwise.substr(1, key.otherwise.size() - 2) + "." : "");
    if (auto value = value_of(key.otherwise); !value.is_null()) schema["default"] = std::move(value);
    if (auto value = value_of(key.example); !value.is_null()) schema["examples"] = json::array{std::move(value)};
    // A key without a value is as one that is not there; in an overlay it takes away what the file says.
    json::object nullable;
    for (const char* word : {"description", "default", "examples"}) {
      if (auto* found = schema.if_contains(word)) nullable[word] = *found;
      schema.erase(word);
    }
    nullable["anyOf"] = json::array{std::move(schema), json::object{{"type", "null"}}};
    properties[key.name] = std::move(nullable);
  }
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
}

json::object schema_of(const ConfigType& type) {
  switch (type.kind) {
    case ConfigKind::kAny: return {};
    case ConfigKind::kText: return {{"type", "string"}};
    case ConfigKind::kVersion: return {{"type", "string"}, {"pattern", "^[0-9]+\\.[0-9]+\\.[0-9]+(-.*)?$|\\$\\{[A-Za-z_]"}};
    case ConfigKind::kBool: return or_variable({{"type", "boolean"}});
    case ConfigKind::kInteger: return or_variable({{"type", "integer"}, {"minimum", static_cast<std::int64_t>(type.least)}, {"maximum", static_cast<std::int64_t>(type.most)}});
    case ConfigKind::kNumber: return or_variable({{"type", "number"}, {"minimum", type.least}, {"maximum", type.most}});
    case ConfigKind::kDuration:
      return {{"anyOf", json::array{json::object{{"type", "string"}, {"pattern", "^ *[0-9]{1,9}(ms|s|m|h)? *$|\\$\\{[A-Za-z_]"}}, json::object{{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 86400}}}}};
    case ConfigKind::kSpan:
      return {{"anyOf", json::array{json::object{{"type", "string"}, {"pattern", "^ *[0-9]{1,9}(ms|s|m|h|d)? *$|\\$\\{[A-Za-z_]"}}, json::object{{"type", "integer"}, {"minimum", 1}, {"maximum", 86400}}}}};
    case ConfigKind::kSize:
      return {{"anyOf", json::array{json::object{{"type", "string"}, {"pattern", "^ *[0-9.]+ *(B|KB|MB|GB)? *$|\\$\\{[A-Za-z_]"}}, json::object{{"type", "number"}, {"minimum", 1048576}}}}};
    case ConfigKind::kRate: return {{"type", "string"}, {"pattern", "^ *[0-9]{1,8}/(s|min|m|h) *$|\\$\\{[A-Za-z_]"}};
    case ConfigKind::kChoice: {
      json::array values;
      for (const auto& one : type.choices) values.emplace_back(one);
      return or_variable({{"enum", std::move(values)}});
    }
    case ConfigKind::kList: return {{"type", "array"}, {"items", schema_of(*type.item)}};
    case ConfigKind::kMap: return schema_of_keys(type.keys, "", {});
    case ConfigKind::kTable:
      return {{"type", "object"}, {"additionalProperties", json::object{{"anyOf", json::array{schema_of(*type.item), json::object{{"type", "null"}}}}}}};
    case ConfigKind::kVariant: {
      // `if` by `if`, so that an editor offers the keys of the chosen one alone and says what is wrong with it.
      std::vector<std::string> names;
      json::array steps;
      for (const auto& [name, keys] : type.cases) names.push_back(name);
      for (const auto& [name, inner] : type.cases) {
        steps.push_back(json::object{{"if", json::object{{"properties", json::object{{type.name, json::object{{"const", name}}}}}, {"required", json::array{json::value(type.name)}}}},
                                     {"then", schema_of_keys(inner.keys, type.name, {name})}});
      }
      json::array values;
      for (const auto& name : names) values.emplace_back(name);
      return {{"type", "object"}, {"properties", json::object{{type.name, json::object{{"enum", std::move(values)}}}}}, {"allOf", std::move(steps)}};
    }
    case ConfigKind::kEither: {
      json::array all;
      for (const auto& [name, one] : type.cases) all.emplace_back(schema_of(one));
      return {{"anyOf", std::move(all)}};
    }
  }
  return {};
}

// A cell of a table: a bar would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}
std::string code(const std::string& text) { return text.empty() ? "" : "`" + cell(text) + "`"; }

std::string shown_default(const ConfigKey& key) {
  if (key.is_required) return "needed";
  if (key.otherwise.empty()) return "–";
  return is_prose(key.otherwise) ? cell(key.otherwise.substr(1, key.otherwise.size() - 2)) : code(key.otherwise);
}

class Page {
 public:
  std::string text;

  void file(const ConfigFile& file) {
    text += "\n## " + file.path + "\n\n" + file.meaning + " Overlay: `" + file.overlay("ENVIRONMENT") + "`.";
    if (!file.page.empty()) text += " More: [" + file.page + "](" + file.page + ").";
    text += "\n\n";
    head();
    rows(file.type.keys, "");
    for (std::size_t next = 0; next < later_.size(); ++next) {
      const auto [title, keys] = later_[next];
      text += "\n### " + title + "\n\n";
      if (keys.empty()) {
        text += "No keys of its own.\n";
        continue;
      }
      head();
      rows(keys, "");
    }
    later_.clear();
  }

 private:
  void head() { text += "| key | type | default | what it does | example |\n|---|---|---|---|---|\n"; }

  void rows(const std::vector<ConfigKey>& keys, const std::string& prefix) {
    for (const auto& key : keys) {
      const std::string name = prefix + key.name;
      text += "| `" + cell(name) + "` | " + cell(describe(key.type)) + " | " + shown_default(key) + " | " + cell(key.meaning) + " | " + code(key.example) + " |\n";
      inner(key.type, name);
    }
  }

  void inner(const ConfigType& type, const std::string& name) {
    switch (type.kind) {
      case ConfigKind::kMap: return rows(type.keys, name + ".");
      case ConfigKind::kTable:
        // The same keys for one environment are told once.
        if (name.ends_with(".environments")) return;
        return inner(*type.item, name + "." + type.name);
      case ConfigKind::kList: return inner(*type.item, name + "[]");
      case ConfigKind::kEither:
        for (const auto& [none, one] : type.cases) inner(one, name);
        return;
      case ConfigKind::kVariant: {
        std::vector<std::string> names;
        for (const auto& [value, keys] : type.cases) names.push_back(value);
        text += "| `" + cell(name + "." + type.name) + "` | " + join(names, ", ") + " | needed | It decides which keys there are. | " + code(names.front()) + " |\n";
        for (const auto& [value, keys] : type.cases) later_.emplace_back("`" + name + "` with `" + type.name + ": " + value + "`", keys.keys);
        return;
      }
      default: return;
    }
  }

  std::vector<std::pair<std::string, std::vector<ConfigKey>>> later_;
};

}  // namespace

std::string describe(const ConfigType& type) {
  switch (type.kind) {
    case ConfigKind::kAny: return "anything";
    case ConfigKind::kText: return type.names_secret ? "a secret's name" : "text";
    case ConfigKind::kVersion: return "a version";
    case ConfigKind::kBool: return "true or false";
    case ConfigKind::kInteger: return "a whole number from " + plain_number(type.least) + " to " + plain_number(type.most);
    case ConfigKind::kNumber: return "a number from " + plain_number(type.least) + " to " + plain_number(type.most);
    case ConfigKind::kDuration: return "a time, a day at most";
    case ConfigKind::kSpan: return "a time, ten years at most";
    case ConfigKind::kSize: return "a size";
    case ConfigKind::kRate: return "requests in a time";
    case ConfigKind::kChoice: return "one of " + join(type.choices, ", ");
    case ConfigKind::kList: return type.item->kind == ConfigKind::kText ? (type.item->names_secret ? "a list of secrets' names" : "a list of texts") : type.item->kind == ConfigKind::kChoice ? "a list of " + join(type.item->choices, ", ") : "a list";
    case ConfigKind::kMap: return "a mapping";
    case ConfigKind::kTable: return "a mapping by " + type.name;
    case ConfigKind::kVariant: return "a mapping";
    case ConfigKind::kEither: {
      std::vector<std::string> all;
      for (const auto& [name, one] : type.cases) {
        std::string text = describe(one);
        if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(std::move(text));
      }
      return join(all, " or ");
    }
  }
  return "";
}

json::object json_schema(const ConfigFile& file) {
  json::object out{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", file.path}, {"description", file.meaning}};
  json::object schema = schema_of(file.type);
  // A file may be empty, or all comments.
  schema["type"] = json::array{"object", "null"};
  for (auto& member : schema) out[member.key()] = std::move(member.value());
  return out;
}

std::string reference_page() {
  Page page;
  for (const auto& file : config_files()) page.file(file);
  return std::move(page.text);
}

}  // namespace sabir::project

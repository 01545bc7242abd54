// Which values hold, and where each came from.
#include <algorithm>
#include <cctype>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "sabir/secrets/secrets.h"
#include "shape.h"

namespace sabir::project {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Whether what is called so is usually kept secret.
bool sounds_secret(std::string_view name) {
  const std::string text = lower(name);
  static constexpr std::string_view kWords[] = {"token", "secret", "password", "passwd", "api_key", "apikey", "api-key", "credential", "private_key", "authorization", "bearer", "cookie"};
  return std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view word) { return text.find(word) != std::string::npos; }) || text.ends_with("_key") || text == "key";
}

class Walk {
 public:
  explicit Walk(const Configuration& configuration) : configuration_(configuration) {}

  void keys(const json::object* object, const std::vector<ConfigKey>& keys, const std::string& at) {
    for (const auto& key : keys) {
      const std::string pointer = at + "/" + escape_pointer(key.name);
      const auto* own = object != nullptr ? object->if_contains(key.name) : nullptr;
      if (own != nullptr) {
        value(*own, key.type, pointer, key.meaning);
      } else if (key.type.kind == ConfigKind::kMap) {
        // The defaults of a section that is not there hold where nothing in it is needed.
        if (std::none_of(key.type.keys.begin(), key.type.keys.end(), [](const auto& one) { return one.is_required; })) this->keys(nullptr, key.type.keys, pointer);
      } else if (!key.otherwise.empty()) {
        Effective effective;
        effective.pointer = pointer;
        effective.key = dotted(pointer);
        effective.source = "default";
        effective.meaning = key.meaning;
        if (key.otherwise.starts_with('(')) {
          effective.value = json::value(key.otherwise);
        } else if (auto parsed = parse_yaml(key.otherwise, "schema")) {
          effective.value = std::move(*parsed);
        }
        out.push_back(std::move(effective));
      }
    }
  }

  void value(const json::value& value, const ConfigType& type, const std::string& at, const std::string& meaning) {
    if (value.is_object()) {
      const auto& object = value.get_object();
      if (type.kind == ConfigKind::kMap) return keys(&object, type.keys, at);
      if (type.kind == ConfigKind::kTable && !object.empty()) return members(object, *type.item, at, meaning);
      if (type.kind == ConfigKind::kVariant) {
        const auto which = std::find_if(type.cases.begin(), type.cases.end(), [&](const auto& one) { return one.value == string_or(object, type.name); });
        if (which != type.cases.end()) {
          if (const auto* name = object.if_contains(type.name)) leaf(*name, text_type_, at + "/" + type.name, "");
          return keys(&object, which->type.keys, at);
        }
      }
    }
    if (type.kind == ConfigKind::kEither) {
      for (const auto& [name, one] : type.cases) {
        if (check_config(value, one, "", {}).empty()) return this->value(value, one, at, meaning);
      }
    }
    leaf(value, type, at, meaning);
  }

  std::vector<Effective> out;

 private:
  void members(const json::object& object, const ConfigType& item, const std::string& at, const std::string& meaning) {
    for (const auto& member : object) value(member.value(), item, at + "/" + escape_pointer(member.key()), meaning);
  }

  void leaf(const json::value& value, const ConfigType& type, const std::string& at, const std::string& meaning) {
    Effective effective;
    effective.pointer = at;
    effective.key = dotted(at);
    effective.value = value;
    effective.meaning = meaning;
    std::string up = at;
    auto found = configuration_.positions.find(up);
    while (found == configuration_.positions.end() && !up.empty()) {
      up.resize(up.rfind('/'));
      found = configuration_.positions.find(up);
    }
    if (found != configuration_.positions.end()) {
      effective.source = found->second.file ? "overlay" : "file";
      effective.file = found->second.file ? *found->second.file : configuration_.file->path;
      effective.line = found->second.line;
      effective.column = found->second.column;
    }
    // A list's variables are its items'.
    bool sensitive = false;
    for (auto it = configuration_.positions.lower_bound(at); it != configuration_.positions.end() && it->first.starts_with(at); ++it) {
      if (it->first != at && it->first[at.size()] != '/') continue;
      for (const auto& variable : it->second.variables) {
        const bool unset = variable.ends_with(":-");
        const std::string name = unset ? variable.substr(0, variable.size() - 2) : variable;
        effective.variables.push_back(unset ? name + " (its default)" : name);
        sensitive = sensitive || (!unset && sounds_secret(name));
      }
    }
    // A reference to a secret is no secret.
    const bool reference = value.is_string() && secrets::find_reference(std::string_view(value.get_string())) != std::string_view::npos;
    const std::string_view own = std::string_view(at).substr(at.rfind('/') + 1);
    effective.is_secret = sensitive || (type.takes_secrets && !reference && value.is_string() && sounds_secret(own));
    out.push_back(std::move(effective));
  }

  const Configuration& configuration_;
  const ConfigType text_type_ = config::text();
};

}  // namespace

std::vector<Effective> effective_values(const Configuration& configuration) {
  Walk walk(configuration);
  walk.keys(&configuration.value, configuration.file->type.keys, "");
  return std::move(walk.out);
}

}  // namespace sabir::project

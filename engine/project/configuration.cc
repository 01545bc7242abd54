#include "sabir/project/configuration.h"

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/secrets/secrets.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;  // as parse_yaml() bounds it

struct Layer {
  json::object value;
  Positions positions;
};

// `path` and everything below it.
void forget(Positions& positions, const std::string& pointer) {
  positions.erase(pointer);
  const std::string below = pointer + "/";
  auto at = positions.lower_bound(below);
  while (at != positions.end() && at->first.starts_with(below)) at = positions.erase(at);
}

void copy(const Positions& from, const std::string& pointer, Positions& to, const std::string& as) {
  if (const auto own = from.find(pointer); own != from.end()) to[as] = own->second;
  const std::string below = pointer + "/";
  for (auto at = from.lower_bound(below); at != from.end() && at->first.starts_with(below); ++at) to[as + at->first.substr(pointer.size())] = at->second;
}

// `over` on `base`: maps deep, all else replaced. `type` is the map's, null where nothing is known of it.
void lay(json::object& base, Positions& positions, const std::string& at, const json::object& over, const Positions& from, const std::string& there, bool keeps_null) {
  for (const auto& member : over) {
    const std::string key = "/" + escape_pointer(member.key());
    auto* own = base.if_contains(member.key());
    if (own != nullptr && own->is_object() && member.value().is_object()) {
      lay(own->get_object(), positions, at + key, member.value().get_object(), from, there + key, keeps_null);
      continue;
    }
    forget(positions, at + key);
    if (member.value().is_null() && !keeps_null) {
      if (own != nullptr) base.stable_erase(base.find(member.key()));
      continue;
    }
    base[member.key()] = member.value();
    copy(from, there + key, positions, at + key);
  }
}

// Members without a value are none, but where a name alone means something.
void drop_nulls(json::value& value, const ConfigType& type, const std::string& at, Positions& positions) {
  switch (type.kind) {
    case ConfigKind::kMap:
    case ConfigKind::kTable:
    case ConfigKind::kVariant: {
      if (!value.is_object()) return;
      auto& object = value.get_object();
      for (auto it = object.begin(); it != object.end();) {
        const std::string pointer = at + "/" + escape_pointer(it->key());
        if (it->value().is_null() && !type.keeps_null) {
          forget(positions, pointer);
          // Order is kept: it is shown to people.
          it = object.stable_erase(it);
          continue;
        }
        const ConfigType* inner = type.item.get();
        if (type.kind == ConfigKind::kMap) {
          const auto key = std::find_if(type.keys.begin(), type.keys.end(), [&](const auto& one) { return one.name == it->key(); });
          inner = key == type.keys.end() ? nullptr : &key->type;
        } else if (type.kind == ConfigKind::kVariant) {
          const auto which = std::find_if(type.cases.begin(), type.cases.end(), [&](const auto& one) { return one.value == string_or(object, type.name); });
          inner = nullptr;
          if (which != type.cases.end()) {
            const auto& keys = which->type.keys;
            const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& one) { return one.name == it->key(); });
            inner = key == keys.end() ? nullptr : &key->type;
          }
        }
        if (inner != nullptr) drop_nulls(it->value(), *inner, pointer, positions);
        ++it;
      }
      return;
    }
    case ConfigKind::kList: {
      if (!value.is_array()) return;
      std::size_t index = 0;
      for (auto& item : value.get_array()) drop_nulls(item, *type.item, at + "/" + std::to_string(index++), positions);
      return;
    }
    case ConfigKind::kEither: {
      for (const auto& [name, one] : type.cases) {
        const bool is_map = one.kind == ConfigKind::kMap || one.kind == ConfigKind::kTable || one.kind == ConfigKind::kVariant;
        if ((is_map && value.is_object()) || (one.kind == ConfigKind::kList && value.is_array())) return drop_nulls(value, one, at, positions);
      }
      return;
    }
    default: return;
  }
}

// Texts that are not filled in any more.
void unescape(json::value& value) {
  if (value.is_string()) {
    auto& text = value.get_string();
    for (std::size_t at = text.find("$${secret:"); at != json::string::npos; at = text.find("$${secret:", at + 1)) text.erase(at, 1);
  } else if (value.is_array()) {
    for (auto& item : value.get_array()) unescape(item);
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) unescape(member.value());
  }
}

bool takes_secrets(const ConfigType& type) {
  return type.takes_secrets || (type.item && takes_secrets(*type.item)) || std::any_of(type.keys.begin(), type.keys.end(), [](const auto& key) { return takes_secrets(key.type); }) ||
         std::any_of(type.cases.begin(), type.cases.end(), [](const auto& one) { return takes_secrets(one.type); });
}

void unescape(json::value& value, const ConfigType& type) {
  if (!takes_secrets(type)) return unescape(value);
  if (type.kind == ConfigKind::kMap && value.is_object()) {
    for (const auto& key : type.keys) {
      if (auto* own = value.get_object().if_contains(key.name)) unescape(*own, key.type);
    }
  }
}

// The names in the values of a type.
void gather_secrets(const json::value& value, const ConfigType& type, std::vector<NamedSecret>& out, const std::string& at) {
  if (value.is_string()) {
    const std::string_view text = value.get_string();
    if (type.names_secret) {
      if (secrets::is_secret_name(text)) out.push_back({std::string(text), at});
    } else if (type.takes_secrets || type.kind == ConfigKind::kEither) {
      if (const auto names = secrets_in(text)) {
        for (const auto& name : *names) out.push_back({name, at});
      }
    }
    return;
  }
  const auto inside = [&](const json::value& inner, const ConfigType* inner_type, const std::string& key) {
    if (inner_type != nullptr) gather_secrets(inner, *inner_type, out, at + "/" + key);
  };
  if (value.is_array() && type.item) {
    std::size_t index = 0;
    for (const auto& item : value.get_array()) inside(item, type.item.get(), std::to_string(index++));
  } else if (value.is_object() && type.kind == ConfigKind::kTable) {
    for (const auto& member : value.get_object()) inside(member.value(), type.item.get(), escape_pointer(member.key()));
  } else if (value.is_object() && type.kind == ConfigKind::kMap) {
    for (const auto& key : type.keys) {
      if (const auto* own = value.get_object().if_contains(key.name)) inside(*own, &key.type, key.name);
    }
  }
  for (const auto& [name, one] : type.cases) {
    if (type.kind == ConfigKind::kVariant && (!value.is_object() || string_or(value.get_object(), type.name) != name)) continue;
    const bool fits = one.kind == ConfigKind::kList ? value.is_array() : one.kind == ConfigKind::kMap || one.kind == ConfigKind::kTable || one.kind == ConfigKind::kVariant ? value.is_object() : false;
    if (fits) gather_secrets(value, one, out, at);
  }
}

// The sections of sabir.yml that have keys for one environment, under `environments`: they stand between the file and its overlay.
void fold_environments(Layer& layer, const ConfigType& type, const std::string& environment) {
  for (const auto& key : type.keys) {
    if (key.type.kind != ConfigKind::kMap || std::none_of(key.type.keys.begin(), key.type.keys.end(), [](const auto& one) { return one.name == "environments"; })) continue;
    auto* section = layer.value.if_contains(key.name);
    auto* list = section != nullptr && section->is_object() ? section->get_object().if_contains("environments") : nullptr;
    auto* found = list != nullptr && list->is_object() ? list->get_object().if_contains(environment) : nullptr;
    if (found == nullptr || !found->is_object()) continue;
    const json::object own = found->get_object();
    list->get_object().stable_erase(list->get_object().find(environment));
    const std::string at = "/" + key.name;
    const std::string there = at + "/environments/" + escape_pointer(environment);
    Positions from;
    copy(layer.positions, there, from, there);
    forget(layer.positions, there);
    lay(section->get_object(), layer.positions, at, own, from, there, false);
  }
}

Result<Layer> layer_of(std::string_view text, const std::string& file) {
  Layer layer;
  auto value = parse_yaml(text, file, &layer.positions, SecretNames::kKept);
  if (!value) return fail(std::move(value.error()));
  if (value->is_null()) return layer;
  if (!value->is_object()) {
    return fail(at_position(Error(ErrorCode::kConfig, file + " must be a mapping, not " + kind_of(*value), "Write keys and their values; docs/config.md tells them all."), layer.positions, "", file));
  }
  layer.value = std::move(value->get_object());
  return layer;
}

// The text; nothing where there is no such file.
Result<std::optional<std::string>> text_of(const std::filesystem::path& root, const std::string& file, Inputs& inputs) {
  auto text = read_file(root / file, kMostBytes);
  inputs.add(root / file, text || text.error().code != ErrorCode::kNotFound);
  if (text) return std::optional<std::string>(std::move(*text));
  if (text.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
  Error error = std::move(text.error());
  if (error.code == ErrorCode::kLimit) error = Error(ErrorCode::kConfig, "a configuration file may have 1 MiB");
  return fail(std::move(error).at(file));
}

}  // namespace

Result<void> Configuration::check() const {
  if (problems.empty()) return {};
  return fail(problems.front());
}

Result<Configuration> lay_configuration(const ConfigFile& file, const std::string& environment, std::optional<std::string_view> text, std::optional<std::string_view> overlay) {
  Configuration out;
  out.file = &file;
  Layer base;
  if (text) {
    auto read = layer_of(*text, file.path);
    if (!read) return fail(std::move(read.error()));
    base = std::move(*read);
    out.files.push_back(file.path);
    fold_environments(base, file.type, environment);
  }
  if (overlay) {
    const std::string path = file.overlay(environment);
    auto over = layer_of(*overlay, path);
    if (!over) return fail(std::move(over.error()));
    out.files.push_back(path);
    fold_environments(*over, file.type, environment);
    const auto name = std::make_shared<const std::string>(path);
    for (auto& [pointer, position] : over->positions) position.file = name;
    lay(base.value, base.positions, "", over->value, over->positions, "", false);
  }
  json::value whole = std::move(base.value);
  out.positions = std::move(base.positions);
  drop_nulls(whole, file.type, "", out.positions);
  // Nothing is missing in a file that is not there.
  if (!out.files.empty()) out.problems = check_config(whole, file.type, file.path, out.positions);
  unescape(whole, file.type);
  out.value = std::move(whole.get_object());
  return out;
}

Result<Configuration> read_configuration(const std::filesystem::path& root, const ConfigFile& file, const std::string& environment) {
  if (!is_environment_name(environment)) {
    return fail(ErrorCode::kConfig, "'" + environment + "' cannot name an environment", "Use lower-case letters, digits, '-' and '_', at most 32, for instance development.");
  }
  Inputs inputs;
  auto text = text_of(root, file.path, inputs);
  if (!text) return fail(std::move(text.error()));
  auto overlay = text_of(root, file.overlay(environment), inputs);
  if (!overlay) return fail(std::move(overlay.error()));
  auto out = lay_configuration(file, environment, *text, *overlay);
  if (out) out->inputs = std::move(inputs);
  return out;
}

std::vector<NamedSecret> secrets_named(const Configuration& configuration) {
  std::vector<NamedSecret> out;
  gather_secrets(json::value(configuration.value), configuration.file->type, out, "");
  return out;
}

Result<Configuration> load_configuration(const std::filesystem::path& root, std::string_view path, const std::string& environment) {
  const ConfigFile* file = find_config_file(path);
  if (file == nullptr) return fail(ErrorCode::kInternal, "no schema of " + std::string(path));
  auto read = read_configuration(root, *file, environment);
  if (!read) return read;
  if (auto good = read->check(); !good) return fail(std::move(good.error()));
  return read;
}

}  // namespace sabir::project

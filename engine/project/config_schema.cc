#include "sabir/project/config_schema.h"

#include "config/files.h"
#include "sabir/base/text.h"

namespace sabir::project {
namespace config {
namespace {
ConfigType of(ConfigKind kind) {
  ConfigType type;
  type.kind = kind;
  return type;
}
}  // namespace

ConfigType any() { return of(ConfigKind::kAny); }
ConfigType text() { return of(ConfigKind::kText); }
ConfigType secret_text() {
  ConfigType type = text();
  type.takes_secrets = true;
  return type;
}
ConfigType secret_name() {
  ConfigType type = text();
  type.names_secret = true;
  return type;
}
ConfigType version() { return of(ConfigKind::kVersion); }
ConfigType boolean() { return of(ConfigKind::kBool); }
ConfigType integer(std::int64_t least, std::int64_t most) {
  ConfigType type = of(ConfigKind::kInteger);
  type.least = static_cast<double>(least);
  type.most = static_cast<double>(most);
  return type;
}
ConfigType number(double least, double most) {
  ConfigType type = of(ConfigKind::kNumber);
  type.least = least;
  type.most = most;
  return type;
}
ConfigType duration() { return of(ConfigKind::kDuration); }
ConfigType span() { return of(ConfigKind::kSpan); }
ConfigType size() { return of(ConfigKind::kSize); }
ConfigType rate() { return of(ConfigKind::kRate); }
ConfigType choice(std::vector<std::string> values) {
  ConfigType type = of(ConfigKind::kChoice);
  type.choices = std::move(values);
  return type;
}
ConfigType list(ConfigType item) {
  ConfigType type = of(ConfigKind::kList);
  type.item = std::make_shared<const ConfigType>(std::move(item));
  return type;
}
ConfigType texts() { return either({list(text()), text()}); }
ConfigType map(std::vector<ConfigKey> keys) {
  ConfigType type = of(ConfigKind::kMap);
  type.keys = std::move(keys);
  return type;
}
ConfigType table(std::string name, ConfigType item) {
  ConfigType type = of(ConfigKind::kTable);
  type.name = std::move(name);
  type.item = std::make_shared<const ConfigType>(std::move(item));
  return type;
}
ConfigType nullable_table(std::string name, ConfigType item) {
  ConfigType type = table(std::move(name), std::move(item));
  type.keeps_null = true;
  return type;
}
ConfigType variant(std::string key, std::vector<ConfigCase> cases) {
  ConfigType type = of(ConfigKind::kVariant);
  type.name = std::move(key);
  type.cases = std::move(cases);
  return type;
}
ConfigType either(std::vector<ConfigType> types) {
  ConfigType type = of(ConfigKind::kEither);
  for (auto& one : types) type.cases.push_back({"", std::move(one)});
  return type;
}
std::vector<ConfigKey> plus(std::vector<ConfigKey> keys, const std::vector<ConfigKey>& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

}  // namespace config

std::string ConfigFile::overlay(std::string_view environment) const {
  return path.substr(0, path.size() - 4) + "." + std::string(environment) + ".yml";
}

std::string ConfigFile::stem() const {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.find('.'));
}

const std::vector<ConfigFile>& config_files() {
  static const std::vector<ConfigFile> files = {config::sabir_file(), config::models_file(), config::deployment_file(),
                                                config::secrets_file(), config::grants_file(), config::mcp_file()};
  return files;
}

const ConfigFile* find_config_file(std::string_view name) {
  if (name.starts_with("./")) name.remove_prefix(2);
  for (const auto& file : config_files()) {
    const std::string stem = file.stem();
    const std::string folder = file.path.substr(0, file.path.rfind('/') + 1 == 0 ? 0 : file.path.rfind('/') + 1);
    std::string_view bare = name;
    if (!folder.empty() && bare.starts_with(folder)) bare.remove_prefix(folder.size());
    if (bare == stem || bare == stem + ".yml") return &file;
    // config/openai_config.staging.yml
    if (bare.starts_with(stem + ".") && bare.ends_with(".yml") && bare.find('/') == std::string_view::npos) return &file;
  }
  return nullptr;
}

}  // namespace sabir::project

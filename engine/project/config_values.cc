#include "sabir/project/config_values.h"

#include <algorithm>
#include <map>
#include <set>

#include "sabir/project/project.h"
#include "shape.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostValue = 2000;

void flatten(const json::value& value, const std::string& key, const std::string& source, std::map<std::string, ConfigValue>& out) {
  if (const auto* object = value.if_object(); object && !object->empty()) {
    for (const auto& [name, inner] : *object) flatten(inner, key + (key.ends_with(": ") ? "" : ".") + std::string(name), source, out);
    return;
  }
  // What was a mapping below and is one value above, or the other way round, is replaced as a whole.
  std::erase_if(out, [&](const auto& one) { return one.first.starts_with(key + "."); });
  std::string text = compact_json(value);
  if (text.size() > kMostValue) text = text.substr(0, kMostValue) + "…";
  out[key] = {key, std::move(text), source};
}

Result<void> read_into(const fs::path& root, const std::string& file, const std::string& shown, std::map<std::string, ConfigValue>& out) {
  auto value = read_yaml(root / file, nullptr, kAsWritten);
  if (!value) {
    value.error().file = file;
    return fail(std::move(value.error()));
  }
  if (!value->is_null()) flatten(*value, shown + ": ", file, out);
  return {};
}

}  // namespace

Result<std::vector<ConfigValue>> config_values(const fs::path& root, const std::string& environment) {
  std::map<std::string, ConfigValue> found;
  if (auto ok = read_into(root, "sabir.yml", "sabir.yml", found); !ok) return fail(std::move(ok.error()));
  std::set<std::string> files;
  std::error_code ec;
  for (fs::directory_iterator it(root / "config", ec), end; !ec && it != end; it.increment(ec)) {
    const auto name = it->path().filename().string();
    if (it->is_regular_file(ec) && name.ends_with(".yml") && name.find('.') != 0) files.insert(name);
  }
  for (const auto& name : files) {
    const std::string stem = name.substr(0, name.size() - 4);
    // Of the overlays only this environment's counts, and over what it lies on.
    if (stem.find('.') != std::string::npos || stem == "deployment_config") continue;
    if (auto ok = read_into(root, "config/" + name, name, found); !ok) return fail(std::move(ok.error()));
    const std::string overlay = stem + "." + environment + ".yml";
    if (!files.contains(overlay)) continue;
    if (auto ok = read_into(root, "config/" + overlay, name, found); !ok) return fail(std::move(ok.error()));
  }
  std::vector<ConfigValue> out;
  for (auto& [_, one] : found) out.push_back(std::move(one));
  return out;
}

}  // namespace sabir::project

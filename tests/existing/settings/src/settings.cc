#include "settings/settings.h"

#include <yaml-cpp/yaml.h>

#include <stdexcept>

namespace settings {

std::vector<Entry> entries(const std::string& text) {
  std::vector<Entry> out;
  const YAML::Node root = YAML::Load(text);
  if (!root.IsMap()) throw std::invalid_argument("the text is no mapping");
  for (const auto& member : root) {
    if (member.second.IsScalar()) out.push_back({member.first.as<std::string>(), member.second.as<std::string>()});
  }
  return out;
}

std::map<std::string, int> kinds(const std::string& text) {
  std::map<std::string, int> out;
  for (const auto& member : YAML::Load(text)) {
    ++out[member.second.IsScalar() ? "scalar" : member.second.IsSequence() ? "sequence" : "map"];
  }
  return out;
}

class Watcher {};
void watch(Watcher&) {}

}  // namespace settings

// Settings of a service, kept as YAML.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace settings {

struct Entry {
  std::string key;
  std::string value;
};

/// The top-level scalars of a YAML text, in its order.
/// @param text a YAML mapping
/// @effect read
std::vector<Entry> entries(const std::string& text);

/// How many names a YAML text has, by kind of their values: scalar, sequence, map.
/// @effect read
std::map<std::string, int> kinds(const std::string& text);

/// The most settings that one text may have.
/// @effect read
inline int largest() { return SETTINGS_LARGEST; }

class Watcher;

/// Cannot be called from outside: nothing carries a Watcher.
void watch(Watcher& watcher);

}  // namespace settings

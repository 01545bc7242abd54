// The one description of the configuration files: each key with its type, its default, what it does and an example. What
// the parser refuses, docs/config.md and the editors' JSON Schemas derive from it. A new key is a row in
// engine/project/config/.
//
// Threads: immutable once made; the functions may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::project {

enum class ConfigKind {
  kAny,
  kText,
  kVersion,   // 1.2.3
  kBool,
  kInteger,
  kNumber,
  kDuration,  // 30s, a day at most
  kSpan,      // the same or days
  kSize,      // 512MB
  kRate,      // 600/min
  kChoice,    // one of some texts
  kList,
  kMap,       // of known keys
  kTable,     // of names that the user chooses
  kVariant,   // a map whose keys depend on the value of one of them
  kEither,
};

struct ConfigKey;
struct ConfigCase;

struct ConfigType {
  ConfigKind kind = ConfigKind::kAny;
  double least = 0;                        // of kInteger and kNumber
  double most = 0;
  std::vector<std::string> choices;        // of kChoice
  std::shared_ptr<const ConfigType> item;  // of kList and kTable
  std::string name;                        // of kTable: what its names are, "ENVIRONMENT"; of kVariant: the key that decides
  std::vector<ConfigKey> keys;             // of kMap
  std::vector<ConfigCase> cases;  // of kVariant: maps by that key's value; of kEither: types alone
  bool takes_secrets = false;              // of kText: ${secret:NAME} may stand in it
  bool names_secret = false;               // of kText: the name of a secret, never its value
  bool keeps_null = false;                 // of kTable: a name without a value means something
};

struct ConfigKey {
  std::string name;
  ConfigType type;
  std::string otherwise;  // what holds without the key, as YAML; in parentheses where it is no value; "" = nothing
  std::string meaning;    // one sentence
  std::string example;    // its value, as YAML
  bool is_required = false;
};

// What a map is where the key that decides has this value.
struct ConfigCase {
  std::string value;  // "" of kEither
  ConfigType type;
};

// How rows are written: {"port", config::integer(0, 65535), "8080", "…", "8443"}.
namespace config {
ConfigType any();
ConfigType text();
ConfigType secret_text();   // ${secret:NAME} may stand in it
ConfigType secret_name();   // "openai_api_key"
ConfigType version();
ConfigType boolean();
ConfigType integer(std::int64_t least, std::int64_t most);
ConfigType number(double least, double most);
ConfigType duration();
ConfigType span();
ConfigType size();
ConfigType rate();
ConfigType choice(std::vector<std::string> values);
ConfigType list(ConfigType item);
ConfigType texts();         // a list of texts, or one alone
ConfigType map(std::vector<ConfigKey> keys);
ConfigType table(std::string name, ConfigType item);
ConfigType nullable_table(std::string name, ConfigType item);
ConfigType variant(std::string key, std::vector<ConfigCase> cases);
ConfigType either(std::vector<ConfigType> types);
std::vector<ConfigKey> plus(std::vector<ConfigKey> keys, const std::vector<ConfigKey>& more);
}  // namespace config

struct ConfigFile {
  std::string path;      // from the project's root: "sabir.yml"
  std::string meaning;   // one sentence
  std::string page;      // of docs/, which tells more: "models.md"
  ConfigType type;
  // "config/openai_config.yml" and "staging" -> "config/openai_config.staging.yml".
  std::string overlay(std::string_view environment) const;
  // The name of its schema: "openai_config".
  std::string stem() const;
};

// All of them, in the order of the reference.
const std::vector<ConfigFile>& config_files();
// By path, name or stem: "config/mcp.yml", "mcp.yml", "mcp"; an overlay's gives its file. Null where there is none.
const ConfigFile* find_config_file(std::string_view name);

// "text", "a whole number from 1 to 256": as the reference says it.
std::string describe(const ConfigType& type);

// The JSON Schema (draft 7, which editors know) of a file. An overlay's asks for no key.
json::object json_schema(const ConfigFile& file);

// The part of docs/config.md that tells every key.
std::string reference_page();

}  // namespace sabir::project

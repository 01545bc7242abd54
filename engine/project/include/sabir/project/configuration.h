// Configuration: one configuration file as it holds in one environment: the file, its overlay, variables filled in, checked
// against its schema; and where each of its values came from.
//
// Threads: plain values and functions.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/inputs.h"
#include "sabir/base/json.h"
#include "sabir/project/config_schema.h"
#include "sabir/project/project.h"

namespace sabir::project {

struct Configuration {
  const ConfigFile* file = nullptr;
  json::object value;
  Positions positions;                  // of each value in the file that it came from
  std::vector<std::string> files;       // those that are there, the overlay last
  std::vector<Error> problems;          // what the schema does not allow
  Inputs inputs;                        // what was looked at

  bool exists() const { return !files.empty(); }
  // The first problem.
  Result<void> check() const;
};

// Reads the file and, over it, its overlay: maps are merged, everything else is replaced, and null takes away what stands
// below it. `environments.NAME` of sabir.yml's sections stands between the two. What the schema refuses is in `problems`;
// without either file the value is empty. Errors: kConfig for what is no YAML or no mapping, kIo.
Result<Configuration> read_configuration(const std::filesystem::path& root, const ConfigFile& file, const std::string& environment);

// The same of texts; nothing stands for a file that is not there.
Result<Configuration> lay_configuration(const ConfigFile& file, const std::string& environment, std::optional<std::string_view> text, std::optional<std::string_view> overlay);

// The same, and an error for its first problem: what whoever uses the values calls. `path` is that of a ConfigFile.
Result<Configuration> load_configuration(const std::filesystem::path& root, std::string_view path, const std::string& environment);

// A secret that a file names: as a name, or in ${secret:NAME}; and where.
struct NamedSecret {
  std::string name;
  std::string pointer;
};
std::vector<NamedSecret> secrets_named(const Configuration& configuration);

// All that a type does not allow, at the place in the file that it came from. REQUIRES: null members have been dropped.
std::vector<Error> check_config(const json::value& value, const ConfigType& type, const std::string& file, const Positions& positions);

// One value that holds, and why.
struct Effective {
  std::string key;      // "serve.limits.body"
  std::string pointer;
  json::value value;
  std::string source;   // "file", "overlay" or "default"
  std::string file;
  int line = 0;
  int column = 0;
  std::vector<std::string> variables;  // of the environment that are filled in there; "NAME" or, where it is unset, "NAME (its default)"
  std::string meaning;
  bool is_secret = false;              // it looks like one: not to be shown
};

// Every value of a file, those of its defaults too, in the schema's order.
std::vector<Effective> effective_values(const Configuration& configuration);

}  // namespace sabir::project

// Every value of the project's YAML configuration as it stands there for an environment, with the file it came from, so that two
// environments or two releases can be compared.
//
// Threads: plain function.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::project {

struct ConfigValue {
  std::string key;     // "openai_config.yml: aliases.fast.model"
  std::string value;   // one line of JSON; ${NAME} and ${secret:name} as they are written
  std::string source;  // "config/openai_config.staging.yml"
};

// sabir.yml and config/*.yml, each with config/NAME.<environment>.yml over it; sorted by key. deployment_config.yml is left out, which is
// about where and not about what. Errors: kConfig.
Result<std::vector<ConfigValue>> config_values(const std::filesystem::path& root, const std::string& environment);

}  // namespace sabir::project

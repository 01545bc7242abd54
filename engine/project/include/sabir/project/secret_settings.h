// Reads config/secrets_config.yml, with the environment's own file over it.
//
// Threads: plain function.
#pragma once

#include <filesystem>
#include <string>

#include "sabir/base/error.h"
#include "sabir/secrets/settings.h"

namespace sabir::project {

// What stands there, and what holds where there is no such file. `name` is the project's. Errors: kConfig at file:line:column.
Result<secrets::Settings> read_secret_settings(const std::filesystem::path& root, const std::string& environment, const std::string& name);
// The same for whom nothing else of the project concerns: the name is taken from its sabir.yml.
Result<secrets::Settings> read_secret_settings(const std::filesystem::path& root, const std::string& environment);

}  // namespace sabir::project

// Which secrets a project names, of itself and without running anything: what an environment has to have, and what a deployed
// instance may read. Never values.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::project {

// Name of a secret -> the files that name it, from the root: config/grants.yml, the `key` of models, headers of tracing, and
// ${secret:NAME} in any file of config/, with the environment's own files over the common ones. What functions declare themselves
// (`Secrets:`) is not in it: their schemas say that. Errors: kConfig at file:line:column.
Result<std::map<std::string, std::set<std::string>>> secret_names(const std::filesystem::path& root, const std::string& environment);

}  // namespace sabir::project

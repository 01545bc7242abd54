// The JSON Schemas of the configuration files, where a project's editors find them: .sabir/schemas.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <string>

#include "sabir/base/error.h"
#include "sabir/project/config_schema.h"

namespace sabir::cli {

// From the project's root: ".sabir/schemas/openai_config.json".
std::string schema_path(const project::ConfigFile& file);

// Writes those that are not there or another engine's. Errors: kIo.
Result<void> write_config_schemas(const std::filesystem::path& root);

}  // namespace sabir::cli

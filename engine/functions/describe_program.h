// The sources of languages whose syntax the engine does not read itself: their `describe` program is asked, once for all
// files that have changed since its last answer. No file is run for it.
//
// Threads: pure functions; what was told is kept in <project>/.sabir/described/<language>.json.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/project/project.h"
#include "sabir/schema/function_schema.h"

namespace sabir::functions {

constexpr std::size_t kMostSource = std::size_t{16} << 20U;

// By the source's relative path; sources of languages with a grammar are absent. An error is kUnavailable where the
// program or its interpreter is missing, kLoadFailed where it could not read the file.
std::map<std::string, Result<schema::Description>> describe_by_programs(const project::Project& project,
                                                                        const std::vector<project::Language>& languages);

}  // namespace sabir::functions

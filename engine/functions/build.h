// Builds the worker program of a compiled language: glue around each of the user's files, the language's runtime, one
// link; every object cached by content, in one folder that all projects of the user share.
//
// Threads: any; blocks. Processes: two engines building at once produce the same files and rename them into place.
#pragma once

#include <atomic>
#include <filesystem>

#include "sabir/functions/registry.h"
#include "sabir/languages/languages.h"

namespace sabir::functions {

// When `stopping` becomes true the compilers are killed. Errors: kUnavailable (no compiler), kBuildFailed when the runtime or the link fails, kIo.
Result<languages::Built> build_program(const project::Project& project, const project::Language& language, const Registry& registry,
                                       const std::filesystem::path& cache, const std::atomic<bool>& stopping);

}  // namespace sabir::functions

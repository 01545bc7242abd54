// The files that the binary carries: languages, templates, models.
//
// Threads: any. Processes: several may unpack at once; one wins.
#pragma once

#include <filesystem>
#include <string>

#include "sabir/base/error.h"

namespace sabir::cli {

// The folder with languages/, templates/ and models/, unpacked to the user's cache on first use. SABIR_RESOURCES names
// another one. Errors: kIo, kStorageFull.
Result<std::filesystem::path> resources();

// $XDG_CACHE_HOME/sabir or ~/.cache/sabir.
std::filesystem::path cache_dir();

}  // namespace sabir::cli

// The end of a log file, and what is added to it. Private to the room.
//
// Threads: plain function that blocks while it follows.
#pragma once

#include <filesystem>

#include "sabir/deploy/target.h"

namespace sabir::deploy {

// A file that is cut while it is followed is read from its beginning. Errors: kNotFound where there is none and nobody waits for one.
Result<void> tail(const std::filesystem::path& file, const LogOptions& options, const Say& say);

}  // namespace sabir::deploy

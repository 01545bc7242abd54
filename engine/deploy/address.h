// Where an environment of this machine answers, and whether it does. Private to the room.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <string>

#include "sabir/base/error.h"

namespace sabir::deploy {

// A port that was chosen once stays the environment's: it stands in <folder>/port. 0 = none was.
int kept_port(const std::filesystem::path& folder);
// That, or a free one, which is kept. Errors: kConfig, kUnavailable, kIo.
Result<int> choose_port(const std::filesystem::path& folder, const std::string& host);
// What URL/readyz says; 0 where nobody answers within 3 s.
int ask_ready(const std::string& url);

}  // namespace sabir::deploy

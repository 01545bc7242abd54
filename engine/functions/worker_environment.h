// The environment that workers see.
//
// Threads: reads this process's own environment.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sabir::functions {

// "NAME=value" of what workers see of the engine's own environment, which leaves out what may be secret, and of `more`.
std::vector<std::string> worker_environment(const std::map<std::string, std::string>& more);

}  // namespace sabir::functions

// Processes that a child of this one has forked: watched and killed as children are, but reaped by their parent.
//
// Threads: plain functions.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/process/spawn.h"

namespace sabir::process {

// A process that leads its own group. Its wait() does not apply: the parent knows the status. Until the parent reaps it, the
// number is its own. Errors: kNotFound when it is gone.
Result<Child> watch_forked(pid_t pid);

// Writes `text` to a connected Unix socket at once, with descriptors that the receiver gets copies of. Errors: kIo, also when
// the socket's buffer is full.
Result<void> send_with_descriptors(int socket, std::string_view text, const std::vector<int>& descriptors);

}  // namespace sabir::process

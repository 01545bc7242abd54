// sabir deploy init TARGET.
//
// Threads: the main thread.
#pragma once

#include <memory>

#include "command.h"

namespace sabir::cli {

// `done` is set when the command ran: `deploy` itself has something to do otherwise.
void add_deploy_init(Command& deploy, Globals& globals, const std::shared_ptr<bool>& done);

}  // namespace sabir::cli

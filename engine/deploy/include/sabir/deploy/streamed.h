// Programs whose output is shown line by line while they run.
//
// Threads: plain function that blocks.
#pragma once

#include <chrono>

#include "sabir/deploy/target.h"
#include "sabir/process/spawn.h"

namespace sabir::deploy {

// `spec` gets standard output and error; with `output`, standard output is collected there instead of said. Errors: as spawn(),
// kTimeout after which its group is killed. `stop` is asked several times a second; true ends the program, which is no error.
Result<process::ExitStatus> run_streamed(process::SpawnSpec spec, std::chrono::milliseconds timeout, const Say& say, std::string* output = nullptr,
                                         const std::function<bool()>& stop = {});

}  // namespace sabir::deploy

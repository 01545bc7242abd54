// The command line of a sandbox. Private to the room.
//
// Threads: plain functions. Lifetimes: the files outlive the spawn of `spec`, which names their descriptors.
#pragma once

#include <vector>

#include "sabir/process/spawn.h"

namespace sabir::process {

struct Sandboxed {
  SpawnSpec spec;         // starts bwrap, which starts the program
  std::vector<Fd> files;  // that bwrap reads
};

// Errors: kUnavailable as sandbox_works(), kIo.
Result<Sandboxed> sandboxed(const SpawnSpec& spec);

}  // namespace sabir::process

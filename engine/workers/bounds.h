// What a worker may use besides time, and whether it does use more. Private to the room.
//
// Threads: the loop's.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "sabir/base/error.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

// Bytes that the worker's processes keep, with the files of a sandbox's own /tmp, which are memory too.
std::uint64_t memory_of(const PoolSpec& spec, pid_t pid);

// What a sandbox without a call has been computing.
struct LeftBehind {
  std::chrono::milliseconds cpu{0};  // when it was last looked at
  Clock::time_point looked;
  std::chrono::milliseconds beyond{0};  // what it has computed beyond its share of the time
};

// Why the worker has to be ended, if it has to: kLimit. `call` is what it runs; "" = nothing since `idle_since`.
std::optional<Error> beyond_bounds(const PoolSpec& spec, pid_t pid, const std::string& call, Clock::time_point idle_since, LeftBehind& left);

}  // namespace sabir::workers

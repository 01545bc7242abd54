// What a process has written, as the function's value.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "exec_file.h"
#include "sabir/base/error.h"
#include "sabir/protocol/payload.h"

namespace sabir::adapter {

// `output` is the standard output of a process that ended with `status` (0, or for "status" 1 too), or one line of a stream.
// Errors: kInvalidResult saying what it should be.
Result<protocol::Payload> read_result(const ExecFunction& function, std::string output, int status);

}  // namespace sabir::adapter

// attach_elsewhere: an SDK's connection whose requests go to an engine elsewhere, over HTTP (spec/engine-requests.md).
//
// Threads: any; it returns when the SDK has ended the connection.
#pragma once

#include "sabir/base/error.h"
#include "session.h"

namespace sabir::cli {

// Serves the SDK at the descriptors `in` and `out`, which are its own from here on. Errors: kUsage for what is no address; then nothing was read.
Result<void> attach_elsewhere(const SessionOptions& options, int in, int out);

}  // namespace sabir::cli

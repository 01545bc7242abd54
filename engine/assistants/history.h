// What a conversation's log gives to the next run: whole exchanges only, newest last.
//
// Threads: pure function.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/memory/memory.h"

namespace sabir::assistants {

// Drops what a model would refuse or misread: results without their call, calls without all their results (a run that
// died), leading messages before the first of the user, what is no message at all. User messages in a row become one.
// From the front, whole exchanges go until at most `most_bytes` of text are left.
json::array usable_history(const std::vector<memory::Message>& log, std::size_t most_bytes);

// Of a conversation that somebody else keeps: all of it up to `most_bytes`, else what the system says and the newest exchanges, from a user's
// message on. The last question stays whatever its size.
json::array trimmed_history(json::array messages, std::size_t most_bytes);

}  // namespace sabir::assistants

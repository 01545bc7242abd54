// Whoever wants to hear of each record of the log beside where it is written.
//
// Threads: watch_log() and the watcher's end from any; what it hears comes from any, under the log's lock: it must not log itself.
#pragma once

#include <functional>
#include <string_view>

#include "sabir/base/log.h"

namespace sabir {

// Replaces the one before; an empty function ends it. Records are redacted already.
void watch_log(std::function<void(LogLevel, std::string_view)> watcher);

}  // namespace sabir

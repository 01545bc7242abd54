// The engine's log: one line per record on standard error, through one redactor.
//
// Threads: every function may be called from any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sabir {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void set_log_level(LogLevel level);

// `redact` sees every record before it is written; secrets/ installs the one that knows the values.
void set_log_redactor(std::function<std::string(std::string_view)> redact);

// Tests and front ends may take the records instead of standard error; an empty function restores it.
void set_log_sink(std::function<void(LogLevel, std::string_view)> sink);

void log(LogLevel level, std::string_view message);

}  // namespace sabir

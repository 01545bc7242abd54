#include "sabir/base/log_watch.h"

#include <unistd.h>

#include <atomic>
#include <mutex>

namespace sabir {
namespace {
std::atomic<LogLevel> g_level{LogLevel::kWarning};
std::mutex g_mutex;
std::function<std::string(std::string_view)>& redactor() {
  static auto* function = new std::function<std::string(std::string_view)>();
  return *function;
}
std::function<void(LogLevel, std::string_view)>& sink() {
  static auto* function = new std::function<void(LogLevel, std::string_view)>();
  return *function;
}
std::function<void(LogLevel, std::string_view)>& watcher() {
  static auto* function = new std::function<void(LogLevel, std::string_view)>();
  return *function;
}
}  // namespace

void watch_log(std::function<void(LogLevel, std::string_view)> to) {
  const std::lock_guard lock(g_mutex);
  watcher() = std::move(to);
}

void set_log_level(LogLevel level) { g_level = level; }

void set_log_redactor(std::function<std::string(std::string_view)> redact) {
  const std::lock_guard lock(g_mutex);
  redactor() = std::move(redact);
}

void set_log_sink(std::function<void(LogLevel, std::string_view)> to) {
  const std::lock_guard lock(g_mutex);
  sink() = std::move(to);
}

void log(LogLevel level, std::string_view message) {
  if (level < g_level) return;
  static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  const std::lock_guard lock(g_mutex);
  const std::string text = redactor() ? redactor()(message) : std::string(message);
  if (watcher()) watcher()(level, text);
  if (sink()) {
    sink()(level, text);
    return;
  }
  const std::string line = "sabir: " + std::string(kNames[static_cast<int>(level)]) + ": " + text + "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace sabir

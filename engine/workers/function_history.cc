#include "function_history.h"

#include <algorithm>

#include "sabir/base/log.h"

namespace sabir::workers {
namespace {

constexpr double kQuick = 200;  // microseconds
constexpr int kQuickSamples = 3;
constexpr int kCrashLoop = 5;  // times in a row that a function ends its worker before it is left alone
constexpr std::chrono::seconds kLongestPause{60};

}  // namespace

void FunctionHistory::took(const std::string& address, microseconds time) {
  Speed& speed = speeds_[address];
  const auto us = static_cast<double>(time.count());
  speed.average_us = speed.samples == 0 ? us : speed.average_us * 0.8 + us * 0.2;
  ++speed.samples;
  if (!crashes_.empty()) crashes_.erase(address);
}

void FunctionHistory::overran(const std::string& address, microseconds so_far) {
  speeds_[address] = {static_cast<double>(so_far.count()), kQuickSamples};
}

// It is left alone longer each time.
void FunctionHistory::crashed(const std::string& address, const std::string& why) {
  auto& one = crashes_[address];
  ++one.in_a_row;
  one.last = why;
  if (one.in_a_row < kCrashLoop) return;
  const auto pause = std::min(std::chrono::seconds(1 << std::min(one.in_a_row - kCrashLoop, 6)), kLongestPause);
  one.until = Clock::now() + pause;
  log(LogLevel::kWarning, address + " ended its " + language_ + " worker " + std::to_string(one.in_a_row) + " times in a row (the last one " + why +
                              "); it is left alone for " + std::to_string(pause.count()) + " s");
}

bool FunctionHistory::quick(const std::string& address) const {
  const auto found = speeds_.find(address);
  return found != speeds_.end() && found->second.samples >= kQuickSamples && found->second.average_us < kQuick;
}

bool FunctionHistory::slow(const std::string& address) const {
  const auto found = speeds_.find(address);
  return found != speeds_.end() && found->second.samples > 0 && found->second.average_us >= static_cast<double>(kSlow.count());
}

std::optional<Error> FunctionHistory::refusal(const std::string& address) const {
  if (crashes_.empty()) return std::nullopt;
  const auto crash = crashes_.find(address);
  const auto now = Clock::now();
  if (crash == crashes_.end() || now >= crash->second.until) return std::nullopt;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(crash->second.until - now).count();
  return Error(ErrorCode::kWorkerCrashed,
               address + " is left alone: it ended its " + language_ + " worker " + std::to_string(crash->second.in_a_row) +
                   " times in a row; the last one " + crash->second.last,
               "It can be called again in " + std::to_string(left + 1) + " s.")
      .with_data("{\"retry_after_ms\":" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(crash->second.until - now).count() + 1) + "}");
}

std::vector<std::string> FunctionHistory::refused() const {
  std::vector<std::string> out;
  const auto now = Clock::now();
  for (const auto& [address, crash] : crashes_) {
    if (now < crash.until) out.push_back(address);
  }
  return out;
}

void FunctionHistory::forget() {
  speeds_.clear();
  crashes_.clear();
}

}  // namespace sabir::workers

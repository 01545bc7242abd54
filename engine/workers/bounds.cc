#include "bounds.h"

#include <algorithm>

namespace sabir::workers {
namespace {
using std::chrono::milliseconds;

// A sandbox without a call may use a twentieth of a core, and this much more at once: a runtime that tidies up does. By processor time
// and not by the clock, since others may leave a sandbox little of the machine.
constexpr int kShare = 20;
constexpr milliseconds kAtOnce{2000};

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + (1U << 19U)) >> 20U) + " MB"; }
}  // namespace

std::uint64_t memory_of(const PoolSpec& spec, pid_t pid) {
  return process::usage_of(pid).resident + (spec.max_processes > 0 ? process::sandbox_files(pid) : 0);
}

std::optional<Error> beyond_bounds(const PoolSpec& spec, pid_t pid, const std::string& call, Clock::time_point idle_since, LeftBehind& left) {
  const auto usage = process::usage_of(pid);
  const std::string what = call.empty() ? "what a call left behind" : call;
  const auto now = Clock::now();
  if (!call.empty() || idle_since > left.looked) {
    left = {usage.cpu, now, milliseconds(0)};
  } else {
    const auto used = std::max(usage.cpu - left.cpu, milliseconds(0));
    const auto share = std::chrono::duration_cast<milliseconds>(now - left.looked) / kShare;
    left = {usage.cpu, now, std::max(left.beyond + used - share, milliseconds(0))};
  }
  if (left.beyond > kAtOnce) {
    return Error(ErrorCode::kLimit, what + " was ended: its " + spec.language + " worker computed on without a call", "A sandbox computes while it runs a call.");
  }
  if (spec.max_processes > 0 && usage.processes > spec.max_processes) {
    return Error(ErrorCode::kLimit, what + " was ended: its " + spec.language + " worker ran more than " + std::to_string(spec.max_processes) + " processes",
                 "Let it start fewer, or raise `processes` of its entry in sabir.yml's isolation.");
  }
  if (spec.max_memory == 0) return std::nullopt;
  const auto bytes = usage.resident + (spec.max_processes > 0 ? process::sandbox_files(pid) : 0);
  if (bytes <= spec.max_memory) return std::nullopt;
  return Error(ErrorCode::kLimit, what + " was ended: its " + spec.language + " worker used " + megabytes(bytes) + " of memory, more than " + megabytes(spec.max_memory),
               "Let it work on less at a time, or raise " +
                   (spec.max_processes > 0 ? std::string("`memory` of its entry in sabir.yml's isolation.") : "pools." + spec.language + ".max_memory in sabir.yml."));
}

}  // namespace sabir::workers

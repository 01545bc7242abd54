// Provider: functions that live elsewhere than in the project's sources, and run elsewhere than in its workers. runtime/ plugs one in.
//
// Threads: functions() from any; the rest on the loop. Lifetimes: outlives the Functions that it was given to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sabir/functions/registry.h"
#include "sabir/workers/pool.h"

namespace sabir::functions {

class Provider {
 public:
  virtual ~Provider() = default;

  // What SourceFile::language is of its functions.
  virtual std::string_view language() const = 0;
  // As they are now, for a reading of the project.
  virtual Provided functions(const project::Project& project) const = 0;

  using CallId = std::uint64_t;
  // `events.done` comes once, never from inside call(); `spec` has a deadline, at which the provider answers kTimeout.
  virtual CallId call(const Function& function, workers::CallSpec spec, workers::CallEvents events) = 0;
  virtual void cancel(CallId id, ErrorCode code, const std::string& reason) = 0;
};

}  // namespace sabir::functions

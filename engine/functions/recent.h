// The last calls of one function, and how long its calls take.
//
// Threads: a plain value.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::functions {

// How often something took how long, in 4 classes for each doubling from a microsecond to an hour: a quantile is at most a fifth
// too high. What is long past counts for less and less: from kMost on all counts are halved.
class Durations {
 public:
  void note(std::chrono::nanoseconds took);
  // Upper bound of the class in which the `part`th of all lies, in milliseconds; 0 = nothing was noted.
  double quantile_ms(double part) const;

 private:
  static constexpr std::uint32_t kMost = 8192;
  std::array<std::uint16_t, 128> counts_{};
  std::uint32_t all_ = 0;
};

struct Recent {
  std::array<float, 64> ms{};
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  std::string last_error;
  Durations durations;

  // `error`: null when the call went well.
  void note(std::chrono::nanoseconds took, const Error* error);
  // As Functions::recent() says.
  json::object to_json() const;
};

}  // namespace sabir::functions

// The last calls of one function.
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

struct Recent {
  std::array<float, 64> ms{};
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
  std::string last_error;

  // `error`: null when the call went well.
  void note(std::chrono::duration<float, std::milli> took, const Error* error);
  // As Functions::recent() says.
  json::object to_json() const;
};

}  // namespace sabir::functions

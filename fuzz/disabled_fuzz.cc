// The record of disabled functions: any text ends in functions with addresses, or in an error with its line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/functions/disabled.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = sabir::functions::parse_disabled(std::string_view(reinterpret_cast<const char*>(data), size), "disabled_functions.jsonl");
  if (!read) {
    if (read.error().message.empty() || read.error().line < 1) std::abort();
    return 0;
  }
  for (const auto& [address, one] : *read) {
    if (address.empty() || address != one->address || sabir::functions::error_of(*one).message.empty()) std::abort();
  }
  return 0;
}

// Configuration files: any bytes end in a value or in a kConfig error that names a place inside the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/project/project.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sabir::project::Positions positions;
  const auto value = sabir::project::parse_yaml(text, "fuzz.yml", &positions);
  if (value) {
    if (value->is_object()) (void)sabir::project::refuse_unknown_keys(value->get_object(), {"engine"}, "fuzz.yml", positions, "");
  } else if (value.error().code != sabir::ErrorCode::kConfig || value.error().file != "fuzz.yml") {
    std::abort();
  }
  if (const auto ms = sabir::project::parse_duration_ms(text); ms && (*ms <= 0 || *ms > 86'400'000)) std::abort();
  if (const auto ms = sabir::project::parse_span_ms(text); ms && *ms <= 0) std::abort();
  if (const auto rate = sabir::project::parse_rate(text); rate && sabir::project::parse_rate(sabir::project::to_text(*rate)) != rate) std::abort();
  if (const auto bytes = sabir::project::parse_bytes(text); bytes && (*bytes < 1024 * 1024 || *bytes > 1'000'000'000'000'000)) std::abort();
  return 0;
}

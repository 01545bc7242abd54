// Any bytes as a describe program's entry for one file: a description whose schemas can be enforced, or refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/schema/described.h"
#include "sabir/schema/validator.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const auto value = sabir::parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value) return 0;
  const auto description = sabir::schema::description_from_json(*value, "input");
  if (!description) {
    if (description.error().message.empty()) std::abort();
    return 0;
  }
  (void)sabir::json::serialize(sabir::schema::to_json(*description));
  for (const auto& function : description->functions) {
    if (!sabir::schema::Validator::compile(function.input_schema)) std::abort();
    if (!sabir::schema::Validator::compile(function.output_schema)) std::abort();
  }
  return 0;
}

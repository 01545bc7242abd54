// An assistant's constants: any object ends in a definition within its bounds or in an error with words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/assistants/definition.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto constants = sabir::parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!constants || !constants->is_object()) return 0;
  const auto definition = sabir::assistants::parse_definition("fuzz", constants->get_object(), "assistants/python/fuzz.py");
  if (!definition) {
    if (definition.error().message.empty() || definition.error().file.empty()) std::abort();
    return 0;
  }
  if (definition->max_steps < 1 || definition->max_steps > 100 || definition->history < 0 || definition->history > 1000) std::abort();
  if (definition->max_time.count() < 1 || definition->max_time > std::chrono::hours(1)) std::abort();
  if (definition->instructions.empty() == definition->prompt.empty()) std::abort();
  return 0;
}

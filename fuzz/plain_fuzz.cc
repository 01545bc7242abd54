// Any bytes as a Java file: left to the describe program, or an entry that the describe program's contract allows.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/schema/described.h"
#include "sabir/schema/plain.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  (void)sabir::schema::hides_plain_types("java", source);
  const auto entry = sabir::schema::describe_plain("java", source, "functions/java/Code.java");
  if (entry && !sabir::schema::description_from_json(*entry, "functions/java/Code.java")) std::abort();
  return 0;
}

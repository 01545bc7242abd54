// Any bytes as RBS: declarations, a method's type, a type. Read or refused, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rbs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sabir::schema::RbsDeclarations declarations;
  sabir::schema::rbs_read(text, declarations);
  (void)sabir::schema::rbs_method(text);
  (void)sabir::schema::rbs_type(text);
  return 0;
}

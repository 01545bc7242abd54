// Any bytes as a bash file: what it offers, in the form of a describe program's answer whose schemas can be enforced.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/schema/described.h"
#include "sabir/schema/shell.h"
#include "shell_types.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)sabir::schema::shell_text_is_closed(text);
  std::string_view rest;
  if (const auto type = sabir::schema::read_shell_type(text, rest); type && rest.size() > text.size()) std::abort();
  const auto told = sabir::schema::describe_shell(text, "input");
  if (!told.contains("path")) std::abort();
  const auto description = sabir::schema::description_from_json(told, "input");
  if (!description && !told.contains("error")) std::abort();
  return 0;
}

// A .prompt file from anywhere: parsing, marking and splitting end, and what was not a heading survives unchanged.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "prompt_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto prompt = sabir::completions::parse_prompt(input, "fuzz.prompt");
  if (!prompt) {
    if (prompt.error().message.empty()) std::abort();
    return 0;
  }
  const std::string secret = "1234567890";
  const sabir::completions::RoleMarks marks(secret);
  const auto marked = marks.mark(prompt->body, "fuzz.prompt", prompt->lines_before);
  if (!marked) return 0;
  const auto split = marks.split(*marked);
  if (marked->find(secret) == std::string::npos && (split.text != *marked || !split.messages.empty())) std::abort();
  // Whatever comes out of a template is split without harm.
  marks.split(input);
  return 0;
}

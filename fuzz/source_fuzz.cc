// Any bytes as a source file of any grammar: described or refused, never a crash. The first byte chooses the grammar.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/schema/function_schema.h"
#include "sabir/schema/glue.h"
#include "sabir/schema/validator.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > (1U << 16U)) return 0;
  constexpr std::string_view kGrammars[] = {"python", "ruby", "cpp"};
  // 'p', 'r' and 'c' in the corpus, any byte otherwise.
  const std::size_t which = data[0] == 'p' ? 0 : data[0] == 'r' ? 1 : data[0] == 'c' ? 2 : data[0] % 3;
  const std::string_view source(reinterpret_cast<const char*>(data) + 1, size - 1);
  // What it imports, requires or includes is the same again, a few times; its signatures are those of sig/all.rbs.
  int others = 0;
  const sabir::schema::ReadOther other = [&](const std::string& path) -> std::optional<std::string> {
    if (path.ends_with("sig/")) return "all.rbs";
    return ++others <= 4 && path.size() < 64 ? std::optional<std::string>(source) : std::nullopt;
  };
  const auto description = sabir::schema::describe(kGrammars[which], source, "functions/input", other);
  if (!description) {
    if (description.error().message.empty()) std::abort();
    return 0;
  }
  (void)sabir::json::serialize(sabir::schema::to_json(*description));
  (void)sabir::schema::glue_input(*description, "input", "input");
  // What is described has to be a schema that can be enforced.
  for (const auto& function : description->functions) {
    if (!sabir::schema::Validator::compile(function.input_schema)) std::abort();
    if (!sabir::schema::Validator::compile(function.output_schema)) std::abort();
  }
  return 0;
}

// Inputs from schemas: any schema ends in values, within bounds; the values of a schema of plain kinds fit it; a shrunk value is no larger.
// Patterns and doc comments end in texts and calls, or in nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "sabir/evals/inputs.h"
#include "sabir/schema/validator.h"

using namespace sabir;
using namespace sabir::evals;

namespace {

// Whether nothing stands in it that a generator leaves to the validator.
bool is_plain(const json::value& value) {
  if (value.is_array()) {
    for (const auto& one : value.get_array()) {
      if (!is_plain(one)) return false;
    }
    return true;
  }
  if (!value.is_object()) return true;
  for (const auto& member : value.get_object()) {
    if (member.key() == "type") {
      if (!member.value().is_string()) return false;
    } else if (member.key() == "properties") {
      if (!member.value().is_object()) return false;
      for (const auto& property : member.value().get_object()) {
        if (!property.value().is_object() || !is_plain(property.value())) return false;
      }
    } else if (member.key() == "items") {
      if (!member.value().is_object() || !is_plain(member.value())) return false;
    } else {
      return false;
    }
  }
  return true;
}

void check_schema(const json::object& schema) {
  const auto validator = schema::Validator::compile(schema);
  if (!validator) return;
  const auto ground = common_ground({schema, schema});
  if (is_impossible(ground)) return;
  Generator generator(ground, 7);
  auto values = generator.edges(30);
  for (int i = 0; i < 5; ++i) values.push_back(generator.random());
  const bool plain = is_plain(schema);
  for (const auto& value : values) {
    const auto text = compact_json(value);
    const bool fits = validator->check(text, ErrorCode::kInvalidArguments, "value").has_value();
    if (plain && !fits) std::abort();
    int asked = 0;
    const auto smaller = shrink(value, [&](const json::value&) { return ++asked % 3 == 0; }, 20);
    if (size_of(smaller) > size_of(value) || asked > 20) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto schema = parse_json(text); schema && schema->is_object()) check_schema(schema->get_object());
  std::uint64_t state = 1;
  const std::function<std::uint64_t()> next = [&state] { return state += 0x9e3779b97f4a7c15ULL; };
  if (const auto made = text_of_pattern(text, next); made && made->size() > 100'000) std::abort();
  for (const auto& call : parse_doc_examples(text, {"f", "mean"}, {"a", "b", "values"})) {
    if (call.size() > 3) std::abort();
  }
  return 0;
}

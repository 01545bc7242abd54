// The arguments of a C++ function inside the engine: what its reader takes as JSON the JSON library takes too, and what is read
// and written again is the same value.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/text_access_inline.hpp"

namespace {

using namespace sabir::worker;

void walk(const TextValue& value) {
  const Path place{};
  try {
    if (value.kind == TextValue::Kind::kString) {
      (void)read_text(value, place);
      (void)read_time(value, place);
    } else if (value.kind == TextValue::Kind::kNumber) {
      (void)read_number(value, place);
      (void)read_integer(value, place, INT64_MIN, INT64_MAX);
    } else if (value.kind == TextValue::Kind::kArray) {
      const TextValue* item = nullptr;
      for (std::size_t i = 0; i < read_array(value, place); ++i) walk(*(item = &element(value, item, i)));
    } else if (value.kind == TextValue::Kind::kObject) {
      read_object(value, place, nullptr, [](void*, const std::string& name, const TextValue& item) {
        (void)name;
        walk(item);
      });
    }
  } catch (const InvalidArgument& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const TextDocument document(text);
    walk(document.root());
    // Numbers and halves of surrogate pairs are looked at when they are read.
    const auto value = sabir::Json::parse(text, nullptr, false);
    if (value.is_discarded()) return 0;
    std::string written(size * 6 + 64, '\0');
    sabir_output output{written.data(), 0, written.size(), [](sabir_output*, std::size_t) { return 1; }, nullptr};
    TextWriter out(output);
    try {
      write_json(out, value);
    } catch (const std::bad_alloc&) {
      return 0;  // a float may take more room than its text
    }
    written.resize(output.size);
    if (sabir::Json::parse(written) != value) std::abort();
  } catch (const InvalidArgument&) {
    return 0;
  }
  return 0;
}

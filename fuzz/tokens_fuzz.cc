// A text from anywhere: its tokens follow one another from its beginning to its end, in both encodings.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_text = sabir::find_invalid_utf8(text) == std::string::npos;
  for (const std::string_view encoding : {"o200k_base", "cl100k_base"}) {
    sb_buf out{nullptr, 0};
    const bool counted = sb_tokens({encoding.data(), encoding.size()}, {text.data(), text.size()}, &out) == 0;
    if (counted != is_text) std::abort();
    std::uint32_t before = 0;
    for (std::size_t at = 0; at + sizeof(before) <= out.size; at += sizeof(before)) {
      std::uint32_t end = 0;
      std::memcpy(&end, out.data + at, sizeof(end));
      if (end <= before || end > size) std::abort();
      before = end;
    }
    if (counted && before != size) std::abort();
    sb_free(out);
  }
  return 0;
}

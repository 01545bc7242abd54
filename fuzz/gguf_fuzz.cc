// The head of a GGUF file from anywhere: a tokenizer that is read cuts a text from its beginning to its end.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sabir/bridge/bridge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sb_buf out{nullptr, 0};
  sb_tokenizer* tokenizer = sb_tokenizer_new({reinterpret_cast<const char*>(data), size}, &out);
  if (out.size == 0) std::abort();
  sb_free(out);
  if (tokenizer == nullptr) return 0;
  constexpr std::string_view kText = "hello  <|im_end|>\n été 日本 123 isn't\t<mine>";
  for (const int control : {0, 1}) {
    sb_buf ends{nullptr, 0};
    if (sb_tokenizer_ends(tokenizer, {kText.data(), kText.size()}, control, &ends) != 0) std::abort();
    std::uint32_t before = 0;
    for (std::size_t at = 0; at + sizeof(before) <= ends.size; at += sizeof(before)) {
      std::uint32_t end = 0;
      std::memcpy(&end, ends.data + at, sizeof(end));
      if (end <= before || end > kText.size()) std::abort();
      before = end;
    }
    if (before != kText.size()) std::abort();
    sb_free(ends);
  }
  sb_tokenizer_free(tokenizer);
  return 0;
}

// Variables of a prompt from anywhere: they are read, whole integers of up to 128 bits exactly, or refused; no part of the reader panics.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/bridge/bridge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static sb_templates* const templates = sb_templates_new([](void*, sb_str, sb_str*) { return 0; }, nullptr, 100'000);
  constexpr std::string_view kName = "t";
  constexpr std::string_view kText = "{{ v|default(1) }}{% for name in v is mapping and v or [] %}{{ name }}{% endfor %}";
  sb_buf out{};
  const int status = sb_templates_render_text(templates, {kName.data(), kName.size()}, {kText.data(), kText.size()}, {reinterpret_cast<const char*>(data), size}, &out);
  const std::string text(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  if (status != 0 && text.find("internal error") != std::string::npos) std::abort();
  return 0;
}

// Variables of a prompt from anywhere: they are read, whole integers of up to 128 bits exactly, or refused; no part of the reader panics,
// and the readers of simple and of other templates agree.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/bridge/bridge.h"

namespace {

struct Simple {
  std::string_view text;
  std::uint64_t version = 0;  // of the text
  static int load(void* self, sb_str, sb_str* text, std::uint64_t* version) {
    const auto* simple = static_cast<Simple*>(self);
    *text = {simple->text.data(), simple->text.size()};
    *version = simple->version;
    return 1;
  }
};

std::string rendered(sb_templates* templates, Simple& simple, sb_str variables) {
  const sb_reading reading{&Simple::load, nullptr, &simple, {nullptr, 0}, nullptr, {nullptr, 0}};
  sb_buf out{};
  const int status = sb_templates_render_kept(templates, &reading, {"t", 1}, variables, {nullptr, 0}, &out);
  std::string text = std::to_string(status) + std::string(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static sb_templates* const templates = sb_templates_new([](void*, sb_str, sb_str*) { return 0; }, nullptr, 100'000);
  constexpr std::string_view kName = "t";
  constexpr std::string_view kText = "{{ v|default(1) }}{% for name in v is mapping and v or [] %}{{ name }}{% endfor %}";
  sb_buf out{};
  const int status = sb_templates_render_text(templates, {kName.data(), kName.size()}, {kText.data(), kText.size()}, {reinterpret_cast<const char*>(data), size}, &out);
  const std::string text(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  if (status != 0 && text.find("internal error") != std::string::npos) std::abort();
  sb_templates* const kept = sb_templates_keeping(100'000, {nullptr, 0});
  Simple simple;
  for (const std::string_view simply : {"{{ v }}", "{% for x in v %}{{ x }},{% endfor %}", "{% for x in v %}{% if x.k == 'a' %}{{ x.k }}{% endif %}{% endfor %}"}) {
    simple.text = simply;
    ++simple.version;
    // The first time by minijinja, which reads it then; later directly, where it is so simple (direct.rs).
    const std::string first = rendered(kept, simple, {reinterpret_cast<const char*>(data), size});
    if (rendered(kept, simple, {reinterpret_cast<const char*>(data), size}) != first) std::abort();
  }
  sb_templates_free(kept);
  return 0;
}

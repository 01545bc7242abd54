// A template from anywhere: it renders or says what is wrong, in bounded time, and no part of the renderer panics; what is told of the
// pieces of its text is that text (request.rs compares them), and what is found in it without rendering is found. The first
// byte chooses the settings, the second the op; what follows a NUL is a template that the first may include.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned settings = data[0];
  constexpr const char* kOps[] = {"variables", "explain", "facts", "render"};
  std::string text;
  for (std::size_t i = 2; i < size; ++i) {
    // JSON carries UTF-8 alone; other bytes become letters that UTF-8 has.
    if (data[i] < 0x80) {
      text += static_cast<char>(data[i]);
    } else {
      text += "\xc3";
      text += static_cast<char>(0x80 | (data[i] & 0x3fU));
    }
  }
  const std::size_t cut = text.find('\0');
  const std::string part = cut == std::string::npos ? "" : text.substr(cut + 1);
  namespace json = sabir::json;
  json::object syntax{{"trim_blocks", (settings & 1U) != 0}, {"lstrip_blocks", (settings & 2U) != 0}};
  if ((settings & 4U) != 0) {
    syntax["line_statement_prefix"] = "#";
    syntax["line_comment_prefix"] = "##";
  }
  const json::object variables{{"a", 1}, {"s", "text"}, {"l", json::array{1, 2, json::object{{"k", nullptr}}}}, {"d", json::object{{"x", 1.5}}}};
  json::object request{{"op", kOps[data[1] % 4]}, {"template", "a"}, {"templates", json::object{{"a", text.substr(0, cut)}, {"b", part}}},
                       {"variables", variables}, {"syntax", syntax}, {"fuel", 20000}};
  request["undefined"] = (settings & 8U) != 0 ? "lenient" : "strict";
  if ((settings & 16U) != 0) request["autoescape"] = json::array{"a", "b"};
  const std::string asked = json::serialize(request);
  sb_buf out{};
  sb_templates_answer({asked.data(), asked.size()}, &out);
  const std::string answer(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  if (answer.empty() || answer.find(R"("kind":"panic")") != std::string::npos) std::abort();
  if (answer.find(R"("kind":)") != std::string::npos && answer.find(R"("message":"")") != std::string::npos) std::abort();
  return 0;
}

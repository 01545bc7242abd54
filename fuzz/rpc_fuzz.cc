// JSON-RPC messages and the JSON texts inside: both of the engine's JSON readers agree on what JSON is, views stay inside
// the text, quoting is undone by unquoting, and blobs find their places.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/protocol/message.h"
#include "sabir/protocol/payload.h"
#include "sabir/protocol/raw_json.h"

namespace {

void inside(std::string_view part, std::string_view text) {
  if (!part.empty() && (part.data() < text.data() || part.data() + part.size() > text.data() + text.size())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sabir;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool valid = protocol::check_json(text).has_value();
  // The value reader may refuse more (numbers out of range) but never takes what the checker refuses.
  if (!valid && parse_json(text)) std::abort();
  if (const auto members = protocol::raw_members(text)) {
    if (!valid) std::abort();
    for (const auto& member : *members) {
      inside(member.key, text);
      inside(member.value, text);
      if (!protocol::check_json(member.value)) std::abort();
    }
  }
  if (const auto message = protocol::parse_message(text)) {
    for (const auto part : {message->id, message->method, message->params, message->result, message->error}) inside(part, text);
    (void)message->number();
    if (!message->error.empty()) (void)protocol::error_of(message->error);
    if (message->kind == protocol::MessageKind::kRequest &&
        !protocol::parse_message(protocol::make_response(message->id, "null"))) {
      std::abort();
    }
  }
  if (valid) {
    const auto payload = protocol::deflate(std::string(text));
    const auto back = protocol::inflate(payload);
    if (!back || !protocol::check_json(*back)) std::abort();
    (void)protocol::outline(payload);
    const std::string indented = protocol::indented(text);
    if (!protocol::check_json(indented) || protocol::has_long_integer(indented) != protocol::has_long_integer(text)) std::abort();
    (void)protocol::read_blob_list(text, {std::string("a"), std::string("b")}, "/value");
  }
  const std::string quoted = protocol::quote(text);
  if (!protocol::check_json(quoted)) std::abort();
  if (find_invalid_utf8(text) == std::string_view::npos && protocol::unquote(quoted) != text) std::abort();
  return 0;
}

// JSON-RPC messages: what parses is valid JSON with views inside the text, errors survive a round trip, payloads inflate
// to what they were deflated from.
#include <cstdint>
#include <cstdlib>

#include "sabir/protocol/message.h"
#include "sabir/protocol/payload.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sabir::protocol;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto message = parse_message(text);
  if (message) {
    for (const auto part : {message->id, message->params, message->result, message->error}) {
      if (!part.empty() && (part.data() < text.data() || part.data() + part.size() > text.data() + text.size())) std::abort();
      if (!part.empty() && !check_json(part)) std::abort();
    }
    (void)message->number();
    if (!message->error.empty()) {
      const auto error = error_of(message->error);
      if (!parse_message(make_error("1", error))) std::abort();
    }
    if (message->kind == MessageKind::kRequest && !parse_message(make_response(message->id, "{}"))) std::abort();
  }
  if (check_json(text)) {
    const auto payload = deflate(text);
    if (!check_json(payload.json)) std::abort();
    (void)inflate(payload);
    (void)outline(payload);
  }
  const std::string quoted = quote(text);
  if (!check_json(quoted)) std::abort();
  (void)unquote(quoted);
  (void)read_blob_list(text, {"a", "b"}, "/value");
  return 0;
}

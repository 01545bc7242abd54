// What a model's server may send: any bytes as an event stream or as a whole answer, through OpenAI's two APIs and Anthropic's.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "anthropic/anthropic_model.h"
#include "openai/openai_codec.h"

namespace {

void check(const sabir::Result<sabir::models::Reply>& reply) {
  if (!reply) {
    if (reply.error().message.empty()) std::abort();
    return;
  }
  if (reply->finish_reason.empty()) std::abort();
  for (const auto& call : reply->tool_calls) {
    if (call.id.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto codec = (data[0] & 3U) == 1   ? sabir::models::make_chat_codec()
                     : (data[0] & 3U) == 2 ? sabir::models::make_responses_codec()
                                           : sabir::models::make_messages_codec();
  if (const auto value = sabir::parse_json(text); value && value->is_object()) check(codec->whole(value->get_object()));

  sabir::net::SseParser parser(65536);
  std::size_t streamed = 0;
  const auto on_event = [&](const sabir::models::Event& event) { streamed += event.content.size() + event.reasoning.size(); };
  bool good = true;
  if (const auto events = parser.feed(text)) {
    for (const auto& event : *events) good = good && codec->take(event, on_event).has_value();
    if (const auto last = parser.finish()) good = good && codec->take(*last, on_event).has_value();
    if (streamed > size) std::abort();
    if (good) check(codec->end());
  }
  return 0;
}

// What a client of OpenAI's API may send: any JSON as a request of Chat Completions, Responses or Embeddings, and the answer to it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "openai/chat.h"
#include "openai/embeddings.h"
#include "openai/responses.h"

namespace {

using namespace sabir::serve::openai;

void check(const sabir::Error& error) {
  const auto body = error_body(error);
  if (error.message.empty() || status_of(error) != 400 || !body.at("error").at("message").is_string()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value = sabir::parse_json({reinterpret_cast<const char*>(data), size});
  if (!value || !value->is_object()) return 0;
  const auto& body = value->get_object();
  const Told told{"é and more", {{"c1", "f", "{}"}}, "tool_calls", {1, 2}};

  if (const auto asked = read_chat(body)) {
    if (asked->model.empty() || asked->messages.empty()) std::abort();
    const Head head{"chatcmpl-1", 1, asked->model};
    ChatStream stream(head, asked->include_usage);
    std::size_t written = sabir::compact_json(chat_completion(head, told)).size();
    for (const auto& chunks : {stream.begin(), stream.text("é and"), stream.end(told)}) {
      for (const auto& chunk : chunks) written += sabir::compact_json(chunk).size();
    }
    if (written == 0) std::abort();
  } else {
    check(asked.error());
  }
  if (const auto asked = read_response_request(body)) {
    if (asked->model.empty()) std::abort();
    ResponseStream stream({"resp_1", 1, asked->model, "msg_1"}, *asked);
    std::int64_t next = 0;
    for (const auto& events : {stream.begin(), stream.text("é and"), stream.end(told)}) {
      for (const auto& event : events) {
        if (event.data.at("sequence_number").as_int64() != next++) std::abort();
        (void)sabir::compact_json(event.data);
      }
    }
  } else {
    check(asked.error());
  }
  if (const auto asked = read_embedding(body)) {
    if (!sabir::models::check_texts(*asked)) std::abort();
  } else {
    check(asked.error());
  }
  return 0;
}

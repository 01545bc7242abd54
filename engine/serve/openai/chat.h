// Chat Completions (POST /v1/chat/completions): a request read, an answer written, a stream's chunks. No I/O.
//
// Threads: plain values; a ChatStream belongs to one answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "openai/asked.h"

namespace sabir::serve::openai {

// Errors: kInvalidArguments, with the member's name.
Result<Asked> read_chat(const json::object& body);

// What all that is written of one answer has in common.
struct Head {
  std::string id;            // "chatcmpl-…"
  std::int64_t created = 0;  // Unix seconds
  std::string model;         // as the client named it
};

json::object chat_completion(const Head& head, const Told& told);

// The chunks of a streamed answer, in order: begin(), text() any number of times, end().
class ChatStream {
 public:
  ChatStream(Head head, bool include_usage) : head_(std::move(head)), include_usage_(include_usage) {}

  std::vector<json::object> begin();
  std::vector<json::object> text(std::string_view piece);
  // What of the content text() has not shown yet, the calls, the reason and the usage.
  std::vector<json::object> end(const Told& told);

 private:
  json::object chunk(json::object delta, json::value finish_reason) const;

  const Head head_;
  const bool include_usage_;
  std::size_t shown_ = 0;  // bytes of the content
};

}  // namespace sabir::serve::openai

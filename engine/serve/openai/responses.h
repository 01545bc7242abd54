// Responses (POST /v1/responses): a request read, an answer written, a stream's events. No I/O.
//
// Threads: plain values; a ResponseStream belongs to one answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "openai/asked.h"

namespace sabir::serve::openai {

// Errors: kInvalidArguments, with the member's name.
Result<Asked> read_response_request(const json::object& body);

struct ResponseHead {
  std::string id;            // "resp_…"
  std::int64_t created = 0;  // Unix seconds
  std::string model;         // as the client named it
  std::string message_id;    // "msg_…"
};

// The whole answer. `asked` is repeated where the original repeats it.
json::object response_object(const ResponseHead& head, const Asked& asked, const Told& told);
json::object failed_response(const ResponseHead& head, const Asked& asked, const Error& error);

struct ResponseEvent {
  std::string type;   // "response.output_text.delta"
  json::object data;  // with its type and sequence_number
};

// The events of a streamed answer, in order: begin(), text() any number of times, then end() or fail().
class ResponseStream {
 public:
  ResponseStream(ResponseHead head, Asked asked) : head_(std::move(head)), asked_(std::move(asked)) {}

  std::vector<ResponseEvent> begin();
  std::vector<ResponseEvent> text(std::string_view piece);
  std::vector<ResponseEvent> end(const Told& told);
  std::vector<ResponseEvent> fail(const Error& error);

 private:
  void add(std::vector<ResponseEvent>& events, std::string type, json::object data);
  void open_message(std::vector<ResponseEvent>& events);

  const ResponseHead head_;
  const Asked asked_;
  std::int64_t sequence_ = 0;
  std::string shown_;
  bool open_ = false;
};

}  // namespace sabir::serve::openai

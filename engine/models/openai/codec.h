// Codec: one of OpenAI's two APIs, as translation between models::Request / Reply and JSON. No I/O.
//
// Threads: a codec serves one exchange on one thread.
// Field names: OpenAI's published OpenAPI document, Chat Completions (createChatCompletion) and Responses
// (createResponse).
#pragma once

#include <memory>
#include <string>

#include "openai/options.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"
#include "sabir/net/sse_parser.h"

namespace sabir::models {

class Codec {
 public:
  virtual ~Codec() = default;
  virtual std::string path() const = 0;  // below base_url: "/chat/completions"
  // Errors: kInvalidArguments for messages or parameters that the API cannot carry.
  virtual Result<json::object> body(const Request& request, const OpenAiOptions& options, bool stream) const = 0;
  // A whole answer. Errors: kModel.
  virtual Result<Reply> whole(const json::object& answer) const = 0;
  // A streamed answer: take() each event, then end(). Errors: kModel (the provider's error, or not its format);
  // kModelUnreachable when the stream ended too early.
  virtual Result<void> take(const net::SseEvent& event, const OnEvent& on_event) = 0;
  virtual Result<Reply> end() = 0;
};

std::unique_ptr<Codec> make_chat_codec();
std::unique_ptr<Codec> make_responses_codec();
std::unique_ptr<Codec> make_codec(OpenAiApi api);

// Shared by both codecs.
// {"message", "type", "code", "param"} of an error object, or of a string, as an Error of code kModel.
Error provider_error(const json::value& error);
// Text of a message's content: a string, null, or a list of parts.
std::string content_text(const json::value* content);
// Whether `schema` fits OpenAI's strict mode: every object closed and every property required.
bool fits_strict_mode(const json::value& schema);
// The options' parameters with the request's on top.
json::object merged_parameters(const Request& request, const OpenAiOptions& options);
// Parses one event's data. Errors: kModel.
Result<json::object> event_object(const net::SseEvent& event);
std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t otherwise);

}  // namespace sabir::models

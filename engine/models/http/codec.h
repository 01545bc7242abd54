// Codec: one API of a provider, as translation between models::Request / Reply and JSON. No I/O.
//
// Threads: a codec serves one exchange on one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "http/endpoint.h"
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
  virtual Result<json::object> body(const Request& request, const Endpoint& endpoint, bool stream) const = 0;
  // A whole answer. Errors: kModel.
  virtual Result<Reply> whole(const json::object& answer) const = 0;
  // A streamed answer: take() each event, then end(). Errors: kModel (the provider's error, or not its format);
  // kModelUnreachable when the stream ended too early.
  virtual Result<void> take(const net::SseEvent& event, const OnEvent& on_event) = 0;
  virtual Result<Reply> end() = 0;
  // What the stream has brought so far.
  virtual std::string_view text() const = 0;
  virtual std::string_view reasoning() const = 0;
  virtual bool begun() const = 0;  // text, thinking, or the first piece of a call
};

// A picture of a message in Chat Completions' form.
struct Image {
  std::string url;         // as it came; for providers that take data: URLs
  std::string media_type;  // of a data: URL: "image/png"; "" for one that is fetched
  std::string data;        // its base64
  std::string detail;
};
// Nothing when `part` is no picture. Errors: kInvalidArguments for a URL that is none of https:, http: and data: with
// base64.
Result<std::optional<Image>> image_of(const json::object& part);

// What a model is told that cannot be held to a schema by its server.
std::string schema_instruction(const json::object& schema);

// Shared by all codecs.
// {"message", "type", "code", "param"} of an error object, or of a string, as an Error of code kModel with what it means
// for another try.
Error provider_error(const json::value& error);
// Text of a message's content: a string, null, or a list of parts.
std::string content_text(const json::value* content);
// The endpoint's parameters with the request's on top.
json::object merged_parameters(const Request& request, const Endpoint& endpoint);
// The beginning of foreign bytes as a message may quote them: valid text, no page's tags.
std::string excerpt(std::string_view text);
// Parses one event's data. Errors: kModel.
Result<json::object> event_object(const net::SseEvent& event);
// The number at `object`[`details`][`key`].
std::int64_t details_of(const json::object& object, std::string_view details, std::string_view key, std::int64_t otherwise);
std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t otherwise);

}  // namespace sabir::models

// Messages of the worker protocol (spec/worker-protocol.md §3): JSON-RPC 2.0 objects, kept as raw JSON texts.
//
// Threads: plain values. Lifetimes: the views of a Message point into the text it was parsed from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::protocol {

enum class MessageKind { kRequest, kResponse, kNotification };

struct Message {
  MessageKind kind = MessageKind::kNotification;
  std::string_view id;      // raw JSON; empty for notifications
  std::string_view method;  // requests and notifications; protocol methods hold no escapes
  std::string_view params;  // raw JSON object; empty when absent
  bool params_fit = true;   // false: a request whose params are no object, for its receiver to refuse
  std::string_view result;  // raw JSON; responses
  std::string_view error;   // raw JSON object; responses

  // The id as one of the engine's own numbers, if it is one.
  std::optional<std::int64_t> number() const;
};

// Errors: kProtocol when the text is not JSON, data {"rpc":-32700}, or no JSON-RPC 2.0 object, data {"rpc":-32600}.
Result<Message> parse_message(std::string_view json);

// The messages' texts, appended or on their own.
void append_request(std::string& out, std::int64_t id, std::string_view method, std::string_view params);
void append_notification(std::string& out, std::string_view method, std::string_view params);
void append_response(std::string& out, std::string_view id, std::string_view result);
std::string make_request(std::int64_t id, std::string_view method, std::string_view params);
std::string make_notification(std::string_view method, std::string_view params);
std::string make_response(std::string_view id, std::string_view result);
std::string make_error(std::string_view id, const Error& error);

// The Error behind a response's error object: data.type decides; unknown types become kInternal.
Error error_of(std::string_view error_object);

}  // namespace sabir::protocol

// Message: one JSON-RPC 2.0 message as MCP has them, and the texts of those that are sent. The JSON inside stays text.
//
// Threads: plain values and pure functions.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sabir::mcp {

inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kResourceNotFound = -32002;     // of the older era
inline constexpr int kHeaderMismatch = -32020;       // of the newer, as those that follow
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedRevision = -32022;

// An error that answers a request.
struct Refusal {
  int code = kInternalError;
  std::string message;
  std::string data = {};  // JSON; "" = none
};

struct Message {
  enum class Kind { kRequest, kNotification, kResponse };
  Kind kind = Kind::kNotification;
  std::string id;              // raw JSON, a string or a whole number; of a notification empty
  std::string method;
  std::string params = "{}";   // raw JSON object
  std::string result;          // of a response that is one: raw JSON object
  std::string error;           // of another: raw JSON object
};

struct Unreadable {
  Refusal refusal;
  std::string id;  // as far as it could be told
};

inline constexpr std::size_t kMostMessage = std::size_t{64} << 20U;  // bytes

// Refuses what is no JSON object in UTF-8 (batches among it), is deeper than 256, or is no JSON-RPC 2.0.
std::expected<Message, Unreadable> read_message(std::string_view text);

// Without an id where that is "".
std::string make_error(std::string_view id, const Refusal& refusal);
std::string make_result(std::string_view id, std::string_view result);
std::string make_request(std::string_view id, std::string_view method, std::string_view params);
std::string make_notification(std::string_view method, std::string_view params);

}  // namespace sabir::mcp

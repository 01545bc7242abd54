// One model behind one interface, whatever its provider.
//
// Threads: complete() blocks; call it from a job pool, any number at once. `on_event` is called on the calling thread.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::models {

// Messages and tools are in Chat Completions' form (https://platform.openai.com/docs/api-reference/chat); providers
// translate.
struct Request {
  json::array messages;            // {"role": "system|user|assistant|tool", "content", "tool_calls", "tool_call_id"}
  json::array tools;               // {"type":"function","function":{"name","description","parameters"}}
  json::object parameters;         // temperature, max_tokens, seed, …
  std::optional<json::object> output_schema;  // structured output
  std::chrono::milliseconds timeout{120'000};
  std::shared_ptr<std::atomic<bool>> cancelled;  // may be null; polled at least every 100 ms
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments_json;  // the model's own text; may be invalid JSON
};

struct Usage {
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
};

struct Reply {
  std::string content;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // "stop", "tool_calls", "length", "content_filter"
  std::string model;          // what the provider says answered
  std::string provider;
  Usage usage;
};

// Streamed text. Empty `content` with progress >= 0 reports the loading of a local model, 0..1.
struct Event {
  std::string content;
  double progress = -1;
};
using OnEvent = std::function<void(const Event&)>;

class Model {
 public:
  virtual ~Model() = default;
  // Errors: kModelUnreachable, kModel (provider's status and message), kSecretMissing, kTimeout, kCancelled, kConfig.
  virtual Result<Reply> complete(const Request& request, const OnEvent& on_event) = 0;
  virtual std::string description() const = 0;  // "gemma-3-270m (local)"
};

}  // namespace sabir::models

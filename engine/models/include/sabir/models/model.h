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

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::models {

// On whose behalf a model is asked, set by whoever asks and never by a model.
struct Caller {
  CallContext context;
  std::string function;   // "ruby/text.slugify"; "" = none asked
  std::string assistant;  // its name; "" = none
};

// Messages and tools are in Chat Completions' form (https://platform.openai.com/docs/api-reference/chat); providers
// translate.
struct Request {
  // {"role": "system|user|assistant|tool", "content", "tool_calls", "tool_call_id", "reasoning_details"}; content is a text
  // or a list of parts: {"type": "text", "text"}, {"type": "image_url", "image_url": {"url": "https:… or data:…"}}.
  json::array messages;
  json::array tools;               // {"type":"function","function":{"name","description","parameters"}}
  json::object parameters;         // temperature, max_tokens, seed, …
  std::optional<json::object> output_schema;  // structured output: the answer fits it, or is an error
  std::chrono::milliseconds timeout{120'000};
  std::shared_ptr<std::atomic<bool>> cancelled;  // may be null; polled at least every 100 ms
  // How old an answer to the same question may be that is given again; 0 = it is asked anew. Nothing = as the configuration says.
  std::optional<std::chrono::milliseconds> cache;
  // Names that stand in the messages as [secret:NAME]; their values are filled in where the request leaves the engine, and taken
  // out of the answer.
  std::vector<std::string> secrets;
  Caller caller;
  // Takes what whoever asks need not wait for, and runs it once the answer has left; empty = it is done before that.
  std::function<void(std::function<void()>)> afterwards;
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments_json;  // the model's own text; may be invalid JSON
};

struct Usage {
  std::int64_t input_tokens = 0;        // all of the prompt, whatever it cost
  std::int64_t output_tokens = 0;       // thinking included
  std::int64_t cached_tokens = 0;       // of the input: read from the provider's cache
  std::int64_t cache_write_tokens = 0;  // of the input: written to it
  std::int64_t reasoning_tokens = 0;    // of the output, where the provider tells

  Usage& operator+=(const Usage& other);
};
// {"input_tokens", "output_tokens"} and those of the others that are not zero.
json::object to_json(const Usage& usage);

// A model of the order of fallbacks that was asked and did not answer.
struct Missed {
  std::string alias;
  Error error;
};

// What every answer tells about how it came.
struct Answered {
  std::string model;          // what the provider says answered
  std::string provider;
  std::string alias;          // of config/openai_config.yml; "" for a model that stands in none
  Usage usage;
  std::optional<double> cost_usd;         // where its price is known
  bool cached = false;                    // given again: it cost nothing, and `usage` is what it took when it was asked for
  int tries = 1;                          // of the model that answered; 0 = it was not asked
  std::vector<Missed> missed;             // asked before it, in order
  std::string trace;                      // the id of its trace; "" = none
  std::chrono::milliseconds hold{0};      // the provider has nothing left to give before then; 0 = it does not say so
};

struct Reply : Answered {
  std::string content;        // with an output_schema: JSON that fits it, unless there are calls
  std::string reasoning;      // what the model thought, as far as the provider shows it
  // Blocks of thinking that the provider wants back with the results of the calls: goes unchanged into the assistant's
  // message as `reasoning_details`. Each names its provider; the others leave it out.
  json::array reasoning_details;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // "stop", "tool_calls", "length", "content_filter"
  bool repaired = false;      // the first answer did not fit the output_schema
};

struct EmbedRequest {
  std::vector<std::string> texts;  // 1 to 2048
  json::object parameters;         // dimensions, …
  std::chrono::milliseconds timeout{120'000};
  std::shared_ptr<std::atomic<bool>> cancelled;  // as Request's
  Caller caller;
};

inline constexpr std::size_t kMostTexts = 2048;  // of one EmbedRequest
// Errors: kInvalidArguments: none, too many, or an empty one.
Result<void> check_texts(const EmbedRequest& request);

struct Embeddings : Answered {
  std::vector<std::vector<float>> vectors;  // one for each text, all of one length
};

// Streamed text, or thinking. Both empty with progress >= 0 reports the loading of a local model, 0..1.
struct Event {
  std::string content;
  double progress = -1;
  std::string reasoning;
};
// Empty = the caller does not stream: nothing is shown before the whole answer is there.
using OnEvent = std::function<void(const Event&)>;

class Model {
 public:
  virtual ~Model() = default;
  // Errors: kModelUnreachable, kModel (provider's status and message), kSecretMissing, kTimeout, kCancelled, kConfig,
  // kBusy (a limit of its own), kLimit (an answer that is too large). `data` has particulars: docs/models.md, "When a
  // model does not answer".
  virtual Result<Reply> complete(const Request& request, const OnEvent& on_event) = 0;
  // Errors: as complete(); kInvalidArguments where the model gives none.
  virtual Result<Embeddings> embed(const EmbedRequest& request);
  virtual std::string description() const = 0;  // "gemma-3-270m (local)"
};

}  // namespace sabir::models

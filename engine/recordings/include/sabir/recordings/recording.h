// Recording: the model calls and function calls of one run or one test, as a file that people read and git compares.
// docs/recordings.md has the format.
//
// A model call is known by its `ask`: {"alias", "model", "parameters"?, "output_schema"?, "tools"? [{"name", "hash"}],
// "messages"}, or "texts" in place of the messages where their embeddings are asked for. Arguments and values of functions are kept as the JSON texts they were, so that they come back byte for byte.
//
// Threads: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::recordings {

inline constexpr int kFormat = 1;
inline constexpr std::size_t kMostBytes = std::size_t{64} << 20U;
inline constexpr std::size_t kMostEntries = 20'000;

// A message that a prompt was rendered to.
struct PromptUse {
  std::string name;       // "support/refund", or the file of an assistant's own instructions
  std::size_t message = 0;  // its index in the ask's messages
  std::string text;       // fingerprint of the message
  std::string variables;  // fingerprint of what the prompt was given
};

enum class Kind { kModel, kFunction };

struct Entry {
  Kind kind = Kind::kModel;
  std::string caller;  // "cli", "sdk's language", "assistant python/helper", "python/reports.summarize"
  std::optional<json::object> error;  // in place of reply or value, as to_json(Error) gives it

  json::object ask;
  std::vector<PromptUse> prompts;
  models::Reply reply;
  std::vector<std::string> pieces;  // of the streamed text, as they came
  std::vector<std::vector<float>> vectors;  // of an ask with texts

  std::string address;  // "ruby/text.words"
  std::string effect;   // "read", "write", "irreversible"
  bool stream = false;  // asked for what it yields, as it comes
  std::string arguments = "{}";     // JSON
  std::string value = "null";       // JSON
  std::vector<std::string> bytes;   // JSON Pointers into `value`: base64 that was bytes
  std::vector<std::string> chunks;  // JSON
};

struct Recording {
  std::string name;      // what was recorded: a command line, a test
  std::string override_alias;  // SABIR_MODEL at that time
  std::vector<Entry> entries;
};

// Bounded: kMostBytes, kMostEntries, depth 256. `file` is what errors call it. Errors: kConfig with the place, kStoreNewer.
Result<Recording> parse_recording(std::string_view text, const std::string& file);
// The same recording is always the same text. Ends with a newline.
std::string to_text(const Recording& recording);

// What a call is matched by.
std::string key_of(const Entry& entry);
std::string model_key(const json::object& ask);
std::string function_key(const std::string& address, bool stream, std::string_view arguments);

// The ask as lines for a comparison that people read.
std::vector<std::string> lines_of(const json::object& ask);

// Object keys sorted, no blanks. A text with integers beyond 64 bits stays as it is.
std::string canonical_json(const json::value& value);
std::string canonical_text(std::string_view text);

json::object to_json(const PromptUse& use);
// Errors: kConfig.
Result<PromptUse> prompt_use(const json::value& value);

}  // namespace sabir::recordings

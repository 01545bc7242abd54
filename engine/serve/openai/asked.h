// What a client of OpenAI's API asks for, whichever of its interfaces it speaks, and what it is told. No I/O.
//
// Threads: plain values. Source of the shapes: https://platform.openai.com/docs/api-reference
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::serve::openai {

struct Asked {
  std::string model;         // an assistant's name or an alias
  json::array messages;      // in Chat Completions' form: system, user, assistant, tool
  json::array tools;         // the client's own: {"type": "function", "function": {…}}
  json::object parameters;   // temperature, max_tokens, tool_choice, …
  std::optional<json::object> output_schema;
  bool stream = false;
  bool include_usage = false;   // Chat Completions: a last chunk with the usage
  // Responses only:
  std::string previous;         // previous_response_id; "" = none
  std::string conversation;     // an id; "" = none
  bool store = true;
  json::object request;         // as it came: the answer repeats most of it
};

// What came of it.
struct Told {
  std::string content;
  std::vector<models::ToolCall> calls;  // of the client's tools: the client makes them and asks again
  std::string finish_reason = "stop";   // "stop", "tool_calls", "length", "content_filter"
  models::Usage usage;
};

// Which member of the request is wrong, for `param` of an error in OpenAI's form.
std::unexpected<Error> wrong(std::string_view param, std::string message, std::string hint = {});

// {"error": {"message", "type", "param", "code"}}; the hint is part of the message, since clients show nothing else.
json::object error_body(const Error& error);
// 400, 401, 403, 404, 409, 413, 429, 499, 500, 502, 503 or 504.
int status_of(const Error& error);
// Of what was refused before it was looked at.
json::object error_body(int status, std::string_view detail, std::string_view hint);

}  // namespace sabir::serve::openai

// Definition: what an assistant's file says about it, read from its literals without running it.
//
// Threads: plain value.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::assistants {

struct Definition {
  std::string name;
  std::string kind = "assistant";      // what messages call it: "assistant" or "prompt"
  std::string model;                   // alias of config/openai_config.yml; "" = the prompt's own, or the default
  std::string instructions;            // the system message, or
  std::string prompt;                  // the name of a template that gives it
  std::vector<std::string> functions;  // addresses and patterns: "text.slugify", "ruby/text.*"
  json::object parameters;             // for the model: temperature, …
  std::optional<json::object> output_schema;  // of the answer
  int max_steps = 8;                   // replies of the model in one run
  std::chrono::milliseconds max_time{120'000};
  int history = 40;                    // earlier messages that a run sees
  // Functions whose calls need a person's word, by address or pattern, and when: a Jinja2 expression over the arguments; "" = always.
  std::vector<std::pair<std::string, std::string>> approve;
};

// How long one message may take: `max_seconds` (1..3600), or two minutes. Also for an assistant with a respond of its own.
Result<std::chrono::milliseconds> max_time(const json::object& constants, const std::string& file);

// `secrets`: names that the assistant's own code may read. Errors: kConfig at `file`.
Result<std::vector<std::string>> declared_secrets(const json::object& constants, const std::string& file);

// Reads `model`, `instructions` or `prompt`, `functions`, `parameters`, `max_steps` (1..100), `max_seconds` (1..3600) and
// `history` (0..1000), `approve` ({"bank.refund": "amount > 100", "bank.close": true}); other constants are the file's own business. Errors: kConfig at `file` for a value of the wrong
// kind, for both or neither of instructions and prompt, and for a name that is nearly one of these.
Result<Definition> parse_definition(const std::string& name, const json::object& constants, const std::string& file);

}  // namespace sabir::assistants

// Sabir's SDK: functions, memory, prompts, models and secrets of a Sabir project, from C++.
//
// Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context.
// In any other process (a test, a program) the SDK joins the project's running engine or starts a private one.
// Every function throws sabir::Error. Header-only; in a worker the definitions are worker.cc's, so that a user's file
// compiles fast.
//
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sabir/error.hpp"
#include "sabir/json_access.hpp"
#include "sabir/value.hpp"

namespace sabir {

inline constexpr const char* kVersion = "0.1.0";

// Calls a function of the project in whatever language it is written, and returns its value.
// address: "module.function", "function", or with a language in front: "python/module.function".
SABIR_API Json call(const std::string& address, Json arguments = Json::object());

// The project's functions: objects with address, language, summary, input_schema, output_schema and effect.
SABIR_API Json functions();

// A completion template's text with the variables filled in; the same bytes as `sabir prompt render`.
SABIR_API std::string render(const std::string& name, Json variables = Json::object());

// What a model answered. `usage` and `tool_calls` are as the engine gives them.
struct Reply {
  std::string content;
  std::string model;
  std::string provider;
  std::string finish_reason;
  Json usage;
  Json tool_calls;
};

// A model's completion. prompt: text, or an array of messages {"role", "content"}. model: an alias of
// config/openai_config.yml, "" = the default. parameters: temperature, max_tokens and the like.
SABIR_API Reply complete(const Json& prompt, const std::string& model = {}, const Json& parameters = Json::object());

// An assistant's answer: {"content", "conversation", "model", "calls"}. conversation: "" begins a new one.
SABIR_API Json ask(const std::string& assistant, const std::string& message, const std::string& conversation = {});

// A secret's value, if the running function is granted it. Keep it out of results and logs.
SABIR_API std::string secret(const std::string& name);

// Tells the caller how far the running call is; total 0 = unknown. Does nothing outside a worker.
SABIR_API void progress(double done, double total = 0, const std::string& message = {});

// One record in the engine's log; on standard error outside a worker. level: debug, info, warning or error.
SABIR_API void log(const std::string& message, const std::string& level = "info");

// The project's memory: the same data from every language, scoped by the caller's context.
namespace memory {

struct Item {
  std::string key;
  Json value;
  std::int64_t version = 0;
  std::int64_t updated_ms = 0;  // Unix milliseconds
};

struct PutOptions {
  std::string name_space = "default";
  // Store only when the present version is this one (0: only when the key is new), else Error "conflict".
  std::optional<std::int64_t> if_version = std::nullopt;
  std::optional<std::chrono::milliseconds> ttl = std::nullopt;  // after which the item is gone
};

// Stores a JSON value and returns its version, 1 for a new key.
SABIR_API std::int64_t put(const std::string& key, Json value, const PutOptions& options = {});

// The value stored under `key`, or nothing.
SABIR_API std::optional<Json> get(const std::string& key, const std::string& name_space = "default");

// All items whose key starts with `prefix`, in the order of their keys.
SABIR_API std::vector<Item> list(const std::string& prefix = {}, const std::string& name_space = "default");

// Removes an item; whether there was one.
SABIR_API bool remove(const std::string& key, const std::string& name_space = "default");

// Adds a message {"role", "content"} to a conversation's log and returns its number.
SABIR_API std::int64_t append(const std::string& conversation, Json message);

// A conversation's last messages, oldest first.
SABIR_API std::vector<Json> messages(const std::string& conversation, int limit = 50);

}  // namespace memory
}  // namespace sabir

#ifndef SABIR_WORKER
#include "sabir/sabir_inline.hpp"
#endif

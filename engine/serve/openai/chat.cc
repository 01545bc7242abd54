#include "openai/chat.h"

#include <algorithm>
#include <array>

#include "sabir/base/text.h"

namespace sabir::serve::openai {
namespace {

constexpr std::size_t kMostMessages = 4096;
constexpr std::size_t kMostTools = 256;

// Passed on to the model as they are.
constexpr std::array kPassed = {"temperature",       "top_p",      "max_tokens",          "max_completion_tokens", "stop",      "seed", "presence_penalty",
                                "frequency_penalty", "logit_bias", "parallel_tool_calls", "tool_choice",           "verbosity", "reasoning_effort"};
// Of no consequence for what the answer is.
constexpr std::array kIdle = {"store", "metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"};
// Read below.
constexpr std::array kRead = {"model", "messages", "tools", "stream", "stream_options", "response_format", "n", "logprobs", "modalities"};
// What nothing here does; better said than left out.
constexpr std::array kRefused = {"functions", "function_call", "audio", "prediction", "web_search_options", "top_logprobs"};

template <class List>
bool has(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_null(const json::value* value) { return value == nullptr || value->is_null(); }

Result<json::object> read_message(const json::value& value, std::size_t i) {
  const std::string where = "messages[" + std::to_string(i) + "]";
  if (!value.is_object()) return wrong(where, where + " is not an object");
  json::object message = value.get_object();
  std::string role(string_or(message, "role"));
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
    return wrong(where + ".role", where + ".role is '" + role + "'", "It is one of system, developer, user, assistant, tool.");
  }
  message["role"] = role;
  const auto* content = message.if_contains("content");
  const auto* calls = message.if_contains("tool_calls");
  if (!is_null(content) && !content->is_string() && !content->is_array()) return wrong(where + ".content", where + ".content is neither a text nor a list of parts");
  if (is_null(content) && (role != "assistant" || is_null(calls))) return wrong(where + ".content", where + " has no content");
  if (!is_null(content) && content->is_array()) {
    for (const auto& part : content->get_array()) {
      const auto type = part.is_object() ? string_or(part.get_object(), "type") : std::string_view();
      if (type == "text" || type == "refusal" || (type == "image_url" && role == "user")) continue;
      return wrong(where + ".content", where + ".content has a part of type '" + std::string(type) + "'", "Parts are text, and image_url in a user's message.");
    }
  }
  if (role == "tool" && string_or(message, "tool_call_id").empty()) return wrong(where + ".tool_call_id", where + " has no tool_call_id");
  if (!is_null(calls)) {
    if (role != "assistant" || !calls->is_array()) return wrong(where + ".tool_calls", where + ".tool_calls is not a list of an assistant's calls");
    for (const auto& call : calls->get_array()) {
      const auto* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
      if (function == nullptr || !function->is_object() || string_or(function->get_object(), "name").empty() || string_or(call.get_object(), "id").empty()) {
        return wrong(where + ".tool_calls", where + ".tool_calls has a call without id or function");
      }
    }
  } else {
    message.erase("tool_calls");
  }
  for (const char* name : {"refusal", "annotations", "audio", "function_call"}) message.erase(name);
  return message;
}

Result<void> read_response_format(const json::value& value, Asked& asked) {
  const auto* format = value.if_object();
  const auto type = format ? string_or(*format, "type") : std::string_view();
  if (type == "text") return {};
  if (type == "json_object") {
    asked.output_schema = json::object{{"type", "object"}};
    return {};
  }
  const auto* named = format ? format->if_contains("json_schema") : nullptr;
  const auto* schema = named && named->is_object() ? named->get_object().if_contains("schema") : nullptr;
  if (type != "json_schema" || !schema || !schema->is_object()) {
    return wrong("response_format", "response_format is neither {\"type\": \"text\"}, {\"type\": \"json_object\"} nor {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {…}}}");
  }
  asked.output_schema = schema->get_object();
  return {};
}

json::value choice_calls(const std::vector<models::ToolCall>& calls) {
  json::array out;
  for (const auto& call : calls) {
    out.push_back({{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments_json}}}});
  }
  return out;
}

json::object usage_of(const models::Usage& usage) {
  return {{"prompt_tokens", usage.input_tokens},
          {"completion_tokens", usage.output_tokens},
          {"total_tokens", usage.input_tokens + usage.output_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", usage.reasoning_tokens}, {"audio_tokens", 0}, {"accepted_prediction_tokens", 0}, {"rejected_prediction_tokens", 0}}}};
}

}  // namespace

Result<Asked> read_chat(const json::object& body) {
  Asked asked;
  asked.request = body;
  std::vector<std::string> known;
  for (const auto& member : body) {
    const std::string name(member.key());
    const auto& value = member.value();
    if (value.is_null()) continue;
    if (has(kPassed, name)) {
      asked.parameters[name] = value;
    } else if (has(kRefused, name)) {
      return wrong(name, "'" + name + "' is not served here", name == "functions" || name == "function_call" ? "Offer `tools` instead." : "Leave it out.");
    } else if (!has(kIdle, name) && !has(kRead, name)) {
      for (const auto& one : kPassed) known.emplace_back(one);
      for (const auto& one : kRead) known.emplace_back(one);
      return wrong(name, "Unrecognized request argument supplied: " + name, did_you_mean(name, known));
    }
  }
  const auto* model = body.if_contains("model");
  if (is_null(model) || !model->is_string() || model->get_string().empty()) return wrong("model", "'model' is missing: the name of an assistant or an alias", "GET /v1/models lists them.");
  asked.model = model->get_string();
  const auto* messages = body.if_contains("messages");
  if (is_null(messages) || !messages->is_array() || messages->get_array().empty()) return wrong("messages", "'messages' is not a list of messages");
  if (messages->get_array().size() > kMostMessages) return wrong("messages", "'messages' has more than " + std::to_string(kMostMessages) + " messages");
  for (std::size_t i = 0; i < messages->get_array().size(); ++i) {
    auto message = read_message(messages->get_array()[i], i);
    if (!message) return fail(std::move(message.error()));
    asked.messages.push_back(std::move(*message));
  }
  if (const auto* tools = body.if_contains("tools"); !is_null(tools)) {
    if (!tools->is_array() || tools->get_array().size() > kMostTools) return wrong("tools", "'tools' is not a list of at most " + std::to_string(kMostTools) + " tools");
    for (const auto& tool : tools->get_array()) {
      const auto* function = tool.is_object() ? tool.get_object().if_contains("function") : nullptr;
      if (function == nullptr || !function->is_object() || string_or(tool.get_object(), "type") != "function" || string_or(function->get_object(), "name").empty()) {
        return wrong("tools", "a tool is not {\"type\": \"function\", \"function\": {\"name\", \"parameters\"}}", "Other kinds of tools run at their provider; here the client makes the calls.");
      }
    }
    asked.tools = tools->get_array();
  }
  for (const char* name : {"stream", "logprobs"}) {
    if (const auto* value = body.if_contains(name); !is_null(value) && !value->is_bool()) return wrong(name, std::string("'") + name + "' is not true or false");
  }
  if (const auto* value = body.if_contains("logprobs"); !is_null(value) && value->get_bool()) return wrong("logprobs", "probabilities are not served here", "Leave `logprobs` out.");
  if (const auto* value = body.if_contains("stream"); !is_null(value)) asked.stream = value->get_bool();
  if (const auto* value = body.if_contains("n"); !is_null(value) && !(value->is_int64() && value->get_int64() == 1)) return wrong("n", "one answer is given to a request, and n is " + compact_json(*value));
  if (const auto* value = body.if_contains("modalities"); !is_null(value) && compact_json(*value) != R"(["text"])") return wrong("modalities", "answers are text", "Leave `modalities` out.");
  if (const auto* value = body.if_contains("stream_options"); !is_null(value)) {
    if (!value->is_object()) return wrong("stream_options", "'stream_options' is not an object");
    if (!asked.stream) return wrong("stream_options", "'stream_options' is for streams", "Set `stream`, or leave it out.");
    const auto* usage = value->get_object().if_contains("include_usage");
    asked.include_usage = usage != nullptr && usage->is_bool() && usage->get_bool();
  }
  if (const auto* value = body.if_contains("response_format"); !is_null(value)) {
    if (auto read = read_response_format(*value, asked); !read) return fail(std::move(read.error()));
  }
  return asked;
}

json::object chat_completion(const Head& head, const Told& told) {
  json::object message{{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}, {"annotations", json::array()}};
  const bool refused = told.finish_reason == "content_filter";
  if (!told.content.empty() || told.calls.empty()) message[refused ? "refusal" : "content"] = told.content;
  if (!told.calls.empty()) message["tool_calls"] = choice_calls(told.calls);
  return {{"id", head.id},
          {"object", "chat.completion"},
          {"created", head.created},
          {"model", head.model},
          {"choices", json::array{json::object{{"index", 0}, {"message", std::move(message)}, {"logprobs", nullptr}, {"finish_reason", told.finish_reason}}}},
          {"usage", usage_of(told.usage)},
          {"service_tier", "default"}};
}

json::object ChatStream::chunk(json::object delta, json::value finish_reason) const {
  json::object out{{"id", head_.id},
                   {"object", "chat.completion.chunk"},
                   {"created", head_.created},
                   {"model", head_.model},
                   {"service_tier", "default"},
                   {"choices", json::array{json::object{{"index", 0}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", std::move(finish_reason)}}}}};
  if (include_usage_) out["usage"] = nullptr;
  return out;
}

std::vector<json::object> ChatStream::begin() { return {chunk({{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr)}; }

std::vector<json::object> ChatStream::text(std::string_view piece) {
  if (piece.empty()) return {};
  shown_ += piece.size();
  return {chunk({{"content", piece}}, nullptr)};
}

std::vector<json::object> ChatStream::end(const Told& told) {
  std::vector<json::object> out;
  if (shown_ < told.content.size()) out = text(std::string_view(told.content).substr(shown_));
  for (std::size_t i = 0; i < told.calls.size(); ++i) {
    const auto& call = told.calls[i];
    const auto index = static_cast<std::int64_t>(i);
    out.push_back(chunk({{"tool_calls", json::array{json::object{{"index", index}, {"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", ""}}}}}}}, nullptr));
    out.push_back(chunk({{"tool_calls", json::array{json::object{{"index", index}, {"function", {{"arguments", call.arguments_json}}}}}}}, nullptr));
  }
  out.push_back(chunk({}, json::value(told.finish_reason)));
  if (include_usage_) {
    auto last = chunk({}, nullptr);
    last["choices"] = json::array();
    last["usage"] = usage_of(told.usage);
    out.push_back(std::move(last));
  }
  return out;
}

}  // namespace sabir::serve::openai

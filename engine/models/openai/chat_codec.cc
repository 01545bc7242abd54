#include <algorithm>

#include "openai/openai_codec.h"

namespace sabir::models {
namespace {

constexpr std::size_t kMostToolCalls = 256;

// A tool call being put together from deltas. `index` is the server's, or -1 where it sends none.
struct PartialCall {
  std::int64_t index = -1;
  ToolCall call;
};

std::string arguments_text(const json::object& function) {
  const auto* arguments = function.if_contains("arguments");
  if (arguments == nullptr || arguments->is_null()) return {};
  // Some compatible servers send the object itself instead of its text.
  return arguments->is_string() ? std::string(arguments->get_string()) : json::serialize(*arguments);
}

// As they came, but for the thinking of other providers, which is none of this API's fields. Errors: a picture that is none.
Result<json::array> own_messages(const json::array& messages) {
  json::array out = messages;
  for (auto& message : out) {
    if (!message.is_object()) return fail(ErrorCode::kInvalidArguments, "a message is not an object");
    message.get_object().erase("reasoning_details");
    const auto* content = message.get_object().if_contains("content");
    if (content == nullptr || !content->is_array()) continue;
    for (const auto& part : content->get_array()) {
      if (!part.is_object()) return fail(ErrorCode::kInvalidArguments, "a part of a message's content is not an object");
      if (auto image = image_of(part.get_object()); !image) return fail(std::move(image.error()));
    }
  }
  return out;
}

std::string finish_of(std::string_view reason, bool has_calls, bool refused) {
  if (refused) return "content_filter";
  if (reason == "function_call" || (has_calls && (reason.empty() || reason == "stop"))) return "tool_calls";
  return reason.empty() ? "stop" : std::string(reason);
}

void read_usage(const json::object& answer, Usage& usage) {
  const auto* value = answer.if_contains("usage");
  if (value == nullptr || !value->is_object()) return;
  usage.input_tokens = int_or(value->get_object(), "prompt_tokens", usage.input_tokens);
  usage.output_tokens = int_or(value->get_object(), "completion_tokens", usage.output_tokens);
  usage.cached_tokens = details_of(value->get_object(), "prompt_tokens_details", "cached_tokens", usage.cached_tokens);
  usage.cache_write_tokens = details_of(value->get_object(), "prompt_tokens_details", "cache_write_tokens", usage.cache_write_tokens);
  usage.reasoning_tokens = details_of(value->get_object(), "completion_tokens_details", "reasoning_tokens", usage.reasoning_tokens);
}

// Thinking has no field in OpenAI's Chat Completions; compatible servers call it by either name.
std::string_view reasoning_of(const json::object& message) {
  const auto text = string_or(message, "reasoning_content");
  return text.empty() ? string_or(message, "reasoning") : text;
}

class ChatCodec final : public Codec {
 public:
  std::string path() const override { return "/chat/completions"; }

  Result<json::object> body(const Request& request, const Endpoint& endpoint, bool stream) const override {
    auto messages = own_messages(request.messages);
    if (!messages) return fail(std::move(messages.error()));
    json::object body;
    body["model"] = endpoint.model;
    body["messages"] = std::move(*messages);
    if (!request.tools.empty()) body["tools"] = request.tools;
    if (stream) {
      body["stream"] = true;
      body["stream_options"] = json::object{{"include_usage", true}};
    }
    if (request.output_schema && !endpoint.native_schema) {
      body["messages"].get_array().insert(body["messages"].get_array().begin(),
                                          json::object{{"role", "system"}, {"content", schema_instruction(*request.output_schema)}});
    } else if (request.output_schema) {
      const json::value schema = *request.output_schema;
      body["response_format"] = json::object{
          {"type", "json_schema"},
          {"json_schema", json::object{{"name", "answer"}, {"schema", schema}, {"strict", fits_strict_mode(schema)}}}};
    }
    for (const auto& member : merged_parameters(request, endpoint)) {
      const auto key = member.key();
      if (key == "max_tokens" || key == "max_output_tokens" || key == "max_completion_tokens") {
        body[is_openai_host(endpoint.base_url) || key == "max_completion_tokens" ? "max_completion_tokens" : "max_tokens"] =
            member.value();
      } else {
        body[key] = member.value();
      }
    }
    return body;
  }

  Result<Reply> whole(const json::object& answer) const override {
    const auto* choices = answer.if_contains("choices");
    if (choices == nullptr || !choices->is_array() || choices->get_array().empty() ||
        !choices->get_array().front().is_object()) {
      return fail(ErrorCode::kModel, "the answer has no choices: " + json::serialize(answer).substr(0, 200),
                  "Check that base_url is a Chat Completions server.");
    }
    const auto& choice = choices->get_array().front().get_object();
    Reply reply;
    bool refused = false;
    if (const auto* message = choice.if_contains("message"); message != nullptr && message->is_object()) {
      const auto& object = message->get_object();
      reply.content = content_text(object.if_contains("content"));
      reply.reasoning = reasoning_of(object);
      if (const auto refusal = string_or(object, "refusal"); !refusal.empty()) {
        refused = true;
        if (reply.content.empty()) reply.content = refusal;
      }
      if (const auto* calls = object.if_contains("tool_calls"); calls != nullptr && calls->is_array()) {
        for (const auto& item : calls->get_array()) {
          const auto* function = item.is_object() ? item.get_object().if_contains("function") : nullptr;
          if (function == nullptr || !function->is_object()) continue;
          ToolCall call{std::string(string_or(item.get_object(), "id")), std::string(string_or(function->get_object(), "name")),
                        arguments_text(function->get_object())};
          if (call.id.empty()) call.id = "call_" + std::to_string(reply.tool_calls.size());
          if (reply.tool_calls.size() < kMostToolCalls) reply.tool_calls.push_back(std::move(call));
        }
      }
    }
    reply.finish_reason = finish_of(string_or(choice, "finish_reason"), !reply.tool_calls.empty(), refused);
    reply.model = string_or(answer, "model");
    read_usage(answer, reply.usage);
    return reply;
  }

  Result<void> take(const net::SseEvent& event, const OnEvent& on_event) override {
    if (event.data == "[DONE]") {
      done_ = true;
      return {};
    }
    if (event.data.empty()) return {};
    auto object = event_object(event);
    if (!object) return fail(std::move(object.error()));
    if (const auto* error = object->if_contains("error"); error != nullptr && !error->is_null()) {
      return fail(provider_error(*error));
    }
    if (const auto model = string_or(*object, "model"); !model.empty()) reply_.model = model;
    read_usage(*object, reply_.usage);
    const auto* choices = object->if_contains("choices");
    if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return {};
    const auto& first = choices->get_array().front();
    if (!first.is_object()) return {};
    const auto& choice = first.get_object();
    if (const auto reason = string_or(choice, "finish_reason"); !reason.empty()) finish_ = reason;
    const auto* delta = choice.if_contains("delta");
    if (delta == nullptr || !delta->is_object()) return {};
    const auto& change = delta->get_object();
    const auto say = [&](std::string text) {
      if (text.empty()) return;
      reply_.content += text;
      if (on_event) on_event(Event{.content = std::move(text)});
    };
    if (const auto thought = reasoning_of(change); !thought.empty()) {
      reply_.reasoning += thought;
      if (on_event) on_event(Event{.content = {}, .reasoning = std::string(thought)});
    }
    say(content_text(change.if_contains("content")));
    if (const auto refusal = string_or(change, "refusal"); !refusal.empty()) {
      refused_ = true;
      say(std::string(refusal));
    }
    if (const auto* calls = change.if_contains("tool_calls"); calls != nullptr && calls->is_array()) {
      for (const auto& item : calls->get_array()) {
        if (!item.is_object()) continue;
        if (auto taken = take_call(item.get_object()); !taken) return taken;
      }
    }
    return {};
  }

  Result<Reply> end() override {
    if (!done_ && finish_.empty()) {
      return fail(ErrorCode::kModelUnreachable, "the stream ended in the middle of the answer",
                  "Try again; if it stays so, look at the server's log and at proxies in between.");
    }
    for (auto& partial : calls_) {
      if (partial.call.id.empty()) partial.call.id = "call_" + std::to_string(&partial - calls_.data());
      reply_.tool_calls.push_back(std::move(partial.call));
    }
    reply_.finish_reason = finish_of(finish_, !reply_.tool_calls.empty(), refused_);
    return std::move(reply_);
  }

  std::string_view text() const override { return reply_.content; }
  std::string_view reasoning() const override { return reply_.reasoning; }
  bool begun() const override { return !reply_.content.empty() || !reply_.reasoning.empty() || !calls_.empty(); }

 private:
  Result<void> take_call(const json::object& item) {
    const std::int64_t index = int_or(item, "index", -1);
    const std::string_view id = string_or(item, "id");
    json::object none;
    const auto* value = item.if_contains("function");
    const json::object& function = value != nullptr && value->is_object() ? value->get_object() : none;
    const std::string_view name = string_or(function, "name");
    // By index where the server counts; else by id; else a nameless piece continues the last call. An index that comes
    // again with another id and a name is a new call: some servers send 0 for each.
    auto found = calls_.end();
    if (index >= 0) {
      found = std::find_if(calls_.rbegin(), calls_.rend(), [&](const auto& c) { return c.index == index; }).base();
      found = found == calls_.begin() ? calls_.end() : found - 1;
      if (found != calls_.end() && !id.empty() && !name.empty() && !found->call.id.empty() && found->call.id != id) {
        found = calls_.end();
      }
    } else if (!id.empty()) {
      found = std::find_if(calls_.begin(), calls_.end(), [&](const auto& c) { return c.call.id == id; });
    } else if (name.empty() && !calls_.empty()) {
      found = calls_.end() - 1;
    }
    if (found == calls_.end()) {
      if (calls_.size() == kMostToolCalls) {
        return fail(ErrorCode::kModel, "the model asks for more than " + std::to_string(kMostToolCalls) + " tool calls at once");
      }
      calls_.push_back({index, {}});
      found = calls_.end() - 1;
    }
    if (found->call.id.empty()) found->call.id = id;
    if (found->call.name.empty()) found->call.name = name;
    found->call.arguments_json += arguments_text(function);
    return {};
  }

  Reply reply_;
  std::vector<PartialCall> calls_;
  std::string finish_;
  bool refused_ = false;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Codec> make_chat_codec() { return std::make_unique<ChatCodec>(); }

}  // namespace sabir::models

// Field names: Anthropic's reference of the Messages API and of its streaming events.
#include <algorithm>
#include <array>
#include <map>

#include "anthropic/anthropic_model.h"
#include "sabir/base/text.h"

namespace sabir::models {
namespace {

constexpr std::int64_t kMostBlocks = 1024;
constexpr std::int64_t kDefaultMaxTokens = 4096;  // the API wants a number

Error unsupported(const std::string& what, const std::string& hint = {}) { return Error(ErrorCode::kInvalidArguments, what, hint); }

// The API takes letters, digits, _ and - in an id; those of other providers may have more.
std::string plain_id(std::string_view id) {
  std::string out(id);
  for (char& c : out) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!kept) c = '_';
  }
  return out.empty() ? "call" : out;
}

Result<json::object> image_block(const Image& image) {
  if (image.media_type.empty()) return json::object{{"type", "image"}, {"source", {{"type", "url"}, {"url", image.url}}}};
  for (const char* known : {"image/png", "image/jpeg", "image/gif", "image/webp"}) {
    if (image.media_type == known) {
      return json::object{{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", image.media_type}, {"data", image.data}}}};
    }
  }
  return fail(unsupported("Anthropic takes no pictures of type " + image.media_type, "It takes image/png, image/jpeg, image/gif and image/webp."));
}

// A message's content as blocks; empty texts are left out, as the API refuses them.
Result<json::array> blocks_of(const json::value* content) {
  json::array blocks;
  const auto add_text = [&](std::string_view text) {
    if (!text.empty()) blocks.push_back(json::object{{"type", "text"}, {"text", text}});
  };
  if (content == nullptr || content->is_null()) return blocks;
  if (content->is_string()) {
    add_text(content->get_string());
    return blocks;
  }
  if (!content->is_array()) return fail(unsupported("a message's content is neither text nor a list of parts"));
  for (const auto& part : content->get_array()) {
    if (!part.is_object()) return fail(unsupported("a part of a message's content is not an object"));
    const auto& object = part.get_object();
    const auto type = string_or(object, "type");
    auto image = image_of(object);
    if (!image) return fail(std::move(image.error()));
    if (*image) {
      auto block = image_block(**image);
      if (!block) return fail(std::move(block.error()));
      blocks.push_back(std::move(*block));
    } else if (type == "text") {
      add_text(string_or(object, "text"));
    } else if (type == "refusal") {
      add_text(string_or(object, "refusal"));
    } else {
      return fail(unsupported("the Messages API takes no content part of type '" + std::string(type) + "' here", "Parts are text and image_url."));
    }
  }
  return blocks;
}

json::object tool_use(const json::object& call, const json::object& function) {
  json::value input = json::object{};
  const auto arguments = string_or(function, "arguments");
  if (auto value = parse_json(arguments); value && value->is_object()) {
    input = std::move(*value);
  } else if (!trim(arguments).empty()) {
    // What the model wrote was no object; it sees so again, as the API takes objects only.
    input = json::object{{"invalid_json", arguments}};
  }
  return {{"type", "tool_use"}, {"id", plain_id(string_or(call, "id"))}, {"name", string_or(function, "name")}, {"input", std::move(input)}};
}

// Adds blocks to the last message when it is of that role, as the API wants the roles to alternate.
void append(json::array& messages, std::string_view role, json::array blocks) {
  if (blocks.empty()) return;
  if (!messages.empty() && string_or(messages.back().get_object(), "role") == role) {
    auto& there = messages.back().get_object().at("content").get_array();
    for (auto& block : blocks) there.push_back(std::move(block));
    return;
  }
  messages.push_back(json::object{{"role", role}, {"content", std::move(blocks)}});
}

struct Conversation {
  std::string system;
  json::array messages;
};

Result<Conversation> conversation_of(const json::array& messages) {
  Conversation out;
  for (const auto& message : messages) {
    if (!message.is_object()) return fail(unsupported("a message is not an object"));
    const auto& object = message.get_object();
    const auto role = string_or(object, "role");
    const auto* content = object.if_contains("content");
    if (role == "system" || role == "developer") {
      const std::string text = content_text(content);
      if (!text.empty()) out.system += (out.system.empty() ? "" : "\n\n") + text;
    } else if (role == "tool") {
      json::object result{{"type", "tool_result"}, {"tool_use_id", plain_id(string_or(object, "tool_call_id"))}};
      if (auto text = content_text(content); !text.empty()) result["content"] = std::move(text);
      append(out.messages, "user", {std::move(result)});
    } else if (role == "user" || role == "assistant") {
      json::array blocks;
      if (const auto* details = object.if_contains("reasoning_details"); role == "assistant" && details != nullptr && details->is_array()) {
        for (const auto& detail : details->get_array()) {
          if (!detail.is_object() || string_or(detail.get_object(), "provider") != "anthropic") continue;
          json::object block = detail.get_object();
          block.erase("provider");
          blocks.push_back(std::move(block));
        }
      }
      auto own = blocks_of(content);
      if (!own) return fail(std::move(own.error()));
      for (auto& block : *own) blocks.push_back(std::move(block));
      if (const auto* calls = object.if_contains("tool_calls"); role == "assistant" && calls != nullptr && calls->is_array()) {
        for (const auto& call : calls->get_array()) {
          const auto* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
          if (function == nullptr || !function->is_object()) return fail(unsupported("a tool call of an assistant's message has no function"));
          blocks.push_back(tool_use(call.get_object(), function->get_object()));
        }
      }
      append(out.messages, role, std::move(blocks));
    } else {
      return fail(unsupported("a message has the role '" + std::string(role) + "'", "Roles are system, user, assistant and tool."));
    }
  }
  return out;
}

json::array tools_of(const json::array& tools) {
  json::array out;
  for (const auto& tool : tools) {
    const auto* function = tool.is_object() ? tool.get_object().if_contains("function") : nullptr;
    if (function == nullptr || !function->is_object()) {
      out.push_back(tool);  // the API's own tools, already in its form
      continue;
    }
    const auto& object = function->get_object();
    json::object own{{"name", string_or(object, "name")}};
    if (const auto description = string_or(object, "description"); !description.empty()) own["description"] = description;
    const auto* parameters = object.if_contains("parameters");
    own["input_schema"] = parameters != nullptr && parameters->is_object() ? *parameters : json::value(json::object{});
    if (auto& schema = own["input_schema"].get_object(); !schema.contains("type")) schema["type"] = "object";
    out.push_back(std::move(own));
  }
  return out;
}

Result<json::object> tool_choice_of(const json::value& choice) {
  if (choice.is_string()) {
    const std::string_view name = choice.get_string();
    if (name == "auto" || name == "none") return json::object{{"type", name}};
    if (name == "required" || name == "any") return json::object{{"type", "any"}};
  } else if (choice.is_object()) {
    const auto& object = choice.get_object();
    if (const auto* function = object.if_contains("function"); function != nullptr && function->is_object()) {
      return json::object{{"type", "tool"}, {"name", string_or(function->get_object(), "name")}};
    }
    if (string_or(object, "type") != "function") return object;  // the API's own form
  }
  return fail(unsupported("tool_choice is " + json::serialize(choice).substr(0, 100),
                          "It is auto, none, required, or {\"type\": \"function\", \"function\": {\"name\": …}}."));
}

std::string finish_of(std::string_view reason, bool has_calls) {
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") return "length";
  if (reason == "refusal") return "content_filter";
  return has_calls ? "tool_calls" : "stop";
}

void read_usage(const json::object& holder, Usage& usage) {
  const auto* value = holder.if_contains("usage");
  if (value == nullptr || !value->is_object()) return;
  const auto& object = value->get_object();
  // The API counts what came from its cache and what went into it apart from the rest.
  const std::int64_t fresh = int_or(object, "input_tokens", usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens);
  usage.cached_tokens = int_or(object, "cache_read_input_tokens", usage.cached_tokens);
  usage.cache_write_tokens = int_or(object, "cache_creation_input_tokens", usage.cache_write_tokens);
  usage.input_tokens = fresh + usage.cached_tokens + usage.cache_write_tokens;
  usage.output_tokens = int_or(object, "output_tokens", usage.output_tokens);
  if (const auto* details = object.if_contains("output_tokens_details"); details != nullptr && details->is_object()) {
    usage.reasoning_tokens = int_or(details->get_object(), "thinking_tokens", usage.reasoning_tokens);
  }
}

// A content block, whole or growing.
struct Block {
  std::string type;
  std::string text;        // of a text or of thinking
  std::string signature;   // of thinking
  std::string data;        // of thinking that is not shown
  ToolCall call;
  bool given_input = false;
};

Block block_of(const json::object& object) {
  Block block;
  block.type = string_or(object, "type");
  block.text = string_or(object, block.type == "thinking" ? "thinking" : "text");
  block.signature = string_or(object, "signature");
  block.data = string_or(object, "data");
  block.call.id = string_or(object, "id");
  block.call.name = string_or(object, "name");
  if (const auto* input = object.if_contains("input"); input != nullptr && input->is_object() && !input->get_object().empty()) {
    block.call.arguments_json = json::serialize(*input);
    block.given_input = true;
  }
  return block;
}

void add_block(Block block, Reply& reply) {
  if (block.type == "text") {
    reply.content += block.text;
  } else if (block.type == "thinking") {
    reply.reasoning += block.text;
    reply.reasoning_details.push_back(
        json::object{{"provider", "anthropic"}, {"type", "thinking"}, {"thinking", block.text}, {"signature", block.signature}});
  } else if (block.type == "redacted_thinking") {
    reply.reasoning_details.push_back(json::object{{"provider", "anthropic"}, {"type", "redacted_thinking"}, {"data", block.data}});
  } else if (block.type == "tool_use") {
    if (block.call.id.empty()) block.call.id = "call_" + std::to_string(reply.tool_calls.size());
    if (block.call.arguments_json.empty()) block.call.arguments_json = "{}";
    reply.tool_calls.push_back(std::move(block.call));
  }
}

class MessagesCodec final : public Codec {
 public:
  explicit MessagesCodec(std::string version) : version_(std::move(version)) {}

  std::string path() const override { return "/messages"; }

  Result<json::object> body(const Request& request, const Endpoint& endpoint, bool stream) const override {
    auto conversation = conversation_of(request.messages);
    if (!conversation) return fail(std::move(conversation.error()));
    json::object body{{"model", endpoint.model}, {"max_tokens", kDefaultMaxTokens}};
    if (request.output_schema && !(endpoint.native_schema && fits_output_format(*request.output_schema))) {
      conversation->system += (conversation->system.empty() ? "" : "\n\n") + schema_instruction(*request.output_schema);
    } else if (request.output_schema) {
      body["output_config"] = json::object{{"format", {{"type", "json_schema"}, {"schema", *request.output_schema}}}};
    }
    if (!conversation->system.empty()) body["system"] = std::move(conversation->system);
    body["messages"] = std::move(conversation->messages);
    if (!request.tools.empty()) body["tools"] = tools_of(request.tools);
    if (stream) body["stream"] = true;
    std::optional<bool> parallel;
    for (const auto& member : merged_parameters(request, endpoint)) {
      const auto key = member.key();
      const auto& value = member.value();
      if (key == "max_tokens" || key == "max_completion_tokens" || key == "max_output_tokens") {
        body["max_tokens"] = value;
      } else if (key == "stop") {
        body["stop_sequences"] = value.is_string() ? json::value(json::array{value}) : value;
      } else if (key == "user") {
        body["metadata"] = json::object{{"user_id", value}};
      } else if (key == "tool_choice") {
        auto choice = tool_choice_of(value);
        if (!choice) return fail(std::move(choice.error()));
        if (!request.tools.empty()) body["tool_choice"] = std::move(*choice);
      } else if (key == "parallel_tool_calls") {
        if (value.is_bool()) parallel = value.get_bool();
      } else if (key == "output_config" && value.is_object()) {
        for (const auto& inner : value.get_object()) output_config(body)[inner.key()] = inner.value();
      } else if (key == "reasoning_effort") {
        output_config(body)["effort"] = value;
      } else if ((key == "temperature" || key == "top_p" || key == "top_k") && version_ >= "2026-10-21") {
        return fail(unsupported("the Messages API has no parameter '" + std::string(key) + "' since its version 2026-10-21",
                                "Leave it out of the parameters, or set version: \"2023-06-01\" of the model."));
      } else if (key == "seed" || key == "logit_bias" || key == "frequency_penalty" || key == "presence_penalty" || key == "logprobs" ||
                 key == "top_logprobs" || key == "verbosity" || key == "reasoning" || key == "text" || key == "store") {
        return fail(unsupported("the Messages API has no parameter '" + std::string(key) + "'", "Leave it out of the parameters for this model."));
      } else {
        body[key] = value;
      }
    }
    if (parallel && !*parallel && !request.tools.empty()) {
      auto& choice = body["tool_choice"];
      if (!choice.is_object()) choice = json::object{{"type", "auto"}};
      if (string_or(choice.get_object(), "type") != "none") choice.get_object()["disable_parallel_tool_use"] = true;
    }
    return body;
  }

  Result<Reply> whole(const json::object& answer) const override {
    if (string_or(answer, "type") == "error") {
      const auto* error = answer.if_contains("error");
      return fail(provider_error(error != nullptr ? *error : json::value("an error without particulars")));
    }
    const auto* content = answer.if_contains("content");
    if (content == nullptr || !content->is_array()) {
      return fail(ErrorCode::kModel, "the answer has no content: " + json::serialize(answer).substr(0, 200),
                  "Check that base_url is a server of Anthropic's Messages API; it ends in /v1.");
    }
    Reply reply;
    for (const auto& item : content->get_array()) {
      if (item.is_object()) add_block(block_of(item.get_object()), reply);
    }
    reply.model = string_or(answer, "model");
    reply.finish_reason = finish_of(string_or(answer, "stop_reason"), !reply.tool_calls.empty());
    read_usage(answer, reply.usage);
    return reply;
  }

  Result<void> take(const net::SseEvent& event, const OnEvent& on_event) override {
    if (event.data.empty()) return {};
    auto parsed = event_object(event);
    if (!parsed) return fail(std::move(parsed.error()));
    const json::object& object = *parsed;
    std::string type(string_or(object, "type"));
    if (type.empty()) type = event.type;
    if (type == "error") {
      const auto* error = object.if_contains("error");
      return fail(provider_error(error != nullptr ? *error : json::value(object)));
    }
    if (type == "message_start") {
      const auto* message = object.if_contains("message");
      if (message == nullptr || !message->is_object()) return {};
      model_ = string_or(message->get_object(), "model");
      read_usage(message->get_object(), usage_);
    } else if (type == "content_block_start" || type == "content_block_delta") {
      const std::int64_t index = int_or(object, "index", 0);
      if (index < 0 || index >= kMostBlocks) return fail(ErrorCode::kModel, "the stream has a content block's index out of range");
      const auto* inner = object.if_contains(type == "content_block_start" ? "content_block" : "delta");
      if (inner == nullptr || !inner->is_object()) return {};
      if (type == "content_block_start") {
        Block block = block_of(inner->get_object());
        const bool thinks = block.type == "thinking";
        say(thinks ? reasoning_ : text_, thinks || block.type == "text" ? block.text : std::string(), thinks, on_event);
        blocks_[index] = std::move(block);
      } else {
        grow(blocks_[index], inner->get_object(), on_event);
      }
    } else if (type == "message_delta") {
      if (const auto* delta = object.if_contains("delta"); delta != nullptr && delta->is_object()) {
        if (const auto reason = string_or(delta->get_object(), "stop_reason"); !reason.empty()) stop_reason_ = reason;
      }
      read_usage(object, usage_);
    } else if (type == "message_stop") {
      stopped_ = true;
    }
    return {};  // ping, content_block_stop, and what later versions add
  }

  Result<Reply> end() override {
    if (!stopped_ && stop_reason_.empty()) {
      return fail(ErrorCode::kModelUnreachable, "the stream ended in the middle of the answer",
                  "Try again; if it stays so, look at the server's log and at proxies in between.");
    }
    Reply reply;
    for (auto& [index, block] : blocks_) add_block(std::move(block), reply);
    reply.model = model_;
    reply.usage = usage_;
    reply.finish_reason = finish_of(stop_reason_, !reply.tool_calls.empty());
    return reply;
  }

  std::string_view text() const override { return text_; }
  std::string_view reasoning() const override { return reasoning_; }
  bool begun() const override {
    if (!text_.empty() || !reasoning_.empty()) return true;
    for (const auto& [index, block] : blocks_) {
      if (block.type == "tool_use") return true;
    }
    return false;
  }

 private:
  static json::object& output_config(json::object& body) {
    auto& config = body["output_config"];
    if (!config.is_object()) config = json::object{};
    return config.get_object();
  }

  static void say(std::string& whole, const std::string& piece, bool thinking, const OnEvent& on_event) {
    if (piece.empty()) return;
    whole += piece;
    if (!on_event) return;
    if (thinking) {
      on_event(Event{.content = {}, .reasoning = piece});
    } else {
      on_event(Event{.content = piece});
    }
  }

  void grow(Block& block, const json::object& delta, const OnEvent& on_event) {
    const auto type = string_or(delta, "type");
    if (type == "text_delta") {
      const std::string piece(string_or(delta, "text"));
      if (block.type.empty()) block.type = "text";
      block.text += piece;
      say(text_, piece, false, on_event);
    } else if (type == "thinking_delta") {
      const std::string piece(string_or(delta, "thinking"));
      if (block.type.empty()) block.type = "thinking";
      block.text += piece;
      say(reasoning_, piece, true, on_event);
    } else if (type == "signature_delta") {
      block.signature += string_or(delta, "signature");
    } else if (type == "input_json_delta") {
      // The whole input at the start is a preview of what the pieces bring.
      if (std::exchange(block.given_input, false)) block.call.arguments_json.clear();
      block.call.arguments_json += string_or(delta, "partial_json");
    }
  }

  const std::string version_;
  std::map<std::int64_t, Block> blocks_;
  std::string text_;
  std::string reasoning_;
  std::string model_;
  std::string stop_reason_;
  Usage usage_;
  bool stopped_ = false;
};

}  // namespace

bool fits_output_format(const json::value& schema) {
  if (schema.is_array()) {
    for (const auto& item : schema.get_array()) {
      if (!fits_output_format(item)) return false;
    }
    return true;
  }
  if (!schema.is_object()) return true;
  const auto& object = schema.get_object();
  if (string_or(object, "type") == "object" || object.contains("properties")) {
    const auto* closed = object.if_contains("additionalProperties");
    if (closed == nullptr || !closed->is_bool() || closed->get_bool()) return false;
  }
  static constexpr std::array<std::string_view, 20> kRefused = {
      "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems",
      "uniqueItems", "minProperties", "maxProperties", "patternProperties", "oneOf", "not", "if", "prefixItems", "contains", "dependentSchemas"};
  for (const auto& member : object) {
    const auto key = member.key();
    if (std::find(kRefused.begin(), kRefused.end(), key) != kRefused.end()) return false;
    if (key == "$ref") return false;  // may be recursive, which the API refuses
    if (key == "properties" || key == "$defs" || key == "definitions") {
      if (!member.value().is_object()) return false;
      for (const auto& inner : member.value().get_object()) {
        if (!fits_output_format(inner.value())) return false;
      }
    } else if (key == "items" || key == "anyOf" || key == "allOf") {
      if (!fits_output_format(member.value())) return false;
    }
  }
  return true;
}

std::unique_ptr<Codec> make_messages_codec(std::string version) { return std::make_unique<MessagesCodec>(std::move(version)); }

}  // namespace sabir::models

#include <map>

#include "openai/openai_codec.h"
#include "sabir/base/text.h"

namespace sabir::models {
namespace {

constexpr std::int64_t kMostItems = 1024;

Error unsupported(const std::string& what) {
  return Error(ErrorCode::kInvalidArguments, what, "Set api: chat for this model, or leave it out.");
}

// Chat Completions' content parts as the Responses API's.
Result<json::value> content_parts(const json::value& content, std::string_view role) {
  if (content.is_string()) return content;
  if (content.is_null()) return json::value("");
  if (!content.is_array()) return fail(unsupported("a message's content is neither text nor a list of parts"));
  const std::string_view text_type = role == "assistant" ? "output_text" : "input_text";
  json::array parts;
  for (const auto& part : content.get_array()) {
    if (!part.is_object()) return fail(unsupported("a part of a message's content is not an object"));
    const auto& object = part.get_object();
    const auto type = string_or(object, "type");
    auto image = role == "assistant" ? Result<std::optional<Image>>(std::nullopt) : image_of(object);
    if (!image) return fail(std::move(image.error()));
    if (type == "text") {
      parts.push_back(json::object{{"type", text_type}, {"text", string_or(object, "text")}});
    } else if (type == "refusal" && role == "assistant") {
      parts.push_back(object);
    } else if (*image) {
      parts.push_back(json::object{{"type", "input_image"}, {"detail", (*image)->detail.empty() ? "auto" : (*image)->detail}, {"image_url", (*image)->url}});
    } else {
      return fail(unsupported("the Responses API takes no content part of type '" + std::string(type) + "' here"));
    }
  }
  return json::value(std::move(parts));
}

Result<json::array> input_items(const json::array& messages) {
  json::array items;
  for (const auto& message : messages) {
    if (!message.is_object()) return fail(ErrorCode::kInvalidArguments, "a message is not an object");
    const auto& object = message.get_object();
    const auto role = string_or(object, "role");
    const auto* content = object.if_contains("content");
    if (role == "tool") {
      items.push_back(json::object{{"type", "function_call_output"},
                                   {"call_id", string_or(object, "tool_call_id")},
                                   {"output", content_text(content)}});
      continue;
    }
    if (const auto* details = object.if_contains("reasoning_details"); role == "assistant" && details != nullptr && details->is_array()) {
      for (const auto& detail : details->get_array()) {
        if (!detail.is_object() || string_or(detail.get_object(), "provider") != "openai") continue;
        json::object item = detail.get_object();
        item.erase("provider");
        items.push_back(std::move(item));
      }
    }
    const auto* calls = object.if_contains("tool_calls");
    const bool has_calls = role == "assistant" && calls != nullptr && calls->is_array() && !calls->get_array().empty();
    const bool has_content = content != nullptr && !content->is_null() && !(has_calls && content_text(content).empty());
    if (has_content || !has_calls) {
      auto parts = content_parts(content == nullptr ? json::value() : *content, role);
      if (!parts) return fail(std::move(parts.error()));
      items.push_back(json::object{{"type", "message"}, {"role", role}, {"content", std::move(*parts)}});
    }
    if (!has_calls) continue;
    for (const auto& call : calls->get_array()) {
      const auto* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
      if (function == nullptr || !function->is_object()) {
        return fail(ErrorCode::kInvalidArguments, "a tool call of an assistant's message has no function");
      }
      items.push_back(json::object{{"type", "function_call"},
                                   {"call_id", string_or(call.get_object(), "id")},
                                   {"name", string_or(function->get_object(), "name")},
                                   {"arguments", string_or(function->get_object(), "arguments")}});
    }
  }
  return items;
}

Result<json::array> flat_tools(const json::array& tools) {
  json::array out;
  for (const auto& tool : tools) {
    const auto* function = tool.is_object() ? tool.get_object().if_contains("function") : nullptr;
    if (function == nullptr || !function->is_object()) {
      out.push_back(tool);  // the API's own tools, already in its form
      continue;
    }
    const auto& object = function->get_object();
    json::object flat{{"type", "function"}, {"name", string_or(object, "name")}};
    if (const auto* description = object.if_contains("description")) flat["description"] = *description;
    const auto* parameters = object.if_contains("parameters");
    flat["parameters"] = parameters != nullptr && parameters->is_object()
                             ? *parameters
                             : json::value(json::object{{"type", "object"}, {"properties", json::object{}}});
    const auto* strict = object.if_contains("strict");
    flat["strict"] = strict != nullptr && strict->is_bool() && strict->get_bool();
    out.push_back(std::move(flat));
  }
  return out;
}

json::object& member_object(json::object& body, const char* key) {
  auto& value = body[key];
  if (!value.is_object()) value = json::object{};
  return value.get_object();
}

void read_usage(const json::object& answer, Usage& usage) {
  const auto* value = answer.if_contains("usage");
  if (value == nullptr || !value->is_object()) return;
  usage.input_tokens = int_or(value->get_object(), "input_tokens", usage.input_tokens);
  usage.output_tokens = int_or(value->get_object(), "output_tokens", usage.output_tokens);
  usage.cached_tokens = details_of(value->get_object(), "input_tokens_details", "cached_tokens", usage.cached_tokens);
  usage.cache_write_tokens = details_of(value->get_object(), "input_tokens_details", "cache_write_tokens", usage.cache_write_tokens);
  usage.reasoning_tokens = details_of(value->get_object(), "output_tokens_details", "reasoning_tokens", usage.reasoning_tokens);
}

std::string parts_text(const json::value* parts) {
  std::string text;
  if (parts == nullptr || !parts->is_array()) return text;
  for (const auto& part : parts->get_array()) {
    if (!part.is_object()) continue;
    const auto piece = string_or(part.get_object(), "text");
    if (!text.empty() && !piece.empty()) text += "\n\n";
    text += piece;
  }
  return text;
}

// Thinking: what is shown of it, and, where it was asked for (include: [reasoning.encrypted_content]), the whole of it under a
// seal, which goes back with the results of the calls.
void read_reasoning(const json::object& item, Reply& reply) {
  std::string text = parts_text(item.if_contains("summary"));
  if (text.empty()) text = parts_text(item.if_contains("content"));
  if (!reply.reasoning.empty() && !text.empty()) reply.reasoning += "\n\n";
  reply.reasoning += text;
  const auto sealed = string_or(item, "encrypted_content");
  if (sealed.empty()) return;
  const auto* summary = item.if_contains("summary");
  json::object kept{{"provider", "openai"}, {"type", "reasoning"}, {"id", string_or(item, "id")}, {"encrypted_content", sealed}};
  kept["summary"] = summary != nullptr && summary->is_array() ? *summary : json::value(json::array());
  reply.reasoning_details.push_back(std::move(kept));
}

class ResponsesCodec final : public Codec {
 public:
  std::string path() const override { return "/responses"; }

  Result<json::object> body(const Request& request, const Endpoint& endpoint, bool stream) const override {
    auto items = input_items(request.messages);
    if (!items) return fail(std::move(items.error()));
    json::object body;
    body["model"] = endpoint.model;
    body["input"] = std::move(*items);
    body["store"] = false;  // the conversation lives in the project's memory, not on the server
    if (stream) body["stream"] = true;
    if (!request.tools.empty()) {
      auto tools = flat_tools(request.tools);
      if (!tools) return fail(std::move(tools.error()));
      body["tools"] = std::move(*tools);
    }
    for (const auto& member : merged_parameters(request, endpoint)) {
      const auto key = member.key();
      if (key == "max_tokens" || key == "max_completion_tokens" || key == "max_output_tokens") {
        body["max_output_tokens"] = member.value();
      } else if (key == "reasoning_effort") {
        member_object(body, "reasoning")["effort"] = member.value();
      } else if (key == "verbosity") {
        member_object(body, "text")["verbosity"] = member.value();
      } else if (key == "tool_choice" && member.value().is_object() && member.value().get_object().contains("function")) {
        const auto& function = member.value().get_object().at("function");
        body["tool_choice"] = json::object{
            {"type", "function"}, {"name", function.is_object() ? string_or(function.get_object(), "name") : ""}};
      } else if (key == "seed" || key == "stop" || key == "n" || key == "logit_bias" || key == "frequency_penalty" ||
                 key == "presence_penalty" || key == "logprobs" || key == "response_format") {
        return fail(unsupported("the Responses API has no parameter '" + std::string(key) + "'"));
      } else if ((key == "text" || key == "reasoning") && member.value().is_object()) {
        auto& object = member_object(body, key == "text" ? "text" : "reasoning");
        for (const auto& inner : member.value().get_object()) object[inner.key()] = inner.value();
      } else {
        body[key] = member.value();
      }
    }
    if (request.output_schema && !endpoint.native_schema) {
      body["instructions"] = schema_instruction(*request.output_schema);
    } else if (request.output_schema) {
      const json::value schema = *request.output_schema;
      member_object(body, "text")["format"] = json::object{
          {"type", "json_schema"}, {"name", "answer"}, {"schema", schema}, {"strict", fits_strict_mode(schema)}};
    }
    return body;
  }

  Result<Reply> whole(const json::object& answer) const override {
    if (const auto* error = answer.if_contains("error"); error != nullptr && !error->is_null()) {
      return fail(provider_error(*error));
    }
    const auto* output = answer.if_contains("output");
    if (output == nullptr || !output->is_array()) {
      return fail(ErrorCode::kModel, "the answer has no output: " + json::serialize(answer).substr(0, 200),
                  "Check that base_url is a Responses server; others take api: chat.");
    }
    Reply reply;
    bool refused = false;
    for (const auto& item : output->get_array()) {
      if (item.is_object()) read_item(item.get_object(), reply, refused);
    }
    complete(answer, reply, refused);
    return reply;
  }

  Result<void> take(const net::SseEvent& event, const OnEvent& on_event) override {
    if (event.data.empty() || event.data == "[DONE]") return {};
    auto parsed = event_object(event);
    if (!parsed) return fail(std::move(parsed.error()));
    const json::object& object = *parsed;
    std::string type(string_or(object, "type"));
    if (type.empty() || event.type == "error") type = event.type;
    const std::int64_t index = int_or(object, "output_index", 0);
    if (index < 0 || index > kMostItems) return fail(ErrorCode::kModel, "the stream has an output_index out of range");
    if (type == "response.output_text.delta" || type == "response.refusal.delta") {
      std::string text(string_or(object, "delta"));
      if (type == "response.refusal.delta") refused_ = true;
      text_ += text;
      if (on_event && !text.empty()) on_event(Event{.content = std::move(text)});
    } else if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") {
      const std::string text(string_or(object, "delta"));
      // Summaries come in parts, which are paragraphs.
      const std::int64_t part = int_or(object, "summary_index", int_or(object, "content_index", 0));
      const bool next = !reasoning_.empty() && (part != part_ || index != part_item_) && !text.empty();
      part_ = part;
      part_item_ = index;
      const std::string piece = (next ? "\n\n" : "") + text;
      reasoning_ += piece;
      if (on_event && !piece.empty()) on_event(Event{.content = {}, .reasoning = piece});
    } else if (type == "response.output_item.added" || type == "response.output_item.done") {
      const auto* item = object.if_contains("item");
      if (item == nullptr || !item->is_object() || string_or(item->get_object(), "type") != "function_call") return {};
      const auto& call_item = item->get_object();
      auto& call = calls_[index];
      if (const auto id = string_or(call_item, "call_id"); !id.empty()) call.id = id;
      if (const auto name = string_or(call_item, "name"); !name.empty()) call.name = name;
      if (const auto arguments = string_or(call_item, "arguments"); !arguments.empty()) call.arguments_json = arguments;
    } else if (type == "response.function_call_arguments.delta") {
      calls_[index].arguments_json += string_or(object, "delta");
    } else if (type == "response.function_call_arguments.done") {
      auto& call = calls_[index];
      if (const auto arguments = string_or(object, "arguments"); !arguments.empty()) call.arguments_json = arguments;
      if (const auto name = string_or(object, "name"); !name.empty() && call.name.empty()) call.name = name;
    } else if (type == "response.completed" || type == "response.incomplete") {
      const auto* response = object.if_contains("response");
      if (response == nullptr || !response->is_object()) return fail(ErrorCode::kModel, type + " holds no response");
      final_ = response->get_object();
    } else if (type == "response.failed") {
      const auto* response = object.if_contains("response");
      const auto* error = response != nullptr && response->is_object() ? response->get_object().if_contains("error") : nullptr;
      return fail(provider_error(error != nullptr ? *error : json::value("the response failed")));
    } else if (type == "error") {
      const auto* error = object.if_contains("error");
      return fail(provider_error(error != nullptr && error->is_object() ? *error : json::value(object)));
    }
    return {};
  }

  Result<Reply> end() override {
    if (!final_) {
      return fail(ErrorCode::kModelUnreachable, "the stream ended in the middle of the answer",
                  "Try again; if it stays so, look at the server's log and at proxies in between.");
    }
    Reply reply;
    bool refused = refused_;
    reply.content = text_;
    // Sealed thinking is in the last event only.
    if (const auto* output = final_->if_contains("output"); output != nullptr && output->is_array()) {
      for (const auto& item : output->get_array()) {
        if (item.is_object() && string_or(item.get_object(), "type") == "reasoning") read_reasoning(item.get_object(), reply);
      }
    }
    if (!reasoning_.empty()) reply.reasoning = reasoning_;
    for (auto& [index, call] : calls_) {
      if (call.id.empty()) call.id = "call_" + std::to_string(index);
      reply.tool_calls.push_back(std::move(call));
    }
    // The last event repeats the output; it is taken for what no delta brought.
    if (reply.content.empty() && reply.tool_calls.empty()) {
      if (const auto* output = final_->if_contains("output"); output != nullptr && output->is_array()) {
        for (const auto& item : output->get_array()) {
          if (item.is_object() && string_or(item.get_object(), "type") != "reasoning") read_item(item.get_object(), reply, refused);
        }
      }
    }
    complete(*final_, reply, refused);
    return reply;
  }

  std::string_view text() const override { return text_; }
  std::string_view reasoning() const override { return reasoning_; }
  bool begun() const override { return !text_.empty() || !reasoning_.empty() || !calls_.empty(); }

 private:
  static void read_item(const json::object& item, Reply& reply, bool& refused) {
    const auto type = string_or(item, "type");
    if (type == "reasoning") {
      read_reasoning(item, reply);
    } else if (type == "function_call") {
      ToolCall call{std::string(string_or(item, "call_id")), std::string(string_or(item, "name")),
                    std::string(string_or(item, "arguments"))};
      if (call.id.empty()) call.id = "call_" + std::to_string(reply.tool_calls.size());
      reply.tool_calls.push_back(std::move(call));
    } else if (type == "message") {
      const auto* content = item.if_contains("content");
      if (content == nullptr || !content->is_array()) return;
      for (const auto& part : content->get_array()) {
        if (!part.is_object()) continue;
        if (string_or(part.get_object(), "type") == "refusal") {
          refused = true;
          reply.content += string_or(part.get_object(), "refusal");
        } else {
          reply.content += string_or(part.get_object(), "text");
        }
      }
    }
  }

  static void complete(const json::object& answer, Reply& reply, bool refused) {
    reply.model = string_or(answer, "model");
    read_usage(answer, reply.usage);
    reply.finish_reason = reply.tool_calls.empty() ? "stop" : "tool_calls";
    if (string_or(answer, "status") == "incomplete") {
      const auto* details = answer.if_contains("incomplete_details");
      const auto reason = details != nullptr && details->is_object() ? string_or(details->get_object(), "reason") : "";
      reply.finish_reason = reason == "content_filter" ? "content_filter" : "length";
    }
    if (refused) reply.finish_reason = "content_filter";
  }

  std::map<std::int64_t, ToolCall> calls_;  // by output_index
  std::string text_;
  std::string reasoning_;
  std::int64_t part_ = 0;       // of the summary, and of which item
  std::int64_t part_item_ = 0;
  std::optional<json::object> final_;
  bool refused_ = false;
};

}  // namespace

std::unique_ptr<Codec> make_responses_codec() { return std::make_unique<ResponsesCodec>(); }

}  // namespace sabir::models

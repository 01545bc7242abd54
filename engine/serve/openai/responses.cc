#include "openai/responses.h"

#include <algorithm>
#include <array>

#include "sabir/base/text.h"

namespace sabir::serve::openai {
namespace {

constexpr std::size_t kMostItems = 4096;
constexpr std::size_t kMostTools = 256;

constexpr std::array kPassed = {"temperature", "top_p", "parallel_tool_calls"};
constexpr std::array kIdle = {"metadata",         "user",      "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "include",
                              "stream_options", "truncation", "top_logprobs",      "max_tool_calls"};
constexpr std::array kRead = {"model", "input", "instructions", "tools", "tool_choice", "stream", "store", "previous_response_id", "conversation", "text", "reasoning", "max_output_tokens", "background"};

template <class List>
bool has(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_null(const json::value* value) { return value == nullptr || value->is_null(); }

// A message's content in Chat Completions' form.
Result<json::value> read_content(const json::value& content, const std::string& where, bool of_user) {
  if (content.is_string()) return content;
  if (!content.is_array()) return wrong(where, where + " is neither a text nor a list of parts");
  json::array parts;
  for (const auto& part : content.get_array()) {
    const auto* object = part.if_object();
    const auto type = object ? string_or(*object, "type") : std::string_view();
    if (type == "input_text" || type == "output_text" || type == "refusal") {
      parts.push_back({{"type", "text"}, {"text", string_or(*object, type == "refusal" ? "refusal" : "text")}});
    } else if (type == "input_image" && of_user && !string_or(*object, "image_url").empty()) {
      json::object url{{"url", string_or(*object, "image_url")}};
      if (const auto detail = string_or(*object, "detail"); !detail.empty()) url["detail"] = detail;
      parts.push_back({{"type", "image_url"}, {"image_url", std::move(url)}});
    } else {
      return wrong(where, where + " has a part of type '" + std::string(type) + "'", "Parts are input_text, output_text, and input_image with an image_url in a user's message.");
    }
  }
  // Servers that know no parts take a text.
  if (parts.size() == 1 && parts[0].as_object().at("type") == "text") return parts[0].as_object().at("text");
  return json::value(std::move(parts));
}

std::string output_text(const json::value& output) {
  if (output.is_string()) return std::string(output.get_string());
  std::string text;
  if (const auto* list = output.if_array()) {
    for (const auto& part : *list) {
      if (part.is_object()) text += string_or(part.get_object(), "text");
    }
  }
  return text;
}

Result<void> read_item(const json::value& value, std::size_t i, json::array& messages) {
  const std::string where = "input[" + std::to_string(i) + "]";
  const auto* item = value.if_object();
  if (!item) return wrong(where, where + " is not an object");
  std::string type(string_or(*item, "type"));
  if (type.empty() && item->contains("role")) type = "message";
  if (type == "message") {
    std::string role(string_or(*item, "role"));
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant") return wrong(where + ".role", where + ".role is '" + role + "'", "It is one of system, developer, user, assistant.");
    const auto* content = item->if_contains("content");
    if (is_null(content)) return wrong(where + ".content", where + " has no content");
    auto read = read_content(*content, where + ".content", role == "user");
    if (!read) return fail(std::move(read.error()));
    messages.push_back({{"role", role}, {"content", std::move(*read)}});
    return {};
  }
  if (type == "function_call") {
    const std::string id(string_or(*item, "call_id"));
    const std::string name(string_or(*item, "name"));
    if (id.empty() || name.empty()) return wrong(where, where + " has no call_id or no name");
    json::object call{{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", string_or(*item, "arguments", "{}")}}}};
    // Calls that stand side by side were made by one answer; words before them belong to it.
    auto* last = messages.empty() ? nullptr : messages.back().if_object();
    if (last && string_or(*last, "role") == "assistant") {
      if (auto* calls = last->if_contains("tool_calls")) calls->as_array().push_back(std::move(call));
      else (*last)["tool_calls"] = json::array{std::move(call)};
    } else {
      messages.push_back({{"role", "assistant"}, {"content", nullptr}, {"tool_calls", json::array{std::move(call)}}});
    }
    return {};
  }
  if (type == "function_call_output") {
    const std::string id(string_or(*item, "call_id"));
    const auto* output = item->if_contains("output");
    if (id.empty() || is_null(output)) return wrong(where, where + " has no call_id or no output");
    messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", output_text(*output)}});
    return {};
  }
  // What a model thought is its provider's; it is not asked of another.
  if (type == "reasoning") return {};
  return wrong(where + ".type", where + ".type is '" + type + "'", "It is one of message, function_call, function_call_output, reasoning.");
}

Result<void> read_tools(const json::value& value, Asked& asked) {
  const auto* list = value.if_array();
  if (!list || list->size() > kMostTools) return wrong("tools", "'tools' is not a list of at most " + std::to_string(kMostTools) + " tools");
  for (const auto& tool : *list) {
    const auto* object = tool.if_object();
    const auto type = object ? string_or(*object, "type") : std::string_view();
    if (type != "function" || string_or(*object, "name").empty()) {
      return wrong("tools", type == "function" ? "a tool has no name" : "tools of type '" + std::string(type) + "' are not served here",
                   "Tools are {\"type\": \"function\", \"name\", \"parameters\"}: the client makes the calls. An assistant has its own functions.");
    }
    json::object function{{"name", string_or(*object, "name")}};
    for (const char* name : {"description", "parameters", "strict"}) {
      if (const auto* member = object->if_contains(name); !is_null(member)) function[name] = *member;
    }
    asked.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return {};
}

Result<void> read_text(const json::value& value, Asked& asked) {
  const auto* text = value.if_object();
  if (!text) return wrong("text", "'text' is not an object");
  if (const auto* verbosity = text->if_contains("verbosity"); !is_null(verbosity)) asked.parameters["verbosity"] = *verbosity;
  const auto* format = text->if_contains("format");
  if (is_null(format)) return {};
  const auto* object = format->if_object();
  const auto type = object ? string_or(*object, "type") : std::string_view();
  if (type == "text") return {};
  if (type == "json_object") {
    asked.output_schema = json::object{{"type", "object"}};
    return {};
  }
  const auto* schema = object ? object->if_contains("schema") : nullptr;
  if (type != "json_schema" || !schema || !schema->is_object()) {
    return wrong("text.format", "text.format is neither {\"type\": \"text\"}, {\"type\": \"json_object\"} nor {\"type\": \"json_schema\", \"name\", \"schema\"}");
  }
  asked.output_schema = schema->get_object();
  return {};
}

json::object usage_of(const models::Usage& usage) {
  return {{"input_tokens", usage.input_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", usage.cache_write_tokens}}},
          {"output_tokens", usage.output_tokens},
          {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"total_tokens", usage.input_tokens + usage.output_tokens}};
}

json::object text_part(std::string_view text, bool refused) {
  if (refused) return {{"type", "refusal"}, {"refusal", text}};
  return {{"type", "output_text"}, {"text", text}, {"annotations", json::array()}, {"logprobs", json::array()}};
}

json::object message_item(const ResponseHead& head, const char* status, json::array content) {
  return {{"id", head.message_id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", std::move(content)}};
}

json::object call_item(const models::ToolCall& call, const char* status, std::string_view arguments) {
  return {{"id", "fc_" + call.id}, {"type", "function_call"}, {"status", status}, {"call_id", call.id}, {"name", call.name}, {"arguments", arguments}};
}

// Everything but output, status and usage.
json::object frame(const ResponseHead& head, const Asked& asked) {
  const auto& request = asked.request;
  const auto as_asked = [&](const char* name, json::value otherwise) {
    const auto* value = request.if_contains(name);
    return is_null(value) ? std::move(otherwise) : *value;
  };
  json::object out{{"id", head.id},
                   {"object", "response"},
                   {"created_at", head.created},
                   {"status", "in_progress"},
                   {"background", false},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"instructions", as_asked("instructions", nullptr)},
                   {"max_output_tokens", as_asked("max_output_tokens", nullptr)},
                   {"model", head.model},
                   {"output", json::array()},
                   {"parallel_tool_calls", as_asked("parallel_tool_calls", true)},
                   {"previous_response_id", as_asked("previous_response_id", nullptr)},
                   {"reasoning", as_asked("reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}})},
                   {"temperature", as_asked("temperature", 1.0)},
                   {"text", as_asked("text", json::object{{"format", {{"type", "text"}}}})},
                   {"tool_choice", as_asked("tool_choice", "auto")},
                   {"tools", as_asked("tools", json::array())},
                   {"top_p", as_asked("top_p", 1.0)},
                   {"truncation", as_asked("truncation", "disabled")},
                   {"usage", nullptr},
                   {"metadata", as_asked("metadata", json::object())}};
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) {
    if (const auto* value = request.if_contains(name); !is_null(value)) out[name] = *value;
  }
  if (const auto* value = request.if_contains("conversation"); !is_null(value)) out["conversation"] = json::object{{"id", asked.conversation}};
  // Functions as the original writes them out.
  for (auto& tool : out["tools"].as_array()) {
    auto& object = tool.as_object();
    for (const char* name : {"parameters", "strict", "description"}) {
      if (!object.contains(name)) object[name] = nullptr;
    }
  }
  return out;
}

}  // namespace

Result<Asked> read_response_request(const json::object& body) {
  Asked asked;
  asked.request = body;
  for (const auto& member : body) {
    const std::string name(member.key());
    if (member.value().is_null()) continue;
    if (has(kPassed, name)) {
      asked.parameters[name] = member.value();
    } else if (!has(kIdle, name) && !has(kRead, name)) {
      std::vector<std::string> known(kRead.begin(), kRead.end());
      known.insert(known.end(), kPassed.begin(), kPassed.end());
      if (name == "prompt") return wrong(name, "prompts of the provider are not served here", "Name an assistant as `model`, or POST /prompts/NAME/render.");
      return wrong(name, "Unknown parameter: '" + name + "'.", did_you_mean(name, known));
    }
  }
  const auto member = [&](const char* name) -> const json::value* {
    const auto* value = body.if_contains(name);
    return is_null(value) ? nullptr : value;
  };
  const auto* model = member("model");
  if (!model || !model->is_string() || model->get_string().empty()) return wrong("model", "'model' is missing: the name of an assistant or an alias", "GET /v1/models lists them.");
  asked.model = model->get_string();
  if (const auto* value = member("background"); value && *value != json::value(false)) return wrong("background", "answers in the background are not served here", "Leave `background` out, and `stream`.");
  for (const char* name : {"stream", "store"}) {
    if (const auto* value = member(name); value && !value->is_bool()) return wrong(name, std::string("'") + name + "' is not true or false");
  }
  if (const auto* value = member("stream")) asked.stream = value->get_bool();
  if (const auto* value = member("store")) asked.store = value->get_bool();
  if (const auto* value = member("previous_response_id")) {
    if (!value->is_string() || value->get_string().empty()) return wrong("previous_response_id", "'previous_response_id' is not a text");
    asked.previous = value->get_string();
  }
  if (const auto* value = member("conversation")) {
    asked.conversation = value->is_string() ? std::string(value->get_string()) : value->is_object() ? std::string(string_or(value->get_object(), "id")) : std::string();
    if (asked.conversation.empty()) return wrong("conversation", "'conversation' is neither an id nor {\"id\"}");
    if (!asked.previous.empty()) return wrong("conversation", "'conversation' and 'previous_response_id' exclude each other");
  }
  if (const auto* value = member("instructions")) {
    if (!value->is_string()) return wrong("instructions", "'instructions' is not a text");
    asked.messages.push_back({{"role", "system"}, {"content", *value}});
  }
  const auto* input = member("input");
  if (!input) return wrong("input", "'input' is missing: a text or a list of items");
  if (input->is_string()) {
    asked.messages.push_back({{"role", "user"}, {"content", *input}});
  } else if (input->is_array() && !input->get_array().empty() && input->get_array().size() <= kMostItems) {
    for (std::size_t i = 0; i < input->get_array().size(); ++i) {
      if (auto read = read_item(input->get_array()[i], i, asked.messages); !read) return fail(std::move(read.error()));
    }
  } else {
    return wrong("input", "'input' is neither a text nor a list of 1 to " + std::to_string(kMostItems) + " items");
  }
  if (const auto* value = member("tools")) {
    if (auto read = read_tools(*value, asked); !read) return fail(std::move(read.error()));
  }
  if (const auto* value = member("tool_choice")) {
    const auto* object = value->if_object();
    if (value->is_string()) {
      asked.parameters["tool_choice"] = *value;
    } else if (object && string_or(*object, "type") == "function") {
      asked.parameters["tool_choice"] = json::object{{"type", "function"}, {"function", {{"name", string_or(*object, "name")}}}};
    } else {
      return wrong("tool_choice", "'tool_choice' is neither auto, none, required nor {\"type\": \"function\", \"name\"}");
    }
  }
  if (const auto* value = member("text")) {
    if (auto read = read_text(*value, asked); !read) return fail(std::move(read.error()));
  }
  if (const auto* value = member("reasoning")) {
    if (!value->is_object()) return wrong("reasoning", "'reasoning' is not an object");
    if (const auto* effort = value->get_object().if_contains("effort"); !is_null(effort)) asked.parameters["reasoning_effort"] = *effort;
  }
  if (const auto* value = member("max_output_tokens")) asked.parameters["max_tokens"] = *value;
  return asked;
}

json::object response_object(const ResponseHead& head, const Asked& asked, const Told& told) {
  json::object out = frame(head, asked);
  const bool cut = told.finish_reason == "length";
  out["status"] = cut ? "incomplete" : "completed";
  if (cut) out["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
  auto& output = out["output"].as_array();
  if (!told.content.empty() || told.calls.empty()) {
    output.push_back(message_item(head, cut ? "incomplete" : "completed", json::array{text_part(told.content, told.finish_reason == "content_filter")}));
  }
  for (const auto& call : told.calls) output.push_back(call_item(call, "completed", call.arguments_json));
  out["usage"] = usage_of(told.usage);
  return out;
}

json::object failed_response(const ResponseHead& head, const Asked& asked, const Error& error) {
  json::object out = frame(head, asked);
  out["status"] = "failed";
  const std::string code = status_of(error) == 429 ? "rate_limit_exceeded" : "server_error";
  out["error"] = json::object{{"code", code}, {"message", error.hint.empty() ? error.message : error.message + "\n" + error.hint}};
  return out;
}

void ResponseStream::add(std::vector<ResponseEvent>& events, std::string type, json::object data) {
  json::object whole{{"type", type}, {"sequence_number", sequence_++}};
  for (auto& member : data) whole[member.key()] = std::move(member.value());
  events.push_back({std::move(type), std::move(whole)});
}

std::vector<ResponseEvent> ResponseStream::begin() {
  std::vector<ResponseEvent> events;
  for (const char* type : {"response.created", "response.in_progress"}) add(events, type, {{"response", frame(head_, asked_)}});
  return events;
}

void ResponseStream::open_message(std::vector<ResponseEvent>& events) {
  if (open_) return;
  open_ = true;
  add(events, "response.output_item.added", {{"output_index", 0}, {"item", message_item(head_, "in_progress", {})}});
  add(events, "response.content_part.added", {{"item_id", head_.message_id}, {"output_index", 0}, {"content_index", 0}, {"part", text_part("", false)}});
}

std::vector<ResponseEvent> ResponseStream::text(std::string_view piece) {
  std::vector<ResponseEvent> events;
  if (piece.empty()) return events;
  open_message(events);
  shown_ += piece;
  add(events, "response.output_text.delta", {{"item_id", head_.message_id}, {"output_index", 0}, {"content_index", 0}, {"delta", piece}, {"logprobs", json::array()}});
  return events;
}

std::vector<ResponseEvent> ResponseStream::end(const Told& told) {
  std::vector<ResponseEvent> events;
  if (shown_.size() < told.content.size()) events = text(std::string_view(told.content).substr(shown_.size()));
  if (told.calls.empty()) open_message(events);
  const auto whole = response_object(head_, asked_, told);
  const auto& output = whole.at("output").as_array();
  if (open_) {
    const json::object at{{"item_id", head_.message_id}, {"output_index", 0}, {"content_index", 0}};
    json::object done = at;
    done["text"] = told.content;
    done["logprobs"] = json::array();
    add(events, "response.output_text.done", std::move(done));
    json::object part = at;
    part["part"] = text_part(told.content, false);
    add(events, "response.content_part.done", std::move(part));
    add(events, "response.output_item.done", {{"output_index", 0}, {"item", output[0]}});
  }
  std::size_t index = open_ ? 1 : 0;
  for (const auto& call : told.calls) {
    const auto id = "fc_" + call.id;
    add(events, "response.output_item.added", {{"output_index", index}, {"item", call_item(call, "in_progress", "")}});
    add(events, "response.function_call_arguments.delta", {{"item_id", id}, {"output_index", index}, {"delta", call.arguments_json}});
    add(events, "response.function_call_arguments.done", {{"item_id", id}, {"output_index", index}, {"name", call.name}, {"arguments", call.arguments_json}});
    add(events, "response.output_item.done", {{"output_index", index}, {"item", output[index]}});
    ++index;
  }
  add(events, told.finish_reason == "length" ? "response.incomplete" : "response.completed", {{"response", whole}});
  return events;
}

std::vector<ResponseEvent> ResponseStream::fail(const Error& error) {
  std::vector<ResponseEvent> events;
  add(events, "response.failed", {{"response", failed_response(head_, asked_, error)}});
  return events;
}

}  // namespace sabir::serve::openai

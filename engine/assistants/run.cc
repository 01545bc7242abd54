#include "sabir/assistants/run.h"

#include <algorithm>

#include "sabir/base/text.h"

namespace sabir::assistants {
namespace {

constexpr std::size_t kMostCallsAtOnce = 16;
constexpr std::size_t kMostResultBytes = 32'768;

std::string error_content(const Error& error) {
  json::object what = to_json(error);
  // Where in the source it happened helps a person, not the model.
  for (const char* key : {"file", "line", "column"}) what.erase(key);
  return json::serialize(json::object{{"error", std::move(what)}});
}

// The model sees at most kMostResultBytes and is told what is missing.
std::string shorten(std::string content) {
  if (content.size() <= kMostResultBytes) return content;
  const std::size_t whole = content.size();
  std::size_t keep = kMostResultBytes;
  while (keep > 0 && (static_cast<unsigned char>(content[keep]) & 0xc0U) == 0x80U) --keep;
  content.resize(keep);
  return content + "\n[cut here: " + std::to_string(whole - keep) + " of " + std::to_string(whole) +
         " bytes left out; call again for a smaller part if it is needed]";
}

}  // namespace

Run::Run(const Definition& definition, std::vector<Tool> tools, json::array opening, json::array history, ClientTools client_tools)
    : name_("the " + definition.kind + " '" + definition.name + "'"),
      where_to_raise_(definition.kind == "assistant" ? "the assistant's file" : ""),
      max_steps_(definition.max_steps),
      max_time_(definition.max_time),
      tools_(std::move(tools)),
      messages_(std::move(opening)) {
  for (auto& message : history) messages_.push_back(std::move(message));
  for (const auto& tool : tools_) {
    json::object function{{"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}};
    tool_schemas_.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  for (auto& tool : client_tools) {
    const std::string name(string_or(tool.as_object().at("function").as_object(), "name"));
    // The project's own function stands where both have one name: what it does is known here.
    if (find_tool(name) != nullptr || is_client_tool(name)) continue;
    client_tools_.push_back(name);
    tool_schemas_.push_back(std::move(tool));
  }
}

json::array Run::said() const {
  json::array out;
  for (std::size_t i = asked_; i < messages_.size(); ++i) out.push_back(messages_[i]);
  return out;
}

bool Run::is_client_tool(const std::string& name) const { return std::find(client_tools_.begin(), client_tools_.end(), name) != client_tools_.end(); }

Actions Run::start(Clock::time_point now) {
  if (finished_) return {};
  deadline_ = now + max_time_;
  asked_ = messages_.size();
  return ask(now);
}

Actions Run::start(const std::string& message, Clock::time_point now) {
  if (finished_) return {};
  json::object asked{{"role", "user"}, {"content", message}};
  // History that ends with a question nobody answered is asked together with this one.
  if (!messages_.empty() && string_or(messages_.back().as_object(), "role") == "user" &&
      messages_.back().at("content").is_string()) {
    auto& text = messages_.back().at("content").get_string();
    text += "\n\n";
    text += message;
  } else {
    messages_.push_back(asked);
  }
  Actions actions;
  actions.push_back(Remember{{std::move(asked)}});
  for (auto& action : start(now)) actions.push_back(std::move(action));
  return actions;
}

Actions Run::ask(Clock::time_point now) {
  if (now >= deadline_) return tick(now);
  AskModel ask;
  ask.messages = messages_;
  const bool is_last_step = steps_ + 1 >= max_steps_ && max_steps_ > 1;
  if (!is_last_step) ask.tools = tool_schemas_;
  ask.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - now);
  Actions actions;
  actions.push_back(std::move(ask));
  return actions;
}

Actions Run::finish(Result<std::string> content, std::vector<models::ToolCall> handed_over) {
  if (finished_) return {};
  finished_ = true;
  Actions actions;
  actions.push_back(Finish{std::move(content), std::move(handed_over)});
  return actions;
}

Actions Run::hand_over(const models::Reply& reply) {
  std::vector<models::ToolCall> calls = reply.tool_calls;
  json::array listed;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto same = [&](const models::ToolCall& other) { return other.id == calls[i].id; };
    if (calls[i].id.empty() || std::count_if(calls.begin(), calls.end(), same) > 1) calls[i].id = "call_" + std::to_string(steps_) + "_" + std::to_string(i + 1);
    if (trim(calls[i].arguments_json).empty()) calls[i].arguments_json = "{}";
    listed.push_back({{"id", calls[i].id}, {"type", "function"}, {"function", {{"name", calls[i].name}, {"arguments", calls[i].arguments_json}}}});
  }
  json::object message{{"role", "assistant"}, {"content", reply.content.empty() ? json::value(nullptr) : json::value(reply.content)}, {"tool_calls", std::move(listed)}};
  messages_.push_back(std::move(message));
  return finish(reply.content, std::move(calls));
}

Actions Run::model_failed(Error error) { return finish(fail(std::move(error))); }

Actions Run::cancel() { return finish(fail(ErrorCode::kCancelled, "the run of " + name_ + " was cancelled")); }

Actions Run::tick(Clock::time_point now) {
  if (finished_ || now < deadline_) return {};
  return finish(fail(ErrorCode::kTimeout,
                     name_ + " took longer than " + std::to_string(max_time_.count() / 1000) + " s",
                     where_to_raise_.empty() ? "Ask for less." : "Raise max_seconds in " + where_to_raise_ + ", or ask for less."));
}

Actions Run::model_replied(const models::Reply& reply, Clock::time_point now) {
  if (finished_ || !pending_.empty()) return {};
  ++steps_;
  if (reply.tool_calls.empty()) {
    if (reply.finish_reason == "content_filter") {
      return finish(fail(ErrorCode::kModel, "the model's provider withheld the answer (content filter)",
                         "Ask in other words."));
    }
    if (trim(reply.content).empty()) {
      // Small models fall silent now and then; one more try is worth a step.
      if (++empty_replies_ < 2 && steps_ < max_steps_) return ask(now);
      return finish(fail(ErrorCode::kModel, "the model gave an empty answer", "Ask again, or use another model."));
    }
    json::object message{{"role", "assistant"}, {"content", reply.content}};
    messages_.push_back(message);
    Actions actions;
    actions.push_back(Remember{{std::move(message)}});
    for (auto& action : finish(reply.content)) actions.push_back(std::move(action));
    return actions;
  }
  if (std::all_of(reply.tool_calls.begin(), reply.tool_calls.end(), [this](const auto& call) { return is_client_tool(call.name); })) return hand_over(reply);
  if (steps_ >= max_steps_) {
    return finish(fail(ErrorCode::kLimit,
                       name_ + " did not come to an answer in " + std::to_string(max_steps_) + (max_steps_ == 1 ? " step" : " steps"),
                       where_to_raise_.empty() ? "Ask for less at once." : "Raise max_steps in " + where_to_raise_ + ", or ask for less at once."));
  }
  if (now >= deadline_) return tick(now);

  Actions actions;
  Actions approvals;
  json::array calls;
  for (const auto& call : reply.tool_calls) {
    models::ToolCall named = call;
    // Ids tie results to calls, so they must be there and differ.
    if (named.id.empty() || find_pending(named.id) != nullptr) {
      named.id = "call_" + std::to_string(steps_) + "_" + std::to_string(pending_.size() + 1);
    }
    calls.push_back({{"id", named.id},
                     {"type", "function"},
                     {"function", {{"name", named.name}, {"arguments", named.arguments_json}}}});
    begin_call(named, actions, approvals);
  }
  // What needs no answer from a person starts before one is asked.
  for (auto& approval : approvals) actions.push_back(std::move(approval));
  json::object message{{"role", "assistant"}, {"tool_calls", std::move(calls)}};
  if (reply.content.empty()) {
    message["content"] = nullptr;
  } else {
    message["content"] = reply.content;
  }
  unremembered_.push_back(message);
  // Thinking goes back with the results of this run's calls; the next run has no use for it.
  if (!reply.reasoning_details.empty()) message["reasoning_details"] = reply.reasoning_details;
  messages_.push_back(std::move(message));
  for (auto& action : go_on_when_settled(now)) actions.push_back(std::move(action));
  return actions;
}

void Run::begin_call(const models::ToolCall& call, Actions& actions, Actions& approvals) {
  pending_.push_back({call.id, call.name, calls_.size(), std::nullopt});
  Pending& pending = pending_.back();
  const Tool* tool = find_tool(call.name);
  CallMade made;
  made.call_id = call.id;
  made.address = tool == nullptr ? call.name : tool->address;
  made.arguments_json = trim(call.arguments_json).empty() ? "{}" : call.arguments_json;
  calls_.push_back(made);
  if (tool == nullptr && is_client_tool(call.name)) {
    return settle(pending, fail(ErrorCode::kBusy, "'" + call.name + "' is called by the caller, once there are no other calls beside it",
                                "It was not called. Call it again, alone, if it is still needed."));
  }
  if (tool == nullptr) {
    std::vector<std::string> names;
    for (const auto& one : tools_) names.push_back(one.name);
    names.insert(names.end(), client_tools_.begin(), client_tools_.end());
    std::string hint = did_you_mean(call.name, names);
    if (hint.empty()) hint = names.empty() ? "Answer without functions." : "There are: " + join(names, ", ") + ".";
    return settle(pending, fail(ErrorCode::kUnknownFunction, "there is no function '" + call.name + "'", std::move(hint)));
  }
  if (pending_.size() > kMostCallsAtOnce) {
    return settle(pending, fail(ErrorCode::kLimit, "more than 16 calls at once", "Call the rest in the next step."));
  }
  const auto arguments = parse_json(made.arguments_json);
  if (!arguments || !arguments->is_object()) {
    return settle(pending, fail(ErrorCode::kInvalidArguments,
                                arguments ? "the arguments are not a JSON object"
                                          : "the arguments are " + arguments.error().message,
                                "Write one JSON object that fits this schema: " + json::serialize(tool->parameters)));
  }
  if (tool->irreversible) {
    approvals.push_back(AskApproval{call.id, tool->address, made.arguments_json});
  } else {
    actions.push_back(CallTool{call.id, tool->address, made.arguments_json});
  }
}

void Run::settle(Pending& pending, Result<std::string> outcome) {
  CallMade& made = calls_[pending.made];
  if (outcome) {
    made.value_json = *outcome;
    pending.content = shorten(std::move(*outcome));
  } else {
    pending.content = shorten(error_content(outcome.error()));
    made.error = std::move(outcome.error());
  }
}

Actions Run::tool_finished(const std::string& call_id, Result<std::string> outcome, Clock::time_point now) {
  Pending* pending = find_pending(call_id);
  if (finished_ || pending == nullptr || pending->content) return {};
  settle(*pending, std::move(outcome));
  return go_on_when_settled(now);
}

Actions Run::approval_answered(const std::string& call_id, bool granted, const std::string& reason,
                               Clock::time_point now) {
  Pending* pending = find_pending(call_id);
  if (finished_ || pending == nullptr || pending->content) return {};
  const CallMade& made = calls_[pending->made];
  if (granted) {
    Actions actions;
    actions.push_back(CallTool{call_id, made.address, made.arguments_json});
    return actions;
  }
  settle(*pending, fail(ErrorCode::kApprovalRefused, reason,
                        "Do not call it again; tell the user that it was not done."));
  return go_on_when_settled(now);
}

Actions Run::go_on_when_settled(Clock::time_point now) {
  for (const auto& pending : pending_) {
    if (!pending.content) return {};
  }
  for (auto& pending : pending_) {
    json::object message{{"role", "tool"}, {"tool_call_id", pending.call_id}, {"content", *pending.content}};
    messages_.push_back(message);
    unremembered_.push_back(std::move(message));
  }
  pending_.clear();
  Actions actions;
  actions.push_back(Remember{std::move(unremembered_)});
  unremembered_.clear();
  for (auto& action : ask(now)) actions.push_back(std::move(action));
  return actions;
}

const CallMade* Run::call(const std::string& call_id) const {
  const auto found = std::find_if(calls_.rbegin(), calls_.rend(),
                                  [&](const CallMade& made) { return made.call_id == call_id; });
  return found == calls_.rend() ? nullptr : &*found;
}

Run::Pending* Run::find_pending(const std::string& call_id) {
  for (auto& pending : pending_) {
    if (pending.call_id == call_id) return &pending;
  }
  return nullptr;
}

const Tool* Run::find_tool(const std::string& name) const {
  for (const auto& tool : tools_) {
    if (tool.name == name) return &tool;
  }
  // Models that have read an address somewhere use it.
  for (const auto& tool : tools_) {
    if (tool.address == name) return &tool;
  }
  return nullptr;
}

}  // namespace sabir::assistants

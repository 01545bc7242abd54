#include "sabir/assistants/runner.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "history.h"
#include "sabir/base/ids.h"
#include "sabir/base/log.h"
#include "sabir/trace/span.h"

namespace sabir::assistants {
namespace {

constexpr std::size_t kMostHistoryBytes = std::size_t{256} << 10U;
constexpr std::size_t kMostSentBytes = std::size_t{4} << 20U;  // of a conversation that its owner sends
constexpr std::chrono::milliseconds kCancelPoll{100};

// Answers of functions that run on threads of their own, handed to the run's thread. The destructor waits for them all;
// each ends by the deadline it was given.
class Calls {
 public:
  struct Ended {
    std::string call_id;
    Result<std::string> outcome;
  };

  Calls() = default;
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  ~Calls() {
    for (auto& thread : threads_) thread.join();
  }

  void start(std::string call_id, std::function<Result<std::string>()> body) {
    ++running_;
    threads_.emplace_back([this, call_id = std::move(call_id), body = std::move(body)] {
      Result<std::string> outcome;
      try {
        outcome = body();
      } catch (const std::exception& exception) {
        outcome = fail(ErrorCode::kInternal, std::string("the call failed: ") + exception.what());
      }
      const std::lock_guard hold(mutex_);
      ended_.push_back({call_id, std::move(outcome)});
      changed_.notify_one();
    });
  }

  bool any_running() const { return running_ > 0; }

  // Nothing when `longest` passes first.
  std::optional<Ended> wait(std::chrono::milliseconds longest) {
    std::unique_lock hold(mutex_);
    if (!changed_.wait_for(hold, longest, [this] { return !ended_.empty(); })) return std::nullopt;
    Ended ended = std::move(ended_.front());
    ended_.pop_front();
    --running_;
    return ended;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Ended> ended_;
  std::vector<std::thread> threads_;
  int running_ = 0;  // started and not yet taken by wait()
};

// `pattern` is "bank.refund", "ruby/bank.refund" or "bank.*"; `address` is "ruby/bank.refund".
bool is_meant(std::string_view pattern, std::string_view address) {
  if (pattern.find('/') == std::string_view::npos) address.remove_prefix(std::min(address.find('/') + 1, address.size()));
  if (pattern.ends_with("*")) return address.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == address;
}

json::value json_or_text(const std::string& text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : json::value(text);
}

// One run under way: performs the machine's actions and feeds the outcomes back.
class Execution {
 public:
  Execution(const Parts& parts, const Events& events, Run& run, models::Model& model, const Definition& definition, json::object parameters,
            bool remembers, std::vector<std::string> secrets, CallContext context, std::shared_ptr<std::atomic<bool>> cancelled)
      : parts_(parts),
        events_(events),
        run_(run),
        model_(model),
        definition_(definition),
        parameters_(std::move(parameters)),
        remembers_(remembers),
        secrets_(std::move(secrets)),
        context_(std::move(context)),
        cancelled_(std::move(cancelled)) {}

  Result<std::string> go(Actions first) {
    add(std::move(first));
    while (true) {
      while (!todo_.empty()) {
        Action action = std::move(todo_.front());
        todo_.pop_front();
        if (auto* finish = std::get_if<Finish>(&action)) {
          answer.handed_over = std::move(finish->handed_over);
          return std::move(finish->content);
        }
        if (auto ok = perform(std::move(action)); !ok) return fail(std::move(ok.error()));
      }
      if (is_cancelled()) {
        add(run_.cancel());
        continue;
      }
      if (!waiting_.empty() && !calls_.any_running()) {
        if (auto ok = wait_for_approvals(); !ok) return fail(std::move(ok.error()));
        return std::string();
      }
      if (auto ended = calls_.wait(kCancelPoll)) {
        add(ended_call(std::move(*ended)));
      } else if (!calls_.any_running()) {
        return fail(ErrorCode::kInternal, "the run has nothing left to do");
      } else {
        add(run_.tick(parts_.now()));
      }
    }
  }

  Answer answer;

 private:
  bool is_cancelled() const { return cancelled_ != nullptr && cancelled_->load(); }

  void add(Actions actions) {
    for (auto& action : actions) todo_.push_back(std::move(action));
  }

  Result<void> record(const char* kind, const json::object& value) {
    if (parts_.journal == nullptr) return {};
    auto step = parts_.journal->step(context_.run, kind, parts_.redact(json::serialize(value)));
    if (!step) return fail(std::move(step.error()));
    return {};
  }

  Result<void> perform(Action action) {
    return std::visit([this](auto&& one) { return perform_one(std::move(one)); }, std::move(action));
  }

  Result<void> perform_one(AskModel&& ask) {
    if (is_cancelled()) {
      add(run_.cancel());
      return {};
    }
    models::Request request;
    request.messages = std::move(ask.messages);
    request.tools = std::move(ask.tools);
    request.parameters = parameters_;
    request.secrets = secrets_;
    request.output_schema = definition_.output_schema;
    request.timeout = ask.timeout;
    request.cancelled = cancelled_;
    request.caller.context = context_;
    if (definition_.kind == "assistant") request.caller.assistant = definition_.name;
    models::OnEvent on_event;
    if (events_.text || events_.loading) {
      on_event = [this](const models::Event& event) {
        if (!event.content.empty() && events_.text) events_.text(event.content);
        if (event.progress >= 0 && events_.loading) events_.loading(event.progress);
      };
    }
    auto reply = model_.complete(request, on_event);
    if (!reply) {
      const auto recorded = record("model_error", to_json(reply.error()));
      add(run_.model_failed(std::move(reply.error())));
      return recorded;
    }
    answer.model = reply->model;
    answer.provider = reply->provider;
    answer.finish_reason = reply->finish_reason;
    answer.usage += reply->usage;
    if (reply->cost_usd) {
      answer.cost_usd += *reply->cost_usd;
    } else {
      answer.priced = false;
    }
    json::array calls;
    for (const auto& call : reply->tool_calls) {
      calls.push_back({{"id", call.id}, {"name", call.name}, {"arguments", json_or_text(call.arguments_json)}});
    }
    json::object step{{"content", reply->content},
                      {"tool_calls", std::move(calls)},
                      {"finish_reason", reply->finish_reason},
                      {"model", reply->model},
                      {"alias", reply->alias},
                      {"input_tokens", reply->usage.input_tokens},
                      {"output_tokens", reply->usage.output_tokens}};
    if (reply->cost_usd) step["cost_usd"] = *reply->cost_usd;
    if (!reply->missed.empty()) {
      json::array missed;
      for (const auto& one : reply->missed) missed.push_back({{"alias", one.alias}, {"error", to_json(one.error)}});
      step["missed"] = std::move(missed);
    }
    auto recorded = record("model_reply", step);
    if (!recorded) return recorded;
    const std::size_t before = run_.calls().size();
    add(run_.model_replied(*reply, parts_.now()));
    // Calls that the machine answered by itself (no such function, arguments that are no JSON) are told of too.
    for (std::size_t i = before; i < run_.calls().size(); ++i) {
      if (run_.calls()[i].error && events_.called) events_.called(run_.calls()[i]);
    }
    return {};
  }

  Result<void> perform_one(CallTool&& call) {
    if (auto ok = record("tool_call", {{"id", call.call_id},
                                       {"address", call.address},
                                       {"arguments", json_or_text(call.arguments_json)}});
        !ok) {
      return ok;
    }
    if (events_.calling) events_.calling(call.address, call.arguments_json);
    const std::string id = call.call_id;
    calls_.start(id, [tools = parts_.tools, context = context_, deadline = run_.deadline(), call = std::move(call)] {
      return tools->call(call.address, call.arguments_json, call.call_id, context, deadline);
    });
    return {};
  }

  Result<void> wait_for_approvals() {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    for (auto& ask : waiting_) {
      journal::Approval one;
      one.id = new_id();
      one.run = context_.run;
      one.assistant = definition_.name;
      one.call_id = std::move(ask.call_id);
      one.address = std::move(ask.address);
      // What is shown is what will be called.
      one.arguments_json = parts_.redact(std::move(ask.arguments_json));
      one.why = std::move(ask.why);
      one.context = context_;
      one.asked_ms = now;
      one.expires_ms = now + parts_.approval_time.count();
      answer.waiting.push_back(std::move(one));
    }
    json::object state{{"assistant", definition_.name}, {"run", run_.suspended()}, {"parameters", parameters_}, {"remembers", remembers_}};
    if (definition_.output_schema) state["output_schema"] = *definition_.output_schema;
    return parts_.journal->suspend(context_.run, parts_.redact(json::serialize(state)), answer.waiting);
  }

  Result<void> perform_one(AskApproval&& ask) {
    const bool can_ask = static_cast<bool>(events_.approve);
    if (!can_ask && parts_.may_wait && parts_.journal != nullptr) {
      waiting_.push_back(std::move(ask));
      return {};
    }
    const auto asked_at = parts_.now();
    const bool granted = can_ask && events_.approve(ask.address, ask.arguments_json) == Approval::kGranted;
    run_.exclude(parts_.now() - asked_at);
    auto recorded = record("approval", {{"id", ask.call_id},
                                        {"address", ask.address},
                                        {"arguments", json_or_text(ask.arguments_json)},
                                        {"granted", granted},
                                        {"asked", can_ask}});
    add(run_.approval_answered(ask.call_id, granted,
                               can_ask ? "the user did not allow '" + ask.address + "'"
                                       : "'" + ask.address + "' cannot be undone and nobody is there to allow it",
                               parts_.now()));
    if (!granted) tell_of(ask.call_id);
    return recorded;
  }

  Result<void> perform_one(Remember&& remember) {
    if (parts_.memory == nullptr || !remembers_) return {};
    for (const auto& message : remember.messages) {
      auto seq = parts_.memory->append(context_, context_.conversation, json::serialize(message));
      if (!seq) return fail(std::move(seq.error()));
    }
    return {};
  }

  Result<void> perform_one(Finish&&) { return {}; }

  Actions ended_call(Calls::Ended ended) {
    json::object value{{"id", ended.call_id}};
    if (ended.outcome) {
      value["value"] = json_or_text(*ended.outcome);
    } else {
      value["error"] = to_json(ended.outcome.error());
    }
    if (auto ok = record("tool_result", value); !ok) return run_.model_failed(std::move(ok.error()));
    Actions actions = run_.tool_finished(ended.call_id, std::move(ended.outcome), parts_.now());
    tell_of(ended.call_id);
    return actions;
  }

  void tell_of(const std::string& call_id) {
    const CallMade* made = run_.call(call_id);
    if (events_.called && made != nullptr) events_.called(*made);
  }

  const Parts& parts_;
  const Events& events_;
  Run& run_;
  models::Model& model_;
  const Definition& definition_;
  json::object parameters_;
  bool remembers_;
  std::vector<std::string> secrets_;
  std::vector<AskApproval> waiting_;
  CallContext context_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  std::deque<Action> todo_;
  Calls calls_;
};

}  // namespace

json::object to_json(const Answer& answer) {
  json::array calls;
  for (const auto& call : answer.calls) {
    json::object entry{{"address", call.address}, {"arguments", json_or_text(call.arguments_json)}};
    if (call.error) {
      entry["error"] = to_json(*call.error);
    } else {
      entry["value"] = json_or_text(call.value_json);
    }
    calls.push_back(std::move(entry));
  }
  json::object out{{"content", answer.content},
          {"conversation", answer.conversation},
          {"run", answer.run},
          {"model", answer.model},
          {"provider", answer.provider},
          {"steps", answer.steps},
          {"calls", std::move(calls)},
          {"usage", models::to_json(answer.usage)}};
  if (answer.priced) out["cost_usd"] = answer.cost_usd;
  if (!answer.waiting.empty()) {
    json::array waiting;
    for (const auto& one : answer.waiting) waiting.push_back(journal::to_json(one));
    out["waiting"] = std::move(waiting);
  }
  return out;
}

struct Runner::Opened {
  json::array opening;
  json::array history;
  std::vector<Tool> tools;
  ClientTools client_tools;
  bool remembers = true;
  std::vector<std::string> secrets;   // Rendered::secrets
  std::optional<json::object> input;  // what the journal keeps of the question; nothing: as the message or the definition says
  std::shared_ptr<models::Model> model;
  json::object parameters;
};

Result<void> Runner::open_assistant(Opened& opened, const Definition& definition, const CallContext& context) {
  std::string alias = definition.model;
  std::vector<std::string> functions = definition.functions;
  opened.parameters = definition.parameters;
  if (!definition.prompt.empty()) {
    if (parts_.prompts == nullptr) return fail(ErrorCode::kInternal, "there is nothing to render prompts with");
    auto rendered = parts_.prompts->render(
        definition.prompt, {{"assistant", definition.name}, {"user", context.user}, {"tenant", context.tenant}}, parts_.prompt_functions);
    if (!rendered) return fail(std::move(rendered.error()));
    opened.opening = std::move(rendered->messages);
    opened.secrets = std::move(rendered->secrets);
    // A text without roles is the system's.
    if (opened.opening.size() == 1 && string_or(opened.opening.front().as_object(), "role") == "user") {
      opened.opening.front().as_object()["role"] = "system";
    }
    if (alias.empty()) alias = std::string(string_or(rendered->front_matter, "model"));
    if (const auto* from_prompt = rendered->front_matter.if_contains("parameters")) {
      for (const auto& member : from_prompt->get_object()) opened.parameters.emplace(member.key(), member.value());
    }
    for (auto& offered : completions::functions_of(rendered->front_matter)) functions.push_back(std::move(offered));
  } else {
    opened.opening.push_back({{"role", "system"}, {"content", definition.instructions}});
  }
  if (auto ok = open(opened, functions, alias); !ok) return ok;
  for (const auto& [pattern, rule] : definition.approve) {
    bool any = false;
    for (auto& tool : opened.tools) {
      if (!is_meant(pattern, tool.address)) continue;
      any = true;
      tool.approve.push_back(rule);
    }
    if (!any) {
      return fail(ErrorCode::kUnknownFunction, "`approve` of " + definition.name + " names '" + pattern + "', which is none of its functions",
                  "Name it as `functions` does.");
    }
  }
  return {};
}

Result<Answer> Runner::run(const Definition& definition, const std::string& message, const std::string& conversation,
                           CallContext context, const Events& events, std::shared_ptr<std::atomic<bool>> cancelled) {
  context.conversation = conversation.empty() ? new_id() : conversation;
  Opened opened;
  if (auto ok = open_assistant(opened, definition, context); !ok) return fail(std::move(ok.error()));
  if (parts_.memory != nullptr && definition.history > 0) {
    auto log = parts_.memory->messages(context, context.conversation, definition.history);
    if (!log) return fail(std::move(log.error()));
    opened.history = usable_history(*log, kMostHistoryBytes);
  }
  return execute(definition, std::move(opened), &message, std::move(context), events, std::move(cancelled));
}

Result<Answer> Runner::answer(const Definition& definition, Turn turn, CallContext context, const Events& events,
                              std::shared_ptr<std::atomic<bool>> cancelled) {
  Opened opened;
  if (auto ok = open_assistant(opened, definition, context); !ok) return fail(std::move(ok.error()));
  for (const auto& member : turn.parameters) opened.parameters.emplace(member.key(), member.value());
  opened.history = trimmed_history(std::move(turn.messages), kMostSentBytes);
  opened.client_tools = std::move(turn.tools);
  opened.remembers = false;
  if (!opened.history.empty()) opened.input = json::object{{"messages", json::array{opened.history.back()}}};
  Definition own = definition;
  if (!own.output_schema) own.output_schema = std::move(turn.output_schema);
  return execute(own, std::move(opened), nullptr, std::move(context), events, std::move(cancelled));
}

Result<Answer> Runner::complete(const Definition& definition, json::array messages, std::vector<std::string> secrets, CallContext context, const Events& events,
                                std::shared_ptr<std::atomic<bool>> cancelled) {
  Opened opened;
  opened.opening = std::move(messages);
  opened.secrets = std::move(secrets);
  opened.parameters = definition.parameters;
  if (auto ok = open(opened, definition.functions, definition.model); !ok) return fail(std::move(ok.error()));
  return execute(definition, std::move(opened), nullptr, std::move(context), events, std::move(cancelled));
}

Result<void> Runner::open(Opened& opened, const std::vector<std::string>& functions, const std::string& alias) {
  if (!functions.empty()) {
    if (parts_.tools == nullptr) return fail(ErrorCode::kInternal, "there is nothing to call functions with");
    auto listed = parts_.tools->list(functions);
    if (!listed) return fail(std::move(listed.error()));
    opened.tools = std::move(*listed);
  }
  auto model = parts_.model(alias);
  if (!model) return fail(std::move(model.error()));
  opened.model = std::move(*model);
  return {};
}

Result<Answer> Runner::execute(const Definition& definition, Opened opened, const std::string* message, CallContext context, const Events& events,
                               std::shared_ptr<std::atomic<bool>> cancelled) {
  if (parts_.journal != nullptr) {
    const json::object input = opened.input ? *opened.input : message != nullptr ? json::object{{"message", *message}} : json::object{{definition.kind, definition.name}};
    const std::string name = definition.kind == "assistant" ? definition.name : definition.kind + " " + definition.name;
    auto started = parts_.journal->start_run({.assistant = name, .input_json = parts_.redact(json::serialize(input)), .context = context});
    if (!started) return fail(std::move(started.error()));
    context.run = *started;
    if (auto* const span = trace::current_span()) span->set("sabir.run.id", context.run);
  }

  Run run(definition, std::move(opened.tools), std::move(opened.opening), std::move(opened.history), std::move(opened.client_tools));
  const auto begin = [this, message](Run& made) { return message != nullptr ? made.start(*message, parts_.now()) : made.start(parts_.now()); };
  return carry_out(definition, std::move(opened), std::move(run), begin, std::move(context), events, std::move(cancelled));
}

Result<Answer> Runner::resume(const Definition& definition, const journal::Journal::Suspended& suspended, CallContext context, const Events& events,
                              std::shared_ptr<std::atomic<bool>> cancelled) {
  auto state = parse_json(suspended.state_json);
  const auto* object = state ? state->if_object() : nullptr;
  const auto* kept = object != nullptr ? object->if_contains("run") : nullptr;
  if (kept == nullptr || !kept->is_object()) return fail(ErrorCode::kConfig, "the waiting run is damaged");
  Opened opened;
  if (auto ok = open_assistant(opened, definition, context); !ok) return fail(std::move(ok.error()));
  if (const auto* parameters = object->if_contains("parameters"); parameters != nullptr && parameters->is_object()) opened.parameters = parameters->get_object();
  const auto* remembers = object->if_contains("remembers");
  opened.remembers = remembers == nullptr || remembers->get_bool();
  Definition own = definition;
  if (const auto* schema = object->if_contains("output_schema"); schema != nullptr && schema->is_object()) own.output_schema = schema->get_object();
  auto run = Run::resumed(own, std::move(opened.tools), kept->get_object(), parts_.now());
  if (!run) return fail(std::move(run.error()));
  const auto begin = [this, &suspended](Run& made) {
    Actions actions;
    for (const auto& one : suspended.approvals) {
      std::string reason = one.state == "expired" ? "nobody has allowed '" + one.address + "' in time"
                                                  : "'" + one.decided_by + "' did not allow '" + one.address + "'" + (one.reason.empty() ? "" : ": " + one.reason);
      for (auto& action : made.approval_answered(one.call_id, one.state == "approved", reason, parts_.now())) actions.push_back(std::move(action));
    }
    return actions;
  };
  return carry_out(own, std::move(opened), std::move(*run), begin, std::move(context), events, std::move(cancelled));
}

Result<Answer> Runner::carry_out(const Definition& definition, Opened opened, Run run, const std::function<Actions(Run&)>& begin, CallContext context,
                                 const Events& events, std::shared_ptr<std::atomic<bool>> cancelled) {
  Result<std::string> content;
  Answer answer;
  {
    Execution execution(parts_, events, run, *opened.model, definition, std::move(opened.parameters), opened.remembers, std::move(opened.secrets), context, std::move(cancelled));
    content = execution.go(begin(run));
    answer = std::move(execution.answer);
  }
  answer.conversation = context.conversation;
  answer.steps = run.steps();
  answer.calls = run.calls();
  answer.said = run.said();
  if (content) answer.content = *content;
  if (!answer.waiting.empty()) {
    answer.run = context.run;
    return answer;
  }
  if (parts_.journal != nullptr) {
    answer.run = context.run;
    const bool was_cancelled = !content && content.error().code == ErrorCode::kCancelled;
    const json::object output = content ? json::object{{"content", *content}} : json::object{{"error", to_json(content.error())}};
    auto ended = parts_.journal->finish_run(context.run, content ? "finished" : was_cancelled ? "cancelled" : "failed",
                                            parts_.redact(json::serialize(output)));
    if (!ended) log(LogLevel::kWarning, "the end of a run was not recorded: " + ended.error().message);
  }
  if (!content) return fail(std::move(content.error()));
  return answer;
}

}  // namespace sabir::assistants

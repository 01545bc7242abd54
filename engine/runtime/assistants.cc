// Models and assistants of a project: the two requests of §7 that take their time.
#include <algorithm>

#include "engine_state.h"
#include "sabir/assistants/runner.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/models/model_store.h"
#include "sabir/models/registry.h"

namespace sabir::runtime {
namespace {

using protocol::Payload;

bool matches(const std::string& pattern, const functions::Function& function) {
  std::string address = function.address;
  std::string wanted = pattern;
  if (const std::size_t slash = pattern.find('/'); slash != std::string::npos) {
    if (pattern.substr(0, slash) != function.language) return false;
    wanted = pattern.substr(slash + 1);
  } else if (!function.preferred) {
    return false;
  }
  return wanted == "*" || (wanted.ends_with(".*") && address.starts_with(wanted.substr(0, wanted.size() - 1)));
}

std::string described(const functions::Function& function) {
  std::string text = function.schema.doc.empty() ? function.schema.summary : function.schema.doc;
  if (!function.schema.return_doc.empty()) text += "\nReturns: " + function.schema.return_doc;
  return text;
}

// The functions of the project as a run's tools.
class ProjectTools final : public assistants::ToolCaller {
 public:
  using Call = std::function<Result<Payload>(functions::CallRequest, std::chrono::milliseconds)>;
  ProjectTools(std::shared_ptr<const functions::Registry> registry, Call call, int depth, std::string caller)
      : registry_(std::move(registry)), call_(std::move(call)), depth_(depth), caller_(std::move(caller)) {}

  Result<std::vector<assistants::Tool>> list(const std::vector<std::string>& patterns) override {
    std::vector<assistants::Tool> tools;
    const auto add = [&](const functions::Function& function) {
      const std::string address = function.language + "/" + function.address;
      if (std::any_of(tools.begin(), tools.end(), [&](const auto& t) { return t.address == address; })) return;
      std::string name = function.tool_name;
      if (name.empty()) name = function.language + "_" + function.schema.canonical;
      while (std::any_of(tools.begin(), tools.end(), [&](const auto& t) { return t.name == name; })) name += "_2";
      tools.push_back({name, address, described(function), function.schema.input_schema,
                       function.schema.effect == schema::Effect::kIrreversible});
    };
    for (const auto& pattern : patterns) {
      if (pattern.find('*') != std::string::npos) {
        bool any = false;
        for (const auto& function : registry_->functions()) {
          if (!matches(pattern, function)) continue;
          any = true;
          add(function);
        }
        if (!any) return fail(ErrorCode::kUnknownFunction, "no function matches '" + pattern + "'", "`sabir functions` lists them all.");
        continue;
      }
      auto function = registry_->find(pattern);
      if (!function) return fail(std::move(function.error()));
      add(**function);
    }
    return tools;
  }

  Result<std::string> call(const std::string& address, const std::string& arguments_json, const CallContext& context,
                           assistants::Clock::time_point deadline) override {
    functions::CallRequest request;
    request.address = address;
    request.arguments = protocol::deflate(arguments_json);
    request.context = context;
    request.depth = depth_ + 1;
    request.caller = caller_;
    request.deadline = deadline;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - assistants::Clock::now());
    auto outcome = call_(std::move(request), std::max(left, std::chrono::milliseconds(1)));
    if (!outcome) return fail(std::move(outcome.error()));
    return protocol::inflate(*outcome);
  }

 private:
  std::shared_ptr<const functions::Registry> registry_;
  Call call_;
  int depth_;
  std::string caller_;
};

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_object()) {
    if (const auto content = string_or(value.get_object(), "content"); !content.empty()) return std::string(content);
  }
  return compact_json(value);
}

}  // namespace

Result<std::shared_ptr<const models::Models>> Engine::State::load_models() {
  const std::lock_guard lock(models_mutex);
  if (models) return models;
  if (!local) {
    models::LocalRuntimeOptions runtime;
    runtime.find = models::find_in_store(models::ModelStore::open({options.resources / "models"}));
    local = models::make_process_runtime(std::move(runtime));
  }
  models::ModelsOptions how;
  how.root = project->root;
  how.environment = project->environment;
  if (const char* alias = std::getenv("SABIR_MODEL")) how.alias_override = alias;
  how.secrets = secrets;
  how.local = local;
  auto loaded = models::Models::load(std::move(how));
  if (!loaded) return fail(std::move(loaded.error()));
  models = std::move(*loaded);
  return models;
}

Result<models::Reply> Engine::complete(const std::string& alias, const models::Request& request, const models::OnEvent& on_event) {
  auto all = state_->load_models();
  if (!all) return fail(std::move(all.error()));
  auto model = (*all)->get(alias);
  if (!model) return fail(std::move(model.error()));
  return (*model)->complete(request, on_event);
}

Result<Payload> Engine::State::answer_complete(const Payload& params) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, "models.complete needs an object");
  const auto& object = value->get_object();
  models::Request request;
  const auto* messages = object.if_contains("messages");
  if (!messages || !messages->is_array() || messages->get_array().empty()) {
    return fail(ErrorCode::kInvalidArguments, "models.complete needs 'messages', a list that is not empty");
  }
  request.messages = messages->get_array();
  if (const auto* tools = object.if_contains("tools"); tools && tools->is_array()) request.tools = tools->get_array();
  if (const auto* parameters = object.if_contains("parameters"); parameters && parameters->is_object()) request.parameters = parameters->get_object();
  if (const auto* schema = object.if_contains("output_schema"); schema && schema->is_object()) request.output_schema = schema->get_object();
  auto all = load_models();
  if (!all) return fail(std::move(all.error()));
  auto model = (*all)->get(std::string(string_or(object, "model")));
  if (!model) return fail(std::move(model.error()));
  auto reply = (*model)->complete(request, {});
  if (!reply) return fail(std::move(reply.error()));
  return Payload{compact_json(to_json(*reply)), {}};
}

json::object to_json(const models::Reply& reply) {
  json::array calls;
  for (const auto& call : reply.tool_calls) {
    calls.push_back({{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments_json}}}});
  }
  return {{"content", reply.content}, {"tool_calls", calls}, {"finish_reason", reply.finish_reason}, {"model", reply.model},
          {"provider", reply.provider},
          {"usage", {{"input_tokens", reply.usage.input_tokens}, {"output_tokens", reply.usage.output_tokens}}}};
}

Result<Payload> Engine::State::answer_assistant(const Payload& params, const CallContext& context,
                                                workers::Clock::time_point deadline, int depth) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, "assistants.run needs an object");
  const auto& object = value->get_object();
  auto answer = run_assistant(std::string(string_or(object, "name")), std::string(string_or(object, "message")),
                              std::string(string_or(object, "conversation")), context, {}, deadline, depth, nullptr);
  if (!answer) return fail(std::move(answer.error()));
  return Payload{compact_json(*answer), {}};
}

Result<json::object> Engine::State::run_assistant(const std::string& name, const std::string& message,
                                                  const std::string& conversation_given, const CallContext& context_given,
                                                  const RunEvents& events, workers::Clock::time_point deadline, int depth,
                                                  std::shared_ptr<std::atomic<bool>> cancelled) {
  std::shared_ptr<const functions::Registry> functions_now;
  {
    const std::lock_guard lock(registry_mutex);
    functions_now = registry;
  }
  auto assistant = functions_now->find_assistant(name);
  if (!assistant) return fail(std::move(assistant.error()));
  const std::string conversation = conversation_given.empty() ? new_id() : conversation_given;
  CallContext context = context_given;
  context.conversation = conversation;
  const std::string caller = "assistant " + (*assistant)->language + "/" + (*assistant)->name;
  const auto call = [this](functions::CallRequest request, std::chrono::milliseconds timeout) { return call_blocking(std::move(request), timeout); };

  if ((*assistant)->has_respond) {
    const auto most = assistants::max_time((*assistant)->constants, (*assistant)->source.relative);
    if (!most) return fail(most.error());
    deadline = std::min(deadline, workers::Clock::now() + *most);
    functions::CallRequest request;
    request.address = (*assistant)->name + ".respond";
    request.arguments = protocol::deflate(compact_json(json::object{{"message", message}}));
    request.context = context;
    request.depth = depth + 1;
    request.deadline = deadline;
    request.caller = caller;
    auto promise = std::make_shared<std::promise<Result<Payload>>>();
    auto future = promise->get_future();
    auto running = std::make_shared<std::optional<functions::Functions::CallId>>();  // touched by the loop's thread only
    loop.post([this, running, source = (*assistant)->source, parameter = (*assistant)->respond_context_parameter,
               shared = std::make_shared<functions::CallRequest>(std::move(request)), promise] {
      workers::CallEvents done;
      done.done = [promise](Result<Payload> outcome) { promise->set_value(std::move(outcome)); };
      *running = functions->call_source(source, "respond", "\"positional\":[\"message\"]", parameter, std::move(*shared), std::move(done));
    });
    // The pool ends the call at its deadline; the rest is for an engine that no longer answers.
    bool told = false;
    while (future.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      if (workers::Clock::now() > deadline + std::chrono::seconds(10)) {
        return fail(ErrorCode::kTimeout, caller + " did not answer in time");
      }
      if (cancelled && cancelled->load() && !told) {
        told = true;
        loop.post([this, running] {
          if (*running) functions->cancel(**running, "cancelled by the caller");
        });
      }
    }
    auto outcome = future.get();
    if (!outcome) return fail(std::move(outcome.error()));
    auto text = protocol::inflate(*outcome);
    auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
    if (!value) return fail(std::move(value.error()));
    const std::string content = text_of(*value);
    if (events.text) events.text(content);
    return json::object{{"content", content}, {"conversation", conversation}, {"model", ""}, {"provider", "respond"}, {"calls", json::array()}};
  }

  auto definition = assistants::parse_definition((*assistant)->name, (*assistant)->constants, (*assistant)->source.relative);
  if (!definition) return fail(std::move(definition.error()));
  auto store = memory.get();
  if (!store) return fail(std::move(store.error()));
  auto book = journal.get();
  if (!book) return fail(std::move(book.error()));
  ProjectTools tools(functions_now, call, depth, caller);
  assistants::Parts parts;
  parts.tools = &tools;
  parts.model = [this](const std::string& alias) -> Result<std::shared_ptr<models::Model>> {
    auto all = load_models();
    if (!all) return fail(std::move(all.error()));
    // SABIR_MODEL wins over what the assistant's file says, so that tests choose theirs.
    const char* over = std::getenv("SABIR_MODEL");
    return (*all)->get(over && *over ? std::string() : alias);
  };
  parts.memory = *store;
  parts.journal = *book;
  parts.prompts = renderer.get();
  assistants::Events told;
  told.text = events.text;
  told.loading = events.loading;
  told.calling = events.calling;
  if (events.called) {
    told.called = [&events](const assistants::CallMade& made) {
      events.called(made.address, made.error ? compact_json(sabir::to_json(*made.error)) : made.value_json, !made.error);
    };
  }
  if (events.approve) {
    told.approve = [&events](const std::string& address, const std::string& arguments) {
      return events.approve(address, arguments) ? assistants::Approval::kGranted : assistants::Approval::kDenied;
    };
  }
  auto answer = assistants::Runner(parts).run(*definition, message, conversation, context, told, std::move(cancelled));
  if (!answer) return fail(std::move(answer.error()));
  return assistants::to_json(*answer);
}

Result<json::object> Engine::run_assistant(const std::string& name, const std::string& message, const std::string& conversation,
                                           const CallContext& context, const RunEvents& events,
                                           std::shared_ptr<std::atomic<bool>> cancelled) {
  return state_->run_assistant(name, message, conversation, context, events, workers::Clock::time_point::max(), 0, std::move(cancelled));
}

}  // namespace sabir::runtime

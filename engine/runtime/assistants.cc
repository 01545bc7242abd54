// Models and assistants of a project: the two requests of §7 that take their time.
#include <algorithm>
#include <charconv>

#include "engine_state.h"
#include "prompt_functions.h"
#include "sabir/assistants/runner.h"
#include "sabir/base/ids.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/models/model_store.h"
#include "sabir/models/registry.h"

namespace sabir::runtime {

// The entries of a recording for a run's calls, in the order in which the model asked for them: the calls themselves are made side by side.
class CallOrder {
 public:
  void add(const std::string& address, const std::string& arguments_json, std::uint64_t entry) {
    const std::lock_guard hold(mutex_);
    waiting_.emplace_back(address + "\n" + arguments_json, entry);
  }
  std::uint64_t take(const std::string& address, const std::string& arguments_json) {
    const std::string wanted = address + "\n" + arguments_json;
    const std::lock_guard hold(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& one) { return one.first == wanted; });
    if (found == waiting_.end()) return 0;
    const auto entry = found->second;
    waiting_.erase(found);
    return entry;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::uint64_t>> waiting_;
};

namespace {

// Another process's switch of an alias is seen after that long.
constexpr std::chrono::milliseconds kLookAtSwitches{20};

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
  using EntryOf = std::function<std::uint64_t(const std::string& address, const std::string& arguments_json)>;
  ProjectTools(std::shared_ptr<const functions::Registry> registry, Call call, EntryOf entry_of, int depth, std::string caller)
      : registry_(std::move(registry)), call_(std::move(call)), entry_of_(std::move(entry_of)), depth_(depth), caller_(std::move(caller)) {}

  Result<std::vector<assistants::Tool>> list(const std::vector<std::string>& patterns) override {
    std::vector<assistants::Tool> tools;
    const auto add = [&](const functions::Function& function) {
      if (function.disabled) return;
      const std::string address = function.language + "/" + function.address;
      if (std::any_of(tools.begin(), tools.end(), [&](const auto& t) { return t.address == address; })) return;
      std::string name = function.tool_name;
      if (name.empty()) name = function.language + "_" + function.schema.canonical;
      while (std::any_of(tools.begin(), tools.end(), [&](const auto& t) { return t.name == name; })) name += "_2";
      names_[address] = name;
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

  Result<std::string> call(const std::string& address, const std::string& arguments_json, const std::string& call_id, const CallContext& context,
                           assistants::Clock::time_point deadline) override {
    functions::CallRequest request;
    request.address = address;
    request.arguments = protocol::deflate(arguments_json);
    request.context = context;
    request.depth = depth_ + 1;
    request.caller = caller_;
    request.deadline = deadline;
    request.entry = entry_of_(address, arguments_json);
    request.span = span_;
    request.tool = names_.at(address);
    request.tool_call = call_id;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - assistants::Clock::now());
    auto outcome = call_(std::move(request), std::max(left, std::chrono::milliseconds(1)));
    if (!outcome) return fail(std::move(outcome.error()));
    return protocol::inflate(*outcome);
  }

 private:
  std::shared_ptr<const functions::Registry> registry_;
  Call call_;
  EntryOf entry_of_;
  int depth_;
  std::string caller_;
  const trace::SpanContext span_ = trace::current();
  std::map<std::string, std::string> names_;  // by address
};

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_object()) {
    if (const auto content = string_or(value.get_object(), "content"); !content.empty()) return std::string(content);
  }
  return compact_json(value);
}

}  // namespace

Result<std::shared_ptr<models::Ledger>> Engine::State::open_ledger() {
  const std::lock_guard lock(ledger_mutex);
  if (!ledger) {
    auto opened = models::Ledger::open(project->state_dir());
    if (!opened) return fail(std::move(opened.error()));
    ledger = std::move(*opened);
  }
  return ledger;
}

Result<std::shared_ptr<const models::Models>> Engine::State::load_models() {
  const std::lock_guard lock(models_mutex);
  const auto now = std::chrono::steady_clock::now();
  if (models && now - switches_looked < kLookAtSwitches) return models;
  auto book = open_ledger();
  // Somebody may have switched an alias meanwhile, in this process or another.
  switches_looked = now;
  const auto version = book ? (*book)->switch_version() : Result<std::int64_t>(0);
  if (models && book && version && *version == switches_seen) return models;
  auto loaded = read_models();
  // What cannot be read now was good before.
  if (!loaded && models) return models;
  return loaded;
}

Result<std::shared_ptr<const models::Models>> Engine::State::read_models() {
  auto book = open_ledger();
  const auto version = book ? (*book)->switch_version() : Result<std::int64_t>(0);
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
  how.policies = policies;
  how.cache = answers;
  how.prices = options.resources / "models" / "prices.json";
  if (book) {
    how.ledger = *book;
    auto switched = (*book)->switches();
    if (!switched) return fail(std::move(switched.error()));
    how.switches = std::move(*switched);
  } else {
    log(LogLevel::kWarning, "what models cost is not written down: " + book.error().message);
    how.no_ledger = book.error();
  }
  auto loaded = models::Models::load(std::move(how));
  if (!loaded) return fail(std::move(loaded.error()));
  models = std::move(*loaded);
  switches_seen = version ? *version : -1;
  return models;
}

models::AnswerCache& Engine::answers() { return *state_->answers; }

Result<json::array> Engine::usage(const std::string& by, std::int64_t since_ms) {
  auto book = state_->open_ledger();
  if (!book) return fail(std::move(book.error()));
  return (*book)->usage(by, since_ms);
}

Result<std::vector<models::ModelInfo>> Engine::models() {
  auto all = state_->load_models();
  if (!all) return fail(std::move(all.error()));
  return (*all)->list();
}

bool Engine::has_model(const std::string& alias) {
  const auto all = state_->load_models();
  return all && (*all)->has(alias);
}

bool Engine::completes_on_loop(const std::string& alias) {
  if (state_->recordings || state_->secrets->may_wait()) return false;
  // Whoever holds it may be reading the configuration.
  std::unique_lock lock(state_->models_mutex, std::try_to_lock);
  if (!lock || !state_->models) return false;
  return state_->models->network_alone(alias);
}

Result<models::Switch> Engine::use_model(const std::string& alias, const std::string& model, const std::string& who) {
  auto book = state_->open_ledger();
  if (!book) return fail(std::move(book.error()));
  auto all = state_->load_models();
  if (!all) return fail(std::move(all.error()));
  if (auto known = (*all)->get(alias); !known) return fail(std::move(known.error()));
  models::Switch change{0, who, alias, {}, model};
  for (const auto& info : (*all)->list()) {
    if (info.alias != alias) continue;
    if (info.model.empty()) {
      return fail(ErrorCode::kInvalidArguments, "'" + alias + "' stands for no model's name that could be switched",
                  "It is another alias's second name, or its provider has no `model`; change config/openai_config.yml.");
    }
    change.from = info.model;
  }
  if (auto done = (*book)->use(alias, change.from, model, who); !done) return fail(std::move(done.error()));
  const std::lock_guard lock(state_->models_mutex);
  state_->switches_looked = {};
  return change;
}

Result<models::Reply> Engine::complete(const std::string& alias, const models::Request& request, const models::OnEvent& on_event) {
  const trace::Scope scope(state_->own_span());
  auto model = state_->model(alias, false, "cli", 0);
  if (!model) return fail(std::move(model.error()));
  return (*model)->complete(request, on_event);
}

Result<models::Embeddings> Engine::embed(const std::string& alias, const models::EmbedRequest& request) {
  const trace::Scope scope(state_->own_span());
  auto model = state_->model(alias, false, "cli", 0);
  if (!model) return fail(std::move(model.error()));
  return (*model)->embed(request);
}

Result<Payload> Engine::State::answer_embed(const Payload& params, workers::Caller& caller) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  const auto* object = value ? value->if_object() : nullptr;
  const auto* texts = object ? object->if_contains("texts") : nullptr;
  if (!texts || !texts->is_array()) return fail(ErrorCode::kInvalidArguments, "models.embed needs 'texts', a list of texts");
  models::EmbedRequest request;
  request.caller.context = caller.context;
  request.caller.function = caller.address;
  for (const auto& one : texts->get_array()) {
    if (!one.is_string()) return fail(ErrorCode::kInvalidArguments, "models.embed: item " + std::to_string(request.texts.size() + 1) + " of 'texts' is not a text");
    request.texts.emplace_back(one.get_string());
  }
  if (const auto* parameters = object->if_contains("parameters"); parameters && parameters->is_object()) request.parameters = parameters->get_object();
  auto model = this->model(std::string(string_or(*object, "model")), false, caller.address, caller.entry);
  if (!model) return fail(std::move(model.error()));
  auto out = (*model)->embed(request);
  if (!out) return fail(std::move(out.error()));
  return Payload{compact_json(to_json(*out)), {}};
}

Result<Payload> Engine::State::answer_complete(const Payload& params, workers::Caller& caller) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, "models.complete needs an object");
  const auto& object = value->get_object();
  if (const auto* prompt = object.if_contains("prompt"); prompt && prompt->is_string()) {
    PromptRequest asked{std::string(prompt->get_string()), "{}", std::string(string_or(object, "model")), {}, {}, {}};
    const auto members = protocol::raw_members(*text);
    const auto variables = members ? protocol::find_member(*members, "variables") : std::nullopt;
    if (variables && variables->starts_with('{')) asked.variables = *variables;
    if (const auto* parameters = object.if_contains("parameters"); parameters && parameters->is_object()) asked.parameters = parameters->get_object();
    if (const auto* schema = object.if_contains("output_schema"); schema && schema->is_object()) asked.output_schema = schema->get_object();
    auto answer = complete_prompt(asked, {}, caller, nullptr);
    if (!answer) return fail(std::move(answer.error()));
    return Payload{compact_json(*answer), {}};
  }
  models::Request request;
  request.caller.context = caller.context;
  request.caller.function = caller.address;
  const auto* messages = object.if_contains("messages");
  if (!messages || !messages->is_array() || messages->get_array().empty()) {
    return fail(ErrorCode::kInvalidArguments, "models.complete needs 'messages', a list that is not empty, or 'prompt', a name");
  }
  request.messages = messages->get_array();
  if (const auto* tools = object.if_contains("tools"); tools && tools->is_array()) request.tools = tools->get_array();
  if (const auto* parameters = object.if_contains("parameters"); parameters && parameters->is_object()) request.parameters = parameters->get_object();
  if (const auto* schema = object.if_contains("output_schema"); schema && schema->is_object()) request.output_schema = schema->get_object();
  auto model = this->model(std::string(string_or(object, "model")), false, caller.address, caller.entry);
  if (!model) return fail(std::move(model.error()));
  auto reply = (*model)->complete(request, {});
  if (!reply) return fail(std::move(reply.error()));
  return Payload{compact_json(to_json(*reply)), {}};
}

Result<json::object> Engine::State::complete_prompt(const PromptRequest& asked, const RunEvents& events, workers::Caller& caller,
                                                    std::shared_ptr<std::atomic<bool>> cancelled) {
  PromptFunctions called(*this, caller, cancelled);
  auto rendered = renderer->render_json(asked.name, asked.variables, &called);
  if (!rendered) return fail(std::move(rendered.error()));
  const auto& front = rendered->front_matter;
  assistants::Definition definition;
  definition.kind = "prompt";
  definition.name = rendered->name;
  definition.model = asked.model.empty() ? std::string(string_or(front, "model")) : asked.model;
  definition.functions = completions::functions_of(front);
  definition.parameters = asked.parameters;
  if (const auto* own = front.if_contains("parameters")) {
    for (const auto& member : own->get_object()) definition.parameters.emplace(member.key(), member.value());
  }
  definition.output_schema = asked.output_schema;
  const auto* output = front.if_contains("output");
  const auto* schema = output != nullptr ? output->get_object().if_contains("schema") : nullptr;
  if (!definition.output_schema && schema != nullptr) definition.output_schema = schema->get_object();
  const std::string name = "prompt " + definition.name;
  const auto find = [this, &asked, name, parent = caller.entry](const std::string& alias) {
    // SABIR_MODEL wins over what the prompt's file says, so that tests choose theirs.
    return model(alias, asked.model.empty(), name, parent);
  };
  json::object out;
  if (definition.functions.empty()) {
    models::Request request;
    request.caller.context = caller.context;
    request.caller.function = caller.address;
    request.messages = rendered->messages;
    request.secrets = rendered->secrets;
    request.parameters = std::move(definition.parameters);
    request.output_schema = std::move(definition.output_schema);
    request.cache = asked.cache;
    request.cancelled = std::move(cancelled);
    models::OnEvent on_event;
    if (events.text || events.loading) {
      on_event = [&events](const models::Event& event) {
        if (!event.content.empty() && events.text) events.text(event.content);
        if (event.progress >= 0 && events.loading) events.loading(event.progress);
      };
    }
    auto model = find(definition.model);
    if (!model) return fail(std::move(model.error()));
    auto reply = (*model)->complete(request, on_event);
    if (!reply) return fail(std::move(reply.error()));
    out = to_json(*reply);
  } else {
    std::shared_ptr<const functions::Registry> functions_now;
    {
      const std::lock_guard lock(registry_mutex);
      functions_now = registry;
    }
    auto book = journal.get();
    if (!book) return fail(std::move(book.error()));
    const auto order = std::make_shared<CallOrder>();
    ProjectTools tools(
        functions_now, [this](functions::CallRequest request, std::chrono::milliseconds timeout) { return call_blocking(std::move(request), timeout); },
        [order](const std::string& address, const std::string& arguments) { return order->take(address, arguments); }, caller.depth, name);
    assistants::Parts parts;
    parts.tools = &tools;
    parts.model = find;
    parts.journal = *book;
    parts.redact = redact_json();
    const auto told = told_events(events, order, caller.entry);
    auto answer = assistants::Runner(parts).complete(definition, rendered->messages, rendered->secrets, caller.context, told, std::move(cancelled));
    if (!answer) return fail(std::move(answer.error()));
    out = assistants::to_json(*answer);
    out.erase("conversation");
  }
  if (rendered->budget) out["budget"] = completions::to_json(*rendered->budget);
  return out;
}

Result<json::object> Engine::complete_prompt(const PromptRequest& asked, const CallContext& context, const RunEvents& events,
                                             std::shared_ptr<std::atomic<bool>> cancelled) {
  workers::Caller caller;
  caller.address = "cli";
  caller.context = context;
  caller.deadline = workers::Clock::time_point::max();
  caller.span = state_->own_span();
  return state_->traced_prompt(asked, events, caller, std::move(cancelled));
}

namespace {
// The number with the fewest digits that is this float: 0.1 and not 0.10000000149011612.
double shortest_double(float x) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, x);
  double out = x;
  std::from_chars(text, written.ptr, out);
  return out;
}

void add_how(json::object& out, const models::Answered& answer) {
  if (answer.cost_usd) out["cost_usd"] = *answer.cost_usd;
  if (answer.cached) out["cached"] = true;
  if (answer.missed.empty()) return;
  json::array missed;
  for (const auto& one : answer.missed) missed.push_back({{"alias", one.alias}, {"error", to_json(one.error)}});
  out["missed"] = std::move(missed);
}
}  // namespace

json::object to_json(const models::Embeddings& embeddings) {
  json::array vectors;
  vectors.reserve(embeddings.vectors.size());
  for (const auto& vector : embeddings.vectors) {
    json::array numbers;
    numbers.reserve(vector.size());
    for (const float x : vector) numbers.emplace_back(shortest_double(x));
    vectors.push_back(std::move(numbers));
  }
  json::object out{{"vectors", std::move(vectors)}, {"model", embeddings.model}, {"provider", embeddings.provider}, {"alias", embeddings.alias},
                   {"tries", embeddings.tries}, {"usage", models::to_json(embeddings.usage)}};
  add_how(out, embeddings);
  return out;
}

json::object to_json(const models::Reply& reply) {
  json::array calls;
  for (const auto& call : reply.tool_calls) {
    calls.push_back({{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments_json}}}});
  }
  json::object out{{"content", reply.content}, {"tool_calls", calls}, {"finish_reason", reply.finish_reason}, {"model", reply.model},
                   {"provider", reply.provider}, {"alias", reply.alias}, {"tries", reply.tries},
                   {"usage", models::to_json(reply.usage)}};
  add_how(out, reply);
  if (reply.repaired) out["repaired"] = true;
  if (!reply.reasoning.empty()) out["reasoning"] = reply.reasoning;
  if (!reply.reasoning_details.empty()) out["reasoning_details"] = reply.reasoning_details;
  return out;
}

Result<Payload> Engine::State::answer_assistant(const Payload& params, workers::Caller& caller) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, "assistants.run needs an object");
  const auto& object = value->get_object();
  auto answer = run_assistant(std::string(string_or(object, "name")), std::string(string_or(object, "message")),
                              std::string(string_or(object, "conversation")), {}, caller, nullptr);
  if (!answer) return fail(std::move(answer.error()));
  return Payload{compact_json(*answer), {}};
}

// A run's events for who asked for it; each call gets its place in a recording.
assistants::Events Engine::State::told_events(const RunEvents& events, std::shared_ptr<CallOrder> order, std::uint64_t parent) {
  assistants::Events told;
  told.text = events.text;
  told.loading = events.loading;
  told.calling = [this, order, &events, parent](const std::string& address, const std::string& arguments) {
    if (const auto entry = begin_entry(parent)) order->add(address, arguments, entry);
    if (events.calling) events.calling(address, arguments);
  };
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
  return told;
}

Result<json::object> Engine::State::run_turn(const functions::Assistant& assistant, std::shared_ptr<const functions::Registry> functions_now,
                                             const std::string& message, const std::string& conversation, const RunEvents& events,
                                             workers::Caller& asker, std::shared_ptr<std::atomic<bool>> cancelled, RunStart start) {
  CallContext context = asker.context;
  context.conversation = conversation;
  context.run = start.run;
  const std::string caller = "assistant " + assistant.language + "/" + assistant.name;
  const auto call = [this](functions::CallRequest request, std::chrono::milliseconds timeout) { return call_blocking(std::move(request), timeout); };

  if (assistant.has_respond) {
    const auto most = assistants::max_time(assistant.constants, assistant.source.relative);
    if (!most) return fail(most.error());
    const auto deadline = std::min(asker.deadline, workers::Clock::now() + *most);
    functions::CallRequest request;
    request.address = assistant.name + ".respond";
    request.arguments = protocol::deflate(compact_json(json::object{{"message", message}}));
    request.context = context;
    request.depth = asker.depth + 1;
    request.deadline = deadline;
    request.caller = caller;
    request.parent = asker.entry;
    request.client = asker.client;
    request.span = trace::current();
    auto promise = std::make_shared<std::promise<Result<Payload>>>();
    auto future = promise->get_future();
    auto running = std::make_shared<std::optional<functions::Functions::CallId>>();  // touched by the loop's thread only
    loop.post([this, running, functions_now, assistant = &assistant, shared = std::make_shared<functions::CallRequest>(std::move(request)), promise] {
      workers::CallEvents done;
      done.done = [promise](Result<Payload> outcome) { promise->set_value(std::move(outcome)); };
      *running = call_respond(*assistant, std::move(*shared), std::move(done));
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

  auto definition = assistants::parse_definition(assistant.name, assistant.constants, assistant.source.relative);
  if (!definition) return fail(std::move(definition.error()));
  auto store = memory.get();
  if (!store) return fail(std::move(store.error()));
  auto book = journal.get();
  if (!book) return fail(std::move(book.error()));
  const auto order = std::make_shared<CallOrder>();
  const auto entry_of = [order](const std::string& address, const std::string& arguments) { return order->take(address, arguments); };
  ProjectTools tools(functions_now, call, entry_of, asker.depth, caller);
  assistants::Parts parts;
  parts.tools = &tools;
  // SABIR_MODEL wins over what the assistant's file says, so that tests choose theirs.
  parts.model = [this, caller, parent = asker.entry](const std::string& alias) { return model(alias, true, caller, parent); };
  if (recordings) recordings->prompts()->note(definition->instructions, assistant.source.relative, {});
  parts.memory = *store;
  parts.journal = *book;
  parts.may_wait = events.may_wait;
  parts.approval_time = current_project()->approval_time;
  parts.redact = redact_json();
  PromptFunctions called(*this, asker, cancelled);
  parts.prompts = renderer.get();
  parts.prompt_functions = &called;
  const auto told = told_events(events, order, asker.entry);
  assistants::Runner runner(parts);
  auto answer = start.suspended ? runner.resume(*definition, *start.suspended, context, told, std::move(cancelled))
                : start.turn    ? runner.answer(*definition, std::move(*start.turn), context, told, std::move(cancelled))
                                : runner.run(*definition, message, conversation, context, told, std::move(cancelled));
  if (!answer) return fail(std::move(answer.error()));
  if (!start.suspended && !start.turn) return assistants::to_json(*answer);
  auto out = assistants::to_json(*answer);
  out["finish_reason"] = answer->finish_reason;
  json::array calls;
  for (const auto& made : answer->handed_over) calls.push_back({{"id", made.id}, {"name", made.name}, {"arguments", made.arguments_json}});
  out["handed_over"] = std::move(calls);
  out["said"] = std::move(answer->said);
  return out;
}

Result<json::object> Engine::run_assistant(const std::string& name, const std::string& message, const std::string& conversation,
                                           const CallContext& context, const RunEvents& events,
                                           std::shared_ptr<std::atomic<bool>> cancelled) {
  workers::Caller caller;
  caller.context = context;
  caller.deadline = workers::Clock::time_point::max();
  caller.span = state_->own_span();
  return state_->run_assistant(name, message, conversation, events, caller, std::move(cancelled));
}

Result<json::object> Engine::answer_turn(const std::string& name, assistants::Turn turn, const std::string& conversation, const CallContext& context,
                                         const RunEvents& events, std::shared_ptr<std::atomic<bool>> cancelled) {
  workers::Caller caller;
  caller.context = context;
  caller.deadline = workers::Clock::time_point::max();
  caller.span = state_->own_span();
  std::string message;
  if (!turn.messages.empty()) {
    // Of a message in parts, the texts.
    const auto* last = turn.messages.back().if_object();
    const auto* content = last ? last->if_contains("content") : nullptr;
    if (content && content->is_string()) message = content->get_string();
    if (content && content->is_array()) {
      for (const auto& part : content->get_array()) message += part.is_object() ? string_or(part.get_object(), "text") : std::string_view();
    }
  }
  return state_->run_assistant(name, message, conversation, events, caller, std::move(cancelled), {std::move(turn), nullptr, {}});
}

}  // namespace sabir::runtime

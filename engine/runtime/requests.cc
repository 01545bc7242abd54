// The methods of spec/worker-protocol.md §7, each answered by the room that knows.
#include <algorithm>

#include "engine_state.h"
#include "prompt_functions.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/completions/explain.h"
#include "sabir/models/model_store.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/secrets/scrubber.h"
#include "sabir/telemetry/trace_store.h"

namespace sabir::runtime {
namespace {
using protocol::Payload;

// The result object {"value": …} with its blobs.
Payload value_result(Payload value) {
  Payload out;
  out.json = "{\"value\":" + value.json + protocol::blob_list(value.blobs, "/value") + "}";
  out.blobs = std::move(value.blobs);
  for (auto& blob : out.blobs) blob.at.insert(0, "/value");
  return out;
}

Payload object_result(const json::object& object) {
  // Large strings leave the JSON here as everywhere.
  Payload out = protocol::deflate(compact_json(object));
  if (!out.blobs.empty()) {
    out.json.pop_back();
    out.json += protocol::blob_list(out.blobs, "") + "}";
  }
  return out;
}

Result<json::object> object_of(const Payload& params) {
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, "params is not an object");
  return std::move(value->get_object());
}

Result<std::string> required_text(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (!value || !value->is_string()) return fail(ErrorCode::kInvalidArguments, std::string("'") + key + "' must be a string");
  return std::string(value->get_string());
}

std::int64_t number_or(const json::object& object, const char* key, std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  if (!value) return otherwise;
  if (value->is_int64()) return value->get_int64();
  if (value->is_double()) return static_cast<std::int64_t>(value->get_double());
  return otherwise;
}

std::string_view language_of(std::string_view address) { return address.substr(0, std::min(address.find('/'), address.size())); }

json::value parsed(const std::string& text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : json::value();
}

}  // namespace

void Engine::State::handle(workers::EngineRequest request) {
  if (request.method == "secrets.get") return get_secret(std::move(request));
  // What a function that knows a secret asks for is for others: another worker, a model, the store.
  if (request.caller->depth > 0 && knows_secrets(request.caller->address)) {
    Result<Payload> said(Payload{std::move(request.params), {}});
    for (auto& data : request.blobs) said->blobs.push_back({"", false, std::move(data)});
    clean(request.caller->address, said);
    request.params = std::move(said->json);
    for (std::size_t i = 0; i < request.blobs.size(); ++i) request.blobs[i] = std::move(said->blobs[i].data);
  }
  if (request.method == "functions.call") return call_function(std::move(request));
  if (request.method == "functions.list") {
    json::array list;
    for (const auto& function : registry->functions()) list.push_back(functions::to_json(function));
    json::array missing;
    for (const auto& entry : registry->unavailable()) missing.push_back(to_json(entry.error));
    request.reply(object_result({{"functions", std::move(list)}, {"unavailable", std::move(missing)}}));
    return;
  }
  if (request.method == "functions.get") {
    const auto params = parse_json(request.params);
    const std::string address(params && params->is_object() ? string_or(params->get_object(), "address") : "");
    const auto function = registry->find(address);
    if (!function) {
      request.reply(fail(function.error()));
      return;
    }
    auto told = functions::to_json(**function);
    // What other functions ran like is for people; a worker has no business with it.
    if (request.caller->depth == 0) {
      if (auto recent = functions->recent((*function)->language + "/" + (*function)->address); !recent.empty()) told["recent"] = std::move(recent);
    }
    request.reply(object_result(told));
    return;
  }
  if (request.method == "mcp.servers" && request.caller->depth == 0) {
    request.reply(object_result({{"servers", mcp->status(served ? *served : *project)}}));
    return;
  }
  if (request.method == "recordings.use" && request.caller->depth == 0) {
    const auto params = parse_json(request.params);
    if (recordings) recordings->use(std::string(params && params->is_object() ? string_or(params->get_object(), "name") : ""));
    request.reply(object_result({{"recording", recordings != nullptr}}));
    return;
  }
  if (request.method == "engine.logs" && request.caller->depth == 0) {
    const auto params = parse_json(request.params);
    const json::object none;
    const auto& asked = params && params->is_object() ? params->get_object() : none;
    const auto limit = std::clamp<std::int64_t>(number_or(asked, "limit", 200), 1, static_cast<std::int64_t>(LogRing::kMost));
    return request.reply(object_result(log_ring.read(static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_or(asked, "after", 0))), static_cast<std::size_t>(limit))));
  }
  if (request.method == "engine.stats" || request.method == "functions.disable" || request.method == "functions.enable" || request.method == "functions.disabled") {
    // A function has no say in what others may call, and no business with how they do.
    if (request.caller->depth > 0) return request.reply(fail(ErrorCode::kNotGranted, "a function cannot ask for '" + request.method + "'"));
    auto shared = std::make_shared<workers::EngineRequest>(std::move(request));
    return shared->method == "engine.stats" ? answer_stats(shared) : answer_disabling(shared);
  }
  const bool is_long = request.method == "approvals.decide" || request.method == "models.complete" || request.method == "models.embed" || request.method == "assistants.run";
  // A function has no say in what a person is asked, and no business with what others did.
  const bool of_people = request.method.starts_with("approvals.") || request.method == "usage.list" || request.method.starts_with("traces.");
  if (of_people && request.caller->depth > 0) {
    request.reply(fail(ErrorCode::kNotGranted, request.method.starts_with("approvals.") ? "a function cannot decide about approvals" : "a function cannot ask for " + request.method));
    return;
  }
  const bool known = is_long || request.method == "usage.list" || request.method == "traces.list" || request.method == "traces.get" || request.method == "approvals.list" || request.method.starts_with("memory.") || request.method == "completions.render" || request.method == "completions.tokens" ||
                     request.method == "completions.explain";
  if (!known) {
    request.reply(fail(Error(ErrorCode::kProtocol, "there is no method '" + request.method + "'")
                           .with_data(R"({"rpc":-32601})")));
    return;
  }
  const auto list = protocol::raw_members(request.params);
  auto blobs = list ? protocol::read_blob_list(protocol::find_member(*list, "blobs").value_or(""), std::move(request.blobs), "")
                    : Result<std::vector<protocol::Blob>>(fail(list.error()));
  if (!blobs) {
    request.reply(fail(std::move(blobs.error())));
    return;
  }
  auto shared = std::make_shared<workers::EngineRequest>(std::move(request));
  const bool is_prompt = shared->method.starts_with("completions.");
  auto& where = is_long ? jobs_for(*shared->caller) : *jobs;
  const bool taken = where.submit([this, shared, is_prompt, params = Payload{shared->params, std::move(*blobs)}] {
    const trace::Scope scope(shared->caller->span);
    if (is_prompt) return answer_prompt(shared, params);
    reply_soon(shared, answer(shared->method, params, *shared->caller));
  });
  if (!taken) refuse(*shared);
}

void Engine::State::reply_soon(const std::shared_ptr<workers::EngineRequest>& request, Result<Payload> outcome) {
  loop.post([request, result = std::make_shared<Result<Payload>>(std::move(outcome))] { request->reply(std::move(*result)); });
}

void Engine::State::refuse(workers::EngineRequest& request) {
  request.reply(fail(ErrorCode::kBusy, "the engine has too much to do for '" + request.method + "'", "Try again later."));
}

void Engine::State::call_function(workers::EngineRequest request) {
  auto members = protocol::raw_members(request.params);
  if (!members) {
    request.reply(fail(std::move(members.error())));
    return;
  }
  const auto address = protocol::find_member(*members, "address");
  if (!address || address->front() != '"') {
    request.reply(fail(ErrorCode::kInvalidArguments, "functions.call needs 'address', a string"));
    return;
  }
  auto blobs = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(request.blobs), "/arguments");
  if (!blobs) {
    request.reply(fail(std::move(blobs.error())));
    return;
  }
  if (address->starts_with("\"client/")) return ask_client(request, *address, {std::string(protocol::find_member(*members, "arguments").value_or("{}")), std::move(*blobs)});
  functions::CallRequest call;
  call.address = protocol::unquote(*address);
  call.arguments = {std::string(protocol::find_member(*members, "arguments").value_or("{}")), std::move(*blobs)};
  call.context = request.caller->context;
  call.deadline = request.caller->deadline;
  if (const auto timeout = protocol::find_member(*members, "timeout_ms")) {
    const auto ms = std::clamp<long long>(std::atoll(std::string(*timeout).c_str()), 1, 86'400'000);
    call.deadline = std::min(call.deadline, workers::Clock::now() + std::chrono::milliseconds(ms));
  }
  call.depth = request.caller->depth + 1;
  call.caller = request.caller->address;
  call.parent = request.caller->entry;
  call.span = request.caller->span;
  call.client = request.caller->client;
  if (const auto key = protocol::find_member(*members, "idempotency_key"); key && key->front() == '"') {
    call.idempotency_key = protocol::unquote(*key);
  }
  workers::CallEvents events;
  auto streamed = std::make_shared<std::int64_t>(0);
  if (request.notify && protocol::find_member(*members, "stream") == "true") {
    events.chunk = [notify = request.notify, streamed](Payload value) {
      auto text = protocol::inflate(value);
      if (!text) return;
      ++*streamed;
      notify("chunk", "{\"value\":" + *text + "}");
    };
    events.progress = [notify = request.notify](const std::string& params) {
      auto value = parse_json(params);
      if (!value || !value->is_object()) return;
      value->get_object().erase("id");
      notify("progress", compact_json(value->get_object()));
    };
  }
  events.done = [reply = request.reply, streamed](Result<Payload> outcome) {
    if (outcome && *streamed > 0) {
      // Its values have all gone out.
      reply(Payload{"{\"value\":null,\"streamed\":" + std::to_string(*streamed) + "}", {}});
    } else if (outcome) {
      reply(value_result(std::move(*outcome)));
    } else {
      reply(fail(std::move(outcome.error())));
    }
  };
  const auto id = this->call(std::move(call), std::move(events));
  // What a call started ends with it.
  request.caller->when_ended.push_back([this, id] { functions->cancel(id, "its caller has ended"); });
}

void Engine::State::ask_client(const workers::EngineRequest& request, std::string_view address, const Payload& questions) {
  const auto& client = request.caller->client;
  if (address == "\"client/capabilities\"") return request.reply(value_result({client ? client->capabilities() : "{}", {}}));
  if (address != "\"client/ask\"") {
    return request.reply(fail(ErrorCode::kUnknownFunction, "a client has no function " + std::string(address), "There are client/ask and client/capabilities."));
  }
  if (!client) {
    return request.reply(fail(ErrorCode::kUnavailable, "nobody can be asked: the call was not made by a client of the Model Context Protocol",
                              "A function that asks is called through `sabir mcp`, or by /mcp of `sabir serve`."));
  }
  const auto text = protocol::inflate(questions);
  if (!text) return request.reply(fail(text.error()));
  client->ask(*text, [reply = request.reply](Result<std::string> answers) {
    if (answers) return reply(value_result({std::move(*answers), {}}));
    reply(fail(std::move(answers.error())));
  });
}

Result<std::string> Engine::State::may_read(const std::string& address, const std::string& secret) {
  const auto function = registry->find(address);
  // An assistant's own code is called by its name; a function of the same address must be granted it too.
  const functions::Assistant* assistant = nullptr;
  if (address.ends_with(".respond")) {
    const std::string bare = address.substr(address.rfind('/') + 1);
    if (auto found = registry->find_assistant(bare.substr(0, bare.size() - 8)); found && (*found)->has_respond) assistant = *found;
  }
  if (assistant != nullptr) {
    const std::string name = assistant->language + "/" + assistant->name;
    auto declared = assistants::declared_secrets(assistant->constants, assistant->source.relative);
    if (!declared) return fail(std::move(declared.error()));
    if (!grants.allowed(secrets::Holder::kAssistant, name, secret, *declared)) return fail(secrets::Grants::refusal(secrets::Holder::kAssistant, name, secret, assistant->source.relative));
    if (!function) return assistant->language + "/" + address.substr(address.rfind('/') + 1);
  }
  static const std::vector<std::string> kNone;
  const auto& declared = function ? (*function)->schema.secrets : kNone;
  std::string full = function ? (*function)->language + "/" + (*function)->address : address;
  if (!grants.allowed(full, secret, declared)) {
    const std::string file = function ? (*function)->source.relative + ":" + std::to_string((*function)->schema.line) : std::string();
    return fail(secrets::Grants::refusal(secrets::Holder::kFunction, full, secret, file));
  }
  return full;
}

void Engine::State::get_secret(workers::EngineRequest request) {
  const auto params = parse_json(request.params);
  const std::string name(params && params->is_object() ? string_or(params->get_object(), "name") : "");
  if (!secrets::is_secret_name(name)) {
    request.reply(fail(ErrorCode::kInvalidArguments, "'" + name + "' is no secret's name: lower-case letters, digits and _"));
    return;
  }
  // A process that the person started may read what the person may; a function needs a grant.
  std::string full = request.caller->address;
  if (request.caller->depth > 0) {
    auto reader = may_read(full, name);
    if (!reader) return request.reply(fail(std::move(reader.error())));
    full = std::move(*reader);
  }
  // Before the value can be in what they say.
  if (request.caller->depth > 0) functions->knows_secrets(std::string(language_of(full)));
  const auto shared = std::make_shared<workers::EngineRequest>(std::move(request));
  const auto tell = [name](const Result<std::string>& value) -> Result<Payload> {
    if (!value) return fail(value.error());
    if (find_invalid_utf8(*value) != std::string_view::npos) return fail(ErrorCode::kConfig, "the secret '" + name + "' is not UTF-8");
    return Payload{"{\"value\":" + protocol::quote(*value) + "}", {}};
  };
  if (!secrets->may_wait()) return shared->reply(tell(secrets->resolve(name)));
  const bool taken = jobs->submit([this, shared, name, tell] { reply_soon(shared, tell(secrets->resolve(name))); });
  if (!taken) refuse(*shared);
}

bool Engine::State::knows_secrets(const std::string& address) const {
  if (!functions->has_secrets({})) return false;
  const auto function = registry->find(address);
  // An assistant's own code is in no registry: it is treated as whoever knows some.
  return !function || functions->has_secrets((*function)->language);
}

void Engine::State::clean(const std::string& address, Result<Payload>& said) {
  const secrets::Scrubber scrubber(secrets->redactor());
  bool changed = false;
  const auto text = [&](std::string& one) {
    std::string clean = secrets->redactor()->redact_pieces(one);
    if (clean == one) return;
    changed = true;
    one = std::move(clean);
  };
  // A number that is a secret needs its JSON read; what has none in it is left as it is.
  const auto json_text = [&](std::string& one) {
    std::string clean = secrets->redactor()->redact_pieces(one);
    if (clean == one) return;
    changed = true;
    one = protocol::check_json(clean) ? std::move(clean) : scrubber.json_text(std::move(one));
  };
  if (said) {
    json_text(said->json);
    for (auto& blob : said->blobs) text(blob.data);
  } else {
    Error& error = said.error();
    for (auto* one : {&error.message, &error.hint, &error.detail}) text(*one);
    if (!error.data.empty()) json_text(error.data);
  }
  if (!changed || !told_clean.insert(address).second) return;
  log(LogLevel::kWarning, address + " gave a secret's value away, which became [secret:NAME]: no value leaves the workers that were given it (docs/secrets.md)");
}

Result<Payload> Engine::State::answer(const std::string& method, const Payload& params, workers::Caller& caller) {
  if (method.starts_with("memory.")) return answer_memory(method, params, caller.context, caller.address);
  if (method == "models.complete") return answer_complete(params, caller);
  if (method == "models.embed") return answer_embed(params, caller);
  if (method.starts_with("approvals.")) return answer_approvals(method, params, caller);
  if (method == "assistants.run") return answer_assistant(params, caller);
  if (method == "usage.list") return answer_usage(params);
  if (method.starts_with("traces.")) return answer_traces(method, params);
  return fail(ErrorCode::kProtocol, "there is no method '" + method + "'");
}

Result<Payload> Engine::State::answer_usage(const Payload& params) {
  auto object = object_of(params);
  if (!object) return fail(std::move(object.error()));
  auto book = open_ledger();
  if (!book) return fail(std::move(book.error()));
  auto rows = (*book)->usage(std::string(string_or(*object, "by", "day")), number_or(*object, "since_ms", 0));
  if (!rows) return fail(std::move(rows.error()));
  return object_result({{"rows", std::move(*rows)}});
}

Result<Payload> Engine::State::answer_traces(const std::string& method, const Payload& params) {
  auto object = object_of(params);
  if (!object) return fail(std::move(object.error()));
  auto store = telemetry::TraceStore::open_reading(project->state_dir());
  if (!store && store.error().code == ErrorCode::kNotFound) {
    if (method == "traces.list") return object_result({{"runs", json::array()}, {"dropped_spans", 0}});
    return fail(ErrorCode::kNotFound, "no traces of the environment " + project->environment + " are kept here", "Call a function or talk to an assistant first.");
  }
  if (!store) return fail(std::move(store.error()));
  if (method == "traces.get") {
    auto one = telemetry::trace_json(**store, std::string(string_or(*object, "id")));
    if (!one) return fail(std::move(one.error()));
    return object_result(*one);
  }
  telemetry::RunFilter filter;
  filter.user = string_or(*object, "user");
  filter.tenant = string_or(*object, "tenant");
  filter.assistant = string_or(*object, "assistant");
  filter.text = string_or(*object, "text");
  const auto* failed = object->if_contains("failed");
  filter.failed = failed && failed->is_bool() && failed->get_bool();
  filter.since_ms = number_or(*object, "since_ms", filter.since_ms);
  filter.until_ms = number_or(*object, "until_ms", filter.until_ms);
  filter.limit = static_cast<int>(std::clamp<std::int64_t>(number_or(*object, "limit", filter.limit), 1, 10'000));
  auto rows = (*store)->runs(filter);
  if (!rows) return fail(std::move(rows.error()));
  json::array list;
  for (const auto& row : *rows) list.push_back(telemetry::to_json(row));
  return object_result({{"runs", std::move(list)}, {"dropped_spans", (*store)->dropped().value_or(0)}});
}

Result<Payload> Engine::State::answer_memory(const std::string& method, const Payload& params, const CallContext& context,
                                             const std::string& source) {
  auto object = object_of(params);
  if (!object) return fail(std::move(object.error()));
  auto store = memory.get();
  if (!store) return fail(std::move(store.error()));
  const std::string name_space(string_or(*object, "namespace", "default"));

  if (method == "memory.append" || method == "memory.messages") {
    auto conversation = required_text(*object, "conversation");
    if (!conversation) return fail(std::move(conversation.error()));
    if (method == "memory.append") {
      const auto* message = object->if_contains("message");
      if (!message) return fail(ErrorCode::kInvalidArguments, "memory.append needs 'message'");
      auto seq = (*store)->append(context, *conversation, compact_json(*message));
      if (!seq) return fail(std::move(seq.error()));
      return object_result({{"seq", *seq}});
    }
    auto messages = (*store)->messages(context, *conversation, static_cast<int>(number_or(*object, "limit", 50)));
    if (!messages) return fail(std::move(messages.error()));
    json::array list;
    for (const auto& message : *messages) {
      list.push_back({{"seq", message.seq}, {"message", parsed(message.message_json)}, {"created_ms", message.created_ms}});
    }
    return object_result({{"messages", std::move(list)}});
  }

  if (method == "memory.list") {
    auto items = (*store)->list(context, name_space, std::string(string_or(*object, "prefix")),
                                std::string(string_or(*object, "after")), static_cast<int>(number_or(*object, "limit", 1000)));
    if (!items) return fail(std::move(items.error()));
    json::array list;
    for (const auto& item : *items) {
      list.push_back({{"key", item.key}, {"value", parsed(item.value_json)}, {"version", item.version}, {"updated_ms", item.updated_ms}});
    }
    return object_result({{"items", std::move(list)}});
  }

  auto key = required_text(*object, "key");
  if (!key) return fail(std::move(key.error()));
  if (method == "memory.put") {
    const auto* value = object->if_contains("value");
    if (!value) return fail(ErrorCode::kInvalidArguments, "memory.put needs 'value'");
    memory::PutOptions put;
    put.source = source;
    if (const auto* version = object->if_contains("if_version"); version && !version->is_null()) {
      put.if_version = number_or(*object, "if_version", 0);
    }
    if (const auto* ttl = object->if_contains("ttl_ms"); ttl && !ttl->is_null()) put.ttl_ms = number_or(*object, "ttl_ms", 0);
    auto version = (*store)->put(context, name_space, *key, compact_json(*value), put);
    if (!version) return fail(std::move(version.error()));
    return object_result({{"version", *version}});
  }
  if (method == "memory.get") {
    auto item = (*store)->get(context, name_space, *key);
    if (!item) return fail(std::move(item.error()));
    if (!*item) return object_result({{"found", false}, {"value", nullptr}, {"version", 0}});
    return object_result({{"found", true}, {"value", parsed((*item)->value_json)}, {"version", (*item)->version},
                          {"updated_ms", (*item)->updated_ms}, {"source", (*item)->source}});
  }
  if (method == "memory.delete") {
    auto removed = (*store)->remove(context, name_space, *key);
    if (!removed) return fail(std::move(removed.error()));
    return object_result({{"deleted", *removed}});
  }
  return fail(Error(ErrorCode::kProtocol, "there is no method '" + method + "'").with_data(R"({"rpc":-32601})"));
}

// What a request about a prompt says.
struct PromptParams {
  std::string text;  // what the view points into
  std::string name;
  std::string_view variables;
  std::string model;
};

namespace {

Result<std::shared_ptr<const PromptParams>> prompt_params(const Payload& params) {
  auto out = std::make_shared<PromptParams>();
  auto text = protocol::inflate(params);
  if (!text) return fail(std::move(text.error()));
  out->text = std::move(*text);
  const auto members = protocol::raw_members(out->text);
  if (!members) return fail(members.error());
  const auto name = protocol::find_member(*members, "name");
  if (!name || name->front() != '"') return fail(ErrorCode::kInvalidArguments, "'name' must be a string");
  out->name = protocol::unquote(*name);
  if (const auto model = protocol::find_member(*members, "model"); model && model->front() == '"') out->model = protocol::unquote(*model);
  // The variables are read by what renders them alone.
  const auto variables = protocol::find_member(*members, "variables");
  out->variables = variables && variables->front() == '{' ? *variables : std::string_view("{}");
  return out;
}

}  // namespace

void Engine::State::answer_prompt(const std::shared_ptr<workers::EngineRequest>& request, const Payload& params) {
  const auto asked = prompt_params(params);
  if (!asked) return reply_soon(request, fail(asked.error()));
  const auto answer = [this, request, asked = *asked] {
    const auto how = request->method == "completions.render"   ? &State::answer_render
                     : request->method == "completions.tokens" ? &State::answer_tokens
                                                               : &State::answer_explain;
    const trace::Scope scope(request->caller->span);
    reply_soon(request, (this->*how)(*asked, *request->caller));
  };
  if (!renderer->calls_functions((*asked)->name)) return answer();
  // These threads are few, and what a function needs of them must not wait for the prompt that called it.
  loop.post([this, request, answer] {
    if (stopping || !jobs_for(*request->caller).submit(answer)) refuse(*request);
  });
}

Result<Payload> Engine::State::answer_render(const PromptParams& asked, workers::Caller& caller) {
  PromptFunctions called(*this, caller);
  std::shared_ptr<trace::Span> span;
  if (tracer && trace::current()) {
    span = tracer->begin(trace::current());
    span->operation = "render";
    span->name = "render " + asked.name;
  }
  auto rendered = [&] {
    if (!span) return renderer->render_json(asked.name, asked.variables, &called);
    const trace::Scope scope(*span);
    return renderer->render_json(asked.name, asked.variables, &called);
  }();
  if (span) {
    if (!rendered) span->fail(rendered.error());
    tracer->end(std::move(span));
  }
  if (!rendered) return fail(std::move(rendered.error()));
  json::object result{{"text", rendered->text}, {"messages", rendered->messages}};
  if (!rendered->secrets.empty()) {
    json::array names;
    for (const auto& name : rendered->secrets) names.emplace_back(name);
    result["secrets"] = std::move(names);
  }
  if (rendered->budget) result["budget"] = completions::to_json(*rendered->budget);
  return object_result(result);
}

Result<models::ModelInfo> Engine::State::model_info(const std::string& alias) {
  auto all = load_models();
  if (all) {
    for (auto& info : (*all)->list()) {
      if (alias.empty() ? info.is_default : info.alias == alias) return std::move(info);
    }
  }
  if (!completions::encoding_of(alias).empty()) {
    models::ModelInfo info;
    info.alias = info.model = alias;
    info.provider = "openai";
    info.description = alias + " (openai)";
    return info;
  }
  if (!all) return fail(std::move(all.error()));
  return fail((*all)->get(alias).error());
}

completions::Tokens Engine::tokens_of(const std::string& alias) {
  const auto model = state_->model_info(alias);
  return model ? state_->tokens_of(*model) : completions::Tokens(alias);
}

completions::Tokens Engine::State::tokens_of(const models::ModelInfo& model) {
  if (model.provider != "local") return completions::Tokens(model.model);
  const std::string name = model.model.ends_with(".gguf") ? (project->root / model.model).string() : model.model;
  const auto weights = models::ModelStore::open({options.resources / "models", {}, {}})->weights(name);
  if (!weights) return completions::Tokens({}, weights.error().message + (weights.error().hint.empty() ? "" : ". " + weights.error().hint));
  std::error_code ec;
  const std::string key = weights->string() + "\n" + std::to_string(std::filesystem::last_write_time(*weights, ec).time_since_epoch().count());
  const std::lock_guard lock(tokenizers_mutex);
  auto found = tokenizers.find(key);
  if (found == tokenizers.end()) {
    auto opened = completions::LocalTokenizer::open(*weights, options.resources / "models" / "local" / "turns.json");
    found = tokenizers.emplace(key, std::move(opened)).first;
  }
  return found->second ? completions::Tokens(*found->second) : completions::Tokens({}, found->second.error().message);
}

Result<Payload> Engine::State::answer_tokens(const PromptParams& asked, workers::Caller& caller) {
  PromptFunctions called(*this, caller);
  auto rendered = renderer->render_json(asked.name, asked.variables, &called);
  if (!rendered) return fail(std::move(rendered.error()));
  auto model = model_info(asked.model.empty() ? std::string(string_or(rendered->front_matter, "model")) : asked.model);
  if (!model) return fail(std::move(model.error()));
  const completions::Tokens tokens = tokens_of(*model);
  const auto chat = completions::count_chat(tokens, rendered->messages);
  json::array messages;
  for (std::size_t i = 0; i < chat.messages.size(); ++i) {
    messages.push_back({{"role", rendered->messages[i].at("role")}, {"tokens", chat.messages[i]}});
  }
  json::object result{{"tokens", chat.total()}, {"exact", tokens.is_exact()}, {"encoding", tokens.encoding()}, {"model", model->alias},
                        {"model_name", model->model}, {"provider", model->provider}, {"text", chat.text}, {"overhead", chat.overhead}, {"messages", std::move(messages)}};
  if (!tokens.why_not().empty()) result["why"] = tokens.why_not();
  if (rendered->budget) result["budget"] = completions::to_json(*rendered->budget);
  return object_result(result);
}

Result<Payload> Engine::State::answer_explain(const PromptParams& asked, workers::Caller& caller) {
  PromptFunctions called(*this, caller);
  auto explanation = renderer->explain(asked.name, asked.variables, &called);
  if (!explanation) return fail(std::move(explanation.error()));
  const std::string named(asked.model.empty() ? string_or(explanation->rendered.front_matter, "model") : asked.model);
  const auto model = model_info(named);
  // What can be rendered without its model can be explained: the tokens are an estimate then.
  if (!model && !asked.model.empty()) return fail(model.error());
  json::object result = completions::to_json(*explanation, model ? tokens_of(*model) : completions::Tokens(std::string_view()));
  result["model"] = model ? model->alias : named;
  result["model_name"] = model ? model->model : "";
  return object_result(result);
}

}  // namespace sabir::runtime

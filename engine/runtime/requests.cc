// The methods of spec/worker-protocol.md §7, each answered by the room that knows.
#include <algorithm>

#include "engine_state.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::runtime {
namespace {
using protocol::Payload;

// The result object {"value": …} with its blobs.
Payload value_result(Payload value) {
  Payload out;
  out.json = "{\"value\":" + value.json + protocol::blob_list(value.blobs, "/value") + "}";
  out.blobs = std::move(value.blobs);
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

json::value parsed(const std::string& text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : json::value();
}

}  // namespace

void Engine::State::handle(workers::EngineRequest request) {
  if (request.method == "functions.call") return call_function(std::move(request));
  if (request.method == "secrets.get") return get_secret(std::move(request));
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
    request.reply(function ? Result<Payload>(object_result(functions::to_json(**function))) : fail(function.error()));
    return;
  }
  const bool is_long = request.method == "models.complete" || request.method == "assistants.run";
  const bool known = is_long || request.method.starts_with("memory.") || request.method == "completions.render";
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
  auto& where = is_long ? *long_jobs : *jobs;
  const bool taken = where.submit([this, shared, params = Payload{shared->params, std::move(*blobs)}] {
    auto result = std::make_shared<Result<Payload>>(
        answer(shared->method, params, shared->caller->context, shared->caller->address, shared->caller->deadline, shared->caller->depth));
    loop.post([shared, result] { shared->reply(std::move(*result)); });
  });
  if (!taken) shared->reply(fail(ErrorCode::kBusy, "the engine has too much to do for '" + shared->method + "'", "Try again later."));
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
  if (const auto key = protocol::find_member(*members, "idempotency_key"); key && key->front() == '"') {
    call.idempotency_key = protocol::unquote(*key);
  }
  workers::CallEvents events;
  events.done = [reply = request.reply](Result<Payload> outcome) {
    if (outcome) {
      reply(value_result(std::move(*outcome)));
    } else {
      reply(fail(std::move(outcome.error())));
    }
  };
  const auto id = functions->call(std::move(call), std::move(events));
  // What a call started ends with it.
  request.caller->when_ended.push_back([this, id] { functions->cancel(id, "its caller has ended"); });
}

void Engine::State::get_secret(workers::EngineRequest request) {
  const auto params = parse_json(request.params);
  const std::string name(params && params->is_object() ? string_or(params->get_object(), "name") : "");
  if (!secrets::is_secret_name(name)) {
    request.reply(fail(ErrorCode::kInvalidArguments, "'" + name + "' is no secret's name: lower-case letters, digits and _"));
    return;
  }
  // A process that the person started may read what the person may; a function needs a grant.
  if (request.caller->depth > 0) {
    const auto function = registry->find(request.caller->address);
    const std::vector<std::string> none;
    const auto& declared = function ? (*function)->schema.secrets : none;
    const std::string full = function ? (*function)->language + "/" + (*function)->address : request.caller->address;
    if (!grants.allowed(full, name, declared)) {
      request.reply(fail(secrets::Grants::refusal(full, name)));
      return;
    }
  }
  auto value = secrets->resolve(name);
  if (!value) {
    request.reply(fail(std::move(value.error())));
    return;
  }
  request.reply(Payload{"{\"value\":" + protocol::quote(*value) + "}", {}});
}

Result<Payload> Engine::State::answer(const std::string& method, const Payload& params, const CallContext& context,
                                      const std::string& source, workers::Clock::time_point deadline, int depth) {
  if (method.starts_with("memory.")) return answer_memory(method, params, context, source);
  if (method == "completions.render") return answer_render(params);
  if (method == "models.complete") return answer_complete(params);
  if (method == "assistants.run") return answer_assistant(params, context, deadline, depth);
  return fail(ErrorCode::kProtocol, "there is no method '" + method + "'");
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

Result<Payload> Engine::State::answer_render(const Payload& params) {
  auto object = object_of(params);
  if (!object) return fail(std::move(object.error()));
  auto name = required_text(*object, "name");
  if (!name) return fail(std::move(name.error()));
  json::object variables;
  if (const auto* given = object->if_contains("variables"); given && given->is_object()) variables = given->get_object();
  auto rendered = renderer->render(*name, variables);
  if (!rendered) return fail(std::move(rendered.error()));
  return object_result({{"text", rendered->text}, {"messages", rendered->messages}});
}

}  // namespace sabir::runtime

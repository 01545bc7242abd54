// REST: functions.
#include <algorithm>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"
#include "sabir/protocol/raw_json.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

using net::Exchange;
using protocol::Payload;

constexpr std::chrono::seconds kSilence{5};

// One call, from its request to the end of its answer.
struct Call : std::enable_shared_from_this<Call> {
  std::shared_ptr<Server::State> server;
  std::shared_ptr<Exchange> exchange;
  Identity who;
  std::string address;                  // with its language
  std::string path;
  functions::CallRequest request;
  bool streams = false;
  bool keeps = false;                   // under an Idempotency-Key
  std::string keeper;                   // the key's namespace
  std::string key;
  std::function<void()> cancel;
  std::int64_t streamed = 0;
  bool stream_begun = false;
  net::Loop::TimerId beginning = 0;
  bool ended = false;

  void begin();
  void done(Result<Payload> outcome);
  void chunk(const Payload& value);
  // Not before there is something to send, or it takes a while: what fails at once is answered with a status of its own.
  void begin_stream();
  void too_slow();
  // Tells whoever waits, after it is written down where it has to be.
  void answer(net::ServerResponse response, bool carried_out);
};

void Call::begin() {
  workers::CallEvents events;
  const auto self = shared_from_this();
  if (streams) {
    beginning = server->engine_.loop().after(kSilence, [weak = weak_from_this()] {
      if (const auto call = weak.lock(); call && !call->ended) call->begin_stream();
    });
    events.chunk = [self](const Payload& value) { self->chunk(value); };
    events.progress = [self](const std::string& params) {
      auto value = parse_json(params);
      if (!value || !value->is_object()) return;
      value->get_object().erase("id");
      if (self->ended) return;
      self->begin_stream();
      // Who reads slowly misses some of it.
      self->exchange->event(compact_json(*value), "progress");
    };
  }
  events.done = [self](Result<Payload> outcome) { self->done(std::move(outcome)); };
  cancel = server->engine_.call(std::move(request), std::move(events));
  // What has a key is carried out to its end: whoever asks again, because the line broke, gets its answer.
  if (keeps) return;
  exchange->when_gone([weak = weak_from_this()] {
    if (const auto call = weak.lock(); call && !call->ended && call->cancel) call->cancel();
  });
}

void Call::begin_stream() {
  if (!std::exchange(stream_begun, true)) exchange->begin_events();
}

void Call::chunk(const Payload& value) {
  if (ended) return;
  begin_stream();
  auto text = protocol::inflate(value);
  if (!text) return;
  ++streamed;
  if (exchange->event(*text, "chunk", std::to_string(streamed)) == Exchange::Sent::kFull) too_slow();
}

void Call::too_slow() {
  ended = true;
  cancel();
  // It learns so once it has read what there is.
  exchange->when_drained([self = shared_from_this()] {
    self->exchange->event(self->server->problem(Error(ErrorCode::kLimit, "the stream was ended: it was read more slowly than it came"), self->who, self->path).body, "error");
    self->exchange->end();
  });
}

void Call::done(Result<Payload> outcome) {
  if (ended) return;
  ended = true;
  const auto text = outcome ? protocol::inflate(*outcome) : Result<std::string>(fail(outcome.error()));
  if (streams) server->engine_.loop().cancel(beginning);
  if (streams && (text || stream_begun)) {
    begin_stream();
    if (!text) exchange->note("error", std::string(error_code_name(text.error().code)));
    if (!text) exchange->event(server->problem(text.error(), who, path).body, "error");
    else if (streamed > 0) exchange->event("{\"streamed\":" + std::to_string(streamed) + "}", "end");
    else exchange->event(*text, "result");
    return exchange->end();
  }
  if (text) return answer({200, {{"Content-Type", "application/json"}}, *text}, true);
  Error error = text.error();
  // A function's arguments that are no JSON at all are another matter than those that do not fit it.
  if (error.code == ErrorCode::kInvalidArguments && !protocol::check_json(exchange->request().body.empty() ? "{}" : exchange->request().body)) {
    error = Error(ErrorCode::kProtocol, "the body is not JSON: " + protocol::check_json(exchange->request().body).error().message, error.hint);
  }
  const bool carried_out = error.code != ErrorCode::kInvalidArguments && error.code != ErrorCode::kProtocol && error.code != ErrorCode::kBusy &&
                           error.code != ErrorCode::kUnavailable && error.code != ErrorCode::kDisabled && error.code != ErrorCode::kLoadFailed && error.code != ErrorCode::kBuildFailed &&
                           error.code != ErrorCode::kUnknownFunction && error.code != ErrorCode::kDepthExceeded;
  exchange->note("error", std::string(error_code_name(error.code)));
  answer(server->problem(error, who, path), carried_out);
}

void Call::answer(net::ServerResponse response, bool carried_out) {
  if (!keeps) return exchange->respond(std::move(response));
  const bool taken = server->elsewhere([self = shared_from_this(), response, carried_out] {
    std::string type;
    for (const auto& [name, value] : response.headers) {
      if (name == "Content-Type") type = value;
    }
    auto& answers = *self->server->answers;
    auto kept = carried_out ? answers.finish(self->keeper, self->key, {response.status, type, response.body, self->who.context.run}) : answers.release(self->keeper, self->key);
    if (!kept) log(LogLevel::kError, "an answer could not be kept under its Idempotency-Key: " + to_text(kept.error()));
    self->exchange->respond(response);
  });
  if (!taken) exchange->respond(std::move(response));
}

// Carries out what was not carried out yet under this key, and answers what was.
void under_key(const std::shared_ptr<Call>& call) {
  auto& server = *call->server;
  if (!server.answers) return call->exchange->respond(server.problem(server.answers_error, call->who, call->path));
  const std::string digest = sha256(call->address + "\n" + call->exchange->request().body);
  const bool taken = server.elsewhere([call, digest] {
    auto& own = *call->server;
    const auto found = own.answers->begin(call->keeper, call->key, digest);
    const auto refuse = [&](ErrorCode code, int status, const char* detail, const char* hint) {
      auto response = own.problem(Error(code, detail, hint), call->who, call->path);
      if (response.status != status) {
        // The status is part of the promise; the body repeats it.
        auto body = parse_json(response.body);
        body->get_object()["status"] = status;
        response.body = compact_json(*body);
        response.status = status;
      }
      if (status == 409) response.headers.emplace_back("Retry-After", "1");
      call->exchange->respond(std::move(response));
    };
    if (!found) return call->exchange->respond(own.problem(found.error(), call->who, call->path));
    switch (found->state) {
      case Answers::State::kBegun:
        call->keeps = true;
        return own.engine_.loop().post([call] { call->begin(); });
      case Answers::State::kKept:
        call->exchange->add_header("Idempotency-Replayed", "true");
        call->exchange->add_header("X-Sabir-First-Run-Id", found->answer.trace);
        return call->exchange->respond({found->answer.status, {{"Content-Type", found->answer.content_type}}, found->answer.body});
      case Answers::State::kRunning:
        return refuse(ErrorCode::kConflict, 409, "a request with this Idempotency-Key is being carried out", "Wait for its answer, or ask again later.");
      case Answers::State::kOther:
        return refuse(ErrorCode::kInvalidArguments, 422, "this Idempotency-Key was used for another request", "Each request has a key of its own; only its repetition has the same.");
      case Answers::State::kUnknown:
        return refuse(ErrorCode::kOutcomeUnknown, 409, "the server ended while it carried this out: nobody knows whether it happened", "Find out, and use a new key if it has to be done.");
      case Answers::State::kTooLarge:
        return refuse(ErrorCode::kConflict, 409, "this was carried out, and its answer was too large to be kept", "Use a new key if it has to be done again.");
    }
  });
  if (!taken) call->exchange->respond(server.problem(Error(ErrorCode::kBusy, "the server has too much to do"), call->who, call->path));
}

json::object shown(const functions::Function& function, bool development) {
  json::object out = functions::to_json(function);
  out["url"] = "/functions/" + (function.preferred ? "" : function.language + "/") + function.address;
  if (!function.schema.doc.empty()) out["doc"] = function.schema.doc;
  if (!development) {
    for (const char* key : {"file", "line", "secrets", "warnings", "introspected"}) out.erase(key);
  }
  return out;
}

}  // namespace

bool is_json(std::string_view type) {
  std::string name(trim(type.substr(0, type.find(';'))));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == "application/json" || (name.starts_with("application/") && name.ends_with("+json"));
}

void Server::State::add_functions() {
  add("GET", "/functions", "functions", [this](const std::shared_ptr<Exchange>& exchange, const Identity&) {
    const auto now = project();
    const auto all = registry();
    json::array list;
    for (const auto& function : all->functions()) {
      if (now->exposure.reaches_function(project::Door::kRest, function.language, function.address)) list.push_back(shown(function, now->environment == "development"));
    }
    exchange->respond(json_response(json::object{{"functions", std::move(list)}}));
  });
  add("GET", "/functions/{address...}", "functions", [this](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    const auto found = find(project::Door::kRest, std::string(exchange->request().capture("address")));
    if (!found) return exchange->respond(problem(found.error(), who, exchange->request().path));
    exchange->respond(json_response(shown(*found->first, development())));
  });
  add("POST", "/functions/{address...}", "functions", [this](std::shared_ptr<Exchange> exchange, const Identity& who) {
    const auto& asked = exchange->request();
    const auto refuse = [&](Error error) { exchange->respond(problem(error, who, asked.path)); };
    const auto found = find(project::Door::kRest, std::string(asked.capture("address")));
    if (!found) return refuse(found.error());
    const functions::Function& function = *found->first;
    auto call = std::make_shared<Call>();
    call->address = function.language + "/" + function.address;
    exchange->note("function", call->address);
    if (!asked.body.empty() && !is_json(asked.header("content-type"))) {
      return exchange->respond(net::problem(415, "the arguments are JSON: Content-Type is '" + redact(asked.header("content-type")) + "'", "Send: Content-Type: application/json"));
    }
    if (asked.parameter("stream")) {
      const auto stream = *asked.parameter("stream");
      if (stream != "0" && stream != "1") return refuse(Error(ErrorCode::kUsage, "stream is 0 or 1"));
      call->streams = stream == "1";
    } else if (asked.query.starts_with("stream=") || asked.query.find("&stream=") != std::string::npos) {
      return refuse(Error(ErrorCode::kUsage, "stream is 0 or 1"));
    }
    // Answers are read whole in one pass where they fit the function; what does not is told what is wrong with it.
    Payload arguments{asked.body.empty() ? "{}" : asked.body, {}};
    if (arguments.json.size() >= protocol::kBlobThreshold) {
      if (auto ok = protocol::check_json(arguments.json); !ok) return refuse(Error(ErrorCode::kProtocol, "the body is not JSON: " + ok.error().message));
      arguments = protocol::deflate(std::move(arguments.json));
    }
    call->server = shared_from_this();
    call->path = asked.path;
    call->who = who;
    const auto key = asked.header("idempotency-key");
    if (!key.empty() && function.schema.effect != schema::Effect::kRead) {
      if (key.size() > Answers::kMostKey || find_invalid_utf8(key) != std::string_view::npos) return refuse(Error(ErrorCode::kUsage, "an Idempotency-Key has at most 255 bytes of UTF-8 text"));
      if (call->streams) return refuse(Error(ErrorCode::kUsage, "a stream cannot be answered again: Idempotency-Key goes without ?stream=1"));
      call->key = key;
      call->keeper = who.name + "\n" + who.context.tenant + "\n" + who.context.user;
    }
    auto& request = call->request;
    request.address = call->address;
    request.arguments = std::move(arguments);
    request.context = who.context;
    request.deadline = deadline();
    request.caller = "rest";
    request.span = who.span;
    request.idempotency_key = call->key;
    if (http->counts().running > static_cast<std::size_t>(serving.running)) return refuse(Error(ErrorCode::kBusy, std::to_string(serving.running) + " requests run already", "Try again later."));
    call->exchange = std::move(exchange);
    if (call->key.empty()) call->begin();
    else under_key(call);
  });
}

void Server::State::add_rest() {
  const auto ask = [this](std::shared_ptr<Exchange> exchange, const Identity& who, std::string method, const json::object& params, std::function<net::ServerResponse(json::object)> shape) {
    runtime::Asked asked;
    asked.method = std::move(method);
    asked.params = protocol::deflate(compact_json(params));
    if (!asked.params.blobs.empty()) {
      asked.params.json.pop_back();
      asked.params.json += protocol::blob_list(asked.params.blobs, "") + "}";
    }
    asked.caller = "rest";
    asked.context = who.context;
    asked.span = who.span;
    asked.deadline = deadline();
    asked.reply = [self = shared_from_this(), exchange, who, shape = std::move(shape)](Result<Payload> outcome) {
      const auto text = outcome ? protocol::inflate(*outcome) : Result<std::string>(fail(outcome.error()));
      auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
      if (!value || !value->is_object()) {
        const Error error = value ? Error(ErrorCode::kInternal, "the engine's answer is no object") : value.error();
        return exchange->respond(self->problem(error, who, exchange->request().path));
      }
      value->get_object().erase("blobs");
      exchange->respond(shape ? shape(std::move(value->get_object())) : json_response(*value));
    };
    auto cancel = engine_.submit(std::move(asked));
    exchange->when_gone(std::move(cancel));
  };
  const auto hidden = [this](const std::shared_ptr<Exchange>& exchange, const Identity& who, std::string_view name) {
    if (project()->exposure.reaches(project::Door::kRest, name)) return false;
    exchange->respond(problem(Error(ErrorCode::kNotFound, "there is no '" + std::string(name) + "' here"), who, exchange->request().path));
    return true;
  };

  add("GET", "/prompts", "prompts", [this](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    const bool taken = elsewhere([self = shared_from_this(), exchange, who] {
      const auto now = self->project();
      auto prompts = completions::Renderer(now->root).list();
      if (!prompts) return exchange->respond(self->problem(prompts.error(), who, exchange->request().path));
      json::array list;
      for (const auto& prompt : *prompts) {
        if (!prompt.is_part && now->exposure.reaches(project::Door::kRest, "prompts/" + prompt.name)) list.push_back({{"name", prompt.name}, {"url", "/prompts/" + prompt.name}});
      }
      exchange->respond(json_response(json::object{{"prompts", std::move(list)}}));
    });
    if (!taken) exchange->respond(problem(Error(ErrorCode::kBusy, "the server has too much to do"), who, exchange->request().path));
  });
  add("GET", "/prompts/{name...}", "prompts", [this, hidden](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    const std::string name(exchange->request().capture("name"));
    if (hidden(exchange, who, "prompts/" + name)) return;
    const bool taken = elsewhere([self = shared_from_this(), exchange, who, name] {
      const completions::Renderer renderer(self->project()->root);
      auto variables = renderer.variables(name);
      auto front = variables ? completions::read_front_matter(self->project()->root, name) : Result<json::object>(fail(variables.error()));
      if (!front) return exchange->respond(self->problem(front.error(), who, exchange->request().path));
      json::array list;
      for (const auto& variable : *variables) list.push_back(json::value(variable));
      json::object out{{"name", name}, {"variables", std::move(list)}};
      for (const char* key : {"description", "model", "input"}) {
        if (const auto* value = front->if_contains(key)) out[key] = *value;
      }
      exchange->respond(json_response(std::move(out)));
    });
    if (!taken) exchange->respond(problem(Error(ErrorCode::kBusy, "the server has too much to do"), who, exchange->request().path));
  });
  add("POST", "/prompts/{name...}", "prompts", [this, ask, hidden](std::shared_ptr<Exchange> exchange, const Identity& who) {
    std::string name(exchange->request().capture("name"));
    constexpr std::string_view kEnd = "/render";
    if (!name.ends_with(kEnd)) return exchange->respond(net::problem(404, "a prompt is rendered at /prompts/NAME/render"));
    name.resize(name.size() - kEnd.size());
    if (hidden(exchange, who, "prompts/" + name)) return;
    if (!exchange->request().body.empty() && !is_json(exchange->request().header("content-type"))) return exchange->respond(net::problem(415, "the variables are JSON", "Send: Content-Type: application/json"));
    auto variables = object_of(exchange->request());
    if (!variables) return exchange->respond(problem(variables.error(), who, exchange->request().path));
    ask(std::move(exchange), who, "completions.render", {{"name", name}, {"variables", std::move(*variables)}}, {});
  });

  add("GET", "/assistants", "assistants", [this](const std::shared_ptr<Exchange>& exchange, const Identity&) {
    const auto now = project();
    const auto all = registry();
    json::array list;
    for (const auto& assistant : all->assistants()) {
      if (!now->exposure.reaches(project::Door::kRest, "assistants/" + assistant.name)) continue;
      json::object one{{"name", assistant.name}, {"language", assistant.language}};
      for (const char* key : {"description", "model"}) {
        if (const auto* value = assistant.constants.if_contains(key); value && value->is_string()) one[key] = *value;
      }
      list.push_back(std::move(one));
    }
    exchange->respond(json_response(json::object{{"assistants", std::move(list)}}));
  });

  // What a caller's own scope holds: tenant and user are those that it has proved.
  const auto number_of = [](const net::ServerRequest& request, const char* name, std::int64_t otherwise) -> std::optional<std::int64_t> {
    const auto text = request.parameter(name);
    if (!text) return otherwise;
    if (text->empty() || text->size() > 6 || text->find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    return std::strtoll(text->c_str(), nullptr, 10);
  };
  add("GET", "/memory", "memory", [this, ask, hidden, number_of](std::shared_ptr<Exchange> exchange, const Identity& who) {
    if (hidden(exchange, who, "memory")) return;
    const auto& request = exchange->request();
    const auto limit = number_of(request, "limit", 100);
    if (!limit || *limit < 1 || *limit > 1000) return exchange->respond(problem(Error(ErrorCode::kUsage, "limit is a number from 1 to 1000"), who, request.path));
    const json::object params{{"namespace", request.parameter("namespace").value_or("default")}, {"prefix", request.parameter("prefix").value_or("")},
                              {"after", request.parameter("after").value_or("")}, {"limit", *limit}};
    ask(std::move(exchange), who, "memory.list", params, {});
  });
  add("GET", "/memory/{namespace}/{key...}", "memory", [this, ask, hidden](std::shared_ptr<Exchange> exchange, const Identity& who) {
    if (hidden(exchange, who, "memory")) return;
    const std::string path = exchange->request().path;
    const json::object params{{"namespace", exchange->request().capture("namespace")}, {"key", exchange->request().capture("key")}};
    ask(std::move(exchange), who, "memory.get", params, [self = shared_from_this(), who, path](json::object item) {
      if (const auto* found = item.if_contains("found"); found && found->is_bool() && !found->get_bool()) {
        return self->problem(Error(ErrorCode::kNotFound, "there is no such item"), who, path);
      }
      item.erase("found");
      return json_response(std::move(item));
    });
  });
}

}  // namespace sabir::serve

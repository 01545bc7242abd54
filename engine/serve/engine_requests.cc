// Requests of `sabir --engine URL …`: those of spec/worker-protocol.md §7 that a person's command makes, over HTTP
// (spec/engine-requests.md). What one may ask for is decided here, by scope and by what is exposed.
#include <algorithm>
#include <mutex>
#include <thread>

#include "sabir/protocol/raw_json.h"
#include "sabir/trace/span.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

using net::Exchange;
using protocol::Payload;

constexpr std::int64_t kFormat = 1;
constexpr const char* kOperator = "engine";  // the scope that may ask for everything
constexpr std::chrono::seconds kSlowReader{30};

struct Rule {
  std::string_view method;
  std::string_view scope;
};
// What is not here is nobody's: a secret's value above all.
constexpr Rule kRules[] = {
    {"functions.list", "functions"},   {"functions.get", "functions"},   {"functions.call", "functions"}, {"completions.render", "prompts"}, {"completions.tokens", "prompts"},
    {"completions.explain", "prompts"}, {"memory.get", "memory"},         {"memory.list", "memory"},       {"memory.messages", "memory"},     {"memory.put", kOperator},
    {"memory.delete", kOperator},       {"memory.append", kOperator},     {"assistants.run", "assistants"}, {"approvals.list", "approvals"},   {"approvals.decide", "approvals"},
    {"usage.list", kOperator},          {"traces.list", kOperator},       {"traces.get", kOperator},         {"engine.stats", kOperator},       {"functions.disabled", kOperator},
    {"functions.disable", kOperator},   {"functions.enable", kOperator},      {"engine.logs", kOperator},
};

// One request: answered whole, or as events that end with "result" or "error".
struct Asking : std::enable_shared_from_this<Asking> {
  std::shared_ptr<Server::State> server;
  std::shared_ptr<Exchange> exchange;
  Identity who;
  std::string method;
  std::string params;  // the text of an object
  json::object object; // the same, read
  bool streams = false;
  bool is_operator = false;
  std::chrono::steady_clock::time_point deadline;
  std::function<void()> cancel;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  std::mutex mutex;
  bool began = false;  // under it

  std::string text(const char* name) const { return std::string(string_or(object, name)); }
  bool reaches(const std::string& name) const { return is_operator || server->project()->exposure.reaches(project::Door::kRest, name); }

  void begin();
  void submit();
  void list_functions();
  void run_assistant();
  void approvals();
  void elsewhere(std::function<void()> work);
  void answer(std::string_view result);
  void answer(const json::object& result) { answer(compact_json(result)); }
  void refuse(const Error& error);
  bool tell(std::string_view type, std::string_view data);
};

bool Asking::tell(std::string_view type, std::string_view data) {
  {
    const std::lock_guard lock(mutex);
    if (!std::exchange(began, true)) exchange->begin_events();
  }
  return exchange->event(data, type) == Exchange::Sent::kTaken;
}

void Asking::answer(std::string_view result) {
  if (!streams) return exchange->respond({200, {{"Content-Type", "application/json"}}, "{\"format\":1,\"engine\":\"" SABIR_VERSION "\",\"result\":" + std::string(result) + "}"});
  tell("result", result);
  exchange->end();
}

void Asking::refuse(const Error& error) {
  auto response = server->problem(error, who, exchange->request().path);
  const bool late = [&] {
    const std::lock_guard lock(mutex);
    return began;
  }();
  if (!late) return exchange->respond(std::move(response));
  tell("error", response.body);
  exchange->end();
}

void Asking::begin() {
  if (method == "functions.list") return list_functions();
  if (method == "assistants.run") return run_assistant();
  if (method.starts_with("approvals.")) return approvals();
  if (method == "functions.get" || method == "functions.call") {
    const std::string address = text("address");
    // An address that the engine itself answers is no function.
    if (address.starts_with("client/")) return refuse(Error(ErrorCode::kUnknownFunction, "there is no function '" + address + "' here"));
    if (!is_operator) {
      if (auto found = server->find(project::Door::kRest, address); !found) return refuse(found.error());
    }
    exchange->note("function", address);
  }
  if (method.starts_with("completions.") && !reaches("prompts/" + text("name"))) {
    return refuse(Error(ErrorCode::kNotFound, "there is no prompt '" + text("name") + "' here", "GET /prompts lists what there is."));
  }
  if (method == "functions.disable" || method == "functions.enable") {
    // Who says so is the token's to tell.
    object["by"] = who.context.user.empty() ? who.name : who.context.user;
    params = compact_json(object);
  }
  if (method.starts_with("memory.") && !reaches("memory")) return refuse(Error(ErrorCode::kNotFound, "memory is not exposed here"));
  submit();
}

void Asking::submit() {
  runtime::Asked asked;
  asked.method = method;
  if (method == "functions.call") {
    // As a local command sends it: long texts beside the JSON.
    const auto members = protocol::raw_members(params);
    auto arguments = protocol::deflate(std::string(members ? protocol::find_member(*members, "arguments").value_or("{}") : "{}"));
    std::string out = "{\"address\":" + protocol::quote(text("address")) + ",\"arguments\":" + arguments.json;
    if (const auto timeout = protocol::find_member(*members, "timeout_ms")) out += ",\"timeout_ms\":" + std::string(*timeout);
    if (const auto key = protocol::find_member(*members, "idempotency_key")) out += ",\"idempotency_key\":" + std::string(*key);
    if (streams) out += ",\"stream\":true";
    asked.params.json = out + protocol::blob_list(arguments.blobs, "/arguments") + "}";
    asked.params.blobs = std::move(arguments.blobs);
  } else {
    asked.params = protocol::deflate(params);
    if (!asked.params.blobs.empty()) {
      asked.params.json.pop_back();
      asked.params.json += protocol::blob_list(asked.params.blobs, "") + "}";
    }
  }
  asked.caller = "engine";
  asked.context = who.context;
  asked.span = who.span;
  asked.deadline = deadline;
  if (streams) {
    asked.notice = [self = shared_from_this()](std::string_view kind, std::string_view members) {
      if (self->tell(kind, members)) return;
      self->exchange->abort();
      if (self->cancel) self->cancel();
    };
  }
  asked.reply = [self = shared_from_this()](Result<Payload> outcome) {
    self->cancel = nullptr;
    if (!outcome) return self->refuse(outcome.error());
    auto text = protocol::inflate(*outcome);
    if (!text) return self->refuse(text.error());
    self->answer(*text);
  };
  cancel = server->engine().submit(std::move(asked));
  exchange->when_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->cancel) self->cancel();
  });
}

void Asking::list_functions() {
  const auto registry = server->registry();
  const auto now = server->project();
  json::array list;
  for (const auto& function : registry->functions()) {
    if (is_operator || now->exposure.reaches_function(project::Door::kRest, function.language, function.address)) list.push_back(functions::to_json(function));
  }
  json::array missing;
  // What is broken is for those who run it.
  for (const auto& entry : registry->unavailable()) {
    if (is_operator) missing.push_back(to_json(entry.error));
  }
  answer({{"functions", std::move(list)}, {"unavailable", std::move(missing)}});
}

void Asking::elsewhere(std::function<void()> work) {
  const bool taken = server->run([self = shared_from_this(), work = std::move(work)] {
    const trace::Scope scope(self->who.span);
    work();
  });
  if (!taken) refuse(Error(ErrorCode::kBusy, "the server has too much to do"));
}

void Asking::run_assistant() {
  if (!reaches("assistants/" + text("name"))) return refuse(Error(ErrorCode::kNotFound, "there is no assistant '" + text("name") + "' here", "GET /assistants lists what there is."));
  exchange->when_gone([stop = cancelled] { stop->store(true); });
  elsewhere([self = shared_from_this()] {
    runtime::RunEvents events;
    events.may_wait = true;
    const auto send = [self](std::string_view type, const json::object& data) {
      const auto until = std::chrono::steady_clock::now() + kSlowReader;
      while (!self->cancelled->load() && !self->tell(type, compact_json(data))) {
        if (self->exchange->gone() || std::chrono::steady_clock::now() >= until) self->cancelled->store(true);
        else std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    };
    if (self->streams) {
      events.text = [send](std::string_view piece) { send("text", {{"text", piece}}); };
      events.loading = [send](double progress) { send("loading", {{"progress", progress}}); };
      events.calling = [send, self](const std::string& address, const std::string& arguments) { send("calling", {{"address", address}, {"arguments", self->server->redact(arguments)}}); };
      events.called = [send, self](const std::string& address, const std::string& outcome, bool ok) {
        send("called", {{"address", address}, {"outcome", self->server->redact(outcome)}, {"ok", ok}});
      };
    }
    auto out = self->server->engine().run_assistant(self->text("name"), self->text("message"), self->text("conversation"), self->who.context, events, self->cancelled);
    if (!out) return self->refuse(out.error());
    self->answer(*out);
  });
}

void Asking::approvals() {
  elsewhere([self = shared_from_this()] {
    const auto is_true = [&](const char* name) { return self->object.contains(name) && self->object.at(name) == true; };
    if (self->method == "approvals.list") {
      auto list = self->server->approvals_of(self->who, !is_true("all"));
      if (!list) return self->refuse(list.error());
      return self->answer({{"approvals", std::move(*list)}});
    }
    const auto* approve = self->object.if_contains("approve");
    if (!approve || !approve->is_bool()) return self->refuse(Error(ErrorCode::kInvalidArguments, "approvals.decide needs 'approve', true or false"));
    auto done = self->server->decide_as(self->who, self->text("id"), approve->get_bool(), self->text("reason"));
    if (!done) return self->refuse(done.error());
    // What the run answers is for those who asked for it, and for those who may read it in the traces.
    if (auto* run = done->if_contains("run"); run && !self->is_operator) *run = json::object{{"run", string_or(run->as_object(), "run")}};
    self->answer(*done);
  });
}

}  // namespace

void Server::State::add_engine() {
  add("POST", "/engine/requests", "", [this](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    const auto refuse = [&](const Error& error) { exchange->respond(problem(error, who, exchange->request().path)); };
    if (!is_json(exchange->request().header("content-type"))) return exchange->respond(net::problem(415, "a request to the engine is JSON", "Send: Content-Type: application/json"));
    auto body = object_of(exchange->request());
    if (!body) return refuse(body.error());
    const auto* format = body->if_contains("format");
    if (!format || !format->is_int64() || format->get_int64() != kFormat) {
      return refuse(Error(ErrorCode::kProtocol, "this engine (sabir " SABIR_VERSION ") understands requests of format 1", "Use a `sabir` of the engine's version."));
    }
    auto asking = std::make_shared<Asking>();
    asking->method = string_or(*body, "method");
    const auto rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& one) { return one.method == asking->method; });
    if (rule == std::end(kRules)) return refuse(Error(ErrorCode::kNotFound, "this engine answers no request '" + redact(asking->method.substr(0, 100)) + "'", "spec/engine-requests.md lists them; a `sabir` of the engine's version asks for no others."));
    exchange->note("request", asking->method);
    asking->is_operator = who.may(kOperator);
    if (!asking->is_operator && !who.may(rule->scope)) {
      return exchange->respond(refusal(exchange->request(), 403, "the token '" + who.name + "' lacks the scope '" + std::string(rule->scope) + "', which " + asking->method + " needs",
                                       "Where the engine runs: sabir tokens add NAME --scopes " + std::string(rule->scope)));
    }
    const auto members = protocol::raw_members(exchange->request().body);
    const auto given = members ? protocol::find_member(*members, "params") : std::nullopt;
    asking->params = given ? *given : "{}";
    auto params = parse_json(asking->params);
    if (!params || !params->is_object()) return refuse(Error(ErrorCode::kInvalidArguments, "'params' is not an object"));
    asking->object = std::move(params->get_object());
    if (asking->object.contains("blobs")) return refuse(Error(ErrorCode::kInvalidArguments, "'params' has no blobs here: texts stand in their places"));
    asking->deadline = deadline();
    if (const auto* timeout = body->if_contains("timeout_ms"); timeout && timeout->is_int64()) {
      asking->deadline = std::min(asking->deadline, std::chrono::steady_clock::now() + std::chrono::milliseconds(std::clamp<std::int64_t>(timeout->get_int64(), 1, 86'400'000)));
    }
    asking->streams = exchange->request().header("accept").find("text/event-stream") != std::string_view::npos;
    asking->server = shared_from_this();
    asking->exchange = exchange;
    asking->who = who;
    asking->begin();
  });
}

}  // namespace sabir::serve

#include "sabir/serve/server.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <future>
#include <thread>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/net/fiber.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/secrets/scrubber.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

std::string rfc3339_now() {
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

constexpr std::chrono::milliseconds kBetweenLooks{20};
// A kept connection's chance to be told with an answer that the server ends.
constexpr std::chrono::milliseconds kIdleAtEnd{500};
constexpr std::chrono::milliseconds kIdleAtHandover{10'000};

net::HttpLimits limits_of(const project::Serving& serving) {
  net::HttpLimits out;
  out.head_bytes = static_cast<std::size_t>(serving.head_bytes);
  out.body_bytes = serving.body_bytes;
  out.all_bodies = std::max<std::size_t>(out.all_bodies, 4 * serving.body_bytes);
  out.connections = static_cast<std::size_t>(serving.connections);
  return out;
}

std::string title_of(ErrorCode code) {
  std::string title(error_code_name(code));
  std::replace(title.begin(), title.end(), '_', ' ');
  if (!title.empty()) title.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(title.front())));
  return title;
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kProtocol: return 400;
    case ErrorCode::kInvalidArguments:
    case ErrorCode::kTemplate:
    case ErrorCode::kLimit: return 422;
    case ErrorCode::kUnknownFunction:
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kExists:
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kNotGranted:
    case ErrorCode::kApprovalRefused: return 403;
    case ErrorCode::kTimeout: return 504;
    case ErrorCode::kCancelled: return 499;
    case ErrorCode::kBusy:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDisabled:
    case ErrorCode::kLoadFailed:
    case ErrorCode::kBuildFailed: return 503;
    case ErrorCode::kDepthExceeded: return 508;
    case ErrorCode::kModelUnreachable:
    case ErrorCode::kModel: return 502;
    case ErrorCode::kBudget: return 429;
    case ErrorCode::kStorageFull: return 507;
    default: return 500;
  }
}

net::ServerResponse json_response(const json::value& value, int status) {
  return {status, {{"Content-Type", "application/json"}}, compact_json(value)};
}

Result<json::object> object_of(const net::ServerRequest& request) {
  if (request.body.empty()) return json::object();
  auto value = parse_json(request.body);
  if (!value) return fail(ErrorCode::kProtocol, "the body is not JSON: " + value.error().message);
  if (!value->is_object()) return fail(ErrorCode::kInvalidArguments, "the body must be a JSON object");
  return std::move(value->get_object());
}

Server::State::State(runtime::Engine& e, project::Serving s, ServerOptions o)
    : engine_(e), serving(std::move(s)), options(std::move(o)), redactor(e.redactor()), tokens(e.project().state_dir()) {
  if (serving.jwt) jwt = std::make_shared<Jwt>(*serving.jwt, e.project().root);
  if (options.access) access = std::make_unique<AccessLog>(options.access);
  auto opened = Answers::open(e.project().state_dir(), serving.keep_answers);
  if (opened) answers = std::move(*opened);
  else answers_error = std::move(opened.error());
}

Server::State::~State() = default;

bool Server::State::run_on_loop(std::function<void()> work) {
  if (closed) return false;
  {
    const std::lock_guard lock(fibers_mutex);
    ++fibers;
  }
  const auto ended = [this] {
    const std::lock_guard lock(fibers_mutex);
    --fibers;
    fiber_ended.notify_all();
  };
  const bool taken = net::Fiber::start(engine_.loop(), [work = std::move(work), ended]() mutable {
    work();
    work = nullptr;
    ended();
  });
  if (!taken) ended();
  return taken;
}

void Server::State::add(std::string_view method, std::string_view pattern, std::string_view scope, Handler handler) {
  router.add(method, pattern, [this, scope = std::string(scope), pattern = std::string(pattern), handler = std::move(handler)](std::shared_ptr<net::Exchange> exchange) {
    exchange->note("route", pattern);
    let_in(scope, handler, std::move(exchange), false);
  });
}

Result<std::pair<const functions::Function*, std::shared_ptr<const functions::Registry>>> Server::State::find(project::Door door, const std::string& address) {
  auto all = registry();
  const auto found = all->find(address);
  const auto now = project();
  if (found && now->exposure.reaches_function(door, (*found)->language, (*found)->address)) return std::pair(*found, std::move(all));
  // Whoever may not reach a function does not learn whether it is there, nor what others are called.
  if (!found && now->exposure.everything) return fail(found.error());
  return fail(ErrorCode::kUnknownFunction, "there is no function '" + address + "' here", "GET /functions lists what there is.");
}

std::string Server::State::redact(std::string_view text) { return redactor->redact(text); }

net::ServerResponse Server::State::problem(const Error& error, const Identity& who, std::string_view instance) {
  const int status = status_of(error.code);
  json::object body{{"type", "urn:sabir:error:" + std::string(error_code_name(error.code))}, {"title", title_of(error.code)}, {"status", status},
                    {"detail", error.message}, {"instance", instance}};
  if (!error.hint.empty()) body["hint"] = error.hint;
  if (!who.context.run.empty()) body["run"] = who.context.run;
  const bool mine = project()->environment == "development";
  if (!error.data.empty()) {
    auto data = parse_json(error.data);
    if (data && data->is_object()) {
      // What a function's own error carries is for those who develop it.
      if (mine) body["data"] = *data;
      else if (const auto* violations = data->get_object().if_contains("violations")) body["data"] = {{"violations", *violations}};
    }
  }
  if (mine && !error.file.empty()) {
    body["file"] = error.file;
    if (error.line > 0) body["line"] = error.line;
  }
  json::value value(std::move(body));
  secrets::Scrubber(redactor).value(value);
  net::ServerResponse response{status, {{"Content-Type", "application/problem+json"}}, compact_json(value)};
  if (error.code == ErrorCode::kBusy) response.headers.emplace_back("Retry-After", "1");
  return response;
}

net::ServerResponse Server::State::refusal(const net::ServerRequest& request, int status, std::string_view detail, std::string_view hint) {
  for (const auto& [prefix, form] : refusal_forms) {
    if (request.path.starts_with(prefix)) return form(status, detail, hint);
  }
  return net::problem(status, detail, hint);
}

void Server::State::finished(const net::HttpFinished& one) {
  if (const auto counted = entered.find(&one.request); counted != entered.end()) {
    limits.leave(counted->second);
    entered.erase(counted);
  }
  std::string_view route = "-";
  std::string_view function;
  for (const auto& [name, value] : one.notes) {
    if (name == "route") route = value;
    if (name == "function") function = value;
  }
  static constexpr std::array kMethods = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};
  const bool known = std::find(kMethods.begin(), kMethods.end(), one.request.method) != kMethods.end();
  const int status = one.gone && one.status == 0 ? 499 : one.status;
  metrics.count(known ? std::string_view(one.request.method) : "other", route, function, status, one.took);
  if (!access) return;
  std::string line = "{\"event\":\"request\",\"time\":\"" + rfc3339_now() + "\",\"method\":" + protocol::quote(one.request.method) + ",\"path\":" +
                     protocol::quote(redact(one.request.path)) + ",\"status\":" + std::to_string(status) + ",\"bytes\":" + std::to_string(one.bytes);
  char took[40];
  std::snprintf(took, sizeof took, ",\"ms\":%.3f", std::chrono::duration<double, std::milli>(one.took).count());
  line += took;
  line += ",\"peer\":" + protocol::quote(one.request.peer);
  if (one.gone) line += ",\"gone\":true";
  for (const auto& [name, value] : one.notes) line += "," + protocol::quote(name) + ":" + protocol::quote(redact(value));
  access->write(line + "}");
}

net::ServerResponse Server::State::readiness() {
  // Who asks on a connection that was kept over a handover asks for the service, not for this process.
  const bool is_ready = ready && (!draining || handed_over);
  json::object body{{"status", is_ready ? "ready" : draining ? "draining" : "starting"}};
  json::array languages;
  {
    const std::lock_guard lock(readiness_mutex);
    for (const auto& line : prepared) {
      json::object one{{"language", line.at("language")}, {"ok", line.at("ok")}};
      if (const auto* sandbox = line.if_contains("sandbox")) one["sandbox"] = *sandbox;
      // Anyone may ask this, and what a compiler says is for those who develop.
      if (development() && !line.at("ok").as_bool()) one["message"] = redact(string_or(line, "message"));
      languages.push_back(std::move(one));
    }
  }
  if (!languages.empty()) body["languages"] = std::move(languages);
  // It goes on with what was good before, so it is ready all the same.
  if (const auto problems = engine_.configuration_problems(); !problems.empty()) {
    json::object configuration{{"ok", false}, {"message", "a file that was saved since cannot be read; what was read before holds"}};
    if (development()) {
      json::array all;
      for (const auto& problem : problems) all.push_back(json::value(redact(to_text(problem))));
      configuration["problems"] = std::move(all);
    }
    body["configuration"] = std::move(configuration);
  }
  return json_response(std::move(body), is_ready ? 200 : 503);
}

void Server::State::await_workers(std::chrono::steady_clock::time_point deadline) {
  while (!closed && std::chrono::steady_clock::now() < deadline) {
    const auto pools = engine_.stats();
    if (std::none_of(pools.begin(), pools.end(), [](const auto& pool) { return pool.second.starting > 0; })) return;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void Server::State::add_operations() {
  add("GET", "/healthz", "public", [](const std::shared_ptr<net::Exchange>& exchange, const Identity&) { exchange->respond(json_response({{"status", "ok"}})); });
  add("GET", "/readyz", "public", [this](const std::shared_ptr<net::Exchange>& exchange, const Identity&) { exchange->respond(readiness()); });
  add("GET", "/metrics", "admin", [this](std::shared_ptr<net::Exchange> exchange, const Identity&) {
    // The engine is asked on its loop, and waited for elsewhere.
    const bool taken = elsewhere([self = shared_from_this(), exchange] {
      exchange->respond({200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, self->metrics.text(self->http->counts(), self->engine_.stats())});
    });
    if (!taken) exchange->respond(net::problem(503, "the server has too much to do"));
  });
  router.otherwise([this](const std::shared_ptr<net::Exchange>& exchange) {
    const auto& request = exchange->request();
    const auto match = router_now->find(request.method, request.path);
    if (request.method == "OPTIONS" && !match.allowed.empty()) {
      net::ServerResponse response{204, {{"Allow", match.allowed + ", OPTIONS"}}, ""};
      if (!request.header("origin").empty() && !serving.origins.empty()) {
        response.headers.emplace_back("Access-Control-Allow-Methods", match.allowed);
        response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Traceparent, X-Sabir-Conversation, X-Sabir-Run-Id, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID");
        response.headers.emplace_back("Access-Control-Max-Age", "600");
      }
      return exchange->respond(std::move(response));
    }
    if (match.allowed.empty()) return exchange->respond(refusal(request, 404, "there is nothing at this path", "GET /openapi.json says what there is."));
    auto response = refusal(request, 405, "this path knows " + match.allowed + " alone", "");
    response.headers.emplace_back("Allow", match.allowed);
    exchange->respond(std::move(response));
  });
}

Result<std::unique_ptr<Server>> Server::open(runtime::Engine& engine, project::Serving serving, ServerOptions options) {
  auto state = std::make_shared<State>(engine, std::move(serving), std::move(options));
  State& s = *state;
  if (auto read = s.tokens.reload(); !read) return fail(std::move(read.error()));
  if (s.jwt) {
    if (auto read = s.jwt->refresh(); !read) return fail(std::move(read.error()));
  }
  const auto& root = engine.project().root;
  net::HttpServerOptions http;
  http.listen.host = s.serving.host;
  http.listen.port = s.serving.port;
  if (!s.serving.socket.empty()) http.listen.unix_path = (root / s.serving.socket).string();
  http.listen.descriptor = s.options.descriptor;
  http.listen.owns_path = s.options.taken_over;
  http.accept_later = s.options.accept_later;
  // What others on the network can reach has to know who asks. A socket that a service manager gives may be anything.
  const bool near = s.options.taken_over ? net::is_local_socket(s.options.descriptor) : s.options.descriptor < 0 && (!s.serving.socket.empty() || project::is_loopback_host(s.serving.host));
  if (!near && !s.asks_who()) {
    return fail(ErrorCode::kConfig, s.options.descriptor >= 0 ? "the inherited socket may be reached by others, and nobody has to prove who they are"
                                                              : "at " + s.serving.host + " others can reach this server, and nobody has to prove who they are",
                "Make a token: sabir tokens add NAME --scopes functions --env " + engine.project().environment + "; or name an issuer in serve.jwt of sabir.yml; or serve 127.0.0.1 alone.");
  }
  http.limits = limits_of(s.serving);
  http.hosts = s.serving.hosts;
  http.origins = s.serving.origins;
  if (!s.serving.certificate.empty()) {
    http.certificate = (root / s.serving.certificate).string();
    http.key = (root / s.serving.key).string();
  }
  // These outlive neither the HTTP server nor this.
  http.finished = [&s](const net::HttpFinished& one) { s.finished(one); };
  http.decorate = [&s](const net::ServerRequest& request, net::ServerResponse& response) {
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    const auto origin = request.header("origin");
    if (origin.empty() || s.serving.origins.empty()) return;
    const auto& allowed = s.serving.origins;
    if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) {
      response.headers.emplace_back("Access-Control-Allow-Origin", "*");
    } else if (std::find(allowed.begin(), allowed.end(), origin) != allowed.end()) {
      response.headers.emplace_back("Access-Control-Allow-Origin", origin);
      response.headers.emplace_back("Vary", "Origin");
    } else {
      return;
    }
    response.headers.emplace_back("Access-Control-Expose-Headers", "X-Sabir-Run-Id, Mcp-Session-Id");
  };
  s.add_operations();
  s.add_functions();
  s.add_rest();
  s.add_runs();
  s.add_engine();
  s.add_documents();
  s.add_discovery();
  for (const auto& plug : s.options.plugs) plug(s);
  s.router_now = std::make_shared<const net::Router>(s.router);
  auto opened = net::HttpServer::open(engine.loop(), std::move(http), std::move(s.router));
  if (!opened) return fail(std::move(opened.error()));
  s.http = std::move(*opened);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  const auto on_loop = [this](const std::function<void()>& task) {
    std::promise<void> done;
    state_->engine_.loop().post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  };
  // What runs elsewhere uses the rest, and ends first.
  on_loop([this] {
    state_->closed = true;
    for (const auto& task : state_->closers) task();
  });
  {
    std::unique_lock lock(state_->fibers_mutex);
    state_->fiber_ended.wait(lock, [this] { return state_->fibers == 0; });
  }
  state_->runs.reset();
  state_->jobs.reset();
  on_loop([this] { state_->http.reset(); });
}

const std::string& Server::address() const { return state_->http->address(); }
bool Server::asks_who() const { return state_->asks_who(); }

Result<std::vector<std::string>> Server::reload() {
  auto& s = *state_;
  const auto& project = s.engine_.project();
  if (auto read = s.tokens.reload(); !read) return fail(std::move(read.error()));
  auto loaded = project::load(project.root, project.environment);
  if (!loaded) return fail(std::move(loaded.error()));
  auto next = std::move(loaded->serving);
  std::shared_ptr<Jwt> issuer;
  if (next.jwt) {
    issuer = std::make_shared<Jwt>(*next.jwt, project.root);
    if (auto read = issuer->refresh(); !read) return fail(std::move(read.error()));
  }
  if (auto renewed = s.http->renew_certificate(); !renewed) return fail(std::move(renewed.error()));
  std::vector<std::string> kept;
  const auto& opened = project.serving;
  for (const auto& [name, changed] : {std::pair("host", next.host != opened.host), std::pair("port", next.port != opened.port), std::pair("socket", next.socket != opened.socket),
                                      std::pair("tls", next.certificate != opened.certificate || next.key != opened.key), std::pair("limits.keep_answers", next.keep_answers != opened.keep_answers)}) {
    if (changed) kept.emplace_back(name);
  }
  std::promise<void> done;
  s.engine_.loop().post([&] {
    // Where it listens is as it was.
    next.host = s.serving.host;
    next.port = s.serving.port;
    next.socket = s.serving.socket;
    next.certificate = s.serving.certificate;
    next.key = s.serving.key;
    s.serving = std::move(next);
    s.jwt = issuer;
    s.http->change(limits_of(s.serving), s.serving.hosts, s.serving.origins);
    done.set_value();
  });
  done.get_future().wait();
  return kept;
}

int Server::descriptor() const { return state_->http->descriptor(); }

void Server::accept() { state_->http->accept(); }

void Server::prepare(std::function<void(std::vector<json::object>)> done) {
  const auto deadline = std::chrono::steady_clock::now() + state_->serving.start;
  struct Once {
    std::atomic<bool> told{false};
    std::function<void(std::vector<json::object>)> done;
  };
  auto once = std::make_shared<Once>();
  once->done = std::move(done);
  const auto tell = [s = state_.get(), once](std::vector<json::object> report) {
    if (once->told.exchange(true)) return;
    std::vector<json::object> failed;
    for (const auto& line : report) {
      if (!line.at("ok").as_bool()) failed.push_back(line);
    }
    {
      const std::lock_guard lock(s->readiness_mutex);
      s->prepared = std::move(report);
    }
    s->ready = true;
    once->done(std::move(failed));
  };
  state_->engine_.prepare([weak = state_->weak_from_this(), tell, deadline](std::vector<json::object> report) {
    const auto s = weak.lock();
    if (!s) return;
    s->run([raw = s.get(), tell, deadline, report = std::move(report)] {
      raw->await_workers(deadline);
      if (!raw->closed) tell(report);
    });
  });
  state_->engine_.loop().post([weak = state_->weak_from_this(), once, tell] {
    const auto server = weak.lock();
    if (!server) return;
    server->engine_.loop().after(server->serving.start, [weak, once, tell] {
      const auto s = weak.lock();
      if (!s || once->told) return;
      s->run([tell] { tell({json::object{{"language", "*"}, {"ok", false}, {"message", "languages are still being built or started; they are served as they come"}}}); });
    });
  });
}

void Server::drain(Why why, std::function<void()> done) {
  const bool handed_over = why == Why::kHandover;
  if (handed_over) {
    state_->handed_over = true;
    state_->http->hand_over();
  }
  state_->draining = true;
  state_->engine_.loop().post([s = state_] {
    for (const auto& task : s->drains) task();
  });
  // Half of the time at most, so that the rest is left for what comes in it.
  state_->http->drain(state_->serving.drain, handed_over ? std::min(kIdleAtHandover, state_->serving.drain / 2) : kIdleAtEnd, std::move(done));
}

}  // namespace sabir::serve

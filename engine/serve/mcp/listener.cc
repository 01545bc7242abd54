#include <chrono>
#include <future>

#include "http.h"
#include "sabir/base/log.h"
#include "sabir/net/http_server.h"
#include "sabir/serve/mcp.h"

namespace sabir::serve {
namespace {

constexpr std::chrono::seconds kDrain{2};

// Runs on the engine's loop, and waits for it.
void on_loop(runtime::Engine& engine, const std::function<void()>& task) {
  std::promise<void> done;
  engine.loop().post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace

struct McpListener::State {
  State(runtime::Engine& e, CallContext c) : engine(e), context(std::move(c)) {}
  runtime::Engine& engine;
  const CallContext context;
  std::unique_ptr<McpHttp> mcp;
  std::unique_ptr<net::HttpServer> server;
};

McpListener::McpListener(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<McpListener>> McpListener::open(runtime::Engine& engine, int port, const CallContext& context) {
  if (auto watching = engine.watch(); !watching) log(LogLevel::kWarning, to_text(watching.error()));
  auto state = std::make_unique<State>(engine, context);
  on_loop(engine, [&] { state->mcp = std::make_unique<McpHttp>(engine, McpHttpOptions{}); });
  net::HttpServerOptions options;
  options.listen.port = port;
  options.limits.body_bytes = mcp::kMostMessage;
  net::Router router;
  for (const char* method : {"POST", "GET", "DELETE"}) {
    router.add(method, "/mcp", [raw = state.get()](const std::shared_ptr<net::Exchange>& exchange) { raw->mcp->handle(exchange, raw->context, "anonymous"); });
  }
  auto server = net::HttpServer::open(engine.loop(), std::move(options), std::move(router));
  if (!server) {
    on_loop(engine, [&] { state->mcp.reset(); });
    return fail(std::move(server.error()));
  }
  state->server = std::move(*server);
  return std::unique_ptr<McpListener>(new McpListener(std::move(state)));
}

McpListener::~McpListener() {
  auto drained = std::make_shared<std::promise<void>>();
  on_loop(state_->engine, [this] { state_->mcp->shut_down(); });
  state_->server->drain(kDrain, std::chrono::milliseconds(500), [drained] { drained->set_value(); });
  drained->get_future().wait_for(kDrain + std::chrono::seconds(1));
  on_loop(state_->engine, [this] {
    state_->server.reset();
    state_->mcp.reset();
  });
  on_loop(state_->engine, [] {});  // what was still to be let go of
}

void plug_mcp(App& app) {
  auto& engine = app.engine();
  std::shared_ptr<McpHttp> mcp;
  on_loop(engine, [&] {
    McpHttpOptions options;
    options.is_open = false;
    // Whoever lets go of it last may be on another thread.
    mcp = std::shared_ptr<McpHttp>(new McpHttp(engine, options), [&loop = engine.loop()](McpHttp* gone) { loop.post([gone] { delete gone; }); });
  });
  for (const char* method : {"POST", "GET", "DELETE"}) {
    app.add(method, "/mcp", "mcp", [mcp](const std::shared_ptr<net::Exchange>& exchange, const Identity& who) { mcp->handle(exchange, who.context, who.name); });
  }
  app.when_draining([mcp] { mcp->drain(); });
}

std::string McpListener::address() const { return state_->server->address() + "/mcp"; }

}  // namespace sabir::serve

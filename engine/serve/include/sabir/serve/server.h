// Server: a project's engine behind HTTP. REST and what belongs to running a service are here; other protocols are plugged in.
//
// Threads: any. Lifetimes: the engine outlives it; the destructor waits for work of its own elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/runtime/engine.h"
#include "sabir/serve/app.h"

namespace sabir::serve {

struct ServerOptions {
  int descriptor = -1;                                  // listens already; before what the project says
  std::function<void(std::string_view line)> access;    // one JSON text for each request that has ended; on a thread of the server's
  std::vector<std::function<void(App&)>> plugs;         // other protocols: each adds its routes
};

// Where and how the project is served: sabir.yml's `serve`, after whatever the command line says.
class Server {
 public:
  // Errors: kConfig (not the loopback, and nobody has to prove who they are; the hint says how), those of net::HttpServer::open.
  static Result<std::unique_ptr<Server>> open(runtime::Engine& engine, project::Serving serving, ServerOptions options);
  ~Server();

  const std::string& address() const;
  bool asks_who() const;                                // callers have to prove who they are
  // Reads certificate, tokens and the issuer's keys again.
  Result<void> reload();
  // Not ready from now on, then as net::HttpServer::drain().
  void drain(std::function<void()> done);

  struct State;

 private:
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// The OpenAPI 3.1 document of what the project offers over REST to those who may `see` it. Any thread.
json::object openapi(const project::Project& project, const functions::Registry& registry, const std::string& address, bool asks_who);

}  // namespace sabir::serve

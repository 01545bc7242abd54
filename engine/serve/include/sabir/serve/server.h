// Server: a project's engine behind HTTP. REST and what belongs to running a service are here; other protocols are plugged in.
//
// Threads: any. Lifetimes: the engine outlives it; the destructor waits for work of its own elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/runtime/engine.h"
#include "sabir/serve/app.h"

namespace sabir::serve {

struct ServerOptions {
  int descriptor = -1;                                  // listens already; before what the project says
  bool taken_over = false;                              // from a server of this user's: where it listens is as it was
  bool accept_later = false;                            // takes no connections before accept()
  // Of each request that has ended one line of JSON; on a thread of the server's. It returns soon once `ending` has come.
  std::function<void(std::string_view lines, const std::stop_token& ending)> access;
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
  // Reads certificate, tokens, and sabir.yml's `serve` with the issuer's keys again. Limits, hosts, origins, issuer and proxy are as that
  // says from the next request on; gives the keys that changed and which need another process. Nothing changes with an error. Not on the loop.
  Result<std::vector<std::string>> reload();
  int descriptor() const;                               // the listening socket, for a Handover
  // Builds what has to be built and starts the workers that are kept up; then, or after serve.limits.start, it is ready and `done` is
  // told what of it failed, a line each as Engine::prepare() has it. What fails holds nothing else back. `done` comes on a thread of the
  // server's, and never once the server ends.
  void prepare(std::function<void(std::vector<json::object> failed)> done);
  void accept();                                        // after ServerOptions::accept_later
  enum class Why {
    kEnd,                                               // not ready from now on
    kHandover,                                          // another process takes connections: kept ones get a while to be told so
  };
  // As net::HttpServer::drain().
  void drain(Why why, std::function<void()> done);

  struct State;

 private:
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// The OpenAPI 3.1 document of what the project offers over REST to those who may `see` it. Any thread.
json::object openapi(const project::Project& project, const functions::Registry& registry, const std::string& address, bool asks_who);

}  // namespace sabir::serve

// What `sabir serve` and `sabir dev` share, and serve_project(): a project behind HTTP until whoever watches it ends that.
//
// Threads: the main thread; a face's methods say theirs.
#pragma once

#include <signal.h>

#include <future>
#include <initializer_list>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "sabir/runtime/engine.h"
#include "sabir/serve/server.h"

namespace sabir::cli {

struct ServeOptions {
  std::string host;
  std::optional<int> port;
  std::string socket;
  bool no_access_log = false;
  bool takeover = false;   // from the running server of this project; of `sabir serve` alone
  std::string takeover_from;
  bool near = false;       // this machine alone, unless `host` or `socket` is given; where the port is taken, one of the next
};

// Options that both commands have.
void add_serve_options(Command& command, ServeOptions& options);

class Face {
 public:
  virtual ~Face() = default;
  // What it hears of; each empty where it does not. On the loop, but `access`: on a thread of the server's.
  EngineHooks hooks;
  std::function<void(std::string_view lines, const std::stop_token& ending)> access;
  // The main thread, in this order.
  virtual void ready(runtime::Engine& engine, const serve::Server& server) = 0;
  virtual void prepared(const json::object& line) = 0;  // the loop's: what of Engine::prepare() did not go well
  virtual void say(const std::string& text) = 0;
  // Until it is time to end. `reload` reads everything again.
  virtual void wait(const std::function<void()>& reload) = 0;
  // Until what runs is answered; false: somebody does not want to wait.
  virtual bool drain(std::future<void>& done) = 0;
  virtual void stopped() = 0;
};

// Tells the service manager, where there is one (sd_notify's protocol).
void notify_manager(std::string_view state);
void raise_open_files();
// Where and how, as sabir.yml and the command line say.
project::Serving serving_of(const runtime::Engine& engine, const ServeOptions& asked);
// With every protocol, and the socket that the service manager has passed on, if any.
serve::ServerOptions server_options(const std::vector<int>& inherited);

// SIGINT, SIGTERM and SIGHUP are blocked by then: see block_serve_signals().
void serve_project(Globals& globals, const ServeOptions& asked, Face& face);
// Before any thread starts; gives what is blocked.
sigset_t block_serve_signals(std::initializer_list<int> others = {});

}  // namespace sabir::cli

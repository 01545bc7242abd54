// MCP: a project's functions, prompts, prompt parts and memory for clients of the Model Context Protocol, over a process's own
// input and output or over HTTP.
//
// Threads: see each. Lifetimes: the engine outlives what is made of it.
#pragma once

#include <memory>
#include <string>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/runtime/engine.h"
#include "sabir/serve/app.h"

namespace sabir::serve {

struct StdioOptions {
  int in = 0;
  int out = 1;
  int stop = -1;  // a descriptor that becomes readable when it is time to end; -1 = none
  CallContext context;  // who calls
};

// Serves one client, a message a line, until its input ends or `stop` says so; what runs then has a while to be answered. Blocks, on a
// thread that is not the engine's. Errors: kIo, kLimit for a client that sends too much in one line or does not read.
Result<void> serve_mcp_stdio(runtime::Engine& engine, const StdioOptions& options);

// The same over HTTP at /mcp, for this machine alone and without asking who calls: for trying clients out. `sabir serve` is for others.
//
// Threads: any but the engine's loop.
class McpListener {
 public:
  // `port` 0 = any free one. Errors: those of net::HttpServer::open().
  static Result<std::unique_ptr<McpListener>> open(runtime::Engine& engine, int port, const CallContext& context);
  ~McpListener();
  std::string address() const;  // "http://127.0.0.1:8080/mcp"

 private:
  struct State;
  explicit McpListener(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The same at /mcp of a Server, for callers with the scope `mcp`: one of ServerOptions::plugs. Not on the engine's loop.
void plug_mcp(App& app);

}  // namespace sabir::serve

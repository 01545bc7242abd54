// MCP: a project's functions, prompts, prompt parts and memory for clients of the Model Context Protocol, over a process's own
// input and output.
//
// Threads: see each. Lifetimes: the engine outlives what is made of it.
#pragma once

#include <string>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/runtime/engine.h"

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

}  // namespace sabir::serve

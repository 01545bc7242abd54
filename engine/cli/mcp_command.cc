// sabir mcp: the project for one client of the Model Context Protocol over standard input and output, or for those of this machine over HTTP.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <memory>

#include "command.h"
#include "sabir/serve/mcp.h"

namespace sabir::cli {
namespace {

void listen(Globals& globals, int port, const sigset_t& signals) {
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  auto listener = serve::McpListener::open(**engine, port, globals.session.context);
  if (!listener) return fail_with(globals, listener.error());
  if (globals.json) print_json({{"event", "ready"}, {"address", (*listener)->address()}});
  else print((*listener)->address() + "  (Ctrl-C stops it)");
  int got = 0;
  ::sigwait(&signals, &got);
  listener->reset();
}

void speak(Globals& globals, int port) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (port >= 0) return listen(globals, port, signals);
  // Standard output is the protocol's alone: whatever else writes there, in this process or one that inherits it, is a log line.
  const int out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return fail_with(globals, Error(ErrorCode::kIo, "standard output and standard error must be open"));
  }
  auto engine = open_engine(globals.session);
  if (!engine) {
    ::dup2(out, STDOUT_FILENO);
    globals.json = false;  // the client reads no report there
    return fail_with(globals, engine.error());
  }
  const int stop = ::signalfd(-1, &signals, SFD_CLOEXEC);
  serve::StdioOptions options;
  options.out = out;
  options.stop = stop;
  options.context = globals.session.context;
  const auto served = serve::serve_mcp_stdio(**engine, options);
  engine->reset();
  ::close(stop);
  if (served) return;
  globals.json = false;
  fail_with(globals, served.error());
}

}  // namespace

void add_mcp_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("mcp", "Serve the project's functions, prompts and memory to an MCP client over standard input and output.");
  add_common(*command, globals);
  auto port = std::make_shared<int>(-1);
  command->add_option("--port", *port, "serve clients of this machine at http://127.0.0.1:PORT/mcp instead; 0 takes any free port").between(0, 65535);
  auto taken = std::make_shared<bool>(false);
  add_mcp_server_commands(*command, globals, taken);
  command->callback([&globals, port, taken] {
    if (!*taken) speak(globals, *port);
  });
}

}  // namespace sabir::cli

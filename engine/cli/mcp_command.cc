// sabir mcp: the project for one client of the Model Context Protocol, over standard input and output.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "sabir/serve/mcp.h"

namespace sabir::cli {
namespace {

void speak(Globals& globals) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
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
  command->callback([&globals] { speak(globals); });
}

}  // namespace sabir::cli

#include "serving.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "sabir/base/text.h"
#include "sabir/serve/mcp.h"
#include "sabir/serve/openai.h"

namespace sabir::cli {
namespace {
constexpr int kMorePorts = 20;
}

// Tells the service manager, where there is one (sd_notify's protocol).
void notify_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(fd);
}

void raise_open_files() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

sigset_t block_serve_signals(std::initializer_list<int> others) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  for (const int s : others) sigaddset(&signals, s);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

project::Serving serving_of(const runtime::Engine& engine, const ServeOptions& asked) {
  auto serving = engine.project().serving;
  if (!asked.host.empty() || asked.port || asked.near) serving.socket.clear();
  if (asked.near) serving.host = "127.0.0.1";
  if (!asked.host.empty()) serving.host = asked.host;
  if (asked.port) serving.port = *asked.port;
  if (!asked.socket.empty()) serving.socket = std::filesystem::absolute(asked.socket).string();
  return serving;
}

serve::ServerOptions server_options(const std::vector<int>& inherited) {
  serve::ServerOptions options;
  options.plugs.emplace_back(serve::plug_mcp);
  options.plugs.emplace_back(serve::plug_openai);
  if (!inherited.empty()) options.descriptor = inherited.front();
  return options;
}

void serve_project(Globals& globals, const ServeOptions& asked, Face& face) {
  raise_open_files();
  const auto inherited = net::inherited_sockets();
  auto engine = open_engine(globals.session, face.hooks);
  if (!engine) return fail_with(globals, engine.error());
  if (auto listening = (*engine)->listen(); !listening) {
    if (listening.error().code != ErrorCode::kExists) return fail_with(globals, listening.error());
    // As when a new version takes over from an old one: commands and SDKs stay with that until it ends.
    const bool watches = asked.near && (*engine)->watch();
    face.say(std::string("another engine of this project runs: commands join that one") + (watches ? "" : ", and saved files are read again here at SIGHUP alone"));
  }
  auto serving = serving_of(**engine, asked);
  const auto open = [&] {
    auto options = server_options(inherited);
    options.access = face.access;
    return serve::Server::open(**engine, serving, std::move(options));
  };
  auto server = open();
  for (int more = 0; !server && server.error().code == ErrorCode::kExists && asked.near && !asked.port && more < kMorePorts; ++more) {
    face.say("port " + std::to_string(serving.port) + " is in use: trying the next");
    ++serving.port;
    server = open();
  }
  if (!server) return fail_with(globals, server.error());
  face.ready(**engine, **server);
  notify_manager("READY=1");
  (*server)->prepare([&face](const std::vector<json::object>& failed) {
    for (const auto& line : failed) face.prepared(line);
  });
  face.wait([&] {
    notify_manager("RELOADING=1");
    auto again = (*server)->reload();
    if (!again) face.say("sabir: " + to_text(again.error()) + "\n  What was there before is kept.");
    else if (!again->empty()) face.say("sabir: " + join(*again, ", ") + " of sabir.yml's serve changed, which holds from the next start on");
    (*engine)->reload();
    notify_manager("READY=1");
  });
  notify_manager("STOPPING=1");
  // The promise may still be kept while the server is taken down.
  std::promise<void> drained;
  auto done = drained.get_future();
  (*server)->drain(serve::Server::Why::kEnd, [&drained] { drained.set_value(); });
  const bool waited = face.drain(done);
  server->reset();
  engine->reset();
  if (waited) face.stopped();
}

void add_serve_options(Command& command, ServeOptions& options) {
  command.add_option("--host", options.host, options.near ? "address to listen at; 127.0.0.1" : "address to listen at; sabir.yml's serve.host, else 127.0.0.1");
  command.add_option("--port", options.port, "port; 0 takes any free one; sabir.yml's serve.port, else 8080").between(0, 65535);
  command.add_option("--socket", options.socket, "path of a Unix socket, instead of host and port");
  command.add_flag("--no-access-log", options.no_access_log, "write no line for each request to standard error");
}

}  // namespace sabir::cli

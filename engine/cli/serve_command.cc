// sabir serve, sabir tokens add | list | revoke.
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <future>
#include <iostream>
#include <thread>

#include "command.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/serve/mcp.h"
#include "sabir/serve/openai.h"
#include "sabir/serve/server.h"
#include "sabir/serve/tokens.h"
#include "serving.h"

namespace sabir::cli {
namespace {

constexpr int kMorePorts = 20;

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

void show_reload(const runtime::ReloadReport& report) {
  for (const auto& problem : report.problems) note(to_text(problem) + "\n  What worked before keeps serving.");
  if (report.configuration && report.problems.empty()) note("reloaded " + join(report.paths, ", "));
  if (!report.languages.empty()) note("reloaded " + join(report.languages, ", ") + " (" + std::to_string(report.took.count()) + " ms)");
}

// Lines: what `sabir serve` says, and signals.
class Lines final : public Face {
 public:
  Lines(Globals& globals, const ServeOptions& asked, const sigset_t& signals) : globals_(globals), signals_(signals) {
    hooks.reloaded = show_reload;
    if (asked.no_access_log) return;
    access = [](std::string_view lines) {
      const std::string text = std::string(lines) + "\n";
      std::string_view rest = text;
      while (!rest.empty()) {
        const auto n = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (n < 0 && errno != EINTR) return;
        rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
      }
    };
  }

  void ready(runtime::Engine& engine, const serve::Server& server) override {
    const auto& project = engine.project();
    const auto registry = engine.registry();
    std::size_t reached = 0;
    for (const auto& function : registry->functions()) reached += project.exposure.reaches_function(project::Door::kRest, function.language, function.address) ? 1U : 0U;
    if (globals_.json) {
      print_json({{"event", "ready"}, {"address", server.address()}, {"pid", ::getpid()}, {"project", project.root.string()}, {"environment", project.environment}, {"functions", reached},
                  {"asks_who", server.asks_who()}});
    } else {
      print(server.address() + " serves " + project.name + " (" + project.environment + "): " + std::to_string(reached) + " functions" +
            (server.asks_who() ? "; callers need a token" : "") + ". Its documentation: " + server.address() + "/docs. Ctrl-C stops it.");
      for (const auto& missing : registry->unavailable()) note(to_text(missing.error));
    }
    std::cout.flush();
  }
  void prepared(const json::object& line) override { note("sabir: " + std::string(string_or(line, "message"))); }
  void say(const std::string& text) override { note(text); }
  void wait(const std::function<void()>& reload) override {
    for (int got = 0; ::sigwait(&signals_, &got) == 0 && got == SIGHUP;) reload();
  }
  bool drain(std::future<void>& done) override {
    while (done.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      const timespec none{};
      if (const int again = ::sigtimedwait(&signals_, nullptr, &none); again == SIGINT || again == SIGTERM) return false;
    }
    return true;
  }
  void stopped() override {
    if (!globals_.json) print("stopped");
  }

 private:
  Globals& globals_;
  const sigset_t signals_;
};

struct TokenOptions {
  std::string name;
  std::vector<std::string> scopes;
  std::string expires;
};

Result<std::unique_ptr<serve::Tokens>> open_tokens(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  // Refuses what cannot name an environment.
  auto loaded = project::load(*root, globals.session.environment);
  if (!loaded) return fail(std::move(loaded.error()));
  return std::make_unique<serve::Tokens>(loaded->state_dir());
}

std::string day(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[20];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

void add_token(Globals& globals, const TokenOptions& asked) {
  auto tokens = open_tokens(globals);
  if (!tokens) return fail_with(globals, tokens.error());
  serve::Token token;
  token.name = asked.name;
  for (const auto& words : asked.scopes) {
    for (std::size_t at = 0; at <= words.size();) {
      const std::size_t end = std::min(words.find(',', at), words.size());
      if (end > at) token.scopes.push_back(words.substr(at, end - at));
      at = end + 1;
    }
  }
  token.user = globals.session.context.user;
  token.tenant = globals.session.context.tenant;
  if (!asked.expires.empty()) {
    const auto ms = [&]() -> std::optional<std::int64_t> {
      if (asked.expires.ends_with('d') && asked.expires.size() < 6 && asked.expires.find_first_not_of("0123456789") == asked.expires.size() - 1) {
        return std::strtoll(asked.expires.c_str(), nullptr, 10) * 86'400'000;
      }
      if (const auto span = project::parse_duration_ms(asked.expires)) return *span;
      return std::nullopt;
    }();
    if (!ms || *ms <= 0) return fail_with(globals, Error(ErrorCode::kUsage, "--expires is a span such as 90d or 12h, not '" + asked.expires + "'"));
    token.expires_ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count() + *ms;
  }
  auto text = (*tokens)->add(std::move(token));
  if (!text) {
    if (text.error().code == ErrorCode::kInvalidArguments) text.error().code = ErrorCode::kUsage;
    return fail_with(globals, text.error());
  }
  if (globals.json) return print_json({{"name", asked.name}, {"token", *text}});
  print(*text);
  note("This is shown once: only a digest of it is kept.");
}

void list_tokens(Globals& globals) {
  auto tokens = open_tokens(globals);
  auto list = tokens ? (*tokens)->list() : Result<std::vector<serve::Token>>(fail(tokens.error()));
  if (!list) return fail_with(globals, list.error());
  if (globals.json) {
    json::array out;
    for (const auto& token : *list) out.push_back(serve::to_json(token));
    return print_json(json::object{{"tokens", std::move(out)}});
  }
  if (list->empty()) return note("There are no tokens. `sabir tokens add NAME --scopes functions` makes one.");
  for (const auto& token : *list) {
    print(padded(token.name, 20, false) + "  " + token.id + "  " + padded(join(token.scopes, ","), 28, false) + (token.user.empty() ? "" : "  user " + token.user) +
          (token.tenant.empty() ? "" : "  tenant " + token.tenant) + "  since " + day(token.created_ms) + (token.expires_ms != 0 ? "  until " + day(token.expires_ms) : ""));
  }
}

void revoke_token(Globals& globals, const TokenOptions& asked) {
  auto tokens = open_tokens(globals);
  auto revoked = tokens ? (*tokens)->revoke(asked.name) : Result<serve::Token>(fail(tokens.error()));
  if (!revoked) return fail_with(globals, revoked.error());
  if (globals.json) return print_json({{"revoked", revoked->id}, {"name", revoked->name}});
  print("revoked " + revoked->name + "; running servers take it no more within a second");
}

}  // namespace

sigset_t block_serve_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
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
  auto serving = (*engine)->project().serving;
  if (!asked.host.empty() || asked.port || asked.near) serving.socket.clear();
  if (asked.near) serving.host = "127.0.0.1";
  if (!asked.host.empty()) serving.host = asked.host;
  if (asked.port) serving.port = *asked.port;
  if (!asked.socket.empty()) serving.socket = std::filesystem::absolute(asked.socket).string();
  const auto open = [&] {
    serve::ServerOptions options;
    options.plugs.emplace_back(serve::plug_mcp);
    options.plugs.emplace_back(serve::plug_openai);
    if (!inherited.empty()) options.descriptor = inherited.front();
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
  (*engine)->prepare([&face](const std::vector<json::object>& report) {
    for (const auto& line : report) {
      if (!line.at("ok").as_bool()) face.prepared(line);
    }
  });
  face.wait([&] {
    notify_manager("RELOADING=1");
    if (auto again = (*server)->reload(); !again) face.say("sabir: " + to_text(again.error()) + "\n  What was there before is kept.");
    (*engine)->reload();
    notify_manager("READY=1");
  });
  notify_manager("STOPPING=1");
  // The promise may still be kept while the server is taken down.
  std::promise<void> drained;
  auto done = drained.get_future();
  (*server)->drain([&drained] { drained.set_value(); });
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

void add_serve_commands(Command& app, Globals& globals) {
  auto* const serving = app.add_subcommand("serve", "Serve the project over HTTP: functions as REST, with OpenAPI.");
  add_common(*serving, globals);
  auto s = std::make_shared<ServeOptions>();
  add_serve_options(*serving, *s);
  serving->footer("SIGTERM answers what runs and ends; SIGHUP reads configuration, tokens and certificate again. docs/serve.md tells the rest.");
  serving->callback([&globals, s] {
    const auto signals = block_serve_signals();
    Lines lines(globals, *s, signals);
    serve_project(globals, *s, lines);
  });

  auto* const tokens = app.add_subcommand("tokens", "Who may call a served project.");
  tokens->require_subcommand();
  auto t = std::make_shared<TokenOptions>();
  auto* const adding = tokens->add_subcommand("add", "Make a token; it is shown once, and only a digest of it is kept.");
  add_common(*adding, globals);
  adding->add_option("NAME", t->name, "what it is called in logs and lists").required();
  adding->add_option("--scopes", t->scopes, "what it allows: functions, prompts, memory, assistants, mcp, model, admin; with commas").required();
  adding->add_option("--expires", t->expires, "after a span: 90d, 12h; never without it");
  adding->footer("--user and --tenant say whom its calls are for: memory is theirs, and functions see them in their context.");
  adding->callback([&globals, t] { add_token(globals, *t); });
  auto* const listing = tokens->add_subcommand("list", "The tokens, without themselves.");
  add_common(*listing, globals);
  listing->callback([&globals] { list_tokens(globals); });
  auto* const revoking = tokens->add_subcommand("revoke", "Take one back, by its name or id.");
  add_common(*revoking, globals);
  revoking->add_option("NAME", t->name, "its name or id").required();
  revoking->callback([&globals, t] { revoke_token(globals, *t); });
}

}  // namespace sabir::cli

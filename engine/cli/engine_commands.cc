// sabir engine run | status | stop, sabir attach, sabir sdk path.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <future>

#include "attach_elsewhere.h"
#include "command.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/message.h"

namespace sabir::cli {
namespace {

// Blocks until SIGINT, SIGTERM or SIGHUP. Call block_signals() before any thread starts.
void block_signals(sigset_t& set) {
  sigemptyset(&set);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, s);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void show_reload(const runtime::ReloadReport& report, bool as_json) {
  if (as_json) {
    json::array languages;
    for (const auto& name : report.languages) languages.push_back(json::value(name));
    json::array files;
    for (const auto& path : report.paths) files.push_back(json::value(path));
    json::array problems;
    for (const auto& problem : report.problems) problems.push_back(to_json(problem));
    print_json({{"event", "reloaded"}, {"languages", languages}, {"files", files}, {"problems", problems}, {"milliseconds", report.took.count()}});
    return;
  }
  for (const auto& problem : report.problems) note(to_text(problem) + "\n  What worked before keeps serving.");
  if (!report.languages.empty()) {
    print("reloaded " + join(report.languages, ", ") + " after a change of " + (report.paths.empty() ? "many files" : join(report.paths, ", ")) + " (" +
          std::to_string(report.took.count()) + " ms)");
  }
}

void run_engine(Globals& globals) {
  sigset_t signals;
  block_signals(signals);
  EngineHooks hooks;
  hooks.reloaded = [json = globals.json](const runtime::ReloadReport& report) { show_reload(report, json); };
  auto engine = open_engine(globals.session, std::move(hooks));
  if (!engine) return fail_with(globals, engine.error());
  if (auto listening = (*engine)->listen(); !listening) {
    listening.error().hint = "`sabir engine status` shows it; `sabir engine stop` ends it.";
    return fail_with(globals, listening.error());
  }
  const auto registry = (*engine)->registry();
  if (globals.json) {
    print_json({{"event", "ready"}, {"pid", ::getpid()}, {"project", (*engine)->project().root.string()},
                {"environment", (*engine)->project().environment}, {"functions", registry->functions().size()}});
  } else {
    print("sabir engine for " + (*engine)->project().root.string() + " (" + (*engine)->project().environment + "): " +
          std::to_string(registry->functions().size()) + " functions. Ctrl-C stops it.");
    for (const auto& missing : registry->unavailable()) note(to_text(missing.error));
  }
  // Builds may take a while, and Ctrl-C must not wait for them: stopping the engine ends them.
  (*engine)->prepare([](const std::vector<json::object>& report) {
    for (const auto& line : report) {
      if (!line.at("ok").as_bool()) note("sabir: " + std::string(string_or(line, "message")));
    }
  });
  int got = 0;
  ::sigwait(&signals, &got);
  engine->reset();
  if (!globals.json) print("stopped");
}

struct Published {
  pid_t pid = 0;
  std::string socket;
  std::string version;
};

Result<Published> published(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  auto text = read_file(*root / ".sabir" / globals.session.environment / "engine.json", 65536);
  auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!value || !value->is_object() || !value->get_object().contains("pid")) {
    return fail(ErrorCode::kNotFound, "no engine runs for " + root->string() + " (" + globals.session.environment + ")", "`sabir engine run` starts one.");
  }
  Published out;
  out.pid = static_cast<pid_t>(value->get_object().at("pid").to_number<std::int64_t>());
  out.socket = string_or(value->get_object(), "socket");
  out.version = string_or(value->get_object(), "engine");
  auto fd = net::connect_unix(out.socket);
  if (!fd) return fail(ErrorCode::kNotFound, "no engine runs for " + root->string() + ": process " + std::to_string(out.pid) + " has left its file behind", "`sabir engine run` starts one.");
  ::close(*fd);
  return out;
}

void status(Globals& globals) {
  auto engine = published(globals);
  if (!engine) return fail_with(globals, engine.error());
  if (globals.json) return print_json({{"pid", engine->pid}, {"socket", engine->socket}, {"engine", engine->version}});
  print("running: process " + std::to_string(engine->pid) + ", version " + engine->version);
}

void stop(Globals& globals) {
  auto engine = published(globals);
  if (!engine) return fail_with(globals, engine.error());
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, engine->pid, 0));
  ::kill(engine->pid, SIGTERM);
  pollfd ended{pidfd, POLLIN, 0};
  const bool gone = pidfd >= 0 && ::poll(&ended, 1, 10'000) > 0;
  if (pidfd >= 0) ::close(pidfd);
  if (!gone) return fail_with(globals, Error(ErrorCode::kTimeout, "process " + std::to_string(engine->pid) + " still runs after 10 s", "kill -9 " + std::to_string(engine->pid)));
  if (globals.json) return print_json({{"stopped", engine->pid}});
  print("stopped");
}

// The SDK reads why from the connection: it has sent hello with id 1.
void refuse_client(Globals& globals, int out, const Error& error) {
  std::string frame;
  protocol::append_frame(frame, protocol::make_error("1", error));
  [[maybe_unused]] const auto written = ::write(out, frame.data(), frame.size());
  fail_with(globals, error);
}

void attach(Globals& globals) {
  // One number is a socket; two are pipes to read from and to write to, for languages that cannot pass a socket on.
  const char* text = std::getenv("SABIR_FD");
  const char* comma = text ? std::strchr(text, ',') : nullptr;
  const int in = text ? std::atoi(text) : -1;
  const int out = comma ? std::atoi(comma + 1) : in;
  if (in < 3 || out < 3 || ::fcntl(in, F_GETFD) < 0 || ::fcntl(out, F_GETFD) < 0) {
    return fail_with(globals, Error(ErrorCode::kUsage, "attach serves an SDK over the socket that SABIR_FD names, and there is none",
                                    "SDKs start it themselves; for a lasting engine use `sabir engine run`."));
  }
  ::fcntl(in, F_SETFD, FD_CLOEXEC);
  ::fcntl(out, F_SETFD, FD_CLOEXEC);
  ::unsetenv("SABIR_FD");
  sigset_t signals;
  block_signals(signals);
  if (!globals.session.engine.url.empty()) {
    if (auto passed_on = attach_elsewhere(globals.session, in, out); !passed_on) refuse_client(globals, out, passed_on.error());
    return;
  }
  auto engine = open_engine(globals.session);
  if (!engine) return refuse_client(globals, out, engine.error());
  std::promise<void> closed;
  (*engine)->serve(in, out, [&closed] { closed.set_value(); });
  // The SDK's end of the connection is what ends an attached engine; Ctrl-C in its terminal reaches the SDK as well.
  closed.get_future().wait();
}

}  // namespace

void add_engine_commands(Command& app, Globals& globals) {
  auto* const engine = app.add_subcommand("engine", "Keep an engine warm for this project.");
  engine->require_subcommand();
  auto* const running = engine->add_subcommand("run", "Run an engine until Ctrl-C; commands and SDKs of this project join it.");
  add_common(*running, globals);
  running->callback([&globals] { run_engine(globals); });
  auto* const stating = engine->add_subcommand("status", "Say whether one runs; exit code 1 when none does.");
  add_common(*stating, globals);
  stating->callback([&globals] { status(globals); });
  auto* const stopping = engine->add_subcommand("stop", "End it; running calls get a moment to finish.");
  add_common(*stopping, globals);
  stopping->callback([&globals] { stop(globals); });

  auto* const attaching = app.add_subcommand("attach", "Serve one SDK over the inherited socket, or the two pipes, that SABIR_FD names.");
  add_common(*attaching, globals);
  attaching->callback([&globals] { attach(globals); });

  auto* const sdk = app.add_subcommand("sdk", "The SDKs that this engine carries.");
  sdk->require_subcommand();
  auto* const path = sdk->add_subcommand("path", "Print the folder for a language's load path.");
  auto language = std::make_shared<std::string>();
  path->add_flag("--json", globals.json, "print JSON alone on standard output");
  path->add_option("LANGUAGE", *language, "python, ruby, cpp, …").required();
  path->callback([&globals, language] {
    auto folder = resources();
    if (!folder) return fail_with(globals, folder.error());
    const auto at = *folder / "languages" / *language / "sdk";
    if (!std::filesystem::is_directory(at)) {
      return fail_with(globals, Error(ErrorCode::kUsage, "this engine carries no SDK for '" + *language + "'", "`sabir doctor` lists the languages it serves."));
    }
    if (globals.json) return print_json({{"path", at.string()}});
    print(at.string());
  });
}

}  // namespace sabir::cli

// sabir serve, sabir tokens add | list | revoke.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <future>
#include <iostream>
#include <thread>

#include "command.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/serve/handover.h"
#include "sabir/serve/server.h"
#include "sabir/serve/tokens.h"
#include "serving.h"
#include "successor.h"

namespace sabir::cli {
namespace {

void show_reload(const runtime::ReloadReport& report) {
  for (const auto& problem : report.problems) note(to_text(problem) + "\n  What worked before keeps serving.");
  if (report.configuration && report.problems.empty()) note("reloaded " + join(report.paths, ", "));
  if (!report.languages.empty()) note("reloaded " + join(report.languages, ", ") + " (" + std::to_string(report.took.count()) + " ms)");
}

std::filesystem::path folder_of(const Globals& globals) { return globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory; }

// Nobody may be reading: what would wait for that is not begun, and at the end is let go of after a second.
void write_access(std::string_view lines, const std::stop_token& ending) {
  constexpr std::chrono::milliseconds kLook{200};
  constexpr int kLastLooks = 5;
  const std::string text = std::string(lines) + "\n";
  std::string_view rest = text;
  for (int looks = 0; !rest.empty();) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, static_cast<int>(kLook.count())) <= 0) {
      if (ending.stop_requested() && ++looks > kLastLooks) return;
      continue;
    }
    // A pipe that is ready has room for as much.
    const auto n = ::write(STDERR_FILENO, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN) return;
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
}

// One `sabir serve`, from the start to the end or to the process that takes over.
class Serving {
 public:
  Serving(Globals& globals, const ServeOptions& asked) : globals_(globals), asked_(asked), successor_(globals) {}

  void run() {
    signals_ = block_serve_signals({SIGUSR1, SIGUSR2});
    raise_open_files();
    const auto inherited = net::inherited_sockets();
    if (const auto error = begin_takeover()) return fail_with(globals_, *error);
    if (const auto error = open(inherited)) {
      if (handover_) handover_->failed(to_text(*error));
      return fail_with(globals_, *error);
    }
    auto prepared = std::make_shared<std::promise<std::vector<json::object>>>();
    prepared_ = prepared->get_future();
    server_->prepare([prepared](std::vector<json::object> failed) { prepared->set_value(std::move(failed)); });
    if (wait_and_answer_signals()) end();
  }

 private:
  struct Taken {
    std::atomic<pid_t> pid{0};
    std::promise<void> released;
    std::shared_future<void> is_released = released.get_future().share();
  };

  std::optional<Error> begin_takeover() {
    if (!asked_.takeover && asked_.takeover_from.empty()) return std::nullopt;
    auto root = project::find_root(asked_.takeover_from.empty() ? folder_of(globals_) : std::filesystem::path(asked_.takeover_from));
    if (!root) return root.error();
    auto begun = serve::Handover::begin(*root / ".sabir" / globals_.session.environment);
    if (!begun) return begun.error();
    handover_ = std::move(*begun);
    return std::nullopt;
  }

  std::optional<Error> open(const std::vector<int>& inherited) {
    EngineHooks hooks;
    hooks.reloaded = show_reload;
    auto engine = open_engine(globals_.session, std::move(hooks));
    if (!engine) return engine.error();
    engine_ = std::move(*engine);
    if (!handover_) {
      if (const auto error = listen()) return error;
    }
    const auto serving = serving_of(*engine_, asked_);
    drain_time_ = serving.drain;
    auto options = server_options(inherited);
    if (handover_) {
      options.descriptor = handover_->release_descriptor();
      options.taken_over = options.accept_later = true;
    }
    if (!asked_.no_access_log) options.access = write_access;
    auto server = serve::Server::open(*engine_, serving, std::move(options));
    if (!server) return server.error();
    server_ = std::move(*server);
    return std::nullopt;
  }

  std::optional<Error> listen() {
    auto listening = engine_->listen();
    if (listening) return std::nullopt;
    if (listening.error().code != ErrorCode::kExists) return listening.error();
    note("another engine of this project runs: commands join that one, and saved files are read again here at SIGHUP alone");
    return std::nullopt;
  }

  // False: it does not serve, which has been said.
  bool serve_now() {
    const auto failed = prepared_.get();
    std::string broken;
    for (const auto& line : failed) broken += (broken.empty() ? "" : "; ") + std::string(string_or(line, "message"));
    if (handover_ && !failed.empty()) {
      // The old one serves better than a new one of which something is broken.
      const Error error(ErrorCode::kUnavailable, "this version does not take over, as it is not whole: " + broken, "Mend it, or stop the running server and start this one in its place.");
      handover_->failed(error.message);
      fail_with(globals_, error);
      return false;
    }
    if (handover_) {
      server_->accept();
      if (!handover_->ready(kReleaseTime)) log(LogLevel::kWarning, "the server that this one took over from does not say that it let go of the project");
      handover_.reset();
      if (const auto error = listen()) note("sabir: " + to_text(*error));
    }
    // Before anybody is told that it is ready: the next one may come at once.
    offer();
    show_ready();
    for (const auto& line : failed) note("sabir: " + std::string(string_or(line, "message")));
    notify_manager("READY=1");
    return true;
  }

  void show_ready() const {
    const auto& project = engine_->project();
    const auto registry = engine_->registry();
    std::size_t reached = 0;
    for (const auto& function : registry->functions()) reached += project.exposure.reaches_function(project::Door::kRest, function.language, function.address) ? 1U : 0U;
    const std::string address = server_->address();
    if (globals_.json) {
      std::cout << compact_json(json::object{{"event", "ready"}, {"address", address}, {"pid", ::getpid()}, {"project", project.root.string()}, {"environment", project.environment}, {"functions", reached},
                                             {"asks_who", server_->asks_who()}}) << "\n";
    } else {
      print(address + " serves " + project.name + " (" + project.environment + "): " + std::to_string(reached) + " functions" + (server_->asks_who() ? "; callers need a token" : "") +
            ". Its documentation: " + address + "/docs. Ctrl-C stops it.");
      for (const auto& missing : registry->unavailable()) note(to_text(missing.error));
    }
    std::cout.flush();
  }

  void offer() {
    serve::OfferOptions options;
    options.descriptor = server_->descriptor();
    options.address = server_->address();
    // The main thread waits for signals, and is told by one.
    options.taken = [taken = taken_](pid_t pid) {
      taken->pid = pid;
      ::kill(::getpid(), SIGUSR1);
      taken->is_released.wait_for(kReleaseTime);
    };
    options.failed = [](const std::string& why) {
      note("sabir: no handover: " + why + "\n  This process, " + std::to_string(::getpid()) + ", keeps serving.");
      notify_manager("READY=1");
    };
    auto opened = serve::HandoverOffer::open(engine_->project().state_dir(), std::move(options));
    if (opened) offer_ = std::move(*opened);
    else note("sabir: no other process can take over from this one: " + to_text(opened.error()));
  }

  // True: it was ready once, and shall end.
  bool wait_and_answer_signals() {
    bool ready = false;
    while (true) {
      if (!ready && prepared_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
        if (!serve_now()) return false;
        ready = true;
      }
      successor_.look();
      const bool busy = !ready || successor_.is_starting();
      const timespec most{busy ? 0 : 3600, busy ? 20'000'000 : 0};
      const int got = ::sigtimedwait(&signals_, nullptr, &most);
      if (got == SIGINT || got == SIGTERM) {
        if (handover_) handover_->failed("it was stopped");
        successor_.stop();
        return true;
      }
      if (got == SIGHUP) reload();
      if (got == SIGUSR2) {
        if (!offer_) {
          note("sabir: this server offers its socket to nobody, so nothing can take over");
        } else if (!successor_.is_starting()) {
          notify_manager("RELOADING=1");
          if (!successor_.start(engine_->project().root)) notify_manager("READY=1");
        }
      }
      if (got == SIGUSR1 && taken_->pid != 0) {
        successor_.let_go();
        hand_over();
        return true;
      }
    }
  }

  void reload() {
    notify_manager("RELOADING=1");
    auto again = server_->reload();
    if (!again) note("sabir: " + to_text(again.error()) + "\n  What was there before is kept.");
    else if (!again->empty()) note("sabir: " + join(*again, ", ") + " of sabir.yml's serve changed, which a new process alone can follow: restart it, or for tls kill -USR2 " + std::to_string(::getpid()));
    engine_->reload();
    notify_manager("READY=1");
  }

  void hand_over() {
    const std::string pid = std::to_string(taken_->pid);
    notify_manager("MAINPID=" + pid);
    // Two engines never answer for one project's commands, nor go on with the same waiting runs.
    engine_->withdraw();
    taken_->released.set_value();
    why_ = serve::Server::Why::kHandover;
    if (globals_.json) std::cout << "{\"event\":\"handed_over\",\"pid\":" << ::getpid() << ",\"to\":" << pid << "}\n" << std::flush;
    else note("handed over to process " + pid + "; this one answers what it has begun, and ends");
  }

  void end() {
    if (why_ == serve::Server::Why::kEnd) notify_manager("STOPPING=1");
    offer_.reset();
    const auto until = std::chrono::steady_clock::now() + drain_time_;
    std::promise<void> drained;
    auto done = drained.get_future();
    server_->drain(why_, [&drained] { drained.set_value(); });
    // A second signal does not wait for what runs.
    bool forced = false;
    const auto interrupted = [&] {
      const timespec none{};
      const int again = ::sigtimedwait(&signals_, nullptr, &none);
      return forced = again == SIGINT || again == SIGTERM;
    };
    while (done.wait_for(kLook) != std::future_status::ready && !interrupted()) continue;
    // Commands and SDKs that had joined this engine.
    while (!forced && why_ == serve::Server::Why::kHandover && std::chrono::steady_clock::now() < until && engine_->open_requests() > 0 && !interrupted()) std::this_thread::sleep_for(kLook);
    // The promise may still be kept while the server is taken down.
    server_.reset();
    engine_.reset();
    if (!globals_.json && !forced) print("stopped");
  }

  static constexpr std::chrono::seconds kReleaseTime{10};
  static constexpr std::chrono::milliseconds kLook{50};

  Globals& globals_;
  const ServeOptions& asked_;
  sigset_t signals_{};
  Successor successor_;
  std::unique_ptr<serve::Handover> handover_;  // while this process has not taken over yet
  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<serve::Server> server_;
  std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
  std::unique_ptr<serve::HandoverOffer> offer_;
  std::future<std::vector<json::object>> prepared_;
  std::chrono::milliseconds drain_time_{0};
  serve::Server::Why why_ = serve::Server::Why::kEnd;
};

struct TokenOptions {
  std::string name;
  std::vector<std::string> scopes;
  std::string expires;
  std::string rate;
  std::optional<int> at_once;
};

Result<std::unique_ptr<serve::Tokens>> open_tokens(const Globals& globals) {
  auto root = project::find_root(folder_of(globals));
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
    const auto ms = project::parse_span_ms(asked.expires);
    if (!ms || *ms <= 0) return fail_with(globals, Error(ErrorCode::kUsage, "--expires is a span such as 90d or 12h, not '" + asked.expires + "'"));
    token.expires_ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count() + *ms;
  }
  if (!asked.rate.empty()) {
    const auto rate = project::parse_rate(asked.rate);
    if (!rate) return fail_with(globals, Error(ErrorCode::kUsage, "--rate is a number of requests in a time, not '" + asked.rate + "'", "Write it like 10/s, 600/min or 5000/h."));
    token.rate = *rate;
  }
  token.at_once = asked.at_once.value_or(0);
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
          (token.tenant.empty() ? "" : "  tenant " + token.tenant) + "  since " + day(token.created_ms) + (token.expires_ms != 0 ? "  until " + day(token.expires_ms) : "") +
          (token.rate.count > 0 ? "  " + project::to_text(token.rate) : "") + (token.at_once > 0 ? "  " + std::to_string(token.at_once) + " at once" : ""));
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

void add_serve_commands(Command& app, Globals& globals) {
  auto* const serving = app.add_subcommand("serve", "Serve the project over HTTP: functions as REST, with OpenAPI.");
  add_common(*serving, globals);
  auto s = std::make_shared<ServeOptions>();
  add_serve_options(*serving, *s);
  serving->add_flag("--takeover", s->takeover, "take over from the running server of this project: its socket, once this one is ready; no request fails");
  serving->add_option("--takeover-from", s->takeover_from, "the same where the running server serves another folder: that folder");
  serving->footer("SIGTERM answers what runs and ends; SIGHUP reads configuration, tokens and certificate again; SIGUSR2 starts this command anew, with\n"
                  "what program and project are now, and hands over to it. docs/serve.md tells the rest.");
  serving->callback([&globals, s] { Serving(globals, *s).run(); });

  auto* const tokens = app.add_subcommand("tokens", "Who may call a served project.");
  tokens->require_subcommand();
  auto t = std::make_shared<TokenOptions>();
  auto* const adding = tokens->add_subcommand("add", "Make a token; it is shown once, and only a digest of it is kept.");
  add_common(*adding, globals);
  adding->add_option("NAME", t->name, "what it is called in logs and lists").required();
  adding->add_option("--scopes", t->scopes, "what it allows: functions, prompts, memory, assistants, approvals, mcp, model, admin, engine; with commas").required();
  adding->add_option("--expires", t->expires, "after a span: 90d, 12h; never without it");
  adding->add_option("--rate", t->rate, "how often it may ask, in place of serve.limits.rate: 10/s, 600/min, 5000/h");
  adding->add_option("--at-once", t->at_once, "how many of its requests may run at once, in place of serve.limits.at_once").between(1, 100'000);
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

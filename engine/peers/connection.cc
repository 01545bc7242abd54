#include "connection.h"

#include <unistd.h>

#include <algorithm>

#include "http_transport.h"
#include "sabir/base/log.h"
#include "sabir/process/spawn.h"
#include "stdio_transport.h"

namespace sabir::peers {
namespace {

// What a server's process sees of the engine's environment besides what its entry names.
constexpr std::string_view kPassed[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM"};
constexpr std::chrono::milliseconds kDiscovery{5000};   // without an answer, a process is of the older era
constexpr std::chrono::seconds kStable{30};             // running so long forgives earlier failures
constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{60'000};
constexpr std::chrono::milliseconds kBetweenLists{1000};
constexpr std::size_t kMostOpen = 1000;

}  // namespace

Connection::Connection(net::Loop& loop, std::shared_ptr<const project::McpServer> server, const ServersSetup& setup, std::function<void()> tools_changed)
    : loop_(loop), server_(std::move(server)), setup_(setup), tools_changed_(std::move(tools_changed)), shown_("the MCP server '" + server_->name + "'") {
  if (!server_->url.empty()) authorizer_ = std::make_shared<Authorizer>(*server_, *setup_.secrets, setup_.state_dir);
}

Connection::~Connection() {
  *alive_ = false;
  for (const auto timer : {start_timer_, probe_timer_, list_timer_}) loop_.cancel(timer);
  for (auto& [id, one] : open_) loop_.cancel(one.timer);
}

void Connection::tell(std::string_view level, std::string_view text) const {
  if (setup_.said) setup_.said(server_->name, level, text);
}

KeptTools Connection::kept() const { return {revision_, server_name_, tools_}; }

// ---- starting ----------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Transport>> Connection::open_transport() {
  // What comes from one that has been dropped meanwhile is dropped too: it is gone, or about to be.
  TransportEvents events;
  events.message = [this](std::string_view text, mcp::RequestId exchange) {
    if (client_) client_->receive(text, exchange);
  };
  events.undelivered = [this](mcp::RequestId request, Error error, bool is_refused) {
    if (client_) client_->undelivered(request, std::move(error), is_refused);
  };
  events.lost = [this](Error error, bool is_expired) { lost(std::move(error), is_expired); };
  events.said = [this](std::string_view line) { tell("stderr", line); };
  if (!server_->url.empty()) return std::make_unique<HttpTransport>(loop_, *server_, *setup_.secrets, authorizer_, std::move(events));
  StdioLaunch launch;
  launch.argv = server_->command;
  launch.directory = server_->directory;
  const auto pass = [&](std::string_view name) {
    const bool named = std::any_of(server_->environment.begin(), server_->environment.end(), [&](const auto& one) { return one.first == name; });
    const char* const value = named ? nullptr : std::getenv(std::string(name).c_str());
    if (value) launch.environment.push_back(std::string(name) + "=" + value);
  };
  for (const auto name : kPassed) pass(name);
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("LC_")) pass(text.substr(0, text.find('=')));
  }
  for (const auto& name : server_->passed) pass(name);
  for (const auto& [name, value] : server_->environment) {
    auto text = setup_.secrets->fill_in(value);
    if (!text) return fail(std::move(text.error()));
    launch.environment.push_back(name + "=" + *text);
  }
  auto started = StdioTransport::start(loop_, launch, std::move(events));
  if (!started) return fail(std::move(started.error()));
  return std::move(*started);
}

void Connection::start() {
  state_ = State::kStarting;
  const auto names = project::secrets_of(*server_);
  if (!server_->url.empty() || names.empty() || !setup_.background || !setup_.secrets->may_wait()) return start_now();
  // Another machine is asked for them, and not by the loop; what it said holds for a while.
  setup_.background([this, &loop = loop_, here = alive_, secrets = setup_.secrets, names] {
    for (const auto& name : names) (void)secrets->resolve(name);
    loop.post([this, here] {
      if (*here && state_ == State::kStarting) start_now();
    });
  });
}

void Connection::start_now() {
  auto transport = open_transport();
  if (!transport) {
    // Whoever waits is told in a later turn.
    return loop_.post([this, here = alive_, error = std::move(transport.error())]() mutable {
      if (*here && state_ == State::kStarting) fail_start(std::move(error));
    });
  }
  transport_ = std::move(*transport);
  mcp::ClientOptions options;
  options.version = SABIR_VERSION;
  options.server = shown_;
  options.over_http = !server_->url.empty();
  if (!server_->revision.empty()) options.revision = mcp::revision_of(server_->revision);
  mcp::ClientEvents events;
  events.send = [this](mcp::ClientMessage message) {
    if (transport_) transport_->send(std::move(message));
  };
  events.abandon = [this](mcp::RequestId request) {
    if (transport_) transport_->abandon(request);
  };
  events.tools_changed = [this] { relist(); };
  events.log = [this](std::string_view level, std::string_view text) { tell(level, text); };
  events.later = [this](std::chrono::milliseconds pause, std::function<void()> task) { loop_.after(pause, std::move(task)); };
  client_ = std::make_unique<mcp::Client>(std::move(options), std::move(events));
  start_timer_ = loop_.after(std::chrono::milliseconds(server_->start_timeout_ms), [this] {
    fail_start(Error(ErrorCode::kTimeout, shown_ + " has not told its tools within " + std::to_string(server_->start_timeout_ms) + " ms", "Raise start_timeout in config/mcp.yml, or look at what it writes to standard error: SABIR_LOG=info."));
  });
  if (server_->url.empty() && server_->revision.empty()) {
    probe_timer_ = loop_.after(std::min(kDiscovery, std::chrono::milliseconds(server_->start_timeout_ms / 3 + 1)), [this] {
      probe_timer_ = 0;
      if (client_ && !client_->is_connected()) client_->no_answer_to_discover();
    });
  }
  client_->connect([this](Result<void> outcome) { connected(std::move(outcome)); });
}

void Connection::connected(Result<void> outcome) {
  loop_.cancel(probe_timer_);
  if (!outcome) return fail_start(std::move(outcome.error()));
  revision_ = mcp::name_of(*client_->revision());
  server_name_ = client_->server_name();
  transport_->opened(*client_);
  is_listing_ = true;
  client_->list_tools([this](Result<std::vector<mcp::ToolDefinition>> tools) { listed(std::move(tools)); });
}

void Connection::listed(Result<std::vector<mcp::ToolDefinition>> tools) {
  is_listing_ = false;
  listed_at_ = Clock::now();
  if (!tools) {
    if (state_ == State::kStarting) return fail_start(std::move(tools.error()));
    // The old list holds; the server is asked again when it says so again.
    tell("warning", "it does not tell its tools any more: " + tools.error().message);
    return run_waiting();
  }
  tools_ = std::move(*tools);
  const auto before = read_kept(setup_.state_dir, *server_);
  bool changed = !before || before->tools.size() != tools_.size() || before->revision != revision_;
  for (std::size_t i = 0; !changed && i < tools_.size(); ++i) changed = before->tools[i].digest != tools_[i].digest;
  if (auto written = keep(setup_.state_dir, *server_, kept()); !written) log(LogLevel::kWarning, to_text(written.error()));
  if (state_ == State::kStarting) {
    loop_.cancel(start_timer_);
    state_ = State::kReady;
    error_.reset();
    ready_since_ = Clock::now();
    client_->listen();
  }
  for (auto& want : std::exchange(wanting_list_, {})) want(kept());
  if (changed && tools_changed_) tools_changed_();
  if (std::exchange(list_again_, false)) return relist();
  run_waiting();
}

void Connection::relist() {
  if (state_ != State::kReady) return;
  if (is_listing_) {
    list_again_ = true;
    return;
  }
  if (list_timer_ != 0) return;
  const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(listed_at_ + kBetweenLists - Clock::now());
  list_timer_ = loop_.after(std::max(pause, std::chrono::milliseconds(0)), [this] {
    list_timer_ = 0;
    if (state_ != State::kReady || is_listing_) return;
    is_listing_ = true;
    client_->list_tools([this](Result<std::vector<mcp::ToolDefinition>> tools) { listed(std::move(tools)); });
  });
}

void Connection::drop() {
  for (auto* timer : {&start_timer_, &probe_timer_, &list_timer_}) loop_.cancel(std::exchange(*timer, 0));
  is_listing_ = list_again_ = false;
  end_transport();
}

// They may be what calls: they go in a later turn.
void Connection::end_transport() {
  loop_.post([client = std::shared_ptr<mcp::Client>(client_.release())] {});
  if (!transport_) return;
  ending_.emplace_back(transport_.release());
  ending_.back()->close([this, here = alive_, ended = std::weak_ptr<Transport>(ending_.back())] {
    loop_.post([this, here, ended] {
      if (!*here) return;
      std::erase(ending_, ended.lock());
      if (ending_.empty() && closed_) std::exchange(closed_, nullptr)();
    });
  });
}

void Connection::fail_start(Error error) {
  if (state_ != State::kStarting) return;
  state_ = State::kIdle;
  ++failures_;
  const auto pause = std::min(kLongestPause, kFirstPause * (1 << std::min(failures_ - 1, 10)));
  next_try_ = Clock::now() + pause;
  if (error.hint.empty() && server_->url.empty()) error.hint = "Its command is in config/mcp.yml:" + std::to_string(server_->line) + ".";
  if (error.message.find(server_->name) == std::string::npos) error.message = shown_ + ": " + error.message;
  error_ = error;
  drop();
  tell("warning", error.message);
  for (auto& want : std::exchange(wanting_list_, {})) want(fail(error));
  std::vector<CallId> waiting;
  for (const auto& [id, one] : open_) waiting.push_back(id);
  for (const auto id : waiting) finish(id, fail(error));
}

void Connection::lost(Error error, bool is_expired) {
  error.message = shown_ + ": " + error.message;
  if (state_ == State::kStarting) return fail_start(std::move(error));
  if (state_ != State::kReady) return;
  state_ = State::kIdle;
  if (!is_expired) {
    failures_ = Clock::now() - ready_since_ > kStable ? 1 : failures_ + 1;
    // Once it is started again at once.
    next_try_ = failures_ <= 1 ? Clock::now() : Clock::now() + std::min(kLongestPause, kFirstPause * (1 << std::min(failures_ - 2, 10)));
    error_ = error;
    tell("warning", error.message);
  }
  losing_ = is_expired ? Losing::kExpired : Losing::kEnded;
  const auto here = alive_;
  client_->close(error);
  if (!*here) return;
  losing_ = Losing::kNot;
  drop();
  for (auto& want : std::exchange(wanting_list_, {})) want(fail(error));
  run_waiting();
}

// ---- calls -------------------------------------------------------------------------------------------------------------------

CallId Connection::call(ServerCall call, std::shared_ptr<const Pins> pins) {
  const CallId id = next_++;
  auto& own = open_[id];
  own.call = std::move(call);
  own.pins = std::move(pins);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(own.call.deadline - Clock::now());
  own.timer = loop_.after(std::clamp(left, std::chrono::milliseconds(0), std::chrono::milliseconds(86'400'000)), [this, id] {
    cancel(id, ErrorCode::kTimeout, "it has taken longer than its time limit");
  });
  loop_.post([this, here = alive_, id] {
    if (*here) run(id);
  });
  return id;
}

void Connection::run(CallId id) {
  const auto found = open_.find(id);
  if (found == open_.end() || found->second.number != 0) return;
  Open& own = found->second;
  if (state_ == State::kClosed) return finish(id, fail(ErrorCode::kUnavailable, shown_ + " is not used any more: config/mcp.yml has changed", "Call again."));
  if (open_.size() > kMostOpen) return finish(id, fail(ErrorCode::kBusy, "more than " + std::to_string(kMostOpen) + " calls are open at " + shown_, "Try again later."));
  if (state_ == State::kIdle) {
    if (error_ && Clock::now() < next_try_) return finish(id, fail(*error_));
    return start();
  }
  if (state_ == State::kStarting || is_listing_) return;
  const auto tool = std::find_if(tools_.begin(), tools_.end(), [&](const auto& one) { return one.name == own.call.tool; });
  const std::string shown = "the tool " + mcp::harmless(own.call.tool, 100) + " of " + shown_;
  if (tool == tools_.end()) return finish(id, fail(ErrorCode::kUnavailable, shown + " is not offered any more", "sabir mcp servers shows what is."));
  if (!tool->problem.empty()) return finish(id, fail(ErrorCode::kUnavailable, shown + " cannot be called: " + tool->problem));
  if (own.pins->consent(server_->name, *tool) != Consent::kGiven) {
    return finish(id, fail(ErrorCode::kUnavailable, shown + " is not the one that was consented to: it has changed", "See what has, and consent: sabir mcp trust " + server_->name));
  }
  // A copy: it may be made once more.
  auto events = own.call.events;
  events.done = [this, id](Result<protocol::Payload> outcome) { answered(id, std::move(outcome)); };
  const auto number = client_->call_tool(*tool, own.call.arguments, std::move(events));
  if (const auto still = open_.find(id); still != open_.end()) still->second.number = number;
}

void Connection::answered(CallId id, Result<protocol::Payload> outcome) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  Open& own = found->second;
  if (!outcome && losing_ != Losing::kNot) {
    // A session that was forgotten has done nothing of it.
    if (!own.is_second && (losing_ == Losing::kExpired || own.call.is_read)) {
      own.is_second = true;
      own.number = 0;
      return;
    }
    if (losing_ == Losing::kEnded && !own.call.is_read) {
      outcome.error().code = ErrorCode::kOutcomeUnknown;
      outcome.error().message += "\n  It ended during the call: what was asked may or may not have happened.";
    }
  }
  finish(id, std::move(outcome));
}

void Connection::finish(CallId id, Result<protocol::Payload> outcome) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  loop_.cancel(found->second.timer);
  const auto done = std::move(found->second.call.events.done);
  open_.erase(found);
  done(std::move(outcome));
}

void Connection::cancel(CallId id, ErrorCode code, const std::string& reason) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  if (found->second.number != 0 && client_) client_->cancel(found->second.number, reason);
  const std::string tool = mcp::harmless(found->second.call.tool, 100);
  const bool waits = found->second.number == 0;
  finish(id, fail(code, (code == ErrorCode::kTimeout ? "the tool " + tool + " of " + shown_ : "the call of the tool " + tool + " of " + shown_ + " was cancelled") + ": " + reason +
                            (waits && code == ErrorCode::kTimeout ? "; the server was still starting" : ""),
                  code == ErrorCode::kTimeout ? "Raise its timeout in config/mcp.yml." : ""));
}

void Connection::run_waiting() {
  std::vector<CallId> waiting;
  for (const auto& [id, one] : open_) {
    if (one.number == 0) waiting.push_back(id);
  }
  for (const auto id : waiting) run(id);
}

void Connection::list(std::function<void(Result<KeptTools>)> done) {
  wanting_list_.push_back(std::move(done));
  if (state_ == State::kIdle) return start();
  if (state_ == State::kReady && !is_listing_) relist();
}

ServerStatus Connection::status() const {
  ServerStatus out;
  out.state = state_ == State::kReady ? "ready" : state_ == State::kStarting ? "starting" : error_ ? "failed" : "idle";
  out.revision = revision_;
  out.server_name = server_name_;
  out.error = error_;
  out.running = open_.size();
  return out;
}

void Connection::close(std::function<void()> done) {
  const Error error(ErrorCode::kCancelled, shown_ + " is left: the engine ends, or config/mcp.yml has changed");
  state_ = State::kClosed;
  for (auto* timer : {&start_timer_, &probe_timer_, &list_timer_}) loop_.cancel(std::exchange(*timer, 0));
  for (auto& want : std::exchange(wanting_list_, {})) want(fail(error));
  while (!open_.empty()) {
    const auto id = open_.begin()->first;
    if (open_.begin()->second.number != 0 && client_) client_->cancel(open_.begin()->second.number, "the client ends");
    finish(id, fail(error));
  }
  end_transport();
  if (ending_.empty()) return loop_.post(std::move(done));
  closed_ = std::move(done);
}

}  // namespace sabir::peers

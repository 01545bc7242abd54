// sabir dev.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <iostream>

#include "command.h"
#include "dev_events.h"
#include "dev_view.h"
#include "event_queue.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/secrets/scrubber.h"
#include "sabir/terminal/screen.h"
#include "serving.h"

namespace sabir::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBetweenFrames{100};
constexpr milliseconds kBetweenLooks{1000};  // at the workers

struct DevOptions {
  ServeOptions serve;
  bool plain = false;
};

// What both faces of `sabir dev` hear, and the main thread's loop.
class DevFace : public Face {
 public:
  explicit DevFace(const sigset_t& signals) : signals_(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)) {
    set_log_sink([this](LogLevel level, std::string_view text) {
      if (level >= LogLevel::kWarning) events_.add(note_event(text, true));
    });
    hooks.reloaded = [this](const runtime::ReloadReport& report) {
      const auto* const engine = engine_.load();
      events_.add(reload_event(report, engine ? engine->project().root : std::filesystem::path()));
    };
    hooks.output = [this](const std::string& language, std::string_view line) { events_.add(log_event(language, line)); };
    hooks.failed = [this](const functions::Failure& failure) { events_.add(failure_event(failure)); };
    access = [this](std::string_view lines, const std::stop_token&) {
      for (const auto line : split_lines(lines)) {
        if (auto event = request_event(line); !event.empty()) events_.add(std::move(event));
      }
    };
  }
  ~DevFace() override {
    set_log_sink({});
    ::close(signals_);
  }

  void ready(runtime::Engine& engine, const serve::Server& server) override {
    engine_ = &engine;
    server_ = &server;
    redactor_ = engine.redactor();
    events_.add(ready_event(engine, server));
  }
  void prepared(const json::object& line) override { events_.add(note_event(string_or(line, "message"), true)); }
  void say(const std::string& text) override { events_.add(note_event(text, false)); }

  void wait(const std::function<void()>& reload) override {
    reload_ = reload;
    while (!quits_) turn();
  }
  bool drain(std::future<void>& done) override {
    json::object event = note_event({}, false);
    event["event"] = "draining";
    events_.add(std::move(event));
    quits_ = false;
    while (done.wait_for(milliseconds(0)) != std::future_status::ready) {
      turn(milliseconds(50));
      if (quits_) break;
    }
    pump();
    // The engine goes next.
    engine_ = nullptr;
    server_ = nullptr;
    return !quits_;
  }

 protected:
  virtual void show(json::object event) = 0;
  virtual void show_health(const json::object& before, json::object stats) = 0;
  // Besides what everyone waits for.
  virtual void add_descriptors(std::vector<pollfd>& to) { static_cast<void>(to); }
  virtual void after_turn() {}
  virtual milliseconds patience() const { return kBetweenLooks; }
  virtual void got(int signal) {
    if (signal == SIGHUP) reload_();
    else quits_ = true;
  }

  void pump() {
    for (auto& event : events_.take()) {
      if (string_or(event, "event") == "stats") {
        auto stats = std::move(event.at("stats").get_object());
        show_health(stats_, stats);
        stats_ = std::move(stats);
        asked_ = false;
        continue;
      }
      if (redactor_) {
        json::value value(std::move(event));
        secrets::Scrubber(redactor_).value(value);
        event = std::move(value.get_object());
      }
      const bool reloaded = string_or(event, "event") == "reloaded";
      show(std::move(event));
      if (reloaded && engine_) renewed(ready_event(*engine_.load(), *server_));
    }
    if (const auto left_out = events_.take_left_out(); left_out > 0) show(note_event(std::to_string(left_out) + " events came faster than they are shown", true));
  }
  // What there is, after a reload.
  virtual void renewed(json::object ready) { static_cast<void>(ready); }

  bool quits_ = false;
  std::function<void()> reload_;

 private:
  void turn(milliseconds most = std::chrono::hours(1)) {
    look();
    std::vector<pollfd> watched{{signals_, POLLIN, 0}, {events_.descriptor(), POLLIN, 0}};
    add_descriptors(watched);
    if (::poll(watched.data(), watched.size(), static_cast<int>(std::min({most, patience(), kBetweenLooks}).count())) < 0 && errno != EINTR) quits_ = true;
    signalfd_siginfo signal{};
    while (::read(signals_, &signal, sizeof signal) == sizeof signal) got(static_cast<int>(signal.ssi_signo));
    pump();
    after_turn();
  }

  // Asks what the workers do, from time to time.
  void look() {
    if (!engine_ || asked_ || Clock::now() < next_look_) return;
    asked_ = true;
    next_look_ = Clock::now() + kBetweenLooks;
    runtime::Engine* const engine = engine_;
    engine->loop().post([this, engine] {
      runtime::Asked asked;
      asked.method = "engine.stats";
      asked.caller = "cli";
      asked.reply = [this](Result<protocol::Payload> answer) {
        auto value = answer ? parse_json(answer->json) : Result<json::value>(json::object());
        events_.add({{"event", "stats"}, {"stats", value && value->is_object() ? std::move(*value) : json::value(json::object())}});
      };
      engine->submit(std::move(asked));
    });
  }

  EventQueue events_;
  const int signals_;
  std::atomic<runtime::Engine*> engine_ = nullptr;
  const serve::Server* server_ = nullptr;
  std::shared_ptr<const secrets::Redactor> redactor_;
  json::object stats_;
  bool asked_ = false;
  Clock::time_point next_look_;
};

// A line for each event; with --json an object.
class LineFace final : public DevFace {
 public:
  LineFace(const sigset_t& signals, bool as_json) : DevFace(signals), as_json_(as_json) {}
  void stopped() override {
    pump();
    json::object event = note_event({}, false);
    event["event"] = "stopped";
    event.erase("message");
    show(std::move(event));
  }

 private:
  void show(json::object event) override {
    if (as_json_) print(compact_json(event));
    else if (const auto text = plain_text(event); !text.empty()) print(text);
    // Nobody reads any more.
    if (!std::cout) quits_ = true;
  }
  void show_health(const json::object& before, json::object stats) override {
    for (auto& event : health_events(before, stats)) show(std::move(event));
  }

  const bool as_json_;
};

class LiveFace final : public DevFace {
 public:
  LiveFace(const sigset_t& signals, std::unique_ptr<terminal::Screen> screen) : DevFace(signals), screen_(std::move(screen)) { draw(); }
  void stopped() override {
    pump();
    screen_.reset();
    print("stopped after " + std::to_string(requests_) + (requests_ == 1 ? " request" : " requests") + (failed_ > 0 ? ", " + std::to_string(failed_) + " of them failed" : ""));
  }

 private:
  void show(json::object event) override {
    if (string_or(event, "event") == "request") {
      ++requests_;
      if (const auto* status = event.if_contains("status"); status && status->is_int64() && status->get_int64() >= 500) ++failed_;
    }
    view_.add(std::move(event));
    dirty_ = true;
  }
  void show_health(const json::object& before, json::object stats) override {
    for (auto& event : health_events(before, stats)) show(std::move(event));
    view_.health(std::move(stats));
    dirty_ = true;
  }
  void renewed(json::object ready) override { view_.add(std::move(ready)); }
  void add_descriptors(std::vector<pollfd>& to) override {
    to.push_back({screen_->descriptor(), POLLIN, 0});
    to.push_back({screen_->stray_descriptor(), POLLIN, 0});
  }
  milliseconds patience() const override {
    if (!dirty_) return kBetweenLooks;
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(next_frame_ - Clock::now()) + milliseconds(1));
  }
  void got(int signal) override {
    if (signal == SIGWINCH) {
      screen_->resized();
      dirty_ = true;
    } else if (signal == SIGTSTP) {
      screen_->away([] { ::raise(SIGSTOP); });
      dirty_ = true;
    } else if (signal == SIGHUP && ::isatty(STDIN_FILENO) != 1) {
      // The terminal is gone, and with it whoever looks.
      quits_ = true;
    } else {
      DevFace::got(signal);
    }
  }
  void after_turn() override {
    pollfd terminal{screen_->descriptor(), POLLIN, 0};
    if (::poll(&terminal, 1, 0) > 0 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) quits_ = true;
    for (const auto line : split_lines(screen_->take_stray())) {
      if (!line.empty()) show(note_event(line, false));
    }
    while (const auto key = screen_->key()) {
      // What a key does is seen at once.
      next_frame_ = {};
      dirty_ = true;
      const auto action = view_.press(*key);
      if (action == DevView::Action::kQuit) quits_ = true;
      if (action == DevView::Action::kReload && reload_) reload_();
    }
    if (dirty_ && Clock::now() >= next_frame_) draw();
  }
  void draw() {
    dirty_ = false;
    next_frame_ = Clock::now() + kBetweenFrames;
    int cursor = -1;
    const auto lines = view_.lines(screen_->size(), cursor);
    screen_->show(lines, cursor);
  }

  std::unique_ptr<terminal::Screen> screen_;
  DevView view_;
  bool dirty_ = true;
  Clock::time_point next_frame_;
  std::uint64_t requests_ = 0;
  std::uint64_t failed_ = 0;
};

void dev(Globals& globals, const DevOptions& options) {
  auto signals = block_serve_signals();
  for (const int more : {SIGWINCH, SIGTSTP}) sigaddset(&signals, more);
  std::unique_ptr<Face> face;
  if (!globals.json && !options.plain) {
    if (auto screen = terminal::Screen::open()) {
      ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
      face = std::make_unique<LiveFace>(signals, std::move(*screen));
    }
  }
  if (!face) {
    sigdelset(&signals, SIGTSTP);
    face = std::make_unique<LineFace>(signals, globals.json);
  }
  if (options.serve.no_access_log) face->access = {};
  serve_project(globals, options.serve, *face);
}

}  // namespace

void add_dev_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("dev", "Serve the project to this machine while you write it, with a live view.");
  auto options = std::make_shared<DevOptions>();
  options->serve.near = true;
  add_common(*command, globals);
  add_serve_options(*command, options->serve);
  command->add_flag("--plain", options->plain, "plain lines, one for each event, as where standard output is no terminal");
  command->footer("Keys: q quit, f filter, e errors, l logs, space pause, enter details, c clear, r reload, ? help. docs/dev.md tells the rest.");
  command->callback([&globals, options] { dev(globals, *options); });
}

}  // namespace sabir::cli

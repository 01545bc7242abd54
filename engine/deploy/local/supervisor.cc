#include "sabir/deploy/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "sabir/base/file.h"
#include "sabir/process/spawn.h"
#include "who.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 5> kPhases = {"starting", "serving", "failed", "pausing", "stopped"};
constexpr std::size_t kMostFile = std::size_t{1} << 20U;
constexpr std::uintmax_t kMostLog = std::uintmax_t{16} << 20U;
constexpr std::chrono::seconds kDrain{45};
constexpr std::chrono::milliseconds kLongestPause{30'000};
constexpr std::chrono::seconds kSettled{60};

std::int64_t number(const json::object& object, const char* key) {
  const auto* member = object.if_contains(key);
  return member && member->is_int64() ? member->get_int64() : 0;
}

bool flag(const json::object& object, const char* key) {
  const auto* member = object.if_contains(key);
  return member && member->is_bool() && member->get_bool();
}

Result<json::object> object_from(std::string_view bytes, const char* what) {
  auto value = parse_json(bytes);
  if (!value || !value->is_object() || number(value->get_object(), "format") != 1) return fail(ErrorCode::kStorage, std::string(what) + " cannot be read, or was written by another version");
  return std::move(value->get_object());
}

// A process that this one started, or that an earlier supervisor did.
class Watched {
 public:
  Watched() = default;
  Watched(pid_t pid, std::uint64_t started) : pid_(pid), started_(started), fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
    // Between the look and the open another may have got the number.
    if (started_ticks(pid) != started) fd_.reset();
  }
  pid_t pid() const { return pid_; }
  std::uint64_t started() const { return started_; }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  bool ended() const {
    if (!fd_) return true;
    pollfd one{fd_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }
  void signal(int which) const {
    if (fd_ && !ended()) ::syscall(SYS_pidfd_send_signal, fd_.get(), which, nullptr, 0);
  }
  void kill_group() const {
    if (fd_ && !ended()) ::kill(-pid_, SIGKILL);
    signal(SIGKILL);
  }
  // "exited with status 1"; "ended" where another was its parent.
  std::string reap() {
    int status = 0;
    std::string how = "ended";
    if (::waitpid(pid_, &status, WNOHANG) == pid_) how = WIFSIGNALED(status) ? "was killed by signal " + std::to_string(WTERMSIG(status)) : "exited with status " + std::to_string(WEXITSTATUS(status));
    fd_.reset();
    return how;
  }

 private:
  pid_t pid_ = 0;
  std::uint64_t started_ = 0;
  process::Fd fd_;
};

struct Starting {
  Wanted wanted;
  Watched process;
  fs::path out;
  Clock::time_point until;
  bool takes_over = false;
};

struct Leaving {
  Watched process;
  Clock::time_point until;
  bool asked = false;   // by SIGTERM
};

class Supervisor {
 public:
  explicit Supervisor(fs::path folder) : folder_(std::move(folder)), run_(folder_ / "run") {}

  int run() {
    std::error_code ec;
    fs::create_directories(run_, ec);
    fs::create_directories(folder_ / "logs", ec);
    if (!hold()) return 1;
    sigset_t set;
    sigemptyset(&set);
    for (const int one : {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&set, one);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    adopt();
    state_.pid = ::getpid();
    state_.pid_started = started_ticks(::getpid());
    say("supervisor " + std::to_string(::getpid()) + " begins" + (engine_ ? ", in charge of engine " + std::to_string(engine_.pid()) : ""));
    while (!finished_) {
      look();
      const bool busy = starting_ || !leaving_.empty() || stopping_;
      const timespec wait{busy ? 0 : 1, busy ? 50'000'000 : 0};
      const int got = ::sigtimedwait(&set, nullptr, &wait);
      if (got == SIGUSR1) {
        say("supervisor " + std::to_string(::getpid()) + " leaves, and the engine stays");
        // A start half-way would be nobody's.
        if (starting_) starting_->process.kill_group();
        return 0;
      }
      if (got == SIGTERM || got == SIGINT) stop();
    }
    return 0;
  }

 private:
  bool hold() {
    lock_ = process::Fd(::open((run_ / "supervisor.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    for (int i = 0; lock_ && i < 300; ++i) {
      if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return true;
      ::usleep(50'000);
    }
    return false;
  }

  void say(const std::string& text) const {
    const process::Fd fd(::open((folder_ / "logs/supervisor.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!fd) return;
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &parts);
    const std::string line = stamp + text + "\n";
    (void)!::write(fd.get(), line.data(), line.size());
  }

  void publish(Phase phase, std::string message = {}) {
    state_.phase = phase;
    state_.message = std::move(message);
    state_.engine_pid = engine_ ? engine_.pid() : 0;
    state_.engine_started = engine_ ? engine_.started() : 0;
    (void)write_file(run_ / "supervisor.json", compact_json(to_json(state_)) + "\n", 0600);
  }

  // The engine of a supervisor that is gone.
  void adopt() {
    const auto text = read_file(run_ / "supervisor.json", kMostFile);
    if (!text) return;
    auto before = supervised_from(*text);
    if (!before) return;
    state_ = *before;
    if (before->engine_pid > 0 && before->engine_started != 0 && started_ticks(before->engine_pid) == before->engine_started) engine_ = Watched(before->engine_pid, before->engine_started);
    // What ran by that wish is known by its release alone; the wish itself is read anew.
    served_.release = before->release;
    served_.bundle = before->bundle;
    served_.root = before->root;
    served_.engine = before->engine;
    if (!engine_) state_.release.clear(), state_.url.clear();
    state_.serial = 0;
  }

  void look() {
    trim_logs();
    std::erase_if(leaving_, [&](Leaving& one) {
      if (one.process.ended()) {
        one.process.reap();
        return true;
      }
      if (Clock::now() >= one.until) {
        if (one.asked) one.process.kill_group();
        else one.process.signal(SIGTERM);
        one.asked = true;
        one.until = Clock::now() + kDrain;
      }
      return false;
    });
    if (stopping_) return look_stopping();
    if (starting_) look_starting();
    if (engine_ && engine_.ended()) lost();
    const auto text = read_file(run_ / "wanted.json", kMostFile);
    if (text) {
      auto wanted = wanted_from(*text);
      if (wanted && wanted->serial != state_.serial && (!starting_ || starting_->wanted.serial != wanted->serial)) return follow(*wanted);
    }
    if (!engine_ && !starting_ && !served_.root.empty() && Clock::now() >= next_try_ && state_.serial != 0) {
      ++state_.restarts;
      start(served_, false);
    }
  }

  void follow(const Wanted& wanted) {
    if (starting_) {
      starting_->process.kill_group();
      leaving_.push_back({std::move(starting_->process), Clock::now() + kDrain, true});
      starting_.reset();
    }
    if (wanted.stop) {
      state_.serial = wanted.serial;
      return stop();
    }
    // The same again, which a repeated apply asks for.
    if (engine_ && served_.bundle == wanted.bundle && served_.engine == wanted.engine && served_.root == wanted.root && state_.url == address(wanted)) {
      served_ = wanted;
      state_.serial = wanted.serial;
      state_.release = wanted.release;
      return publish(Phase::kServing);
    }
    if (engine_ && state_.url != address(wanted)) {
      say("the address changes: " + state_.url + " ends first");
      engine_.signal(SIGTERM);
      leaving_.push_back({std::move(engine_), Clock::now() + kDrain, true});
      engine_ = Watched();
      state_.release.clear();
    }
    state_.restarts = 0;
    start(wanted, true);
  }

  static std::string address(const Wanted& wanted) { return "http://" + (wanted.host.find(':') != std::string::npos ? "[" + wanted.host + "]" : wanted.host) + ":" + std::to_string(wanted.port); }

  void start(const Wanted& wanted, bool may_take_over) {
    Starting next;
    next.wanted = wanted;
    next.takes_over = may_take_over && engine_;
    next.out = run_ / ("ready-" + std::to_string(++starts_) + ".jsonl");
    std::error_code ec;
    fs::remove(next.out, ec);
    const process::Fd out(::open(next.out.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const process::Fd log(::open((folder_ / "logs/engine.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    process::SpawnSpec spec;
    spec.argv = {wanted.engine.string(), "serve", "--json", "--env", wanted.environment, "--project", wanted.root.string(), "--host", wanted.host, "--port", std::to_string(wanted.port)};
    if (next.takes_over) spec.argv.insert(spec.argv.end(), {"--takeover-from", served_.root.string()});
    spec.directory = wanted.root;
    spec.environment = process::environment_with({});
    spec.descriptors = {{1, out.get()}, {2, log.get()}};
    spec.die_with_parent = false;
    auto child = process::spawn(spec);
    if (!child) return failed(next, to_text(child.error()));
    next.process = Watched(child->pid(), started_ticks(child->pid()));
    next.until = Clock::now() + std::chrono::seconds(wanted.start_seconds);
    say("engine " + std::to_string(child->pid()) + " of " + wanted.release + " starts" + (next.takes_over ? ", to take over from " + std::to_string(engine_.pid()) : ""));
    starting_ = std::move(next);
    publish(Phase::kStarting);
  }

  void look_starting() {
    auto& next = *starting_;
    const auto text = read_file(next.out, kMostFile);
    const bool ready = text && text->find("\"event\":\"ready\"") != std::string::npos;
    if (ready) {
      if (engine_) leaving_.push_back({std::move(engine_), Clock::now() + kDrain, false});
      served_ = next.wanted;
      engine_ = std::move(next.process);
      state_.serial = served_.serial;
      state_.release = served_.release;
      state_.bundle = served_.bundle;
      state_.root = served_.root;
      state_.engine = served_.engine;
      state_.url = address(served_);
      state_.since_ms = now_ms();
      began_ = Clock::now();
      starting_.reset();
      say("engine " + std::to_string(engine_.pid()) + " of " + served_.release + " serves " + state_.url);
      return publish(Phase::kServing);
    }
    if (next.process.ended()) {
      std::string why = "it " + next.process.reap() + " before it was ready" + said_in(next.out);
      return failed(next, why);
    }
    if (Clock::now() >= next.until) {
      next.process.kill_group();
      failed(next, "it was not ready within " + std::to_string(next.wanted.start_seconds) + " s");
    }
  }

  // The error that `serve --json` has printed.
  static std::string said_in(const fs::path& out) {
    const auto text = read_file(out, kMostFile);
    if (!text) return "";
    const auto at = text->find("{\"error\":");
    // It may be printed over several lines.
    auto value = at == std::string::npos ? Result<json::value>(fail(ErrorCode::kNotFound, "")) : parse_json(std::string_view(*text).substr(at));
    if (!value) {
      const auto pretty = text->find('{');
      if (pretty == std::string::npos) return "";
      value = parse_json(std::string_view(*text).substr(pretty));
    }
    const auto* object = value ? value->if_object() : nullptr;
    const auto* error = object ? object->if_contains("error") : nullptr;
    return error && error->is_object() ? ": " + to_text(error_from_json(error->get_object())) : "";
  }

  void failed(Starting& next, const std::string& why) {
    const Wanted wanted = next.wanted;
    if (next.process && !next.process.ended()) leaving_.push_back({std::move(next.process), Clock::now() + kDrain, true});
    starting_.reset();
    say("the engine of " + wanted.release + " does not serve: " + why);
    const bool again = wanted.serial == served_.serial && wanted.root == served_.root;
    state_.serial = wanted.serial;
    if (again) {
      pause(why);
    } else {
      publish(Phase::kFailed, why);
      // What served before this wish is what is wanted again, should it end.
      served_.serial = wanted.serial;
    }
  }

  void lost() {
    const std::string how = engine_.reap();
    say("engine " + std::to_string(state_.engine_pid) + " of " + served_.release + " " + how);
    engine_ = Watched();
    if (Clock::now() - began_ > kSettled) pause_ = std::chrono::milliseconds(0);
    pause("the engine " + how);
  }

  void pause(const std::string& why) {
    state_.release.clear();
    next_try_ = Clock::now() + pause_;
    pause_ = std::min(pause_ * 2 + std::chrono::milliseconds(200), kLongestPause);
    publish(Phase::kPausing, why);
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    say("stopping");
    if (starting_) {
      starting_->process.kill_group();
      leaving_.push_back({std::move(starting_->process), Clock::now() + kDrain, true});
      starting_.reset();
    }
    if (engine_) {
      engine_.signal(SIGTERM);
      leaving_.push_back({std::move(engine_), Clock::now() + kDrain, true});
      engine_ = Watched();
    }
  }

  void look_stopping() {
    if (!leaving_.empty()) return;
    state_.release.clear();
    state_.url.clear();
    state_.root.clear();
    publish(Phase::kStopped);
    say("stopped");
    finished_ = true;
  }

  // Engines append, so that a log can be cut while they write: the newer half stays as NAME.1.
  void trim_logs() {
    std::error_code ec;
    for (const char* name : {"engine.log", "supervisor.log"}) {
      const fs::path log = folder_ / "logs" / name;
      if (fs::file_size(log, ec) <= kMostLog || ec) continue;
      fs::copy_file(log, log.string() + ".1", fs::copy_options::overwrite_existing, ec);
      if (!ec) fs::resize_file(log, 0, ec);
    }
    if (starting_) return;
    for (fs::directory_iterator it(run_, ec), end; !ec && it != end && starts_ > cleared_; it.increment(ec)) {
      const auto name = it->path().filename().string();
      if (name.starts_with("ready-") && name != "ready-" + std::to_string(starts_) + ".jsonl") fs::remove(it->path(), ec);
    }
    cleared_ = starts_;
  }

  fs::path folder_;
  fs::path run_;
  process::Fd lock_;
  Supervised state_;
  Wanted served_;             // what serves, or should again
  Watched engine_;
  std::optional<Starting> starting_;
  std::vector<Leaving> leaving_;
  Clock::time_point began_{};
  Clock::time_point next_try_{};
  std::chrono::milliseconds pause_{0};
  int starts_ = static_cast<int>(::getpid()) * 1000;  // names of files that no supervisor before used
  int cleared_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
};

}  // namespace

json::object to_json(const Wanted& wanted) {
  return {{"format", 1}, {"serial", wanted.serial}, {"stop", wanted.stop}, {"release", wanted.release}, {"bundle", wanted.bundle}, {"root", wanted.root.string()}, {"engine", wanted.engine.string()},
          {"environment", wanted.environment}, {"host", wanted.host}, {"port", wanted.port}, {"start_seconds", wanted.start_seconds}};
}

Result<Wanted> wanted_from(std::string_view bytes) {
  auto object = object_from(bytes, "wanted.json");
  if (!object) return fail(std::move(object.error()));
  Wanted out;
  out.serial = static_cast<int>(number(*object, "serial"));
  out.stop = flag(*object, "stop");
  out.release = string_or(*object, "release");
  out.bundle = string_or(*object, "bundle");
  out.root = std::string(string_or(*object, "root"));
  out.engine = std::string(string_or(*object, "engine"));
  out.environment = string_or(*object, "environment");
  out.host = string_or(*object, "host");
  out.port = static_cast<int>(number(*object, "port"));
  out.start_seconds = static_cast<int>(std::clamp<std::int64_t>(number(*object, "start_seconds"), 1, 86'400));
  if (out.serial <= 0 || (!out.stop && (out.root.empty() || out.engine.empty() || out.environment.empty() || out.port <= 0))) return fail(ErrorCode::kStorage, "wanted.json does not say what is wanted");
  return out;
}

json::object to_json(const Supervised& state) {
  return {{"format", 1}, {"serial", state.serial}, {"phase", kPhases[static_cast<std::size_t>(state.phase)]}, {"message", state.message}, {"pid", state.pid}, {"pid_started", state.pid_started},
          {"release", state.release}, {"bundle", state.bundle}, {"root", state.root.string()}, {"engine", state.engine.string()}, {"engine_pid", state.engine_pid}, {"engine_started", state.engine_started},
          {"url", state.url}, {"restarts", state.restarts}, {"since_ms", state.since_ms}};
}

Result<Supervised> supervised_from(std::string_view bytes) {
  auto object = object_from(bytes, "supervisor.json");
  if (!object) return fail(std::move(object.error()));
  Supervised out;
  const auto phase = std::find(kPhases.begin(), kPhases.end(), string_or(*object, "phase"));
  if (phase == kPhases.end()) return fail(ErrorCode::kStorage, "supervisor.json does not say what is");
  out.phase = static_cast<Phase>(phase - kPhases.begin());
  out.serial = static_cast<int>(number(*object, "serial"));
  out.message = string_or(*object, "message");
  out.pid = static_cast<int>(number(*object, "pid"));
  out.pid_started = static_cast<std::uint64_t>(number(*object, "pid_started"));
  out.release = string_or(*object, "release");
  out.bundle = string_or(*object, "bundle");
  out.root = std::string(string_or(*object, "root"));
  out.engine = std::string(string_or(*object, "engine"));
  out.engine_pid = static_cast<int>(number(*object, "engine_pid"));
  out.engine_started = static_cast<std::uint64_t>(number(*object, "engine_started"));
  out.url = string_or(*object, "url");
  out.restarts = static_cast<int>(number(*object, "restarts"));
  out.since_ms = number(*object, "since_ms");
  return out;
}

int run_supervisor(const fs::path& folder) {
  // No terminal's end reaches it.
  ::setsid();
  std::error_code ec;
  if (!fs::is_directory(folder, ec)) return 2;
  ::umask(0077);
  return Supervisor(fs::absolute(folder, ec)).run();
}

}  // namespace sabir::deploy

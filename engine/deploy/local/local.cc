#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/deploy/bundle.h"
#include "sabir/deploy/supervisor.h"
#include "sabir/deploy/streamed.h"
#include "sabir/deploy/target.h"
#include "sabir/process/spawn.h"
#include "sabir/project/serving.h"
#include "address.h"
#include "log_tail.h"

#include "who.h"

extern char** environ;

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostFile = std::size_t{1} << 20U;
constexpr std::chrono::minutes kSetup{20};
constexpr std::chrono::seconds kSupervisorTime{20};
constexpr int kStartSeconds = 300;

// What an engine sees of the environment in which `sabir deploy` was called: what finds programs, packages and certificates.
bool is_passed_on(std::string_view name) {
  constexpr std::array kNames = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "JAVA_HOME", "GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "CARGO_HOME", "RUSTUP_HOME",
                                 "PYENV_ROOT", "RBENV_ROOT", "NVM_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
                                 "ALL_PROXY", "SABIR_RESOURCES", "SABIR_AGE_IDENTITY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() || name.starts_with("LC_") || name.starts_with("XDG_") || name.starts_with("ASDF_");
}

bool lives(int pid, std::uint64_t started) { return pid > 0 && started != 0 && started_ticks(pid) == started; }

class LocalTarget : public Target {
 public:
  LocalTarget(TargetContext context, fs::path folder, std::string host, int port, std::vector<std::string> names)
      : context_(std::move(context)), folder_(std::move(folder)), host_(std::move(host)), port_(port), names_(std::move(names)), backend_(folder_backend(folder_ / "backend")) {}

  Backend& backend() override { return *backend_; }

  Result<void> check() override {
    for (const auto& name : names_) {
      const char* value = std::getenv(name.c_str());
      if (!value || !*value) return fail(context_.settings.wrong("/environment", "the variable " + name + ", which the engine is to have, is not set here", "Set it, or take it out of the list."));
    }
    return {};
  }

  Result<TargetPlan> plan(const Release&, const Say&) override {
    TargetPlan out;
    const auto state = supervised();
    const bool runs = state && lives(state->pid, state->pid_started);
    if (!state || state->phase == Phase::kStopped) {
      out.changes.push_back({ChangeKind::kCreate, "supervisor", folder_.string()});
      out.changes.push_back({ChangeKind::kCreate, "server", "http://" + host_ + ":" + (port_ != 0 ? std::to_string(port_) : kept_port() != 0 ? std::to_string(kept_port()) : "a free port, which it keeps")});
      return out;
    }
    const auto wanted = wish();
    const std::string release = wanted ? wanted->release : state->release;
    if (!runs) out.drift.push_back("its supervisor, process " + std::to_string(state->pid) + ", is gone");
    if (!lives(state->engine_pid, state->engine_started)) out.drift.push_back("its engine " + (state->engine_pid > 0 ? "(process " + std::to_string(state->engine_pid) + ") is gone" : "does not run") + (state->message.empty() ? "" : ": " + state->message));
    else if (state->release != release) out.drift.push_back(state->release + " runs, where " + release + " was wanted");
    const std::string url = address(port_ != 0 ? port_ : kept_port());
    if (!state->url.empty() && state->url != url) out.changes.push_back({ChangeKind::kReplace, "server", state->url + " -> " + url + "; nobody answers for a moment"});
    return out;
  }

  Result<void> stage(const Release& release, const Say& say) override {
    const fs::path root = root_of(release);
    std::error_code ec;
    if (fs::exists(root / ".sabir/staged", ec)) {
      say("unpacked and set up already: " + root.string());
      return {};
    }
    fs::remove_all(root, ec);
    if (auto ok = unpack_bundle(folder_ / "backend" / release.bundle_object(), release.bundle_hash, root); !ok) return ok;
    // All releases have one state: memory, journal, recorded answers. What belongs to the release's own files stays with it.
    fs::create_directories(folder_ / "state", ec);
    fs::permissions(folder_ / "state", fs::perms::owner_all, ec);
    fs::create_directories(root / ".sabir", ec);
    fs::create_directory_symlink(folder_ / "state", root / ".sabir" / context_.environment, ec);
    if (ec) return fail(ErrorCode::kIo, root.string() + ": " + ec.message());
    say("unpacked into " + root.string());
    process::SpawnSpec spec;
    spec.argv = {engine_of(release).string(), "setup", "--project", root.string(), "--env", context_.environment};
    spec.directory = root;
    spec.environment = environment({{"SABIR_SECRETS_FILE", secrets_file().string()}});
    auto done = run_streamed(std::move(spec), kSetup, say, nullptr, [this] { return context_.interrupted->load(); });
    if (!done) return fail(std::move(done.error()));
    if (*context_.interrupted) return fail(ErrorCode::kCancelled, "interrupted: the release is not set up");
    if (done->code != 0) return fail(ErrorCode::kBuildFailed, "`sabir setup` of the release " + done->text(), "What it said stands above. `sabir doctor` says what this machine lacks.");
    return write_file(root / ".sabir/staged", release.bundle_hash + "\n");
  }

  Result<std::string> activate(const Release& release, const Say& say) override {
    std::error_code ec;
    fs::create_directories(folder_ / "run", ec);
    auto port = choose_port();
    if (!port) return fail(std::move(port.error()));
    Wanted next;
    const auto before = wish();
    next.serial = (before ? before->serial : 0) + 1;
    next.release = release.id;
    next.bundle = release.bundle_hash;
    next.root = root_of(release);
    next.engine = engine_of(release);
    next.environment = context_.environment;
    next.host = host_;
    next.port = *port;
    next.start_seconds = kStartSeconds;
    if (auto ok = write_file(folder_ / "run/wanted.json", compact_json(to_json(next)) + "\n", 0600); !ok) return fail(std::move(ok.error()));
    // A new supervisor has this engine's code and this environment; what serves goes on meanwhile.
    if (auto ok = replace_supervisor(next.engine); !ok) return fail(std::move(ok.error()));
    auto answered = answer_to(next.serial, std::chrono::seconds(kStartSeconds + 30), say);
    if (!answered) return fail(std::move(answered.error()));
    if (answered->phase != Phase::kServing) {
      return fail(ErrorCode::kUnavailable, release.id + " does not start: " + answered->message, answered->release.empty() ? "" : answered->release + " answers as before.");
    }
    say("process " + std::to_string(answered->engine_pid) + " serves " + release.id + " at " + answered->url);
    return answered->url;
  }

  Result<void> settle(const std::vector<Release>& kept, const Say& say) override {
    std::vector<std::string> names;
    for (const auto& one : kept) {
      names.push_back(root_of(one).filename().string());
      names.push_back(fs::path(one.bundle_object()).filename().string());
      names.push_back(fs::path(one.engine_object()).filename().string());
    }
    std::size_t gone = 0;
    std::error_code ec;
    for (const fs::path& place : {folder_ / "releases", folder_ / "backend/bundles", folder_ / "backend/engines"}) {
      std::vector<fs::path> old;
      for (fs::directory_iterator it(place, ec), end; !ec && it != end; it.increment(ec)) {
        if (std::find(names.begin(), names.end(), it->path().filename().string()) == names.end()) old.push_back(it->path());
      }
      for (const auto& path : old) gone += fs::remove_all(path, ec) > 0 && place.filename() == "releases" ? 1U : 0U;
    }
    if (gone > 0) say(std::to_string(gone) + " old release" + (gone == 1 ? "" : "s") + " cleared away");
    return {};
  }

  Result<Status> status() override {
    Status out;
    const auto state = supervised();
    if (!state || (state->phase == Phase::kStopped && !lives(state->engine_pid, state->engine_started))) {
      out.running = Running::kNothing;
      return out;
    }
    const bool supervisor = lives(state->pid, state->pid_started);
    const bool engine = lives(state->engine_pid, state->engine_started);
    out.url = state->url;
    out.release = engine ? state->release : "";
    out.bundle_hash = engine ? state->bundle : "";
    out.running = !engine ? Running::kNothing : ask_ready(state->url) == 200 ? Running::kYes : Running::kBroken;
    if (!supervisor) out.notes.push_back("its supervisor, process " + std::to_string(state->pid) + ", is gone: nobody starts the engine again should it end");
    if (!state->message.empty()) out.notes.push_back(state->message);
    if (state->restarts > 0) out.notes.push_back("started again " + std::to_string(state->restarts) + (state->restarts == 1 ? " time" : " times"));
    if (supervisor && !engine && state->phase != Phase::kFailed) out.notes.push_back("the supervisor is about to start it again");
    out.data = to_json(*state);
    out.data["folder"] = folder_.string();
    return out;
  }

  Result<void> logs(const LogOptions& options, const Say& say) override { return tail(folder_ / "logs/engine.log", options, say); }

  Result<TargetPlan> plan_destroy(const Say&) override {
    TargetPlan out;
    const auto state = supervised();
    if (state && lives(state->engine_pid, state->engine_started)) out.changes.push_back({ChangeKind::kDelete, "server", state->url + " (process " + std::to_string(state->engine_pid) + ")"});
    if (state && lives(state->pid, state->pid_started)) out.changes.push_back({ChangeKind::kDelete, "supervisor", "process " + std::to_string(state->pid)});
    std::error_code ec;
    if (fs::exists(folder_ / "releases", ec)) out.changes.push_back({ChangeKind::kDelete, "releases", (folder_ / "releases").string()});
    out.changes.push_back({ChangeKind::kNote, "state", (folder_ / "state").string() + " stays: memory, journal, tokens"});
    return out;
  }

  Result<void> destroy(const Say& say) override {
    std::error_code ec;
    const auto state = supervised();
    if (state && (lives(state->pid, state->pid_started) || lives(state->engine_pid, state->engine_started))) {
      auto wanted = wish();
      Wanted end = wanted ? *wanted : Wanted();
      end.serial += 1;
      end.stop = true;
      if (auto ok = write_file(folder_ / "run/wanted.json", compact_json(to_json(end)) + "\n", 0600); !ok) return ok;
      if (lives(state->pid, state->pid_started)) ::kill(state->pid, SIGHUP);
      const auto until = Clock::now() + std::chrono::seconds(120);
      auto now = supervised();
      while (Clock::now() < until && now && lives(now->pid, now->pid_started)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        now = supervised();
      }
      // Where the supervisor had been killed, its engine is left.
      if (now && lives(now->engine_pid, now->engine_started)) {
        ::kill(now->engine_pid, SIGTERM);
        while (Clock::now() < until && lives(now->engine_pid, now->engine_started)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (lives(now->engine_pid, now->engine_started)) ::kill(-now->engine_pid, SIGKILL);
      }
      if (now && lives(now->pid, now->pid_started)) return fail(ErrorCode::kTimeout, "the supervisor, process " + std::to_string(now->pid) + ", does not end");
      say("stopped");
    }
    for (const char* name : {"releases", "run", "backend/bundles", "backend/engines"}) fs::remove_all(folder_ / name, ec);
    say("taken away; " + (folder_ / "state").string() + " and the ledger stay");
    return {};
  }

 private:
  fs::path root_of(const Release& release) const { return folder_ / "releases" / (release.bundle_hash.substr(0, 16) + "-" + release.engine_hash.substr(0, 8)); }
  fs::path engine_of(const Release& release) const { return folder_ / "backend" / release.engine_object(); }
  fs::path secrets_file() const { return context_.root / "config/secrets.json"; }
  std::string address(int port) const { return "http://" + (host_.find(':') != std::string::npos ? "[" + host_ + "]" : host_) + ":" + std::to_string(port); }

  std::optional<Supervised> supervised() const {
    const auto text = read_file(folder_ / "run/supervisor.json", kMostFile);
    auto state = text ? supervised_from(*text) : Result<Supervised>(fail(ErrorCode::kNotFound, ""));
    return state ? std::optional(std::move(*state)) : std::nullopt;
  }
  std::optional<Wanted> wish() const {
    const auto text = read_file(folder_ / "run/wanted.json", kMostFile);
    auto wanted = text ? wanted_from(*text) : Result<Wanted>(fail(ErrorCode::kNotFound, ""));
    return wanted ? std::optional(std::move(*wanted)) : std::nullopt;
  }

  int kept_port() const { return deploy::kept_port(folder_); }
  Result<int> choose_port() const {
    if (port_ != 0) return port_;
    return deploy::choose_port(folder_, host_);
  }

  std::vector<std::string> environment(const std::map<std::string, std::string>& changes) const {
    std::map<std::string, std::string> out(changes);
    for (char** one = environ; *one; ++one) {
      const std::string_view text(*one);
      const auto end = text.find('=');
      if (end == std::string_view::npos) continue;
      const std::string name(text.substr(0, end));
      if (is_passed_on(name) || std::find(names_.begin(), names_.end(), name) != names_.end()) out.emplace(name, text.substr(end + 1));
    }
    std::vector<std::string> list;
    for (const auto& [name, value] : out) list.push_back(name + "=" + value);
    return list;
  }

  Result<void> replace_supervisor(const fs::path& engine) const {
    if (const auto state = supervised(); state && lives(state->pid, state->pid_started)) {
      ::kill(state->pid, SIGUSR1);
      const auto until = Clock::now() + kSupervisorTime;
      while (lives(state->pid, state->pid_started)) {
        if (Clock::now() >= until) return fail(ErrorCode::kTimeout, "the supervisor, process " + std::to_string(state->pid) + ", does not make room for a new one");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    process::SpawnSpec spec;
    spec.argv = {engine.string(), "deploy-supervisor", folder_.string()};
    spec.directory = folder_;
    spec.environment = environment({{"SABIR_SECRETS_FILE", secrets_file().string()}});
    spec.die_with_parent = false;
    spec.own_group = false;  // it makes a session of its own, which a leader of a group could not
    auto child = process::spawn(spec);
    if (!child) return fail(std::move(child.error()));
    return {};
  }

  Result<Supervised> answer_to(int serial, std::chrono::seconds most, const Say& say) const {
    const auto until = Clock::now() + most;
    const auto first_sign = Clock::now() + kSupervisorTime;
    std::string told;
    while (Clock::now() < until) {
      const auto state = supervised();
      const bool alive = state && lives(state->pid, state->pid_started);
      if (state && state->serial == serial && state->phase != Phase::kStarting) {
        // One that serves this release already is started again after a crash: that counts once it serves.
        if (state->phase != Phase::kPausing) return *state;
        if (told != state->message) say(told = state->message);
      }
      if (!alive && Clock::now() >= first_sign) return fail(ErrorCode::kUnavailable, "the supervisor does not start", (folder_ / "logs/supervisor.log").string() + " may say why.");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return fail(ErrorCode::kTimeout, "the supervisor did not answer in " + std::to_string(most.count()) + " s", (folder_ / "logs/supervisor.log").string() + " may say why.");
  }

  TargetContext context_;
  fs::path folder_;
  std::string host_;
  int port_;
  std::vector<std::string> names_;
  std::unique_ptr<Backend> backend_;
};

Result<std::unique_ptr<Target>> make(TargetContext context) {
  const auto& settings = context.settings;
  auto folder = settings.text("folder", ".sabir/" + context.environment + "/deploy");
  if (!folder) return fail(std::move(folder.error()));
  auto host = settings.text("host", "127.0.0.1");
  if (!host) return fail(std::move(host.error()));
  if (!project::is_loopback_host(*host)) {
    return fail(settings.wrong("/host", "the target local serves this machine alone, and " + *host + " is reached from others", "Leave it at 127.0.0.1, and put a proxy with TLS in front."));
  }
  auto port = settings.whole("port", 0, 0, 65535);
  if (!port) return fail(std::move(port.error()));
  auto names = settings.texts("environment");
  if (!names) return fail(std::move(names.error()));
  std::error_code ec;
  fs::path place = fs::path(*folder).is_absolute() ? fs::path(*folder) : context.root / *folder;
  if (folder->starts_with("~/")) {
    const char* home = std::getenv("HOME");
    place = fs::path(home ? home : "/") / folder->substr(2);
  }
  place = fs::absolute(place, ec).lexically_normal();
  return std::unique_ptr<Target>(std::make_unique<LocalTarget>(std::move(context), std::move(place), std::move(*host), *port, std::move(*names)));
}

}  // namespace

Driver local_driver() { return {"local", "processes of this machine, supervised", make}; }

}  // namespace sabir::deploy

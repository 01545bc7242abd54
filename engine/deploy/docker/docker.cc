// The target docker: an image of the project's Dockerfile, built of the bundle, in one container of this machine (or of the one that
// DOCKER_HOST names). docker and podman build and run; buildah builds for podman.
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/deploy/bundle.h"
#include "sabir/deploy/streamed.h"
#include "sabir/deploy/target.h"
#include "sabir/secrets/secrets.h"

namespace sabir::deploy {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kBuild{60};
constexpr std::chrono::seconds kQuick{60};
constexpr std::chrono::seconds kToStop{45};  // above what an engine takes to drain
constexpr std::chrono::milliseconds kBetween{500};
constexpr std::size_t kMostOutput = std::size_t{4} << 20U;
constexpr const char* kInstall = "apt-get install podman (or docker.io), or see docs/deploy-docker.md";

struct Tools {
  std::string build;  // docker, podman or buildah
  std::string run;    // docker or podman
};

// docker without a daemon that answers is not there.
Result<Tools> find_tools(const std::string& wanted) {
  Tools out;
  std::string silent;
  const auto has = [](const char* name) { return !process::find_program(name).empty(); };
  if ((wanted.empty() || wanted == "docker") && has("docker")) {
    process::SpawnSpec spec;
    spec.argv = {"docker", "version", "--format", "{{.Server.Version}}"};
    spec.environment = process::environment_with({});
    spec.separate_errors = true;
    auto asked = process::run(std::move(spec), std::chrono::seconds(20));
    if (asked && !asked->timed_out && asked->status.code == 0) return Tools{"docker", "docker"};
    silent = asked ? std::string(trim(asked->errors)) : asked.error().message;
  }
  if (wanted != "docker" && has("podman")) return Tools{has("buildah") && wanted == "buildah" ? "buildah" : "podman", "podman"};
  if (wanted != "docker" && has("buildah")) {
    return fail(ErrorCode::kUnavailable, "buildah is here, which builds images, and nothing that runs them", "apt-get install podman");
  }
  if (!silent.empty()) return fail(ErrorCode::kUnavailable, "docker is installed, and its daemon does not answer: " + silent, "systemctl start docker, or: apt-get install podman, which needs no daemon");
  if (!wanted.empty()) return fail(ErrorCode::kUnavailable, wanted + " is not installed", std::string("apt-get install ") + (wanted == "docker" ? "docker.io" : wanted));
  return fail(ErrorCode::kUnavailable, "neither docker nor podman is installed", kInstall);
}

class Docker final : public Target {
 public:
  struct Options {
    std::string tool, dockerfile, host, network, env_file;
    int port = 8080;
    std::vector<std::string> build_args;  // NAME=value
    fs::path folder;                      // of ledger and lock
  };

  Docker(TargetContext context, Options options)
      : context_(std::move(context)), options_(std::move(options)), backend_(folder_backend(options_.folder)), container_(context_.app + "-" + context_.environment) {}

  Backend& backend() override { return *backend_; }

  Result<void> check() override {
    if (std::error_code ec; !fs::exists(context_.root / options_.dockerfile, ec)) {
      return fail(Error(ErrorCode::kNotFound, options_.dockerfile + " is not there", "sabir deploy init docker").at(options_.dockerfile));
    }
    if (!options_.env_file.empty()) {
      if (std::error_code ec; !fs::exists(context_.root / options_.env_file, ec)) return fail(context_.settings.wrong("/env_file", options_.env_file + " is not there"));
    }
    return tools();
  }

  Result<TargetPlan> plan(const Release& release, const Say&) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    TargetPlan out;
    if (!has_image(release)) out.changes.push_back({ChangeKind::kCreate, "image " + image(release), "built of " + options_.dockerfile + " by " + tools_.build});
    auto now = inspect(container_);
    if (!now) return fail(std::move(now.error()));
    const std::string address = options_.host + ":" + std::to_string(options_.port);
    if (now->empty()) out.changes.push_back({ChangeKind::kCreate, "container " + container_, "serves " + image(release) + " at " + address});
    else if (label(*now, "sabir.bundle") != release.bundle_hash || label(*now, "sabir.engine") != release.engine_hash) out.changes.push_back({ChangeKind::kReplace, "container " + container_, "serves " + image(release) + " at " + address});
    if (!now->empty() && !is_running(*now)) out.drift.push_back("the container " + container_ + " does not run");
    return out;
  }

  Result<void> stage(const Release& release, const Say& say) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    if (has_image(release)) return {};
    std::error_code ec;
    const fs::path folder = context_.work / "context";
    fs::remove_all(folder, ec);
    fs::create_directories(context_.work, ec);
    if (auto unpacked = unpack_bundle(release.bundle, release.bundle_hash, folder); !unpacked) return unpacked;
    fs::copy_file(release.engine, folder / "sabir-engine", fs::copy_options::overwrite_existing, ec);
    if (ec) return fail(ErrorCode::kIo, "the engine cannot be laid into " + folder.string() + ": " + ec.message());
    // As it is now: a Dockerfile that was mended builds an older bundle, too.
    for (const auto& file : {options_.dockerfile, std::string(".dockerignore")}) {
      if (!fs::exists(context_.root / file, ec)) continue;
      fs::copy_file(context_.root / file, folder / fs::path(file).filename(), fs::copy_options::overwrite_existing, ec);
      if (ec) return fail(ErrorCode::kIo, file + " cannot be copied: " + ec.message());
    }
    process::SpawnSpec program;
    program.environment = process::environment_with({});
    program.argv = {tools_.build, tools_.build == "buildah" ? "bud" : "build", "-t", image(release), "-f", (folder / fs::path(options_.dockerfile).filename()).string(),
                    "--build-arg", "SABIR_ENGINE_SHA256=" + release.engine_hash, "--build-arg", "SABIR_ENV=" + context_.environment,
                    "--label", "sabir.bundle=" + release.bundle_hash, "--label", "sabir.engine=" + release.engine_hash, "--label", "sabir.app=" + container_};
    // podman's own format has no health check.
    if (tools_.build != "docker") program.argv.insert(program.argv.end(), {"--format", "docker"});
    for (const auto& one : options_.build_args) program.argv.insert(program.argv.end(), {"--build-arg", one});
    program.argv.push_back(folder.string());
    std::string last;
    auto ended = run_streamed(std::move(program), kBuild, [&](std::string_view line) {
      if (!trim(line).empty()) last = line;
      say(context_.redact(std::string(line)));
    }, nullptr, [this] { return context_.interrupted->load(); });
    fs::remove_all(folder, ec);
    if (!ended) return fail(std::move(ended.error()));
    if (*context_.interrupted) return fail(ErrorCode::kCancelled, "interrupted: the image is not built");
    if (ended->code != 0) return fail(Error(ErrorCode::kBuildFailed, tools_.build + " does not build the image: " + context_.redact(last), "What it printed says why; the steps are in " + options_.dockerfile + ".").at(options_.dockerfile));
    return {};
  }

  Result<std::string> activate(const Release& release, const Say& say) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    if (!has_image(release)) return fail(ErrorCode::kNotFound, "the image " + image(release) + " is not here any more", "Deploy its commit again.");
    auto now = inspect(container_);
    if (!now) return fail(std::move(now.error()));
    if (!now->empty() && is_running(*now) && label(*now, "sabir.bundle") == release.bundle_hash && label(*now, "sabir.engine") == release.engine_hash) return url();
    // Tried beside what answers, on the same state, with no port of this machine: one that does not come up changes nothing.
    const std::string candidate = container_ + "-candidate";
    quiet_remove(candidate);
    // On the machine's own network the two would want one port.
    if (!now->empty() && is_running(*now) && !on_host()) {
      say("trying " + image(release) + " beside what answers");
      auto tried = start(release, candidate, false);
      if (tried) tried = wait_ready(candidate);
      const std::string said = tried ? "" : tail(candidate);
      quiet_remove(candidate);
      if (!tried) return fail(came_to_nothing(release, tried.error(), said));
    }
    // The port has one owner: between the two, connections are refused for as long as an engine takes to start.
    const std::string previous = container_ + "-previous";
    const bool had = !now->empty();
    if (had) {
      quiet_remove(previous);
      if (auto done = quick({tools_.run, "stop", "--time", "40", container_}, kToStop + kQuick); !done) return fail(std::move(done.error()));
      if (auto done = quick({tools_.run, "rename", container_, previous}, kQuick); !done) return fail(std::move(done.error()));
    }
    auto begun = start(release, container_, true);
    if (begun) begun = wait_ready(container_);
    if (begun) {
      say(image(release) + " answers");
      return url();
    }
    const std::string said = tail(container_);
    quiet_remove(container_);
    if (had) {
      (void)quick({tools_.run, "rename", previous, container_}, kQuick);
      (void)quick({tools_.run, "start", container_}, kQuick);
      say("what answered before was started again");
    }
    return fail(came_to_nothing(release, begun.error(), said));
  }

  Result<void> settle(const std::vector<Release>& kept, const Say& say) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    quiet_remove(container_ + "-previous");
    auto listed = quick({tools_.run, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=sabir.app=" + container_}, kQuick);
    if (!listed) return fail(std::move(listed.error()));
    for (const auto line : split_lines(*listed)) {
      const std::string name(trim(line));
      const bool needed = name.empty() || name.find("<none>") != std::string::npos || std::any_of(kept.begin(), kept.end(), [&](const Release& one) { return name.ends_with(image(one)); });
      if (needed) continue;
      if (quick({tools_.run, "rmi", name}, kQuick)) say("dropped the image " + name);
    }
    return {};
  }

  Result<Status> status() override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    auto now = inspect(container_);
    if (!now) return fail(std::move(now.error()));
    Status out;
    out.data = {{"container", container_}, {"tool", tools_.run}};
    if (now->empty()) {
      out.running = Running::kNothing;
      return out;
    }
    out.release = label(*now, "sabir.release");
    out.bundle_hash = label(*now, "sabir.bundle");
    const bool runs = is_running(*now);
    out.running = runs && is_ready(container_) ? Running::kYes : Running::kBroken;
    if (!runs) out.notes.push_back("the container " + container_ + " does not run: " + tools_.run + " logs " + container_);
    else if (out.running == Running::kBroken) out.notes.push_back("/readyz does not answer 200");
    if (const auto* restarts = now->if_contains("RestartCount"); restarts && restarts->is_int64() && restarts->get_int64() > 0) out.notes.push_back("restarted " + std::to_string(restarts->get_int64()) + " times");
    out.url = url();
    return out;
  }

  Result<void> logs(const LogOptions& options, const Say& say) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    process::SpawnSpec program;
    program.environment = process::environment_with({});
    program.argv = {tools_.run, "logs", "--tail", std::to_string(options.lines)};
    if (options.follow) program.argv.push_back("--follow");
    program.argv.push_back(container_);
    auto ended = run_streamed(std::move(program), options.follow ? std::chrono::hours(24 * 7) : std::chrono::hours(1), [&](std::string_view line) { say(context_.redact(std::string(line))); }, nullptr, options.stop);
    if (!ended) return fail(std::move(ended.error()));
    if (ended->code != 0) return fail(ErrorCode::kNotFound, "there is no container " + container_ + ", or its log cannot be read", "sabir deploy status --env " + context_.environment);
    return {};
  }

  Result<TargetPlan> plan_destroy(const Say&) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    TargetPlan out;
    for (const auto& name : {container_, container_ + "-previous", container_ + "-candidate"}) {
      auto now = inspect(name);
      if (!now) return fail(std::move(now.error()));
      if (!now->empty()) out.changes.push_back({ChangeKind::kDelete, "container " + name, ""});
    }
    out.changes.push_back({ChangeKind::kNote, "volume " + volume(), "it stays, with the project's state: " + tools_.run + " volume rm " + volume()});
    return out;
  }

  Result<void> destroy(const Say& say) override {
    if (auto found = tools(); !found) return fail(std::move(found.error()));
    (void)quick({tools_.run, "stop", "--time", "40", container_}, kToStop + kQuick);
    for (const auto& name : {container_, container_ + "-previous", container_ + "-candidate"}) quiet_remove(name);
    auto now = inspect(container_);
    if (!now) return fail(std::move(now.error()));
    if (!now->empty()) return fail(ErrorCode::kUnavailable, "the container " + container_ + " is still there", tools_.run + " rm --force " + container_);
    say("the volume " + volume() + " stays with the project's state");
    return {};
  }

 private:
  Result<void> tools() {
    if (!tools_.run.empty()) return {};
    auto found = find_tools(options_.tool);
    if (!found) return fail(std::move(found.error()));
    tools_ = std::move(*found);
    return {};
  }

  std::string image(const Release& release) const { return context_.app + "-" + context_.environment + ":" + release.bundle_hash.substr(0, 12) + "-" + release.engine_hash.substr(0, 8); }
  bool on_host() const { return options_.network == "host"; }
  std::string volume() const { return container_ + "-state"; }
  std::string state_volume() const { return volume() + ":/srv/" + context_.app + "/.sabir"; }
  std::string url() const { return "http://" + (options_.host == "0.0.0.0" ? std::string("127.0.0.1") : options_.host) + ":" + std::to_string(options_.port); }

  // What a program prints. Errors: kUnavailable with what it said.
  Result<std::string> quick(std::vector<std::string> argv, std::chrono::milliseconds patience) const {
    const std::string shown = argv.front() + " " + (argv.size() > 1 ? argv[1] : "");
    process::SpawnSpec spec;
    spec.argv = std::move(argv);
    spec.environment = process::environment_with({});
    spec.separate_errors = true;
    auto ran = process::run(std::move(spec), patience, kMostOutput);
    if (!ran) return fail(std::move(ran.error()));
    if (ran->timed_out) return fail(ErrorCode::kTimeout, "'" + shown + "' has not ended in time");
    if (ran->status.code != 0) return fail(ErrorCode::kUnavailable, "'" + shown + "' " + ran->status.text() + ": " + context_.redact(std::string(trim(ran->errors))));
    return std::move(ran->output);
  }

  bool has_image(const Release& release) const { return quick({tools_.run, "image", "inspect", image(release)}, kQuick).has_value(); }

  // Empty where there is no such container.
  Result<json::object> inspect(const std::string& name) const {
    auto listed = quick({tools_.run, "ps", "--all", "--filter", "name=^" + name + "$", "--format", "{{.Names}}"}, kQuick);
    if (!listed) return fail(std::move(listed.error()));
    if (trim(*listed).empty()) return json::object{};
    auto text = quick({tools_.run, "container", "inspect", name}, kQuick);
    if (!text) return fail(std::move(text.error()));
    auto value = parse_json(*text);
    if (!value || !value->is_array() || value->get_array().empty() || !value->get_array().front().is_object()) return fail(ErrorCode::kUnavailable, "'" + tools_.run + " container inspect' gives no JSON of " + name);
    return std::move(value->get_array().front().get_object());
  }
  static std::string label(const json::object& container, const char* name) {
    const auto* config = container.if_contains("Config");
    const auto* labels = config && config->is_object() ? config->get_object().if_contains("Labels") : nullptr;
    return labels && labels->is_object() ? std::string(string_or(labels->get_object(), name)) : std::string();
  }
  static bool is_running(const json::object& container) {
    const auto* state = container.if_contains("State");
    const auto* running = state && state->is_object() ? state->get_object().if_contains("Running") : nullptr;
    return running && running->is_bool() && running->get_bool();
  }
  bool is_ready(const std::string& name) const { return quick({tools_.run, "exec", name, "curl", "-fsS", "-o", "/dev/null", "--max-time", "5", "http://127.0.0.1:" + std::to_string(on_host() ? options_.port : 8080) + "/readyz"}, kQuick).has_value(); }

  Result<void> start(const Release& release, const std::string& name, bool published) const {
    std::vector<std::string> argv{tools_.run, "run", "--detach", "--name", name, "--volume", state_volume(), "--tmpfs", "/tmp",
                                  "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--stop-timeout", "40",
                                  "--label", "sabir.release=" + release.id, "--label", "sabir.bundle=" + release.bundle_hash, "--label", "sabir.engine=" + release.engine_hash};
    if (published) argv.insert(argv.end(), {"--restart", "unless-stopped"});
    if (published && !on_host()) argv.insert(argv.end(), {"--publish", options_.host + ":" + std::to_string(options_.port) + ":8080"});
    // podman's timers of health checks are systemd's.
    if (std::error_code ec; tools_.run == "podman" && !fs::exists("/run/systemd/private", ec)) argv.push_back("--no-healthcheck");
    if (!options_.network.empty()) argv.insert(argv.end(), {"--network", options_.network});
    if (!options_.env_file.empty()) argv.insert(argv.end(), {"--env-file", (context_.root / options_.env_file).string()});
    // By name: the value goes from this process's environment to the container's, and stands on no command line.
    for (const auto& secret : context_.secret_names) {
      const auto variable = secrets::variable_name(secret);
      if (const char* value = std::getenv(variable.c_str()); value && !secrets::is_placeholder(value)) argv.insert(argv.end(), {"--env", variable});
    }
    argv.push_back(image(release));
    if (on_host()) argv.insert(argv.end(), {"sabir", "serve", "--host", options_.host, "--port", std::to_string(options_.port)});
    auto ran = quick(std::move(argv), kQuick * 2);
    if (!ran) return fail(std::move(ran.error()));
    return {};
  }

  Result<void> wait_ready(const std::string& name) const {
    for (const auto end = Clock::now() + context_.settings.health; Clock::now() < end; std::this_thread::sleep_for(kBetween)) {
      if (is_ready(name)) return {};
      auto now = inspect(name);
      if (now && !is_running(*now)) return fail(ErrorCode::kUnavailable, "the container " + name + " ended");
    }
    return fail(ErrorCode::kTimeout, "the container " + name + " does not answer /readyz with 200 within " + std::to_string(context_.settings.health.count() / 1000) + " s", "health: 5m gives it longer.");
  }

  std::string tail(const std::string& name) const {
    process::SpawnSpec spec;
    spec.argv = {tools_.run, "logs", "--tail", "20", name};
    spec.environment = process::environment_with({});
    auto ran = process::run(std::move(spec), kQuick, kMostOutput);
    // A container that could not be made has no log.
    return ran && ran->status.code == 0 ? context_.redact(std::string(trim(ran->output))) : std::string();
  }
  void quiet_remove(const std::string& name) const { (void)quick({tools_.run, "rm", "--force", name}, kToStop + kQuick); }
  Error came_to_nothing(const Release& release, Error error, const std::string& said) const {
    if (!said.empty()) error.message += "; its log ends:\n" + said;
    // The engine's own advice is for a project on this machine; this one's tokens are in the volume.
    if (said.find("sabir tokens add") != std::string::npos) {
      error.hint = "It is on the container's network, so it wants a token first. Make one, keep what it prints, and deploy again:\n    " + tools_.run + " run --rm --volume " + state_volume() + " " + image(release) +
                   " sabir tokens add web --scopes functions";
    }
    return error;
  }

  const TargetContext context_;
  const Options options_;
  std::unique_ptr<Backend> backend_;
  const std::string container_;
  Tools tools_;
};

Result<std::unique_ptr<Target>> make(TargetContext context) {
  const auto& settings = context.settings;
  Docker::Options options;
  const std::initializer_list<std::tuple<const char*, std::string*, const char*>> texts{{"tool", &options.tool, ""}, {"dockerfile", &options.dockerfile, "Dockerfile"}, {"host", &options.host, "127.0.0.1"},
                                                                                        {"network", &options.network, ""}, {"env_file", &options.env_file, ""}};
  for (const auto& [key, into, otherwise] : texts) {
    auto text = settings.text(key, otherwise);
    if (!text) return fail(std::move(text.error()));
    *into = std::move(*text);
  }
  if (!options.tool.empty() && options.tool != "docker" && options.tool != "podman" && options.tool != "buildah") {
    return fail(settings.wrong("/tool", "'" + options.tool + "' is no tool for images", "It is docker, podman or buildah; left out, whichever is there."));
  }
  auto port = settings.whole("port", 8080, 1, 65535);
  if (!port) return fail(std::move(port.error()));
  options.port = *port;
  auto arguments = settings.mapping("build_args");
  if (!arguments) return fail(std::move(arguments.error()));
  for (const auto& [name, value] : *arguments) {
    if (!value.is_string()) return fail(settings.wrong("/build_args/" + std::string(name), "build_args are texts"));
    options.build_args.push_back(std::string(name) + "=" + std::string(value.get_string()));
  }
  auto folder = settings.text("folder");
  if (!folder) return fail(std::move(folder.error()));
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  options.folder = !folder->empty() ? context.root / *folder : (state && *state ? fs::path(state) : fs::path(home ? home : "/root") / ".local/state") / "sabir/deployments" / context.app / context.environment;
  return std::make_unique<Docker>(std::move(context), std::move(options));
}

}  // namespace

Driver docker_driver() {
  return {"docker", "a container of this machine, by docker or podman", make};
}

}  // namespace sabir::deploy

#include "sabir/runtime/engine.h"

#include <sys/stat.h>
#include <unistd.h>

#include <iostream>

#include "engine_state.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/log.h"
#include "sabir/base/log_watch.h"
#include "sabir/base/text.h"
#include "sabir/project/secret_settings.h"

namespace sabir::runtime {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kShortThreads = 4;
constexpr std::size_t kLongThreads = 64;
constexpr std::size_t kMostWaiting = 10'000;

// $XDG_RUNTIME_DIR/sabir, or /tmp/sabir-<uid>: short, ours alone.
Result<fs::path> runtime_dir() {
  const char* base = std::getenv("XDG_RUNTIME_DIR");
  const fs::path dir = base && *base ? fs::path(base) / "sabir" : fs::path("/tmp") / ("sabir-" + std::to_string(::getuid()));
  std::error_code ec;
  fs::create_directories(dir, ec);
  struct stat info {};
  if (::lstat(dir.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::getuid()) {
    return fail(ErrorCode::kIo, dir.string() + " is not a folder of this user's", "Set XDG_RUNTIME_DIR to one that is.");
  }
  ::chmod(dir.c_str(), 0700);
  return dir;
}

fs::path published_file(const fs::path& root, const std::string& environment) {
  return root / ".sabir" / environment / "engine.json";
}
}  // namespace

Engine::State::State(EngineOptions o)
    : options(std::move(o)),
      memory([this]() -> Result<std::unique_ptr<memory::Memory>> {
        auto opened = memory::open_sqlite(store_dir());
        if (!opened) return opened;
        return traced(std::move(*opened));
      }),
      journal([this]() -> Result<std::unique_ptr<journal::Journal>> {
        std::error_code ec;
        fs::create_directories(store_dir(), ec);
        return journal::Journal::open(store_dir());
      }) {}

Engine::State::~State() {
  watch_log({});
  stopping = true;
  if (!thread.joinable()) return;
  std::promise<void> stopped;
  loop.post([this, &stopped] {
    unpublish();
    watcher.reset();
    clients.clear();
    functions->shutdown([this, &stopped] { mcp->shutdown([&stopped] { stopped.set_value(); }); });
  });
  stopped.get_future().wait_for(std::chrono::seconds(8));
  const auto models_on_this_machine = [this] {
    const std::lock_guard hold(models_mutex);
    return local;
  }();
  if (models_on_this_machine) models_on_this_machine->shutdown();
  // Jobs wait for what runs; their replies go to a loop that still turns.
  long_jobs.reset();
  std::promise<std::map<int, std::unique_ptr<Jobs>>> deeper;
  loop.post([this, &deeper] { deeper.set_value(std::move(deeper_jobs)); });
  deeper.get_future().get().clear();
  jobs.reset();
  if (recordings) recordings->flush(true);
  std::promise<void> cleared;
  loop.post([this, &cleared] {
    functions.reset();
    mcp.reset();
    cleared.set_value();
  });
  cleared.get_future().wait();
  loop.stop();
  thread.join();
  // Its thread asks the rest for secrets.
  telemetry.reset();
  journal.reset();
  memory.reset();
}

void Engine::State::unpublish() {
  listener.reset();
  const auto file = std::exchange(published, {});
  if (file.empty()) return;
  // Whoever came after has written its own.
  const auto text = read_file(file, 65536);
  const auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  const auto* pid = value && value->is_object() ? value->get_object().if_contains("pid") : nullptr;
  std::error_code ec;
  if (pid && pid->is_int64() && pid->get_int64() == ::getpid()) fs::remove(file, ec);
}

void Engine::State::begin(functions::EffectRecord record, std::function<void(Result<std::int64_t>)> written) {
  const bool taken = jobs->submit([this, record = std::move(record), written]() mutable {
    auto book = journal.get();
    auto answer_on_loop = [this, written](Result<std::int64_t> id) {
      loop.post([written, shared = std::make_shared<Result<std::int64_t>>(std::move(id))] { written(std::move(*shared)); });
    };
    if (!book) return answer_on_loop(fail(std::move(book.error())));
    journal::CallRecord call;
    call.address = record.language + "/" + record.address;
    call.effect = record.effect == schema::Effect::kIrreversible ? journal::CallEffect::kIrreversible : journal::CallEffect::kWrite;
    call.idempotent = record.idempotent;
    call.idempotency_key = record.idempotency_key;
    call.arguments_json = redact_json()(std::move(record.arguments_json));
    call.context = record.context;
    (*book)->begin_async(std::move(call), answer_on_loop);
  });
  if (!taken) {
    loop.post([written] { written(fail(ErrorCode::kBusy, "too many calls wait to be recorded", "Try again later.")); });
  }
}

void Engine::State::finish(std::int64_t id, std::string_view outcome) {
  // The journal is open: it gave out the id.
  if (auto book = journal.get()) (*book)->finish(id, {outcome == "ok", outcome == "ok" ? std::string() : std::string(outcome), ""});
}

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  State& s = *state;
  auto languages = project::load_languages(s.options.resources / "languages", s.options.root);
  if (!languages) return fail(std::move(languages.error()));
  s.languages = std::move(*languages);
  auto loaded = project::load(s.options.root, s.options.environment, s.languages);
  if (!loaded) return fail(std::move(loaded.error()));
  s.disabled = functions::DisabledFunctions(loaded->state_dir());
  std::error_code missing;
  loaded->inputs.add(s.disabled.file(), fs::exists(s.disabled.file(), missing));
  s.project = std::make_shared<const project::Project>(std::move(*loaded));
  for (const auto& warning : s.project->warnings) log(LogLevel::kWarning, warning);
  auto kept = project::read_secret_settings(s.project->root, s.project->environment, s.project->name);
  if (!kept) return fail(std::move(kept.error()));
  s.secrets = std::make_shared<secrets::Secrets>(s.project->root, std::move(*kept));
  s.answers = std::make_shared<models::AnswerCache>(s.store_dir(), [state = &s](std::string_view text) {
    // What a secret is must be known before it is seen.
    state->learn_secrets();
    return state->secrets->redactor()->redact(text) != text;
  });
  s.secrets->install_redactor();
  auto grants = s.read_grants();
  if (!grants) return fail(std::move(grants.error()));
  s.grants = std::move(*grants);
  s.renderer = std::make_unique<completions::Renderer>(s.project->root, [&s](const std::string& alias) {
    auto model = s.model_info(alias);
    return model ? s.tokens_of(*model) : completions::Tokens(std::string_view());
  });
  s.jobs = std::make_unique<Jobs>(kShortThreads, kMostWaiting);
  s.long_jobs = std::make_unique<Jobs>(kLongThreads, kLongThreads);

  s.telemetry = telemetry::Telemetry::start(s.project, s.secrets, [&s] { s.learn_secrets(); });
  s.tracer = s.telemetry ? &s.telemetry->tracer() : nullptr;

  functions::Setup setup;
  setup.tracer = s.tracer;
  setup.project = s.project;
  setup.languages = s.languages;
  setup.build_cache = s.options.cache / "build";
  setup.effects = &s;
  setup.debug = s.options.debug;
  setup.failed = [&s](const functions::Failure& failure) {
    s.log_ring.push("function", "error", s.secrets->redactor()->redact(failure.address + ": " + to_text(failure.error)));
    if (s.options.failed) s.options.failed(failure);
  };
  watch_log([&s](LogLevel level, std::string_view text) {
    static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
    s.log_ring.push("engine", kNames[static_cast<int>(level)], text);
  });
  setup.background = [&s](std::function<void()> work) {
    // Of an engine that ends nobody waits for what is not built yet, and the threads are gone.
    if (s.stopping) return;
    if (!s.long_jobs->submit(work)) work();
  };
  setup.requests = [&s](workers::EngineRequest request) { s.handle(std::move(request)); };
  setup.clean = [&s](const std::string& address, Result<protocol::Payload>& said) { s.clean(address, said); };
  setup.output = [&s](const std::string& language, std::string_view line) {
    const auto& redactor = *s.secrets->redactor();
    const std::string shown = s.functions && s.functions->has_secrets(language) ? redactor.redact_pieces(line) : redactor.redact(line);
    s.log_ring.push(language, "", shown);
    if (s.options.output) {
      s.options.output(language, shown);
    } else {
      const std::string text = "[" + language + "] " + shown + "\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    }
  };
  if (const char* own = std::getenv("SABIR_BIN"); !own || !*own) {
    std::error_code ec;
    setup.environment["SABIR_BIN"] = fs::read_symlink("/proc/self/exe", ec).string();
  }
  // Names that the project passes on to its functions.
  if (const auto* names = s.project->config.if_contains("environment"); names && names->is_array()) {
    for (const auto& name : names->get_array()) {
      if (!name.is_string()) continue;
      if (const char* value = std::getenv(name.get_string().c_str())) setup.environment[std::string(name.get_string())] = value;
    }
  }
  peers::ServersSetup servers;
  servers.root = s.project->root;
  servers.state_dir = s.project->state_dir();
  servers.secrets = s.secrets;
  servers.said = [](const std::string& server, std::string_view level, std::string_view text) {
    const bool is_bad = level == "warning" || level == "error" || level == "critical" || level == "alert" || level == "emergency";
    log(is_bad ? LogLevel::kWarning : level == "debug" ? LogLevel::kDebug : LogLevel::kInfo, "[mcp " + server + "] " + std::string(text));
  };
  servers.background = setup.background;
  servers.tools_changed = [&s](const std::string&) { s.tools_changed(); };
  s.mcp = std::make_unique<McpFunctions>(s.loop, std::move(servers));
  s.mcp->configure(*s.project);
  setup.provider = s.mcp.get();
  s.functions = std::make_unique<functions::Functions>(s.loop, std::move(setup));
  s.watch_mcp_secrets();
  s.registry = s.functions->registry();
  s.disabled_stamp = stamp_of_content(s.disabled.file()).text;
  auto disabled = s.disabled.read();
  if (!disabled) return fail(std::move(disabled.error()));
  s.disabled_now = std::move(*disabled);
  s.registry = functions::Registry::with_disabled(s.registry, s.disabled_now);
  if (!s.disabled_now.empty()) s.functions->replace(s.project, s.registry, {}, {});
  s.look_for_disabled();
  // Before anything is seen that might hold one.
  s.learn_secrets();
  s.observe_prompts();
  if (auto opened = s.open_recordings(); !opened) return fail(std::move(opened.error()));
  s.thread = std::thread([&s] { s.loop.run(); });
  s.ask_mcp_servers();
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Jobs& Engine::State::jobs_for(const workers::Caller& caller) {
  if (caller.depth == 0) return *long_jobs;
  auto& own = deeper_jobs[caller.depth];
  if (!own) own = std::make_unique<Jobs>(kLongThreads, kLongThreads);
  return *own;
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

const project::Project& Engine::project() const { return *state_->project; }

std::shared_ptr<const functions::Registry> Engine::registry() const {
  const std::lock_guard lock(state_->registry_mutex);
  return state_->registry;
}

Result<protocol::Payload> Engine::request(const std::string& method, protocol::Payload params, const CallContext& context,
                                          std::chrono::milliseconds timeout, OnNotice on_notice) {
  struct Waiting {
    std::promise<Result<protocol::Payload>> promise;
    std::atomic<bool> answered{false};
  };
  auto waiting = std::make_shared<Waiting>();
  auto future = waiting->promise.get_future();
  auto caller = std::make_shared<workers::Caller>();
  caller->address = "cli";
  caller->context = context;
  caller->deadline = workers::Clock::now() + timeout;
  caller->span = state_->own_span();
  std::vector<std::string> blobs;
  for (auto& blob : params.blobs) blobs.push_back(std::move(blob.data));
  state_->loop.post([this, method, text = std::move(params.json), blobs = std::move(blobs), caller, waiting, on_notice = std::move(on_notice)]() mutable {
    state_->handle({method, std::move(text), std::move(blobs), caller, [waiting](Result<protocol::Payload> answer) {
                      if (!waiting->answered.exchange(true)) waiting->promise.set_value(std::move(answer));
                    },
                    std::move(on_notice)});
  });
  // The rooms answer at the deadline themselves; the rest is for a room that does not.
  if (future.wait_for(timeout + std::chrono::seconds(2)) != std::future_status::ready) {
    state_->loop.post([caller] { end_caller(*caller); });
    if (!waiting->answered.exchange(true)) {
      return fail(ErrorCode::kTimeout, method + " took longer than " + std::to_string(timeout.count()) + " ms");
    }
  }
  return future.get();
}

std::function<void()> Engine::submit(Asked asked) {
  auto caller = std::make_shared<workers::Caller>();
  caller->address = std::move(asked.caller);
  caller->context = std::move(asked.context);
  caller->deadline = asked.deadline;
  caller->span = asked.span;
  caller->client = std::move(asked.client);
  std::vector<std::string> blobs;
  for (auto& blob : asked.params.blobs) blobs.push_back(std::move(blob.data));
  // What is refused at once is told in a later turn, as everything is.
  struct Answer {
    std::function<void(Result<protocol::Payload>)> reply;
    std::optional<Result<protocol::Payload>> early;
    bool begun = false;
  };
  auto answer = std::make_shared<Answer>();
  answer->reply = std::move(asked.reply);
  state_->handle({std::move(asked.method), std::move(asked.params.json), std::move(blobs), caller, [answer](Result<protocol::Payload> outcome) {
                    if (!answer->reply) return;
                    if (answer->begun) std::exchange(answer->reply, nullptr)(std::move(outcome));
                    else answer->early = std::move(outcome);
                  },
                  std::move(asked.notice)});
  answer->begun = true;
  if (answer->early) {
    state_->loop.soon([answer] {
      if (answer->reply) std::exchange(answer->reply, nullptr)(std::move(*answer->early));
    });
  }
  return [caller] {
    if (!caller->ended) end_caller(*caller);
  };
}

std::function<void()> Engine::call(functions::CallRequest request, workers::CallEvents events) {
  const auto id = state_->call(std::move(request), std::move(events));
  return [s = state_.get(), id] {
    if (s->functions && id != 0) s->functions->cancel(id, "its caller has ended");
  };
}

net::Loop& Engine::loop() { return state_->loop; }

std::shared_ptr<const project::Project> Engine::current_project() const { return state_->current_project(); }

std::shared_ptr<const project::Project> Engine::State::current_project() {
  const std::lock_guard lock(registry_mutex);
  return served ? served : project;
}

void Engine::reload() {
  state_->secrets->refresh();
  state_->loop.post([s = state_.get()] { s->sources_changed({}); });
}

Result<protocol::Payload> Engine::State::call_blocking(functions::CallRequest request, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<Result<protocol::Payload>>>();
  auto future = promise->get_future();
  request.deadline = std::min(request.deadline, workers::Clock::now() + timeout);
  loop.post([this, shared = std::make_shared<functions::CallRequest>(std::move(request)), promise] {
    workers::CallEvents events;
    events.done = [promise](Result<protocol::Payload> outcome) { promise->set_value(std::move(outcome)); };
    call(std::move(*shared), std::move(events));
  });
  return future.get();
}

std::vector<json::object> Engine::prepare() {
  std::promise<std::vector<json::object>> promise;
  prepare([&promise](std::vector<json::object> report) { promise.set_value(std::move(report)); });
  return promise.get_future().get();
}

void Engine::prepare(std::function<void(std::vector<json::object>)> done) {
  state_->loop.post([s = state_.get(), done = std::move(done)]() mutable { s->functions->prepare(std::move(done)); });
}

std::map<std::string, workers::PoolStats> Engine::stats() {
  std::promise<std::map<std::string, workers::PoolStats>> promise;
  state_->loop.post([this, &promise] { promise.set_value(state_->functions->stats()); });
  return promise.get_future().get();
}

void Engine::serve(int in_fd, int out_fd, std::function<void()> closed) {
  state_->loop.post([this, in_fd, out_fd, closed = std::move(closed)] {
    // An engine that listens serves many, whatever its own environment says.
    const auto span = state_->listener ? trace::SpanContext{} : state_->own_span();
    auto session = std::make_unique<ClientSession>(
        state_->loop, in_fd, out_fd, state_->project->root.string(), state_->project->environment, span, [s = state_.get()](workers::EngineRequest request) { s->handle(std::move(request)); },
        [s = state_.get(), closed](ClientSession* gone) {
          // This function lives in the session that is erased here, and so do its captures.
          const auto say = closed;
          const auto found = std::find_if(s->clients.begin(), s->clients.end(), [&](const auto& c) { return c.get() == gone; });
          if (found != s->clients.end()) s->clients.erase(found);
          if (say) say();
        });
    state_->clients.insert(std::move(session));
  });
}

Result<void> Engine::listen() {
  auto dir = runtime_dir();
  if (!dir) return fail(std::move(dir.error()));
  const std::string key = fingerprint(state_->project->root.string() + "\n" + state_->project->environment + "\n" SABIR_VERSION);
  const std::string path = (*dir / (key + ".sock")).string();
  std::promise<Result<void>> promise;
  state_->loop.post([this, path, &promise] {
    auto listener = net::Listener::open(state_->loop, path, [this](int fd) { serve(fd, fd, {}); });
    if (!listener) {
      promise.set_value(fail(std::move(listener.error())));
      return;
    }
    state_->listener = std::move(*listener);
    if (auto watching = state_->start_watching(); !watching) log(LogLevel::kWarning, to_text(watching.error()));
    state_->look_for_waiting(std::chrono::milliseconds(500));
    promise.set_value({});
  });
  if (auto opened = promise.get_future().get(); !opened) return opened;
  const auto file = published_file(state_->project->root, state_->project->environment);
  std::error_code ec;
  fs::create_directories(file.parent_path(), ec);
  const json::object content{{"format", 1}, {"socket", path}, {"pid", ::getpid()}, {"engine", SABIR_VERSION}};
  if (auto written = write_file(file, json::serialize(content) + "\n", 0600); !written) return written;
  state_->published = file;
  return {};
}

void Engine::withdraw() {
  std::promise<void> done;
  state_->loop.post([this, &done] {
    state_->unpublish();
    done.set_value();
  });
  done.get_future().wait();
}

std::size_t Engine::open_requests() {
  std::promise<std::size_t> promise;
  state_->loop.post([this, &promise] {
    std::size_t count = 0;
    for (const auto& client : state_->clients) count += client->open_requests();
    promise.set_value(count);
  });
  return promise.get_future().get();
}

Result<void> Engine::watch() {
  std::promise<Result<void>> promise;
  state_->loop.post([this, &promise] { promise.set_value(state_->start_watching()); });
  return promise.get_future().get();
}

void Engine::on_saved(std::function<void(const std::set<std::string>&)> saved) {
  state_->loop.post([this, saved = std::move(saved)]() mutable {
    state_->saved = std::move(saved);
    state_->watch_sources();
  });
}

void Engine::on_reloaded(std::function<void(const ReloadReport&)> reloaded) {
  state_->loop.post([this, reloaded = std::move(reloaded)]() mutable { state_->also_reloaded = std::move(reloaded); });
}

Result<std::string> Engine::find_running(const fs::path& root, const std::string& environment) {
  auto text = read_file(published_file(root, environment), 65536);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object() || string_or(value->get_object(), "engine") != SABIR_VERSION) {
    return fail(ErrorCode::kNotFound, "no engine of this version is published");
  }
  return std::string(string_or(value->get_object(), "socket"));
}

}  // namespace sabir::runtime

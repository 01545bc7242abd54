#include "sabir/telemetry/telemetry.h"

#include <cstdlib>
#include <deque>
#include <map>
#include <thread>

#include "cleaner.h"
#include "exporter.h"
#include "repository.h"
#include "sabir/base/log.h"
#include "sabir/telemetry/trace_store.h"
#include "settings.h"

namespace sabir::telemetry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGather{500};    // between two batches
constexpr std::chrono::seconds kPruneEvery{30};
constexpr std::size_t kPruneAfter = 20'000;          // spans, if they come sooner
constexpr std::chrono::seconds kOpenAgain{30};       // after the store could not be opened
constexpr std::chrono::seconds kLookAgain{5};        // at the repository
constexpr std::size_t kMostHeldBytes = std::size_t{32} << 20U;

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

struct Telemetry::State {
  State(Settings s, std::shared_ptr<const project::Project> p, std::shared_ptr<const secrets::Secrets> known, std::function<void()> l)
      : settings(std::move(s)), project(std::move(p)), secrets(std::move(known)), learn(std::move(l)), tracer(settings.texts()), cleaner(secrets->redactor()) {}

  const Settings settings;
  const std::shared_ptr<const project::Project> project;
  const std::shared_ptr<const secrets::Secrets> secrets;
  const std::function<void()> learn;
  trace::Tracer tracer;

  // The rest belongs to the thread of the work.
  Cleaner cleaner;
  std::unique_ptr<TraceStore> store;
  std::unique_ptr<Exporter> exporter;
  Clock::time_point open_at{};   // not before
  Clock::time_point prune_at{};
  Clock::time_point look_at{};
  bool warned = false;           // that nothing is kept
  std::size_t since_prune = 0;   // spans
  std::uint64_t lost = 0;        // spans since the last that were kept
  std::optional<Revision> revision;
  // With `capture: errors`: texts of runs that have not ended, the longest known first.
  struct Held {
    std::vector<LateText> texts;
    std::size_t bytes = 0;
    bool failed = false;
  };
  std::map<trace::TraceId, Held> held;
  std::deque<trace::TraceId> held_order;
  std::size_t held_bytes = 0;
  std::thread thread;

  void work() {
    if (!tracer.wait_for_first()) return;
    // While the first span is under way.
    learn();
    look();
    if (!settings.url.empty()) start_export();
    while (true) {
      auto batch = tracer.drain(kGather);
      if (!batch.spans.empty() || batch.dropped > 0) take(std::move(batch.spans), batch.dropped);
      if (batch.closed) return;
    }
  }

  void start_export() {
    for (const auto& [name, value] : settings.headers) {
      secrets->redactor()->add("otlp_header", value);
      if (const auto space = value.find(' '); space != std::string::npos) secrets->redactor()->add("otlp_header", std::string_view(value).substr(space + 1));
    }
    ExportOptions options;
    options.url = settings.url;
    options.timeout = settings.timeout;
    options.resource = settings.resource;
    options.headers = [this]() -> Result<net::HttpHeaders> {
      net::HttpHeaders out;
      for (const auto& [name, secret] : settings.keep.headers) {
        // The name of one, or a text with some in it.
        auto value = secrets::find_reference(secret) == std::string::npos ? secrets->resolve(secret) : secrets->fill_in(secret);
        if (!value) return fail(std::move(value.error()));
        out.emplace_back(name, std::move(*value));
      }
      out.insert(out.end(), settings.headers.begin(), settings.headers.end());
      return out;
    };
    exporter = std::make_unique<Exporter>(std::move(options));
  }

  void take(std::vector<std::shared_ptr<trace::Span>> spans, std::uint64_t dropped) {
    // Before anything of it is looked at.
    learn();
    cleaner.forget();
    std::vector<LateText> late;
    for (const auto& span : spans) {
      if (span->root) describe(*span);
      cleaner.clean(*span);
      if (settings.keep.capture == project::Capture::kErrors) hold(*span, late);
    }
    keep(spans, late, dropped);
    if (!exporter) return;
    for (auto& span : spans) {
      if (!span->context.sampled) continue;
      for (auto& one : span->texts) span->attributes.push_back({one.key, std::move(one.text)});
      span->texts.clear();
      if (!span->error.empty()) span->add("error.type", std::string(span->error));
      exporter->add(std::move(span));
    }
  }

  void look() {
    if (Clock::now() < look_at) return;
    revision = revision_of(project->root);
    look_at = Clock::now() + kLookAgain;
  }

  // What a run was made from.
  void describe(trace::Span& span) {
    look();
    span.add("sabir.environment", project->environment);
    span.add("sabir.engine.version", std::string(SABIR_VERSION));
    if (revision) {
      span.add("vcs.ref.head.revision", revision->commit);
      span.add("sabir.vcs.dirty", revision->dirty);
    }
    if (span.who) {
      span.add_if("user.id", span.who->user);
      span.add_if("sabir.tenant", span.who->tenant);
      if (span.operation == trace::kCall) span.add_if("gen_ai.conversation.id", span.who->conversation);
    }
  }

  // Texts wait until their run has ended: only then is it known whether anything in it failed.
  void hold(trace::Span& span, std::vector<LateText>& late) {
    const auto& id = span.context.trace;
    auto found = held.find(id);
    if (found == held.end()) {
      if (span.root && span.error.empty()) return span.texts.clear();
      found = held.emplace(id, Held{}).first;
      held_order.push_back(id);
    }
    Held& own = found->second;
    if (!span.error.empty() && !own.failed) {
      own.failed = true;
      late.insert(late.end(), std::make_move_iterator(own.texts.begin()), std::make_move_iterator(own.texts.end()));
      own.texts.clear();
      held_bytes -= std::exchange(own.bytes, 0);
    }
    if (!own.failed) {
      for (auto& one : span.texts) {
        own.bytes += one.text.size();
        held_bytes += one.text.size();
        own.texts.push_back({span.context, std::string(one.key), std::move(one.text)});
      }
      span.texts.clear();
    }
    if (span.root) release(id);
    while (held_bytes > kMostHeldBytes || held_order.size() > trace::Tracer::kMostWaiting) release(held_order.front());
  }

  void release(trace::TraceId id) {
    if (const auto found = held.find(id); found != held.end()) {
      held_bytes -= found->second.bytes;
      held.erase(found);
    }
    std::erase(held_order, id);
  }

  void keep(const std::vector<std::shared_ptr<trace::Span>>& spans, const std::vector<LateText>& late, std::uint64_t dropped) {
    lost += dropped;
    const auto now = Clock::now();
    if (!store && now >= open_at) {
      auto opened = TraceStore::open(project->state_dir());
      if (opened) {
        store = std::move(*opened);
      } else {
        open_at = now + kOpenAgain;
        warn(opened.error());
      }
    }
    auto written = store ? store->write(spans, late, lost, now_ms()) : Result<void>();
    if (!written) warn(written.error());
    if (!store || !written) {
      lost += spans.size();
      return;
    }
    lost = 0;
    warned = false;
    since_prune += spans.size();
    if (now < prune_at && since_prune < kPruneAfter) return;
    prune_at = now + kPruneEvery;
    since_prune = 0;
    if (auto pruned = store->prune(settings.keep.keep_days, settings.keep.keep_mb, now_ms()); !pruned) warn(pruned.error());
  }

  void warn(const Error& error) {
    if (!std::exchange(warned, true)) log(LogLevel::kWarning, "traces are not kept: " + error.message + (error.hint.empty() ? "" : " " + error.hint));
  }
};

Telemetry::Telemetry(std::unique_ptr<State> state) : state_(std::move(state)) {}

std::unique_ptr<Telemetry> Telemetry::start(std::shared_ptr<const project::Project> project, std::shared_ptr<const secrets::Secrets> secrets, std::function<void()> learn) {
  Settings settings = settings_of(*project, [](const char* name) -> const char* { return std::getenv(name); });
  for (const auto& warning : settings.warnings) log(LogLevel::kWarning, warning);
  if (!settings.enabled) return nullptr;
  auto state = std::make_unique<State>(std::move(settings), std::move(project), std::move(secrets), std::move(learn));
  state->thread = std::thread([s = state.get()] { s->work(); });
  return std::unique_ptr<Telemetry>(new Telemetry(std::move(state)));
}

Telemetry::~Telemetry() {
  state_->tracer.close();
  state_->thread.join();
  state_->exporter.reset();
}

trace::Tracer& Telemetry::tracer() { return state_->tracer; }

}  // namespace sabir::telemetry

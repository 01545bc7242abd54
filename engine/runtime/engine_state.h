// The Engine's insides, shared by its source files.
#pragma once

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "sabir/runtime/client_session.h"
#include "mcp_functions.h"
#include "log_ring.h"
#include "sabir/assistants/runner.h"
#include "sabir/completions/renderer.h"
#include "sabir/completions/tokens.h"
#include "sabir/journal/journal.h"
#include "sabir/memory/memory.h"
#include "sabir/models/ledger.h"
#include "sabir/models/local_runtime.h"
#include "sabir/models/registry.h"
#include "sabir/net/loop.h"
#include "sabir/recordings/recordings.h"
#include "sabir/runtime/engine.h"
#include "sabir/runtime/jobs.h"
#include "sabir/secrets/grants.h"
#include "sabir/secrets/scrubber.h"
#include "sabir/secrets/secrets.h"
#include "sabir/telemetry/telemetry.h"
#include "source_watcher.h"

namespace sabir::runtime {

// Opens on first use; a failure is kept and given to every later use.
template <class T>
class Lazy {
 public:
  explicit Lazy(std::function<Result<std::unique_ptr<T>>()> open) : open_(std::move(open)) {}
  Result<T*> get() {
    const std::lock_guard lock(mutex_);
    if (!value_) {
      auto opened = open_();
      // Not kept when it fails: a full disk may have room again.
      if (!opened) return fail(std::move(opened.error()));
      value_ = std::move(*opened);
    }
    return value_.get();
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    value_.reset();
  }

 private:
  std::function<Result<std::unique_ptr<T>>()> open_;
  std::mutex mutex_;
  std::unique_ptr<T> value_;
};

struct PromptParams;
class CallOrder;

// How models have been used, by alias.
struct ModelCounts {
  struct Count {
    std::uint64_t calls = 0;
    std::uint64_t failed = 0;
    std::size_t in_flight = 0;
  };
  std::mutex mutex;
  std::map<std::string, Count> by_alias;
};

// How a run begins but by one message.
struct RunStart {
  std::optional<assistants::Turn> turn;                      // the caller keeps the conversation, and the message is only what a trace shows of it
  const journal::Journal::Suspended* suspended = nullptr;    // goes on with it
  std::string run;                                           // whose it is
};

struct Engine::State : functions::EffectLog {
  explicit State(EngineOptions o);
  ~State() override;

  // EffectLog
  void begin(functions::EffectRecord record, std::function<void(Result<std::int64_t>)> written) override;
  void finish(std::int64_t id, std::string_view outcome) override;

  // Loop thread: one request of §7; the reply comes on the loop, later.
  void handle(workers::EngineRequest request);
  void call_function(workers::EngineRequest request);
  // A function's call of "client/ask" or "client/capabilities"; `address` with its quotes.
  static void ask_client(const workers::EngineRequest& request, std::string_view address, const protocol::Payload& questions);
  void get_secret(workers::EngineRequest request);
  // Who reads it, by its full address, where the function or assistant at `address` may. The loop's. Errors: kNotGranted.
  Result<std::string> may_read(const std::string& address, const std::string& secret);
  // Takes secrets out of what the function at `address` has said, and tells its developer so once.
  void clean(const std::string& address, Result<protocol::Payload>& said);
  LogRing log_ring;
  bool knows_secrets(const std::string& address) const;
  std::set<std::string> told_clean;  // addresses of which that was told; the loop's
  void reply_soon(const std::shared_ptr<workers::EngineRequest>& request, Result<protocol::Payload> outcome);
  void refuse(workers::EngineRequest& request);
  // Any thread, blocks: what needs no loop.
  Result<protocol::Payload> answer(const std::string& method, const protocol::Payload& params, workers::Caller& caller);
  Result<protocol::Payload> answer_memory(const std::string& method, const protocol::Payload& params, const CallContext& context,
                                          const std::string& source);
  Result<protocol::Payload> answer_usage(const protocol::Payload& params);
  Result<protocol::Payload> answer_traces(const std::string& method, const protocol::Payload& params);
  // A job's thread; one that calls functions goes on to another.
  void answer_prompt(const std::shared_ptr<workers::EngineRequest>& request, const protocol::Payload& params);
  Result<protocol::Payload> answer_render(const PromptParams& asked, workers::Caller& caller);
  Result<protocol::Payload> answer_tokens(const PromptParams& asked, workers::Caller& caller);
  Result<protocol::Payload> answer_explain(const PromptParams& asked, workers::Caller& caller);
  // The model that an alias, or the default, stands for; a name of OpenAI's stands for itself.
  Result<models::ModelInfo> model_info(const std::string& alias);
  // What counts this model's tokens: for one of this machine the tokenizer in its file, where that is here.
  completions::Tokens tokens_of(const models::ModelInfo& model);
  Result<protocol::Payload> answer_complete(const protocol::Payload& params, workers::Caller& caller);
  Result<protocol::Payload> answer_embed(const protocol::Payload& params, workers::Caller& caller);
  Result<protocol::Payload> answer_assistant(const protocol::Payload& params, workers::Caller& caller);

  Result<json::object> complete_prompt(const PromptRequest& asked, const RunEvents& events, workers::Caller& caller,
                                       std::shared_ptr<std::atomic<bool>> cancelled);
  assistants::Events told_events(const RunEvents& events, std::shared_ptr<CallOrder> order, std::uint64_t parent);
  // Begins the span of the run around run_turn().
  Result<json::object> run_assistant(const std::string& name, const std::string& message, const std::string& conversation, const RunEvents& events,
                                     workers::Caller& caller, std::shared_ptr<std::atomic<bool>> cancelled, RunStart start = {});
  Result<json::object> run_turn(const functions::Assistant& assistant, std::shared_ptr<const functions::Registry> functions_now, const std::string& message,
                                const std::string& conversation, const RunEvents& events, workers::Caller& asker, std::shared_ptr<std::atomic<bool>> cancelled,
                                RunStart start);
  // Approvals (approvals.cc). Any thread, blocks.
  Result<protocol::Payload> answer_approvals(const std::string& method, const protocol::Payload& params, workers::Caller& caller);
  Result<json::array> approvals(bool waiting);
  Result<json::object> decide(const Decision& decision);
  // Goes on with a run that waits for nothing any more; nothing where it does, or somebody else has.
  Result<std::optional<json::object>> go_on(const std::string& run);
  // The loop's: looks from time to time for runs whose approvals have expired, or which an engine left that died.
  void look_for_waiting(std::chrono::milliseconds after);
  bool has_models() const;  // whether anything configures some
  // Read on first use, so that a project without models needs no configuration of them.
  Result<std::shared_ptr<const models::Models>> load_models();

  Result<std::shared_ptr<const models::Models>> read_models();  // under models_mutex

  // Operations (operations.cc); the loop's.
  std::shared_ptr<models::Model> counted(std::shared_ptr<models::Model> model, const std::string& alias);
  void answer_stats(const std::shared_ptr<workers::EngineRequest>& request);
  void answer_disabling(const std::shared_ptr<workers::EngineRequest>& request);
  void take_disabled(functions::DisabledFunctions::ByAddress now);
  void look_for_disabled();

  // Where memory, the journal and kept answers lie.
  std::filesystem::path store_dir() const { return options.store.empty() ? project->state_dir() : options.store; }

  // Recordings (recording.cc).
  Result<void> open_recordings();
  // The redactor learns each secret that the project names, as far as it is new. Any thread.
  void learn_secrets();
  // The model of an alias, as it is, recorded or replayed. `chosen_wins`: SABIR_MODEL is stronger than the alias.
  Result<std::shared_ptr<models::Model>> model(const std::string& alias, bool chosen_wins, const std::string& caller, std::uint64_t parent);
  // The loop's: a call by the registry, recorded or replayed; 0 = there is nothing to cancel.
  functions::Functions::CallId call(functions::CallRequest request, workers::CallEvents events);
  functions::Functions::CallId call_respond(const functions::Assistant& assistant, functions::CallRequest request, workers::CallEvents events);
  // An entry for a call that is about to be made; 0 = nothing is recorded.
  std::uint64_t begin_entry(std::uint64_t parent);
  bool replay_call(const std::string& address, const functions::CallRequest& request, workers::CallEvents& events);
  void record_call(const std::string& address, std::string_view effect, functions::CallRequest& request, workers::CallEvents& events);
  void flush_soon();

  // Where a request may wait for functions: one of a deeper call never waits for a thread that a shallower one holds. The loop's.
  Jobs& jobs_for(const workers::Caller& caller);

  // Traces (tracing.cc): prompts that are rendered, and a store or a model whose use is traced.
  void observe_prompts();
  // complete_prompt() in a span of its own.
  Result<json::object> traced_prompt(const PromptRequest& asked, const RunEvents& events, workers::Caller& caller,
                                     std::shared_ptr<std::atomic<bool>> cancelled);
  // What the journal may hold.
  std::function<std::string(std::string)> redact_json() const {
    return [scrubber = secrets::Scrubber(secrets->redactor())](std::string text) { return scrubber.json_text(std::move(text)); };
  }
  // Of what asks by the engine's own methods.
  // What a call of this engine's own methods belongs to: the span that its thread is within, else what began the engine.
  trace::SpanContext own_span() const {
    if (const auto now = trace::current()) return now;
    return trace::parse_traceparent(options.traceparent).value_or(trace::SpanContext{});
  }
  std::unique_ptr<memory::Memory> traced(std::unique_ptr<memory::Memory> store);
  std::shared_ptr<models::Model> traced(std::shared_ptr<models::Model> model, const std::string& alias, bool replayed);
  // Of an answer that was recorded.
  void note_replayed(const functions::CallRequest& request, const Result<protocol::Payload>& outcome);

  // Hot reload (reload.cc); the loop's thread but for read_again.
  struct Reading;
  void sources_changed(std::set<std::string> paths);
  void read_again(Reading& next);
  void read_configuration(std::set<std::string> paths);
  void go_over(Reading& next);
  // The tools of servers of MCP are others than the registry has.
  void tools_changed();
  // Servers of MCP whose tools nobody knows are asked for them, as long as a person would wait for that; before anything is called.
  void ask_mcp_servers();
  void tell(const ReloadReport& report);
  // What servers say that have been given a secret, or a token, has it taken out.
  void watch_mcp_secrets();
  void watch_sources();
  Result<void> start_watching();

  // Any thread but the loop's; blocks until the call ends.
  Result<protocol::Payload> call_blocking(functions::CallRequest request, std::chrono::milliseconds timeout);

  EngineOptions options;
  std::shared_ptr<const project::Project> project;
  std::shared_ptr<const project::Project> served;  // the last reading of it; null before the first reload; as the registry
  std::vector<project::Language> languages;
  std::shared_ptr<const functions::Registry> registry;  // replaced on the loop, under registry_mutex
  std::mutex registry_mutex;
  functions::DisabledFunctions disabled{{}};
  functions::DisabledFunctions::ByAddress disabled_now;  // the loop's, as the next
  std::string disabled_stamp;
  const workers::Clock::time_point begun = workers::Clock::now();
  const std::shared_ptr<ModelCounts> model_counts = std::make_shared<ModelCounts>();
  std::shared_ptr<const project::Project> current_project();  // any thread
  std::shared_ptr<secrets::Secrets> secrets;
  std::mutex models_mutex;
  std::shared_ptr<const models::Models> models;
  std::shared_ptr<models::LocalRuntime> local;
  const std::shared_ptr<models::PolicyStates> policies = models::make_policy_states();
  // Opened with the first use of a model. Errors: the store's.
  Result<std::shared_ptr<models::Ledger>> open_ledger();
  std::mutex ledger_mutex;
  std::shared_ptr<models::Ledger> ledger;
  std::shared_ptr<models::AnswerCache> answers;
  std::mutex tokenizers_mutex;
  std::map<std::string, Result<std::shared_ptr<const completions::LocalTokenizer>>> tokenizers;  // by file and its last change
  std::int64_t switches_seen = -1;  // of the models that are loaded
  std::chrono::steady_clock::time_point switches_looked{};
  Result<secrets::Grants> read_grants() const;
  secrets::Grants grants;                    // written on the loop, under `learning`
  // What of the configuration could not be read since it was saved: by part, "sabir.yml", "models", "grants". What was good
  // before holds.
  std::mutex configuration_mutex;
  std::map<std::string, std::vector<Error>> configuration_problems;
  void note_configuration(const std::string& part, std::vector<Error> problems);
  std::mutex learning;
  std::shared_ptr<const functions::Registry> learned_registry;
  std::string learned_models;  // stamps of their configuration
  std::vector<std::string> secret_names;
  std::unique_ptr<telemetry::Telemetry> telemetry;
  trace::Tracer* tracer = nullptr;  // null: nothing is traced
  recordings::Prompts known_prompts;  // which texts were rendered of late, and by which state of the prompt
  std::unique_ptr<recordings::Recordings> recordings;  // null: nothing is recorded or replayed
  std::atomic<bool> flushing = false;
  Lazy<memory::Memory> memory;
  Lazy<journal::Journal> journal;
  std::unique_ptr<completions::Renderer> renderer;
  net::Loop loop;
  std::unique_ptr<Jobs> jobs;       // short blocking work: memory, prompts, builds
  std::unique_ptr<Jobs> long_jobs;  // models, assistants, and prompts that call functions, of callers outside any worker
  std::map<int, std::unique_ptr<Jobs>> deeper_jobs;  // the same of functions, by their depth; the loop's
  std::unique_ptr<McpFunctions> mcp;
  std::unique_ptr<functions::Functions> functions;
  std::set<std::unique_ptr<ClientSession>> clients;
  std::unique_ptr<SourceWatcher> watcher;     // while listening or watching
  std::function<void(const std::set<std::string>&)> saved;  // hears what was saved; the loop's, as the next
  std::function<void(const ReloadReport&)> also_reloaded;
  bool reading = false;                       // a changed project is being read
  bool again = false;
  std::set<std::string> changed_meanwhile;
  std::atomic<bool> stopping = false;
  std::unique_ptr<net::Listener> listener;
  std::filesystem::path published;  // engine.json, while listening
  void unpublish();                 // the loop's
  std::thread thread;
};

}  // namespace sabir::runtime

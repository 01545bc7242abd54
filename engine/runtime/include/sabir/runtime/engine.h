// Engine: the rooms wired for one project. Whatever asks for something (a worker, an SDK, the command line) asks here, by
// the methods of spec/worker-protocol.md §7.
//
// Threads: request() and the accessors from any; it runs its own loop thread. Lifetimes: the destructor stops workers and
// connections and waits for them.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/assistants/runner.h"
#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/functions/functions.h"
#include "sabir/completions/tokens.h"
#include "sabir/models/model.h"
#include "sabir/models/registry.h"
#include "sabir/net/loop.h"
#include "sabir/project/project.h"
#include "sabir/protocol/payload.h"
#include "sabir/recordings/recordings.h"
#include "sabir/trace/ids.h"
#include "sabir/workers/call_client.h"
#include "sabir/workers/pool.h"

namespace sabir::runtime {

// Asked before a model's call of an irreversible function; false refuses it. Absent: always refused.
using Approve = std::function<bool(const std::string& address, const std::string& arguments_json)>;

// What became of the functions of one saved file.
struct FileChange {
  std::string file;                    // from the project's root
  std::vector<std::string> added;      // addresses
  std::vector<std::string> changed;    // whose schema or description is another
  std::vector<std::string> removed;
};

// What saved files came to.
struct ReloadReport {
  std::vector<std::string> paths;      // that changed, from the project's root; empty: anything
  std::vector<std::string> languages;  // whose functions are served anew
  std::vector<Error> problems;         // broken files; the functions of their languages, and the configuration, stay as they were
  std::vector<Error> unavailable;      // what cannot be called and was not there before, or not for this reason
  std::vector<FileChange> changes;
  bool configuration = false;          // of config/ alone
  bool disabled = false;               // no file: which functions are disabled has changed
  std::chrono::milliseconds took{0};
};

struct EngineOptions {
  bool debug = false;               // functions::Setup::debug
  std::filesystem::path root;
  std::string environment = "development";
  std::filesystem::path resources;  // unpacked languages/, templates/, models/
  std::filesystem::path cache;      // the user's cache folder; built programs go to build/ below it
  // What workers print, line by line; empty = standard error, each line after "[language] ".
  std::function<void(const std::string& language, std::string_view line)> output;
  // Saved files were read again, of a listening engine; on its loop. Empty = problems go to the log.
  std::function<void(const ReloadReport&)> reloaded;
  std::function<void(const functions::Failure&)> failed;  // as functions::Setup has it
  recordings::Choice recording;     // what to record or replay
  std::filesystem::path store;      // where memory, the journal and kept answers lie; "" = the project's own. Not of an engine that listens
  std::string traceparent;          // of what calls this engine's own methods; "" = they begin traces
};

// As models.complete answers it.
json::object to_json(const models::Reply& reply);
// As models.embed answers it.
json::object to_json(const models::Embeddings& embeddings);

// One request of whoever is served from the loop itself.
struct Asked {
  std::string method;             // of spec/worker-protocol.md §7
  protocol::Payload params{"{}", {}};
  std::string caller;             // "rest", "mcp": for the journal
  CallContext context;
  trace::SpanContext span;        // which it belongs to; none = it begins a trace
  workers::Clock::time_point deadline = workers::Clock::time_point::max();
  // Of a call with "stream": true, before the reply: "chunk" or "progress" and the members of its params, as a JSON object.
  std::function<void(std::string_view method, std::string_view members)> notice;
  std::function<void(Result<protocol::Payload>)> reply;
  std::shared_ptr<workers::CallClient> client;  // that can be spoken to meanwhile; null: none
};

// One run of an assistant, as it happens.
struct RunEvents {
  std::function<void(std::string_view text)> text;                  // the answer, in pieces
  std::function<void(double progress)> loading;                     // a local model is being loaded, 0..1
  std::function<void(const std::string& address, const std::string& arguments_json)> calling;
  std::function<void(const std::string& address, const std::string& outcome_json, bool ok)> called;
  Approve approve;
  bool may_wait = false;  // without `approve`: the run waits for approvals, and gives "waiting" in place of its content
};

// A person's word about a call that waits.
struct Decision {
  std::string id;
  bool approved = false;
  std::string who;     // who says so
  std::string reason;  // the model is told of it when it is no
};

// What is asked of a model by a prompt of completions/. What is empty here is as the prompt's front matter says.
struct PromptRequest {
  std::string name;
  std::string variables = "{}";  // the text of a JSON object
  std::string model;             // an alias
  json::object parameters;       // stronger than the prompt's, one by one
  std::optional<json::object> output_schema;
  std::optional<std::chrono::milliseconds> cache;  // as models::Request has it
};

class Engine {
 public:
  // Errors: kNoProject, kConfig, kStoreNewer (on first use of the store) and whatever the rooms give.
  static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  ~Engine();

  const project::Project& project() const;
  std::shared_ptr<const functions::Registry> registry() const;

  // One request, blocking: the method's result object with its blobs. `timeout` is the whole wait. A call with "stream": true
  // tells of its chunks and progress on the engine's loop while it runs.
  using OnNotice = std::function<void(std::string_view method, std::string_view members)>;
  Result<protocol::Payload> request(const std::string& method, protocol::Payload params, const CallContext& context,
                                    std::chrono::milliseconds timeout, OnNotice on_notice = {});

  // The same without waiting, on the loop's thread alone, where the answer comes too, never from inside submit(). What it gives
  // ends the request and all that it began; without effect once it is answered.
  std::function<void()> submit(Asked asked);
  // A function's call, likewise.
  std::function<void()> call(functions::CallRequest request, workers::CallEvents events);
  net::Loop& loop();
  // As last read, of a listening engine; project() is what it was opened with.
  std::shared_ptr<const project::Project> current_project() const;
  // What of the configuration could not be read since it was saved; what was good before holds. From any thread.
  std::vector<Error> configuration_problems() const;
  // Reads everything again, as if all files had been saved; `reloaded` tells of it.
  void reload();

  // One turn of an assistant, blocking; `events` come on this thread. An empty `conversation` begins a new one. Gives
  // {"content", "conversation", "model", "provider", "calls": […], "trace"?}. `cancelled` may be null.
  Result<json::object> run_assistant(const std::string& name, const std::string& message, const std::string& conversation,
                                     const CallContext& context, const RunEvents& events,
                                     std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  // The same where the caller keeps the conversation, and may have tools of its own. Gives further "finish_reason", "handed_over": the calls of
  // the caller's tools as models::ToolCall has them, and "said": the messages that came of it. An assistant with a respond of its own gets the
  // last message alone, and a conversation by `conversation`.
  Result<json::object> answer_turn(const std::string& name, assistants::Turn turn, const std::string& conversation, const CallContext& context,
                                   const RunEvents& events, std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  // Calls that wait for approval, or waited: journal::to_json of each, newest first.
  Result<json::array> approvals(bool waiting);
  // Once all of a run's are decided it goes on, and this waits for what comes of it: {"approval", "run"?: as answer_turn() gives it, "error"?}.
  // Errors: kNotFound, kConflict.
  Result<json::object> decide(const Decision& decision);
  // As journal::Journal::run. Errors: kNotFound.
  Result<json::object> run(const std::string& id);
  // Renders a prompt and asks its model, blocking. Where the prompt offers functions, the model's calls are made, as an assistant's
  // are, and `events` tell of them. Gives what models.complete answers to {"prompt"}. `cancelled` may be null.
  Result<json::object> complete_prompt(const PromptRequest& asked, const CallContext& context, const RunEvents& events,
                                       std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  Result<models::Reply> complete(const std::string& alias, const models::Request& request, const models::OnEvent& on_event);

  // From now on what is asked belongs to a recording of this name, where a folder of them is recorded or replayed.
  void use_recording(const std::string& name);
  // What has been asked under that name so far; empty without recordings.
  std::vector<recordings::Entry> recorded();
  // What a replay was asked under it and had no answer to.
  std::vector<recordings::Miss> missed();
  // What so many tokens of a model cost, by the name that its provider knows; nothing where its price is not known.
  std::optional<double> cost_usd(const std::string& model, const models::Usage& usage);

  Result<models::Embeddings> embed(const std::string& alias, const models::EmbedRequest& request);

  // Knows the value of every secret that the project names.
  std::shared_ptr<const secrets::Redactor> redactor();
  // What the project's calls of models have taken: models::Ledger::usage.
  Result<json::array> usage(const std::string& by, std::int64_t since_ms);
  // Answers of models that are kept (docs/models.md, "Answers that are given again"). Lives as long as the engine.
  models::AnswerCache& answers();
  // What counts the tokens of an alias' model, or of one of OpenAI's by its name.
  completions::Tokens tokens_of(const std::string& alias);
  // The models of config/openai_config.yml, as they stand now.
  Result<std::vector<models::ModelInfo>> models();
  bool has_model(const std::string& alias);
  // Whether complete() of an alias waits for its server alone, so that a fiber of the loop may call it with `afterwards`.
  bool completes_on_loop(const std::string& alias);
  // From now on, in every engine of the project, `alias` stands for the model `model` of its provider; "" = as the
  // configuration says. Errors: kNotFound, kInvalidArguments, the store's.
  Result<models::Switch> use_model(const std::string& alias, const std::string& model, const std::string& who);

  // Builds and warms every language the project uses; a line each: {"language", "ok", "message"}.
  std::vector<json::object> prepare();
  // The same without waiting; `done` is called on the loop, and never where the engine is taken down before.
  void prepare(std::function<void(std::vector<json::object>)> done);
  std::map<std::string, workers::PoolStats> stats();

  // Serves one SDK on a connected socket, which is both descriptors, or on two pipes; `closed` is called on the loop when it is gone.
  void serve(int in_fd, int out_fd, std::function<void()> closed);
  // Listens on the project's socket, publishes engine.json, and from then on serves what is saved. Errors: kExists, kIo.
  Result<void> listen();
  // Another process is about to listen() in this one's place: engine.json and the socket are let go of, and no run that waited for
  // approval is gone on with. What is connected stays served. Not on the loop.
  void withdraw();
  // Requests of connected SDKs and commands that are not answered yet. Not on the loop.
  std::size_t open_requests();
  // From now on serves what is saved, without listening. Errors: kUnavailable where the system gives no watches.
  Result<void> watch();
  // `saved` hears on the loop, from now on and before anything is read anew, which files of the project were saved, prompts among
  // them; paths from the root, none = anything may have changed. REQUIRES: watch() or listen().
  void on_saved(std::function<void(const std::set<std::string>& paths)> saved);
  // The same of EngineOptions::reloaded, which is told besides.
  void on_reloaded(std::function<void(const ReloadReport&)> reloaded);
  // The published engine of a project, if one answers there: its socket.
  static Result<std::string> find_running(const std::filesystem::path& root, const std::string& environment);

 private:
  struct State;
  class PromptFunctions;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::runtime

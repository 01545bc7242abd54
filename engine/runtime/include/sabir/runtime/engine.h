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
#include <string>
#include <string_view>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/functions/functions.h"
#include "sabir/models/model.h"
#include "sabir/project/project.h"
#include "sabir/protocol/payload.h"
#include "sabir/workers/pool.h"

namespace sabir::runtime {

// Asked before a model's call of an irreversible function; false refuses it. Absent: always refused.
using Approve = std::function<bool(const std::string& address, const std::string& arguments_json)>;

struct EngineOptions {
  std::filesystem::path root;
  std::string environment = "development";
  std::filesystem::path resources;  // unpacked languages/, templates/, models/
  std::filesystem::path cache;      // the user's cache folder; built programs go to build/ below it
  // What workers print, line by line; empty = standard error, each line after "[language] ".
  std::function<void(const std::string& language, std::string_view line)> output;
};

// As models.complete answers it.
json::object to_json(const models::Reply& reply);

// One run of an assistant, as it happens.
struct RunEvents {
  std::function<void(std::string_view text)> text;                  // the answer, in pieces
  std::function<void(double progress)> loading;                     // a local model is being loaded, 0..1
  std::function<void(const std::string& address, const std::string& arguments_json)> calling;
  std::function<void(const std::string& address, const std::string& outcome_json, bool ok)> called;
  Approve approve;
};

class Engine {
 public:
  // Errors: kNoProject, kConfig, kStoreNewer (on first use of the store) and whatever the rooms give.
  static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  ~Engine();

  const project::Project& project() const;
  std::shared_ptr<const functions::Registry> registry() const;

  // One request, blocking: the method's result object with its blobs. `timeout` is the whole wait.
  Result<protocol::Payload> request(const std::string& method, protocol::Payload params, const CallContext& context,
                                    std::chrono::milliseconds timeout);

  // One turn of an assistant, blocking; `events` come on this thread. An empty `conversation` begins a new one. Gives
  // {"content", "conversation", "model", "provider", "calls": […]}. `cancelled` may be null.
  Result<json::object> run_assistant(const std::string& name, const std::string& message, const std::string& conversation,
                                     const CallContext& context, const RunEvents& events,
                                     std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  Result<models::Reply> complete(const std::string& alias, const models::Request& request, const models::OnEvent& on_event);

  // Builds and warms every language the project uses; a line each: {"language", "ok", "message"}.
  std::vector<json::object> prepare();
  std::map<std::string, workers::PoolStats> stats();

  // Serves one SDK on a connected socket; `closed` is called on the loop when it is gone.
  void serve(int fd, std::function<void()> closed);
  // Listens on the project's socket and publishes engine.json. Errors: kExists, kIo.
  Result<void> listen();
  // The published engine of a project, if one answers there: its socket.
  static Result<std::string> find_running(const std::filesystem::path& root, const std::string& environment);

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::runtime

// The Engine's insides, shared by its source files.
#pragma once

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "client_session.h"
#include "sabir/completions/renderer.h"
#include "sabir/journal/journal.h"
#include "sabir/memory/memory.h"
#include "sabir/models/local_runtime.h"
#include "sabir/models/registry.h"
#include "sabir/net/loop.h"
#include "sabir/runtime/engine.h"
#include "sabir/runtime/jobs.h"
#include "sabir/secrets/grants.h"
#include "sabir/secrets/secrets.h"

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

struct Engine::State : functions::EffectLog {
  explicit State(EngineOptions o);
  ~State() override;

  // EffectLog
  void begin(functions::EffectRecord record, std::function<void(Result<std::int64_t>)> written) override;
  void finish(std::int64_t id, std::string_view outcome) override;

  // Loop thread: one request of §7; the reply comes on the loop, later.
  void handle(workers::EngineRequest request);
  void call_function(workers::EngineRequest request);
  void get_secret(workers::EngineRequest request);
  // Any thread, blocks: what needs no loop.
  Result<protocol::Payload> answer(const std::string& method, const protocol::Payload& params, const CallContext& context,
                                   const std::string& source, workers::Clock::time_point deadline, int depth);
  Result<protocol::Payload> answer_memory(const std::string& method, const protocol::Payload& params, const CallContext& context,
                                          const std::string& source);
  Result<protocol::Payload> answer_render(const protocol::Payload& params);
  Result<protocol::Payload> answer_complete(const protocol::Payload& params);
  Result<protocol::Payload> answer_assistant(const protocol::Payload& params, const CallContext& context, workers::Clock::time_point deadline, int depth);

  Result<json::object> run_assistant(const std::string& name, const std::string& message, const std::string& conversation,
                                     const CallContext& context, const RunEvents& events, workers::Clock::time_point deadline,
                                     int depth, std::shared_ptr<std::atomic<bool>> cancelled);
  // Read on first use, so that a project without models needs no configuration of them.
  Result<std::shared_ptr<const models::Models>> load_models();

  // Any thread but the loop's; blocks until the call ends.
  Result<protocol::Payload> call_blocking(functions::CallRequest request, std::chrono::milliseconds timeout);

  EngineOptions options;
  std::shared_ptr<const project::Project> project;
  std::vector<project::Language> languages;
  std::shared_ptr<const functions::Registry> registry;  // replaced on the loop, under registry_mutex
  std::mutex registry_mutex;
  std::shared_ptr<secrets::Secrets> secrets;
  std::mutex models_mutex;
  std::shared_ptr<const models::Models> models;
  std::shared_ptr<models::LocalRuntime> local;
  secrets::Grants grants;
  Lazy<memory::Memory> memory;
  Lazy<journal::Journal> journal;
  std::unique_ptr<completions::Renderer> renderer;
  net::Loop loop;
  std::unique_ptr<Jobs> jobs;       // short blocking work: memory, prompts, builds
  std::unique_ptr<Jobs> long_jobs;  // models and assistants
  std::unique_ptr<functions::Functions> functions;
  std::set<std::unique_ptr<ClientSession>> clients;
  std::unique_ptr<net::Listener> listener;
  std::filesystem::path published;  // engine.json, while listening
  std::thread thread;
};

}  // namespace sabir::runtime

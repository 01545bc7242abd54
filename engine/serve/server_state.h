// The server's insides, shared by its source files.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "access_log.h"
#include "answers.h"
#include "jwt.h"
#include "caller_limits.h"
#include "metrics.h"
#include "sabir/secrets/redactor.h"
#include "sabir/serve/server.h"
#include "sabir/serve/tokens.h"

namespace sabir::serve {

struct Server::State : App, std::enable_shared_from_this<Server::State> {
  State(runtime::Engine& e, project::Serving s, ServerOptions o);
  ~State() override;

  // App
  void add(std::string_view method, std::string_view pattern, std::string_view scope, Handler handler) override;
  runtime::Engine& engine() override { return engine_; }
  std::shared_ptr<const project::Project> project() override { return engine_.current_project(); }
  std::shared_ptr<const functions::Registry> registry() override { return engine_.registry(); }
  Result<std::pair<const functions::Function*, std::shared_ptr<const functions::Registry>>> find(project::Door door, const std::string& address) override;
  void when_draining(std::function<void()> task) override { drains.push_back(std::move(task)); }
  bool elsewhere(std::function<void()> work) override { return !closed && jobs->submit(std::move(work)); }
  bool run(std::function<void()> work) override { return !closed && runs->submit(std::move(work)); }
  bool run_on_loop(std::function<void()> work) override;
  void at_close(std::function<void()> task) override { closers.push_back(std::move(task)); }
  void refuse_as(std::string prefix, RefusalForm form) override { refusal_forms.emplace_back(std::move(prefix), std::move(form)); }
  // In the form of the path's protocol.
  net::ServerResponse refusal(const net::ServerRequest& request, int status, std::string_view detail, std::string_view hint);
  std::chrono::steady_clock::time_point deadline() override { return std::chrono::steady_clock::now() + serving.timeout; }
  net::ServerResponse problem(const Error& error, const Identity& who, std::string_view instance) override;
  std::string redact(std::string_view text) override;

  // Who asks (identity.cc).
  struct Refusal {
    int status = 401;
    std::string detail;
    std::string hint;
    bool unknown_key = false;  // the issuer's keys may have changed since they were read
  };
  std::expected<Identity, Refusal> identify(const net::ServerRequest& request);
  void let_in(std::string_view scope, const Handler& handler, std::shared_ptr<net::Exchange> exchange, bool again);
  // Whether the caller's limits let it in; else it has been answered.
  bool admit(const Identity& who, const std::shared_ptr<net::Exchange>& exchange);
  bool asks_who();
  bool development() { return project()->environment == "development"; }

  // Routes.
  void add_operations();   // health, metrics, preflights
  void add_functions();    // rest.cc
  void add_rest();         // prompts, assistants, memory
  void add_runs();         // runs of assistants, approvals
  void add_engine();       // requests of `sabir --engine` (engine_requests.cc)
  void add_documents();    // openapi.json, docs
  void add_discovery();    // where MCP's clients get tokens (RFC 9728); identity.cc
  net::ServerResponse readiness();
  // Approvals as far as they are who's to see and decide: those of one's own tenant, where one belongs to one. Block.
  Result<json::array> approvals_of(const Identity& who, bool waiting);
  // As runtime::Engine::decide().
  Result<json::object> decide_as(const Identity& who, const std::string& id, bool approve, const std::string& reason);
  // A thread of `runs`: until workers are up, or it is too late.
  void await_workers(std::chrono::steady_clock::time_point deadline);
  void finished(const net::HttpFinished& one);

  runtime::Engine& engine_;
  project::Serving serving;
  ServerOptions options;
  std::shared_ptr<const secrets::Redactor> redactor;
  net::Router router;                   // while routes are added
  std::shared_ptr<const net::Router> router_now;
  Tokens tokens;
  std::shared_ptr<Jwt> jwt;             // null: none; replaced on the loop
  std::unique_ptr<Answers> answers;     // null: it cannot be opened, which who asks for it is told
  Error answers_error;
  Metrics metrics;
  std::unique_ptr<AccessLog> access;
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};
  std::atomic<bool> handed_over{false};
  std::mutex readiness_mutex;
  std::vector<json::object> prepared;   // as Engine::prepare() tells it, once it has
  std::vector<std::function<void()>> drains;
  std::atomic<bool> has_asked{false};    // callers have had to prove who they are
  // The OpenAPI document, and what it was made of.
  std::mutex document_mutex;
  std::shared_ptr<const std::string> document;
  std::tuple<std::shared_ptr<const functions::Registry>, std::shared_ptr<const project::Project>, bool> documented;
  Limits limits;                                                          // the loop's, as the next
  std::unordered_map<const net::ServerRequest*, std::string> entered;    // requests that limits counts, with whose they are
  std::unique_ptr<net::HttpServer> http;
  std::atomic<bool> closed{false};      // jobs takes nothing more; set on the loop
  std::vector<std::function<void()>> closers;
  std::mutex fibers_mutex;
  std::condition_variable fiber_ended;
  int fibers = 0;                       // under way
  std::vector<std::pair<std::string, RefusalForm>> refusal_forms;
  std::unique_ptr<runtime::Jobs> jobs = std::make_unique<runtime::Jobs>(8, 4096);
  std::unique_ptr<runtime::Jobs> runs = std::make_unique<runtime::Jobs>(512, 512);
};

// JSON of a body: {"key": …} or the problem with it. 400 for what is no JSON, 415 for another type, 422 for another kind.
Result<json::object> object_of(const net::ServerRequest& request);
net::ServerResponse json_response(const json::value& value, int status = 200);
bool is_json(std::string_view content_type);

}  // namespace sabir::serve

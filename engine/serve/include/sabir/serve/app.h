// App: what the protocols of `sabir serve` (REST here, others beside it) share: routes with who may ask, what may be reached,
// errors, and the engine.
//
// Threads: the loop's, unless said otherwise. Lifetimes: the Server owns it; handlers do not outlive it.
#pragma once

#include <bitset>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/net/http_server.h"
#include "sabir/project/project.h"
#include "sabir/runtime/engine.h"
#include "sabir/runtime/jobs.h"
#include "sabir/trace/ids.h"

namespace sabir::serve {

// One bit for each of project::kScopes.
using Scopes = std::bitset<std::size(project::kScopes)>;
Scopes scopes_of(const std::vector<std::string>& names);

// Who asks, as far as it has been proved, and the trace that the request belongs to.
struct Identity {
  std::string name;         // of the token, "jwt", "proxy", "anonymous"
  CallContext context;      // `run` is the trace's id
  Scopes scopes;
  trace::SpanContext span;
  project::Rate rate;       // its own; count 0 = as serve.limits says
  int at_once = 0;          // likewise
  bool may(std::string_view scope) const;
};

using Handler = std::function<void(std::shared_ptr<net::Exchange> exchange, const Identity& who)>;

class App {
 public:
  virtual ~App() = default;

  // `scope` is one of project::kScopes; "" = whoever is let in at all, "public" = everyone. Before the handler runs it is known
  // who asks, that the scope allows it and that no limit is passed. Until the server is open.
  virtual void add(std::string_view method, std::string_view pattern, std::string_view scope, Handler handler) = 0;

  virtual runtime::Engine& engine() = 0;
  virtual std::shared_ptr<const project::Project> project() = 0;     // any thread
  virtual std::shared_ptr<const functions::Registry> registry() = 0; // any thread
  // The function, if this door leads to it; else the same kUnknownFunction whether it is there or not. The pointer lives as
  // long as the registry, which the second member keeps.
  virtual Result<std::pair<const functions::Function*, std::shared_ptr<const functions::Registry>>> find(project::Door door, const std::string& address) = 0;
  // `task` runs on the loop when the server begins to drain, to end what would go on by itself. Until the server is open.
  virtual void when_draining(std::function<void()> task) = 0;
  // Work that blocks, elsewhere. False: there is too much of it.
  virtual bool elsewhere(std::function<void()> work) = 0;
  // The same for what may take minutes, such as a model's answer.
  virtual bool run(std::function<void()> work) = 0;
  // The same for what waits for the network alone, without a thread for each: as a fiber of the loop. On the loop.
  virtual bool run_on_loop(std::function<void()> work) = 0;
  // Called when the server is about to wait for that: it should come to its end. On the loop.
  virtual void at_close(std::function<void()> task) = 0;
  // How a protocol writes what is refused before its handlers see it, of paths that begin so. Until the server is open.
  using RefusalForm = std::function<net::ServerResponse(int status, std::string_view detail, std::string_view hint)>;
  virtual void refuse_as(std::string prefix, RefusalForm form) = 0;
  virtual std::chrono::steady_clock::time_point deadline() = 0;      // of a request that begins now

  // The error as RFC 9457 writes it, without secrets; files and lines in development alone. Any thread.
  virtual net::ServerResponse problem(const Error& error, const Identity& who, std::string_view instance) = 0;
  virtual std::string redact(std::string_view text) = 0;             // any thread
};

// The status of an answer that says that.
int status_of(ErrorCode code);

}  // namespace sabir::serve

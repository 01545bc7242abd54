// McpHttp: MCP's streamable HTTP at one address, both eras: sessions with streams that can be taken up again, and requests that
// stand for themselves.
//
// Threads: the loop's. Lifetimes: the engine outlives it; it outlives the HTTP server that hands it exchanges.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "engine_host.h"
#include "offers.h"
#include "sabir/base/context.h"
#include "sabir/mcp/headers.h"
#include "sabir/mcp/server.h"
#include "sabir/net/http_exchange.h"
#include "sabir/runtime/engine.h"

namespace sabir::serve {

struct McpHttpOptions {
  bool is_open = true;                                // nobody has to prove who they are
  std::size_t most_sessions = 1000;
  std::chrono::milliseconds session_idle{1'800'000};  // until a session that nobody uses ends
};

class McpHttp {
 public:
  McpHttp(runtime::Engine& engine, McpHttpOptions options);
  ~McpHttp();

  // One request, by whoever `context` says; `name` is the name under which they have proved it.
  void handle(const std::shared_ptr<net::Exchange>& exchange, const CallContext& context, const std::string& name);
  // Ends what would go on by itself: those who listen for changes, and streams of sessions that no request belongs to.
  void drain();
  // Ends sessions and listeners.
  void shut_down();
  std::size_t sessions() const { return sessions_.size(); }

 private:
  struct Event {
    std::uint64_t number = 0;
    std::string text;
  };
  // What belongs to one request of a client, or, with id 0, to its session alone.
  struct Stream {
    std::shared_ptr<net::Exchange> http;  // null: nobody reads at the moment
    bool has_begun = false;               // as events
    bool is_done = false;
    bool is_opening = false;              // of a session that its answer names
    std::uint64_t next = 1;
    std::deque<Event> events;             // that can be sent again; of sessions
    std::size_t bytes = 0;
    std::chrono::steady_clock::time_point done_at;
  };
  struct Client;

  void post(const std::shared_ptr<net::Exchange>& exchange, const CallContext& context, const std::string& principal);
  void get(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal);
  void remove(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal);
  void stateless(const std::shared_ptr<net::Exchange>& exchange, const mcp::Message& message, const mcp::RequestHeaders& headers, const CallContext& context,
                 const std::string& principal);
  // The session that a request names; null: it has been answered.
  Client* session_of(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal);
  std::shared_ptr<Client> make_client(const CallContext& context, const std::string& principal, bool is_session);
  bool make_room();
  void take(Client& client, const mcp::Outgoing& out);
  void begin_events(Client& client, mcp::ExchangeId id, Stream& stream);
  void write(Client& client, mcp::ExchangeId id, Stream& stream, const Event& event);
  void lose(Client& client, mcp::ExchangeId id);
  void forget_later(const std::shared_ptr<Client>& client);
  void tidy();

  runtime::Engine& engine_;
  const McpHttpOptions options_;
  Offers offers_;
  const std::shared_ptr<const mcp::Seal> seal_ = std::make_shared<const mcp::Seal>();
  std::map<std::string, std::shared_ptr<Client>> sessions_;   // by their id
  std::map<std::string, std::shared_ptr<Client>> stateless_;  // by who asks
  net::Loop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sabir::serve

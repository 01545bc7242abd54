// HttpTransport: a server behind an address, by MCP's streamable HTTP: one POST for each message, answered with JSON or with a stream of
// events, which is taken up again where it broke off. Private to the room.
//
// Threads: the loop's. Each exchange blocks a thread of its own while it lasts, 64 at most.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "authorizer.h"
#include "sabir/net/http_client.h"
#include "sabir/net/loop.h"
#include "transport.h"

namespace sabir::peers {

class HttpTransport : public Transport {
 public:
  HttpTransport(net::Loop& loop, const project::McpServer& server, const secrets::Secrets& secrets, std::shared_ptr<Authorizer> authorizer, TransportEvents events);
  ~HttpTransport() override;

  void send(mcp::ClientMessage message) override;
  void abandon(mcp::RequestId request) override;
  void opened(const mcp::Client& client) override;
  void close(std::function<void()> done) override;

 private:
  struct Shared;     // what threads use
  struct Exchange;   // one of them
  using ThreadId = std::uint64_t;
  bool begin(mcp::RequestId request, std::function<void(const std::shared_ptr<Exchange>&)> work);
  void ended(ThreadId id);

  const std::shared_ptr<Shared> shared_;
  struct Running {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> cancelled;
    mcp::RequestId request = 0;
  };
  std::map<ThreadId, Running> running_;
  ThreadId next_ = 1;
  bool is_closing_ = false;
  ThreadId notifying_ = 0;                   // the exchange of a notification or an answer: what follows waits for its end
  std::deque<mcp::ClientMessage> waiting_;
  std::function<void()> closed_;
};

}  // namespace sabir::peers

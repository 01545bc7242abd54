// Connection: one server of config/mcp.yml as the engine lives with it: started on first use, asked for its tools, started again
// after it has ended, with growing pauses. Private to the room.
//
// Threads: the loop's. Lifetimes: close() before destruction, or what runs is cut off.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "authorizer.h"
#include "sabir/mcp/client.h"
#include "sabir/net/loop.h"
#include "sabir/peers/kept_tools.h"
#include "sabir/peers/servers.h"
#include "transport.h"

namespace sabir::peers {

class Connection {
 public:
  Connection(net::Loop& loop, std::shared_ptr<const project::McpServer> server, const ServersSetup& setup, std::function<void()> tools_changed);
  ~Connection();

  const project::McpServer& server() const { return *server_; }

  // Calls a tool once the server is there; `pins` are asked what it may do then.
  CallId call(ServerCall call, std::shared_ptr<const Pins> pins);
  void cancel(CallId id, ErrorCode code, const std::string& reason);
  // Connects, where it is not, and asks for the tools.
  void list(std::function<void(Result<KeptTools>)> done);
  ServerStatus status() const;
  void close(std::function<void()> done);

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { kIdle, kStarting, kReady, kClosed };
  enum class Losing { kNot, kExpired, kEnded };
  struct Open {
    ServerCall call;
    std::shared_ptr<const Pins> pins;
    std::uint64_t number = 0;  // of the client's call; 0 = waits
    net::Loop::TimerId timer = 0;
    bool is_second = false;    // try
  };

  void start();
  void start_now();
  Result<std::unique_ptr<Transport>> open_transport();
  void connected(Result<void> outcome);
  void listed(Result<std::vector<mcp::ToolDefinition>> tools);
  void ready();
  void relist();
  void fail_start(Error error);
  void lost(Error error, bool is_expired);
  void drop();
  void end_transport();
  void run(CallId id);
  void answered(CallId id, Result<protocol::Payload> outcome);
  void finish(CallId id, Result<protocol::Payload> outcome);
  void run_waiting();
  void tell(std::string_view level, std::string_view text) const;
  KeptTools kept() const;

  net::Loop& loop_;
  const std::shared_ptr<const project::McpServer> server_;
  const ServersSetup& setup_;
  const std::function<void()> tools_changed_;
  const std::string shown_;
  std::shared_ptr<Authorizer> authorizer_;
  State state_ = State::kIdle;
  Losing losing_ = Losing::kNot;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<mcp::Client> client_;
  std::vector<mcp::ToolDefinition> tools_;
  bool is_listing_ = false;
  bool list_again_ = false;
  std::string revision_;             // of the last connection
  std::string server_name_;
  std::optional<Error> error_;       // of the last try
  int failures_ = 0;                 // in a row
  Clock::time_point ready_since_;
  Clock::time_point next_try_;
  Clock::time_point listed_at_;
  net::Loop::TimerId start_timer_ = 0;
  net::Loop::TimerId probe_timer_ = 0;
  net::Loop::TimerId list_timer_ = 0;
  std::map<CallId, Open> open_;
  std::deque<std::function<void(Result<KeptTools>)>> wanting_list_;
  CallId next_ = 1;
  std::vector<std::shared_ptr<Transport>> ending_;
  std::function<void()> closed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sabir::peers

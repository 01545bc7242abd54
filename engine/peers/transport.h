// Transport: the bytes of one connection to a server. Private to the room.
//
// Threads: the loop's; events come on the loop, never from inside a method. Lifetimes: nothing comes after the transport is gone.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/mcp/client.h"

namespace sabir::peers {

struct TransportEvents {
  // One message; over HTTP with the request to whose answer it belongs.
  std::function<void(std::string_view text, mcp::RequestId exchange)> message;
  std::function<void(mcp::RequestId request, Error error, bool is_refused)> undelivered;
  // The connection is at its end. `is_expired`: a session that the server has forgotten; nothing of what failed was done.
  std::function<void(Error error, bool is_expired)> lost;
  std::function<void(std::string_view line)> said;  // a line on standard error
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void send(mcp::ClientMessage message) = 0;
  virtual void abandon(mcp::RequestId request) = 0;
  // A revision has been agreed on.
  virtual void opened(const mcp::Client& client) = 0;
  // Ends it in good order; no event comes any more. `done` comes once, on the loop.
  virtual void close(std::function<void()> done) = 0;
};

}  // namespace sabir::peers

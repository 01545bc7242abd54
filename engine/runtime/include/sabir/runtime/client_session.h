// ClientSession: the engine's side of an SDK's connection (spec/worker-protocol.md §9).
//
// Threads: the loop's. Calls that the client leaves behind are cancelled when its connection ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "sabir/workers/peer.h"
#include "sabir/workers/pool.h"

namespace sabir::runtime {

class ClientSession : private workers::Peer::Handler {
 public:
  // `project` is its root, as the client is told. `span` is what its calls belong to where its `hello` names none. `closed` may destroy the session.
  ClientSession(net::Loop& loop, int in_fd, int out_fd, std::string project, std::string environment, const trace::SpanContext& span,
                workers::RequestHandler handler, std::function<void(ClientSession*)> closed);
  std::size_t open_requests() const { return open_.size(); }
  ~ClientSession() override;

 private:
  void on_request(const workers::Incoming& request) override;
  void on_notification(const workers::Incoming& notification) override;
  void on_closed(const Error& error) override;
  void hello(const workers::Incoming& request);

  static constexpr std::size_t kMostOpen = 10'000;
  static constexpr std::size_t kMostUnsent = std::size_t{64} << 20U;

  net::Loop& loop_;
  const std::string project_;
  const std::string environment_;
  workers::RequestHandler handler_;
  std::function<void(ClientSession*)> closed_;
  CallContext context_;
  trace::SpanContext span_;
  std::string language_ = "client";
  std::unordered_map<std::string, std::shared_ptr<workers::Caller>> open_;  // by the request's raw id
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  workers::Peer peer_;  // last: its callbacks use the rest
};

// Marks a caller ended and runs what waits for that.
void end_caller(workers::Caller& caller);

}  // namespace sabir::runtime

// Peer: one connection of the worker protocol, seen as requests, answers and notifications. Both the engine's side of a
// worker and its side of an SDK's connection are peers.
//
// Threads: the loop's. Lifetimes: views handed to callbacks are valid during the callback only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/frame.h"
#include "sabir/protocol/message.h"

namespace sabir::workers {

struct Incoming {
  std::string_view id;      // raw JSON, empty for a notification
  std::string_view method;
  std::string_view body;    // params of a request or notification, result of an answer; raw JSON
  std::vector<std::string>& blobs;
};

class Peer : private net::Stream::Handler {
 public:
  struct Handler {
    virtual ~Handler() = default;
    virtual void on_request(const Incoming& request) = 0;
    virtual void on_notification(const Incoming& notification) = 0;
    // The connection is unusable; open requests are dropped without an answer. May destroy the peer.
    virtual void on_closed(const Error& error) = 0;
  };
  using Answer = std::function<void(std::int64_t id, Result<Incoming>)>;

  // Takes the descriptors over.
  Peer(net::Loop& loop, int in_fd, int out_fd, Handler& handler);
  ~Peer() override;

  // Returns the request's id.
  std::int64_t request(std::string_view method, std::string_view params, const std::vector<std::string_view>& blobs, Answer answer);
  void notify(std::string_view method, std::string_view params, const std::vector<std::string_view>& blobs = {});
  void respond(std::string_view id, std::string_view result, const std::vector<std::string_view>& blobs = {});
  void respond_error(std::string_view id, const Error& error);
  void close();
  std::size_t unsent() const { return stream_.unsent(); }
  std::size_t open_requests() const { return open_.size(); }

 private:
  void on_bytes(std::string_view bytes) override;
  std::span<char> room() override { return reader_.room(); }
  void on_filled(std::size_t count) override { reader_.filled(count); }
  void on_closed() override;
  void take(protocol::Frame& frame);
  void send(const std::vector<std::string_view>& blobs);
  void lose(const Error& error);

  Handler& handler_;
  protocol::FrameReader reader_;
  std::unordered_map<std::int64_t, Answer> open_;
  std::int64_t next_id_ = 1;
  std::string text_;  // of the message being written; empty between two
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  net::Stream stream_;  // last: its callbacks use the rest
};

}  // namespace sabir::workers

// Worker: one process of a language and its connection, from spawn to reaping. Knows nothing of queues.
//
// Threads: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sabir/workers/peer.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

class Worker : public Peer::Handler {
 public:
  enum class State { kStarting, kReady, kDead };

  struct Events {
    std::function<void(Worker&)> ready;
    std::function<void(Worker&, const Incoming&)> request;
    std::function<void(Worker&, const Incoming&)> notification;
    // The process is reaped and the connection gone; `why` says how it ended. The owner destroys the worker afterwards,
    // from the loop.
    std::function<void(Worker&, const std::string& why)> ended;
  };

  // Errors: what spawning gives.
  static Result<std::unique_ptr<Worker>> start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch, Events events);
  ~Worker() override;

  State state() const { return state_; }
  bool was_ready() const { return was_ready_; }
  pid_t pid() const { return child_.pid(); }
  Peer& peer() { return *peer_; }
  // The last lines it printed, for an error's detail.
  const std::string& tail() const { return tail_; }
  // Why the start failed, when the worker itself said so.
  const std::optional<Error>& start_error() const { return start_error_; }
  void kill();
  // Asks it to finish and leave; killed when it has not left by `grace`.
  void drain(std::chrono::milliseconds grace);

 private:
  Worker(net::Loop& loop, const PoolSpec& spec, Events events);
  void greet();
  void on_request(const Incoming& request) override { events_.request(*this, request); }
  void on_notification(const Incoming& notification) override { events_.notification(*this, notification); }
  void on_closed(const Error& error) override;
  void process_ended();
  void finish();
  void take_output(std::string_view bytes);

  struct Output : net::Stream::Handler {
    explicit Output(Worker& w) : worker(w) {}
    void on_bytes(std::string_view bytes) override { worker.take_output(bytes); }
    void on_closed() override {}
    Worker& worker;
  };

  net::Loop& loop_;
  const PoolSpec& spec_;
  Events events_;
  State state_ = State::kStarting;
  process::Child child_;
  std::unique_ptr<Peer> peer_;
  Output output_handler_{*this};
  std::unique_ptr<net::Stream> output_;
  std::string line_;
  std::string tail_;
  std::string ended_why_;
  std::optional<Error> start_error_;
  bool was_ready_ = false;
  bool connection_gone_ = false;
  bool process_gone_ = false;
  bool finished_ = false;
  net::Loop::WatchId watch_ = 0;
  net::Loop::TimerId startup_timer_ = 0;
  net::Loop::TimerId kill_timer_ = 0;
  net::Loop::TimerId settle_timer_ = 0;
};

}  // namespace sabir::workers

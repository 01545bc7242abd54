// Worker: one process of a language and its connection, from spawn to reaping. Knows nothing of queues.
//
// Threads: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "boot_process.h"
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

  // Spawned, or forked from one of `boots` where `launch` says so. Errors: what spawning gives.
  static Result<std::unique_ptr<Worker>> start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch, Events events,
                                               BootProcesses* boots = nullptr);
  ~Worker() override;

  State state() const { return state_; }
  bool was_ready() const { return was_ready_; }
  // Its process has ended or its connection is gone: `ended` comes soon, and nothing more can be sent.
  bool is_gone() const { return process_gone_ || connection_gone_; }
  pid_t pid() const { return child_.pid(); }
  Peer& peer() { return *peer_; }
  // The last lines it printed, for an error's detail.
  const std::string& tail() const { return tail_; }
  // Why the start failed, when the worker itself said so.
  const std::optional<Error>& start_error() const { return start_error_; }
  // Passes a line on to the log. Of a worker that writes more than kMostOutput a second, the rest is counted and left out.
  void say(std::string_view line);
  void kill();
  // Asks it to finish and leave; killed when it has not left by `grace`.
  void drain(std::chrono::milliseconds grace);

 private:
  Worker(net::Loop& loop, const PoolSpec& spec, Events events);
  void greet();
  void connect(int from, int to, int output);
  void forked(Result<pid_t> pid);
  void on_request(const Incoming& request) override { events_.request(*this, request); }
  void on_notification(const Incoming& notification) override { events_.notification(*this, notification); }
  void on_closed(const Error& error) override;
  void process_ended();
  void finish();
  void take_output(std::string_view bytes);
  void tell_of_left_out();

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
  std::shared_ptr<BootProcess> boot_;
  std::uint64_t ticket_ = 0;       // boot_'s
  bool kill_wanted_ = false;       // before its pid is known
  std::string start_params_;
  std::unique_ptr<Peer> peer_;
  Output output_handler_{*this};
  std::unique_ptr<net::Stream> output_;
  std::string line_;
  std::chrono::steady_clock::time_point second_;  // when the present second of its output began
  std::size_t said_ = 0;                          // bytes in it
  std::size_t left_out_ = 0;                      // lines
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
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sabir::workers

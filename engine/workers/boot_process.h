// BootProcess: a process that loads a project's boot file once and forks warm workers from what it has loaded
// (spec/worker-protocol.md §11). Workers keep it alive: it reaps them, and they end with it.
//
// Threads: the loop's. Lifetimes: shared by its pool and its workers; no callback comes after drop().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sabir/net/loop.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

class BootProcess : public net::Stream::Handler {
 public:
  struct Events {
    std::function<void(Result<pid_t>)> forked;              // once
    std::function<void(const process::ExitStatus&)> ended;  // after `forked` with a pid, once
  };

  // Errors: what spawning gives.
  static Result<std::shared_ptr<BootProcess>> start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch);
  ~BootProcess() override;

  // Asks for one more worker, also before the boot file is loaded. The descriptors stay the caller's. Returns a ticket.
  std::uint64_t fork(int connection, int output, Events events);
  // The worker's pid is watched; from here on it may be reaped.
  void seen(pid_t pid);
  // Nobody waits for this ticket's events any more.
  void drop(std::uint64_t ticket);

  bool ready() const { return ready_; }
  // What it loaded notices its own changes.
  bool reloads() const { return reloads_; }
  bool failed() const { return failure_.has_value(); }
  const Error* failure() const { return failure_ ? &*failure_ : nullptr; }
  // Called once it is ready or has failed, at once where it is so already.
  void when_settled(std::function<void()> settled);

 private:
  BootProcess(net::Loop& loop, const PoolSpec& spec) : loop_(loop), spec_(spec) {}
  void on_bytes(std::string_view bytes) override;
  void on_closed() override;
  void take(const std::string& line);
  void take_output(std::string_view bytes);
  void fail_with(Error error);
  void settle();

  struct Output : net::Stream::Handler {
    explicit Output(BootProcess& b) : process(b) {}
    void on_bytes(std::string_view bytes) override { process.take_output(bytes); }
    void on_closed() override {}
    BootProcess& process;
  };
  struct Forked {
    Events events;
    pid_t pid = 0;
  };

  net::Loop& loop_;
  const PoolSpec& spec_;
  process::Child child_;
  int control_fd_ = -1;  // control_'s
  std::unique_ptr<net::Stream> control_;
  Output output_handler_{*this};
  std::unique_ptr<net::Stream> output_;
  std::string line_;
  std::string printed_;
  std::string tail_;
  std::map<std::uint64_t, Forked> forked_;
  std::uint64_t next_ticket_ = 1;
  bool ready_ = false;
  bool reloads_ = false;
  std::optional<Error> failure_;
  std::vector<std::function<void()>> settled_;
  net::Loop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The boot processes of one pool: the one that workers are forked from, and one that loads what has changed.
class BootProcesses {
 public:
  BootProcesses(net::Loop& loop, const PoolSpec& spec) : loop_(loop), spec_(spec) {}

  // The one to fork from; started where there is none that works. Errors: what spawning gives.
  Result<std::shared_ptr<BootProcess>> current(const LaunchSpec& launch);
  bool serving() const { return current_ && !current_->failed(); }
  bool reloads() const { return serving() && current_->ready() && current_->reloads(); }
  // Loads the boot file anew beside what serves; `taken` is called once that is done. One that does not load leaves
  // everything as it is, and is told in the log.
  void anew(std::function<void()> taken);
  void stop_loading() { next_.reset(); }

 private:
  net::Loop& loop_;
  const PoolSpec& spec_;
  std::shared_ptr<BootProcess> current_;
  std::shared_ptr<BootProcess> next_;
};

}  // namespace sabir::workers

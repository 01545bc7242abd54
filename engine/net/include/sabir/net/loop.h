// Loop: the engine's event loop. One thread runs it; everything that owns a socket, a timer or a worker lives there.
//
// Code that may block can run on it as well (enter_foreign()): when it has taken a millisecond or two, another thread goes on
// with the loop. Still only one thread at a time runs it, and what one has written the next one sees.
//
// Threads: post() from any; all else on the loop's own thread. Lifetimes: a callback may destroy the timer, watch or
// stream it came from.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

namespace boost::asio {
class io_context;
}

namespace sabir::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop()
  void stop();  // any thread
  void post(std::function<void()> task);
  bool on_loop() const;  // whether this thread is the one that runs it; any thread
  // Runs `task` at the end of this turn, when what was ready has run. Unlike post() it costs no look for new events, which is
  // a system call. Loop thread only.
  void soon(std::function<void()> task);

  // Code that may block, called by a task given to soon() that does nothing but that:
  //
  //   if (const auto ticket = loop.enter_foreign()) {
  //     foreign();
  //     if (!Loop::leave_foreign(ticket)) …
  //   }
  //
  // 0 from enter_foreign(): not now, for want of a thread that could take over; run it elsewhere. False from leave_foreign():
  // it took too long, another thread runs the loop by now, or it has ended and is gone; the caller must return at once.
  using Ticket = std::uint64_t;
  Ticket enter_foreign();
  static bool leave_foreign(Ticket ticket);

  using TimerId = std::uint64_t;
  TimerId after(std::chrono::milliseconds delay, std::function<void()> task);
  void cancel(TimerId timer);  // no effect once it has fired

  // Calls `ready` once when `fd` becomes readable. The descriptor stays the caller's and must outlive the watch.
  using WatchId = std::uint64_t;
  WatchId when_readable(int fd, std::function<void()> ready);
  void unwatch(WatchId watch);

  // Between the two something is waited for. After short waits run() then looks for events for a while before it sleeps: the
  // wake-up of an idle core costs more than a short call does.
  void hold();
  void release();

 private:
  friend class Stream;
  friend class Listener;
  friend boost::asio::io_context& context_of(Loop& loop);
  struct State;
  std::shared_ptr<State> state_;
};

// A byte stream over a connected socket, or over two pipes. Loop thread only.
class Stream {
 public:
  struct Handler {
    virtual ~Handler() = default;
    virtual void on_bytes(std::string_view bytes) = 0;
    // Where the next bytes may be put, of which on_filled() tells how many came; an on_bytes() with what came behind them, which
    // may be nothing, follows each on_filled().
    virtual std::span<char> room() { return {}; }
    virtual void on_filled(std::size_t /*count*/) {}
    virtual void on_closed() = 0;  // once; not after close()
  };
  // Takes the descriptors over; `out_fd` may equal `in_fd`. `handler` must outlive the stream or its close().
  Stream(Loop& loop, int in_fd, int out_fd, Handler& handler);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // What is written during one turn of the loop leaves in one system call.
  std::string& output();      // append here, then call flush_soon()
  void flush_soon();
  // The same for more, behind what output() has; large parts are not copied as far as the peer takes them at once.
  void send(std::span<const std::string_view> parts);
  // Writes at once what the peer takes without waiting: for a last word before close().
  void flush_some();
  std::size_t unsent() const;
  void pause_reading(bool paused);
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Accepts connections on a Unix socket path; peers of another user are refused (SO_PEERCRED).
class Listener {
 public:
  // Errors: kIo, kExists when another process listens there. The socket file is removed when the listener ends.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const std::string& path, std::function<void(int fd)> accepted);
  ~Listener();

 private:
  struct State;
  explicit Listener(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Blocking connect to a Unix socket. Errors: kNotFound, kIo.
Result<int> connect_unix(const std::string& path);

}  // namespace sabir::net

// Loop: the engine's event loop. One thread runs it; everything that owns a socket, a timer or a worker lives there.
//
// Threads: post() from any; all else on the loop's own thread. Lifetimes: a callback may destroy the timer, watch or
// stream it came from.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

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

  using TimerId = std::uint64_t;
  TimerId after(std::chrono::milliseconds delay, std::function<void()> task);
  void cancel(TimerId timer);  // no effect once it has fired

  // Calls `ready` once when `fd` becomes readable. The descriptor stays the caller's and must outlive the watch.
  using WatchId = std::uint64_t;
  WatchId when_readable(int fd, std::function<void()> ready);
  void unwatch(WatchId watch);

  // How long run() polls before it sleeps, while work is outstanding (hold()/release()); 0 = sleep at once. The wake-up
  // of an idle core costs more than a short call does.
  void set_spin(std::chrono::microseconds spin);
  void hold();
  void release();

 private:
  friend class Stream;
  friend class Listener;
  struct State;
  std::unique_ptr<State> state_;
};

// A byte stream over a connected socket, or over two pipes. Loop thread only.
class Stream {
 public:
  struct Handler {
    virtual ~Handler() = default;
    virtual void on_bytes(std::string_view bytes) = 0;
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

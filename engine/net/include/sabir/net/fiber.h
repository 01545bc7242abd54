// Fibers: code that waits without holding a thread. A fiber runs on the loop's thread; while it waits, the loop goes on.
//
// It must not block otherwise, nor wait while it holds a lock or within a catch block. It may come back on another thread (loop.h says when):
// the compiler takes std::this_thread::get_id() and a thread_local for the same before and after within one function.
//
// Threads: the loop's. Lifetimes: the loop outlives them; it must turn until they have ended.
#pragma once

#include <chrono>
#include <functional>

#include "sabir/net/loop.h"

namespace sabir::net {

class Fiber {
 public:
  // Runs `work` now, until it ends or waits for the first time. False: too many run already. `work` must not throw.
  static bool start(Loop& loop, std::function<void()> work);
  // The one that this code runs in; null: a plain thread.
  static Fiber* current();

  Loop& loop();
  // Leaves the thread to others until wake(). Of the current one.
  void wait();
  // Goes on with it at the end of this turn; nothing where it does not wait.
  void wake();

  struct State;

 private:
  explicit Fiber(State& state) : state_(state) {}
  State& state_;
};

// A fiber waits, a thread sleeps.
void pause(std::chrono::milliseconds time);

}  // namespace sabir::net

// Jobs: threads for work that blocks, so that the event loop never does.
//
// Threads: submit() from any. Lifetimes: the destructor waits for running jobs and drops waiting ones.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sabir::runtime {

class Jobs {
 public:
  // Threads start as they are needed, up to `threads`; at most `queue` jobs wait.
  Jobs(std::size_t threads, std::size_t queue) : most_threads_(threads), most_waiting_(queue) {}
  ~Jobs();

  // False when the queue is full; the job is not run then.
  bool submit(std::function<void()> job);

 private:
  // A thread that waits. The one that waited last goes first: its caches and its heap are warm.
  struct Idle {
    std::condition_variable called;
    std::function<void()> job;
  };
  void work();

  const std::size_t most_threads_;
  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::vector<Idle*> idle_;
  bool stopping_ = false;
};

}  // namespace sabir::runtime

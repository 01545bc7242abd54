// AccessLog: lines that a thread of its own writes, so that the loop never waits for whoever reads them.
//
// Threads: write() from any. Lifetimes: the destructor writes what waits; whoever reads it slowly is given up then (`ending`).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

namespace sabir::serve {

class AccessLog {
 public:
  // `out` writes whole lines, and returns soon once its `ending` has come, whatever it has written by then.
  using Out = std::function<void(std::string_view lines, const std::stop_token& ending)>;
  explicit AccessLog(Out out);
  ~AccessLog();
  // Dropped, and counted, where kMostWaiting lines wait already; the next line that is written says how many.
  void write(std::string line);

  static constexpr std::size_t kMostWaiting = 10'000;

 private:
  void work();
  const Out out_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  std::size_t dropped_ = 0;
  bool idle_ = false;  // the thread waits for a line, not for the time
  std::stop_source ending_;
  std::thread thread_;
};

}  // namespace sabir::serve

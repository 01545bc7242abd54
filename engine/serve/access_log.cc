#include "access_log.h"

#include <utility>

namespace sabir::serve {

AccessLog::AccessLog(Out out) : out_(std::move(out)), thread_([this] { work(); }) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    ending_.request_stop();
  }
  changed_.notify_all();
  thread_.join();
}

void AccessLog::write(std::string line) {
  bool wakes = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMostWaiting) {
      ++dropped_;
      return;
    }
    wakes = std::exchange(idle_, false);
    waiting_.push_back(std::move(line));
  }
  if (wakes) changed_.notify_one();
}

void AccessLog::work() {
  // The client of a request wakes up just now, maybe on this core. And while requests keep coming, none of them has to wake this thread.
  constexpr std::chrono::milliseconds kGather{5};
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, kGather, [this] { return ending_.stop_requested(); });
    if (waiting_.empty()) {
      idle_ = true;
      changed_.wait(lock, [this] { return ending_.stop_requested() || !waiting_.empty(); });
      if (waiting_.empty()) return;
      continue;
    }
    const auto lines = std::exchange(waiting_, {});
    const auto dropped = std::exchange(dropped_, 0);
    lock.unlock();
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    if (dropped > 0) text += "{\"event\":\"access_log_full\",\"dropped\":" + std::to_string(dropped) + "}\n";
    text.pop_back();
    out_(text, ending_.get_token());
    lock.lock();
  }
}

}  // namespace sabir::serve

#include "sabir/runtime/jobs.h"

#include <utility>

namespace sabir::runtime {

Jobs::~Jobs() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    for (auto* one : idle_) one->called.notify_one();
  }
  for (auto& thread : threads_) thread.join();
}

bool Jobs::submit(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  if (!idle_.empty()) {
    // Under the mutex: the thread may be gone once its job is there.
    Idle& one = *idle_.back();
    idle_.pop_back();
    one.job = std::move(job);
    one.called.notify_one();
    return true;
  }
  if (waiting_.size() >= most_waiting_) return false;
  waiting_.push_back(std::move(job));
  if (threads_.size() < most_threads_) threads_.emplace_back([this] { work(); });
  return true;
}

void Jobs::work() {
  Idle self;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::function<void()> job;
    if (!waiting_.empty()) {
      job = std::move(waiting_.front());
      waiting_.pop_front();
    } else {
      idle_.push_back(&self);
      self.called.wait(lock, [&] { return stopping_ || self.job; });
      if (stopping_) return;
      job = std::exchange(self.job, nullptr);
    }
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace sabir::runtime

#include "event_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <iterator>
#include <utility>

namespace sabir::cli {

EventQueue::EventQueue() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
EventQueue::~EventQueue() { ::close(fd_); }

void EventQueue::add(json::object event) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (events_.size() >= kMost) {
      ++left_out_;
      return;
    }
    first = events_.empty();
    events_.push_back(std::move(event));
  }
  if (first) ::eventfd_write(fd_, 1);
}

std::vector<json::object> EventQueue::take() {
  eventfd_t seen = 0;
  ::eventfd_read(fd_, &seen);
  const std::lock_guard lock(mutex_);
  std::vector<json::object> out(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
  events_.clear();
  return out;
}

std::size_t EventQueue::take_left_out() {
  const std::lock_guard lock(mutex_);
  return std::exchange(left_out_, 0);
}

}  // namespace sabir::cli

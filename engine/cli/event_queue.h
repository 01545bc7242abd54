// EventQueue: events from any thread for the one that shows them. Who adds never waits: beyond kMost the newest are left out, and counted.
//
// Threads: add() any; the rest one.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::cli {

class EventQueue {
 public:
  static constexpr std::size_t kMost = 10'000;

  EventQueue();
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  void add(json::object event);
  std::vector<json::object> take();
  // Events that were left out since it was asked last.
  std::size_t take_left_out();
  // Becomes readable when there are events.
  int descriptor() const { return fd_; }

 private:
  std::mutex mutex_;
  std::deque<json::object> events_;
  std::size_t left_out_ = 0;
  int fd_;
};

}  // namespace sabir::cli

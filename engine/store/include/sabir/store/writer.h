// Writer: the one writing connection of a process, with group commit: writes that wait at the same moment share one
// transaction.
//
// Threads: write() may be called from any thread and blocks until its transaction is committed or failed.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "sabir/base/error.h"
#include "sabir/store/connection.h"

namespace sabir::store {

class Writer {
 public:
  explicit Writer(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  // `body` runs on some thread that is inside write(), within a transaction. It must be repeatable: when a shared
  // transaction fails, each of its writes is tried again alone, so that one bad write spoils no other. A body that
  // returns an error must not have changed anything. Errors: the body's, and those of Connection::transact.
  using Body = std::function<Result<void>(Connection&)>;
  Result<void> write(Body body);

 private:
  struct Waiting {
    Body body;
    Result<void> result;
    bool done = false;
  };
  void commit_group(const std::deque<Waiting*>& group);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting*> queue_;
  bool committing_ = false;
  std::unique_ptr<Connection> connection_;  // used only by the thread that set committing_
};

}  // namespace sabir::store

#include "sabir/store/writer.h"

#include <exception>
#include <string>

namespace sabir::store {
namespace {
// Bounds how long one transaction keeps other processes waiting.
constexpr std::size_t kMostPerGroup = 64;

// The threads that wait depend on the committing one, so nothing may be thrown through it.
Result<void> run_body(const Writer::Body& body, Connection& connection) {
  try {
    return body(connection);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::kInternal, std::string("a write to the store failed: ") + exception.what());
  }
}
}  // namespace

Result<void> Writer::write(Body body) {
  Waiting own{std::move(body), {}, false};
  std::unique_lock lock(mutex_);
  queue_.push_back(&own);
  // Whoever finds nobody committing commits for all that wait, itself among them.
  while (!own.done) {
    if (committing_) {
      changed_.wait(lock);
      continue;
    }
    committing_ = true;
    std::deque<Waiting*> group;
    while (!queue_.empty() && group.size() < kMostPerGroup) {
      group.push_back(queue_.front());
      queue_.pop_front();
    }
    lock.unlock();
    commit_group(group);
    lock.lock();
    for (auto* waiting : group) waiting->done = true;
    committing_ = false;
    changed_.notify_all();
  }
  return std::move(own.result);
}

void Writer::commit_group(const std::deque<Waiting*>& group) {
  const auto alone = [this](Waiting& waiting) {
    waiting.result = connection_->transact([&] { return run_body(waiting.body, *connection_); });
  };
  if (group.size() == 1) return alone(*group.front());
  const auto whole = connection_->transact([&]() -> Result<void> {
    for (auto* waiting : group) {
      waiting->result = run_body(waiting->body, *connection_);
      if (waiting->result) continue;
      const auto code = waiting->result.error().code;
      if (code == ErrorCode::kStorage || code == ErrorCode::kStorageFull || code == ErrorCode::kBusy ||
          code == ErrorCode::kInternal) {
        return fail(waiting->result.error());
      }
    }
    return {};
  });
  if (whole) return;
  for (auto* waiting : group) alone(*waiting);
}

}  // namespace sabir::store

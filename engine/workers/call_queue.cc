#include "call_queue.h"

namespace sabir::workers {

void CallQueue::push(CallId id, int depth, const std::string& address, bool first) {
  Level& level = levels_[depth];
  auto found = level.by_address.find(address);
  if (found == level.by_address.end()) {
    level.lines.push_back({address, {}});
    found = level.by_address.emplace(address, std::prev(level.lines.end())).first;
  }
  auto& ids = found->second->ids;
  if (first) {
    ids.push_front(id);
  } else {
    ids.push_back(id);
  }
  ++size_;
}

void CallQueue::offer(const std::function<Verdict(CallId, int)>& judge) {
  for (auto level = levels_.begin(); level != levels_.end();) {
    auto& lines = level->second.lines;
    std::size_t left = lines.size();  // lines not yet skipped since the last call was taken
    bool stopped = false;
    while (left > 0 && !stopped) {
      const auto line = lines.begin();
      switch (judge(line->ids.front(), level->first)) {
        case Verdict::kTake:
          line->ids.pop_front();
          --size_;
          left = lines.size();
          if (line->ids.empty()) {
            --left;
            level->second.by_address.erase(line->address);
            lines.erase(line);
          } else {
            lines.splice(lines.end(), lines, line);
          }
          break;
        case Verdict::kDrop:
          line->ids.pop_front();
          --size_;
          if (line->ids.empty()) {
            --left;
            level->second.by_address.erase(line->address);
            lines.erase(line);
          }
          break;
        case Verdict::kSkipLine:
          lines.splice(lines.end(), lines, line);
          --left;
          break;
        case Verdict::kStopDepth:
          stopped = true;
          break;
      }
    }
    level = lines.empty() ? levels_.erase(level) : std::next(level);
  }
}

std::vector<int> CallQueue::depths() const {
  std::vector<int> out;
  for (const auto& [depth, level] : levels_) out.push_back(depth);
  return out;
}

std::vector<CallQueue::CallId> CallQueue::heads(int depth) const {
  std::vector<CallId> out;
  const auto level = levels_.find(depth);
  if (level == levels_.end()) return out;
  for (const auto& line : level->second.lines) out.push_back(line.ids.front());
  return out;
}

std::vector<CallQueue::CallId> CallQueue::waiting() const {
  std::vector<CallId> out;
  for (const auto& [depth, level] : levels_) {
    for (const auto& line : level.lines) out.insert(out.end(), line.ids.begin(), line.ids.end());
  }
  return out;
}

std::vector<CallQueue::CallId> CallQueue::drain() {
  std::vector<CallId> out = waiting();
  levels_.clear();
  size_ = 0;
  return out;
}

}  // namespace sabir::workers

// CallQueue: the calls that wait for a worker. Deeper calls come first, because shallower ones wait for them; among calls of
// one depth the functions take turns, so that a flood of calls to one never holds up another.
//
// Threads: the loop's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace sabir::workers {

class CallQueue {
 public:
  using CallId = std::uint64_t;

  // `first` puts it before those of its own function.
  void push(CallId id, int depth, const std::string& address, bool first);

  // What to do with the call at the head of one function's line.
  enum class Verdict { kTake, kDrop, kSkipLine, kStopDepth };
  // Offers heads of lines until each line has been skipped or the depth stopped; after a kTake that line goes to the end.
  void offer(const std::function<Verdict(CallId id, int depth)>& judge);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Every depth that has waiting calls, deepest first.
  std::vector<int> depths() const;
  // The heads of the lines of one depth.
  std::vector<CallId> heads(int depth) const;
  // Every waiting call.
  std::vector<CallId> waiting() const;
  // Takes everything out.
  std::vector<CallId> drain();

 private:
  struct Line {
    std::string address;
    std::deque<CallId> ids;
  };
  struct Level {
    std::list<Line> lines;  // whose turn it is comes first
    std::unordered_map<std::string, std::list<Line>::iterator> by_address;
  };
  std::map<int, Level, std::greater<>> levels_;
  std::size_t size_ = 0;
};

}  // namespace sabir::workers

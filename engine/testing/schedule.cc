#include "schedule.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "child.h"

namespace sabir::testing {
namespace {

// What is free of the processors.
class Room {
 public:
  explicit Room(int processors) : free_(processors), all_(processors) {}
  int take(int weight) {
    std::unique_lock lock(mutex_);
    const int needed = std::clamp(weight, 1, all_);
    changed_.wait(lock, [&] { return free_ >= needed; });
    free_ -= needed;
    return needed;
  }
  void give(int weight) {
    {
      const std::lock_guard lock(mutex_);
      free_ += weight;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int free_;
  int all_;
};

// What to ask for of a suite's failures; nothing where there are none that a new try could change.
std::optional<Selection> again(const Suite& suite, const Selection& before) {
  if (suite.stopped || !suite.problem.empty()) return std::nullopt;
  Selection out;
  out.whole = false;
  std::set<std::string> files;
  std::set<std::string> tests;
  bool one_by_one = true;
  for (const auto& one : suite.cases) {
    if (one.outcome != Outcome::kFailed) continue;
    if (one.rerun.empty()) one_by_one = false;
    else tests.insert(one.rerun);
    const std::string& file = one.test_file.empty() ? one.file : one.test_file;
    if (std::find(before.files.begin(), before.files.end(), file) != before.files.end()) files.insert(file);
    else if (one.rerun.empty()) files.insert(before.files.begin(), before.files.end());
  }
  if (files.empty() && tests.empty()) return std::nullopt;
  out.files.assign(files.begin(), files.end());
  if (one_by_one) out.tests.assign(tests.begin(), tests.end());
  if (out.files.empty()) out.files = before.files;
  return out;
}

void take_over(Suite& suite, const Suite& next, int attempt) {
  std::map<std::string, const Case*> by_id;
  std::map<std::string, bool> fine;  // by what it is asked for again with: whether nothing of it failed
  for (const auto& one : next.cases) {
    by_id[one.id] = &one;
    if (one.rerun.empty()) continue;
    const auto at = fine.try_emplace(one.rerun, true).first;
    at->second = at->second && one.outcome == Outcome::kPassed;
  }
  for (auto& one : suite.cases) {
    if (one.outcome != Outcome::kFailed) continue;
    const auto found = by_id.find(one.id);
    const auto whole = fine.find(one.rerun);
    // An error of its setup or teardown has an id of its own, which a good run does not show.
    const bool passed = !one.rerun.empty() ? whole != fine.end() && whole->second : found != by_id.end() && found->second->outcome == Outcome::kPassed;
    if (!passed) continue;
    one.outcome = Outcome::kPassed;
    one.attempts = attempt;
  }
}

}  // namespace

void run_jobs(std::vector<Job>& jobs, int processors, int retries, Board& board) {
  std::vector<std::size_t> order(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) { return std::pair(jobs[i].seconds > 0 ? jobs[i].seconds : jobs[i].weight > 1 ? 30.0 : 5.0, jobs[i].weight); };
    return key(a) > key(b);
  });
  Room room(std::max(1, processors));
  std::vector<std::jthread> threads;
  for (const std::size_t i : order) {
    // Taken here and not in the thread, so that they begin in this order.
    const int taken = room.take(jobs[i].weight);
    threads.emplace_back([&, i, taken] {
      Job& job = jobs[i];
      job.result = job.run(job.selection, taken, job.entry);
      for (int attempt = 2; attempt <= retries + 1; ++attempt) {
        const auto next = again(job.result, job.selection);
        if (!next || children_stopped()) break;
        board.phase(job.entry, "once more");
        take_over(job.result, job.run(*next, taken, job.entry), attempt);
      }
      room.give(taken);
      board.finish(job.entry, job.result);
    });
  }
}

std::vector<Suite> merged(std::vector<Job> jobs) {
  std::vector<Suite> out;
  for (auto& job : jobs) {
    Suite& part = job.result;
    auto whole = std::find_if(out.begin(), out.end(), [&](const Suite& one) { return one.name == part.name; });
    if (whole == out.end()) {
      out.push_back(std::move(part));
      continue;
    }
    whole->files += part.files;
    whole->expected += part.expected;
    whole->cases.insert(whole->cases.end(), std::make_move_iterator(part.cases.begin()), std::make_move_iterator(part.cases.end()));
    whole->seconds = std::max(whole->seconds, part.seconds);
    whole->stopped = whole->stopped || part.stopped;
    if (part.problem.empty()) continue;
    if (whole->problem.empty()) {
      whole->problem = std::move(part.problem);
      whole->hint = std::move(part.hint);
      whole->output = std::move(part.output);
    } else if (whole->problem != part.problem) {
      whole->problem += "; " + part.problem;
      whole->output += part.output;
    }
  }
  return out;
}

std::vector<std::vector<std::string>> split(const std::vector<std::string>& files, std::size_t parts, const std::function<double(const std::string&)>& seconds) {
  parts = std::clamp<std::size_t>(parts, 1, std::max<std::size_t>(1, files.size()));
  double known = 0;
  std::size_t count = 0;
  for (const auto& file : files) {
    const double time = seconds(file);
    known += time;
    count += time > 0 ? 1 : 0;
  }
  const double usual = count > 0 ? known / static_cast<double>(count) : 1;
  std::vector<std::pair<double, std::size_t>> by_time;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const double time = seconds(files[i]);
    by_time.emplace_back(time > 0 ? time : usual, i);
  }
  std::stable_sort(by_time.begin(), by_time.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::vector<std::size_t>> members(parts);
  std::vector<double> sums(parts);
  for (const auto& [time, index] : by_time) {
    const auto least = static_cast<std::size_t>(std::min_element(sums.begin(), sums.end()) - sums.begin());
    members[least].push_back(index);
    sums[least] += time;
  }
  std::vector<std::vector<std::string>> out;
  for (auto& list : members) {
    std::sort(list.begin(), list.end());
    std::vector<std::string> part;
    for (const auto index : list) part.push_back(files[index]);
    if (!part.empty()) out.push_back(std::move(part));
  }
  return out;
}

}  // namespace sabir::testing

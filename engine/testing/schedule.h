// Schedule: suites side by side, as many as the processors carry. A suite that compiles weighs more than one that interprets.
//
// Threads: run_jobs() blocks; each job runs on a thread of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runners.h"

namespace sabir::testing {

struct Job {
  std::string suite;          // whose part it is: "pytest"
  int weight = 1;             // processors
  double seconds = 0;         // the last time; what takes longest begins first
  std::size_t entry = 0;      // on the board
  Selection selection;
  std::function<Suite(const Selection& selection, int processors, std::size_t entry)> run;
  // The rest is filled in.
  Suite result;
};

// Runs them all; `retries` times more what failed. A suite that an interrupt ended is not tried again.
void run_jobs(std::vector<Job>& jobs, int processors, int retries, Board& board);

// The parts of a suite as one, in the order of their jobs.
std::vector<Suite> merged(std::vector<Job> jobs);

// Parts of about the same time each; files that have not run yet take as long as others do on average.
std::vector<std::vector<std::string>> split(const std::vector<std::string>& files, std::size_t parts, const std::function<double(const std::string&)>& seconds);

}  // namespace sabir::testing

// Successor: the process that `sabir serve` starts at SIGUSR2 to take over from it: the same command line, with the program and the
// project folder as their paths lead to them now.
//
// Threads: the main thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "sabir/process/spawn.h"

namespace sabir::cli {

class Successor {
 public:
  // Remembers how this process was started. REQUIRES: the working folder is still that of the start.
  explicit Successor(const Globals& globals);

  // Starts it, to take over from the server of the project at `root`. False: it cannot, which has been said.
  bool start(const std::filesystem::path& root);
  bool is_starting() const { return child_.has_value(); }
  // Says so where it has ended.
  void look();
  // Nobody needs it any more.
  void stop();
  // It has taken over.
  void let_go() { child_.reset(); }

 private:
  std::vector<std::string> words_;
  std::string program_;
  std::filesystem::path directory_;
  std::optional<process::Child> child_;
};

}  // namespace sabir::cli

#include "sabir/process/descendants.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace sabir::process {
namespace {

constexpr std::size_t kMost = 4096;

void add_children(pid_t pid, std::vector<pid_t>& to) {
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/task", error), end; !error && it != end; it.increment(error)) {
    std::ifstream children(it->path() / "children");
    for (pid_t child = 0; to.size() < kMost && children >> child;) to.push_back(child);
  }
}

}  // namespace

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

void signal_descendants(int signal) {
  std::vector<pid_t> all;
  add_children(::getpid(), all);
  for (std::size_t i = 0; i < all.size(); ++i) add_children(all[i], all);
  for (const pid_t pid : all) ::kill(pid, signal);
}

void end_descendants() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < until) {
    const pid_t reaped = ::waitpid(-1, nullptr, WNOHANG);
    if (reaped < 0 && errno == ECHILD) return;
    if (reaped > 0) continue;
    signal_descendants(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace sabir::process

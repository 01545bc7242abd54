// Child processes: the only room with Linux-only process calls. Each child leads its own process group, so that no
// grandchild survives a kill, and is watched through a pidfd.
//
// Threads: a child dies with the thread that spawned it (PR_SET_PDEATHSIG), so spawn from a thread that lasts.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/process/sandbox.h"

namespace sabir::process {

// Owns one file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset();
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Both ends of a connected Unix stream socket, close-on-exec.
Result<std::pair<Fd, Fd>> socket_pair();

// A file without a name that holds `bytes`, at its beginning, close-on-exec. Errors: kIo.
Result<Fd> memory_file(std::string_view bytes);

struct SpawnSpec {
  std::vector<std::string> argv;           // argv[0] is looked up on PATH of `environment` unless it holds a slash
  std::vector<std::string> environment;    // "NAME=value", the whole of it
  std::filesystem::path directory;         // "" = the caller's
  std::map<int, int> descriptors;          // child's number -> ours; 0, 1, 2 not named here are /dev/null
  std::string input;                       // run() alone: what the program reads as its standard input
  bool separate_errors = false;            // run() alone: stderr goes to RunResult::errors
  bool terminal = false;                   // the child's group becomes the terminal's, so that it may read from it
  bool die_with_parent = true;             // SIGKILL when the spawning thread ends
  bool own_group = true;                   // false: it stays in the caller's process group
  std::optional<Sandbox> sandbox;          // confines it; argv[0] and `directory` are then paths inside
};

struct ExitStatus {
  int code = 0;    // exit status, or -1 when killed
  int signal = 0;  // 0 when exited
  std::string text() const;  // "exited with status 3", "was killed by signal 9 (SIGKILL)"
};

class Child {
 public:
  Child() = default;
  Child(pid_t pid, Fd pidfd, bool leads_group = true) : pid_(pid), pidfd_(std::move(pidfd)), leads_group_(leads_group) {}
  Child(Child&&) = default;
  Child& operator=(Child&&) = default;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the process has ended
  void signal_group(int signal) const;  // the process alone where it leads no group
  // Reaps if ended within `timeout`. Errors: kTimeout. Call again after a timeout; call once only after success.
  Result<ExitStatus> wait(std::chrono::milliseconds timeout);

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
  bool leads_group_ = true;
};

// Errors: kUnavailable when the program is not found or sandboxes do not work here, kIo.
Result<Child> spawn(const SpawnSpec& spec);

// Runs a program to its end with a deadline. Output beyond `most_output` bytes is dropped. `cancelled` may be null; when it
// becomes true the program's group is killed within 100 ms and the result says that it timed out.
struct RunResult {
  ExitStatus status;
  std::string output;  // stdout and stderr in order of arrival, or stdout alone
  std::string errors;  // stderr, where it was asked for apart
  bool timed_out = false;
};
Result<RunResult> run(SpawnSpec spec, std::chrono::milliseconds timeout, std::size_t most_output = 1U << 20U,
                      const std::atomic<bool>* cancelled = nullptr);

// The program's absolute path on `path` (default: this process's PATH); "" when there is none.
std::string find_program(const std::string& name, const char* path = nullptr);

// Bytes of memory that `pid` and its descendants keep resident; 0 when it is gone.
std::uint64_t resident_bytes(pid_t pid);

// This process's environment with changes; an empty value removes the name.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes);

}  // namespace sabir::process

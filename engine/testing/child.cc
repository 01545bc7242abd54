#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

extern char** environ;

namespace sabir::testing {
namespace {

constexpr std::size_t kMostLine = std::size_t{1} << 20U;
// How often a wait looks for the child's end and for stop_children.
constexpr auto kTick = std::chrono::milliseconds(20);
// What a group gets between SIGTERM and SIGKILL.
constexpr auto kGrace = std::chrono::seconds(2);

std::atomic<bool> stopping{false};

struct Descriptor {
  int fd = -1;
  Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

struct Pipe {
  Descriptor read;
  Descriptor write;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.fd = ends[0];
    write.fd = ends[1];
    return ::fcntl(read.fd, F_SETFL, O_NONBLOCK) == 0;
  }
};

// Cuts a stream into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}
  // False at the end of the stream.
  bool read_from(int fd) {
    std::array<char, 16384> buffer;
    // Bounded, so that a child that never stops writing cannot keep its own deadline from being looked at.
    for (int reads = 0; reads < 64; ++reads) {
      const auto n = ::read(fd, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN;
      if (n == 0) return false;
      for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(n))) {
        if (c == '\n') finish();
        else if (line_.size() < kMostLine) line_ += c;
      }
    }
    return true;
  }
  void finish_rest() {
    if (!line_.empty()) finish();
  }

 private:
  void finish() {
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (on_line_) on_line_(line_);
    line_.clear();
  }
  const std::function<void(std::string_view)>& on_line_;
  std::string line_;
};

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!added.contains(std::string(text.substr(0, text.find('='))))) out.emplace_back(text);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

class Spawn {
 public:
  Spawn() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  // 0 or an errno.
  int start(const ChildSpec& spec, int output, int report, pid_t& pid) {
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, 1);
    posix_spawn_file_actions_adddup2(&actions_, output, 2);
    auto environment = spec.environment;
    if (report >= 0) {
      // Descriptor 3 itself when the pipe already has it: dup2 onto itself would keep close-on-exec in old C libraries,
      // which is why the pipe's ends are moved above it by the caller.
      posix_spawn_file_actions_adddup2(&actions_, report, 3);
      environment["SABIR_TEST_REPORT_FD"] = "3";
    }
    posix_spawn_file_actions_addchdir_np(&actions_, spec.folder.c_str());
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    auto argv_texts = spec.argv;
    auto environment_texts = merged_environment(environment);
    const auto argv = pointers(argv_texts);
    const auto envp = pointers(environment_texts);
    return posix_spawnp(&pid, argv[0], &actions_, &attributes_, argv.data(), envp.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Moves a descriptor above the ones a child is given.
bool raise_above_three(Descriptor& descriptor) {
  const int moved = ::fcntl(descriptor.fd, F_DUPFD_CLOEXEC, 10);
  if (moved < 0) return false;
  descriptor.reset();
  descriptor.fd = moved;
  return true;
}

}  // namespace

void stop_children() { stopping.store(true); }
void allow_children() { stopping.store(false); }
bool children_stopped() { return stopping.load(); }

Result<ChildEnd> run_child(const ChildSpec& spec) {
  if (spec.argv.empty()) return fail(ErrorCode::kInternal, "a child without a program");
  Pipe output;
  Pipe report;
  if (!output.open() || !raise_above_three(output.write) ||
      (spec.report && (!report.open() || !raise_above_three(report.write)))) {
    return fail(ErrorCode::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  pid_t pid = -1;
  if (const int error = Spawn().start(spec, output.write.fd, spec.report ? report.write.fd : -1, pid); error != 0) {
    return fail(error == ENOENT ? ErrorCode::kUnavailable : ErrorCode::kIo,
                spec.argv[0] + ": cannot be started: " + std::strerror(error));
  }
  output.write.reset();
  report.write.reset();

  ChildEnd end;
  Lines output_lines(spec.on_output_line);
  Lines report_lines(spec.on_report_line);
  bool output_open = true;
  bool report_open = spec.report;
  bool asked = false;
  auto kill_at = std::chrono::steady_clock::time_point::max();
  while (true) {
    std::array<pollfd, 2> waits = {pollfd{output_open ? output.read.fd : -1, POLLIN, 0},
                                   pollfd{report_open ? report.read.fd : -1, POLLIN, 0}};
    ::poll(waits.data(), waits.size(), static_cast<int>(kTick.count()));
    if (output_open && waits[0].revents != 0) output_open = output_lines.read_from(output.read.fd);
    if (report_open && waits[1].revents != 0) report_open = report_lines.read_from(report.read.fd);
    // Left as a zombie until its group is killed, so that the group's number cannot be another's by then.
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid) break;
    const auto now = std::chrono::steady_clock::now();
    if (!asked && (stopping.load() || now >= spec.deadline)) {
      asked = true;
      end.stopped = stopping.load();
      end.timed_out = !end.stopped;
      ::kill(-pid, SIGTERM);
      kill_at = now + kGrace;
    }
    if (now >= kill_at) {
      ::kill(-pid, SIGKILL);
      kill_at = std::chrono::steady_clock::time_point::max();
    }
    // Both streams closed while the child still runs: poll has nothing to wait for, so the tick paces the loop.
    if (!output_open && !report_open) std::this_thread::sleep_for(kTick);
  }
  // Grandchildren would keep the pipes open.
  ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (output_open) output_lines.read_from(output.read.fd);
  if (report_open) report_lines.read_from(report.read.fd);
  output_lines.finish_rest();
  report_lines.finish_rest();
  return end;
}

}  // namespace sabir::testing

#include "sabir/process/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "sandboxed.h"

extern char** environ;

namespace sabir::process {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<std::pair<Fd, Fd>> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(ErrorCode::kIo, std::string("cannot make a socket pair: ") + std::strerror(errno));
  }
  return std::pair<Fd, Fd>(Fd(ends[0]), Fd(ends[1]));
}

std::string ExitStatus::text() const {
  if (signal == 0) return "exited with status " + std::to_string(code);
  const char* name = ::sigabbrev_np(signal);
  return "was killed by signal " + std::to_string(signal) + (name ? std::string(" (SIG") + name + ")" : std::string());
}

void Child::signal_group(int signal) const {
  if (pid_ > 0) ::kill(leads_group_ ? -pid_ : pid_, signal);
}

Result<ExitStatus> Child::wait(std::chrono::milliseconds timeout) {
  pollfd ready{pidfd_.get(), POLLIN, 0};
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int n = ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (n > 0) break;
    if (n < 0 && errno == EINTR) continue;
    return fail(ErrorCode::kTimeout, "the process still runs");
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return fail(ErrorCode::kIo, std::string("waitpid: ") + std::strerror(errno));
  }
  // The group may outlive its leader.
  if (leads_group_) ::kill(-pid_, SIGKILL);
  pid_ = -1;
  if (WIFSIGNALED(status)) return ExitStatus{-1, WTERMSIG(status)};
  return ExitStatus{WEXITSTATUS(status), 0};
}

std::string find_program(const std::string& name, const char* path) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* list = path ? path : std::getenv("PATH");
  std::string_view rest = list ? list : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t end = rest.find(':');
    std::string candidate(rest.substr(0, end));
    if (!candidate.empty()) {
      candidate += "/" + name;
      if (::access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) return candidate;
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return {};
}

std::uint64_t resident_bytes(pid_t pid) { return usage_of(pid).resident; }

Usage usage_of(pid_t pid) {
  constexpr std::size_t kMost = 512;  // processes of one worker that are counted
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  std::uint64_t total = 0;
  std::uint64_t cpu = 0;
  std::vector<pid_t> todo{pid};
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const std::string folder = "/proc/" + std::to_string(todo[i]);
    unsigned long size = 0;
    unsigned long resident = 0;
    if (std::ifstream file(folder + "/statm"); file >> size >> resident) total += resident * page;
    std::string stat;
    if (std::ifstream file(folder + "/stat"); std::getline(file, stat)) {
      // The name in parentheses may hold anything. User and system time are the 12th and 13th after it, and behind them those of
      // the children that have ended.
      std::istringstream fields(stat.substr(std::min(stat.rfind(')'), stat.size() - 1) + 1));
      std::string skipped;
      for (int field = 0; field < 11; ++field) fields >> skipped;
      for (std::uint64_t time = 0, kind = 0; kind < 4 && fields >> time; ++kind) cpu += time;
    }
    std::ifstream children(folder + "/task/" + std::to_string(todo[i]) + "/children");
    for (pid_t child = 0; todo.size() < kMost && children >> child;) todo.push_back(child);
  }
  return {total, std::chrono::milliseconds(cpu * 1000 / std::max<std::uint64_t>(1, ticks)), static_cast<int>(todo.size())};
}

Result<Fd> memory_file(std::string_view bytes) {
  Fd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return fail(ErrorCode::kIo, std::string("memfd_create: ") + std::strerror(errno));
  while (!bytes.empty()) {
    const auto put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail(ErrorCode::kIo, std::string("writing a program's input: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail(ErrorCode::kIo, std::string("lseek: ") + std::strerror(errno));
  return file;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::string name(text.substr(0, text.find('=')));
    if (!changes.contains(name)) out.emplace_back(text);
  }
  for (const auto& [name, value] : changes) {
    if (!value.empty()) out.push_back(name + "=" + value);
  }
  return out;
}

namespace {
std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const char* program, char* const* argv, char* const* envp, const char* directory,
                         const std::vector<std::pair<int, int>>& descriptors, bool die_with_parent, bool terminal, bool own_group,
                         pid_t parent, int report) {
  const auto stop = [report] {
    const int number = errno;
    [[maybe_unused]] const auto written = ::write(report, &number, sizeof number);
    ::_exit(127);
  };
  if (own_group) ::setpgid(0, 0);
  // Every signal is still blocked, SIGTTOU among them.
  if (terminal) ::tcsetpgrp(0, ::getpid());
  if (die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int s : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(s, SIG_DFL);
  // Two passes, so that no target overwrites a source that is still needed.
  constexpr int kScratch = 1000;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (::fcntl(descriptors[i].second, F_DUPFD_CLOEXEC, kScratch + static_cast<int>(i)) < 0) stop();
  }
  int next = kScratch;
  for (const auto& [target, source] : descriptors) {
    while (::fcntl(next, F_GETFD) < 0) ++next;
    if (::dup2(next, target) < 0) stop();
    ++next;
  }
  if (directory && ::chdir(directory) != 0) stop();
  ::execve(program, argv, envp);
  stop();
  ::_exit(127);
}
}  // namespace

Result<Child> spawn(const SpawnSpec& spec) {
  if (spec.argv.empty()) return fail(ErrorCode::kInternal, "spawn without a program");
  if (spec.sandbox) {
    auto wrapped = sandboxed(spec);
    if (!wrapped) return fail(std::move(wrapped.error()));
    return spawn(wrapped->spec);
  }
  const char* path = nullptr;
  for (const auto& entry : spec.environment) {
    if (entry.starts_with("PATH=")) path = entry.c_str() + 5;
  }
  const std::string program = find_program(spec.argv[0], path);
  if (program.empty()) return fail(ErrorCode::kUnavailable, "the program '" + spec.argv[0] + "' was not found");

  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  auto wanted = spec.descriptors;
  for (int standard = 0; standard < 3; ++standard) wanted.try_emplace(standard, null.get());
  const std::vector<std::pair<int, int>> descriptors(wanted.begin(), wanted.end());
  const auto argv = pointers(spec.argv);
  const auto envp = pointers(spec.environment);
  const std::string directory = spec.directory.string();

  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("pipe: ") + std::strerror(errno));
  const Fd read_end(report[0]);
  Fd write_end(report[1]);

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    become(program.c_str(), argv.data(), envp.data(), directory.empty() ? nullptr : directory.c_str(), descriptors,
           spec.die_with_parent, spec.terminal, spec.own_group, parent, write_end.get());
  }
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(ErrorCode::kIo, std::string("fork: ") + std::strerror(fork_errno));
  if (spec.own_group) ::setpgid(pid, pid);
  write_end.reset();
  Child child(pid, Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), spec.own_group);
  if (child.pidfd() < 0) {
    child.signal_group(SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(ErrorCode::kIo, std::string("pidfd_open: ") + std::strerror(errno));
  }
  int number = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &number, sizeof number);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof number) {
    ::waitpid(pid, nullptr, 0);
    return fail(number == ENOENT || number == EACCES || number == ENOEXEC ? ErrorCode::kUnavailable : ErrorCode::kIo,
                "cannot run " + program + ": " + std::strerror(number));
  }
  return child;
}

Result<RunResult> run(SpawnSpec spec, std::chrono::milliseconds timeout, std::size_t most_output,
                      const std::atomic<bool>* cancelled) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("pipe: ") + std::strerror(errno));
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  spec.descriptors[1] = write_end.get();
  spec.descriptors[2] = write_end.get();
  Fd errors_read;
  Fd errors_write;
  if (spec.separate_errors) {
    int apart[2];
    if (::pipe2(apart, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("pipe: ") + std::strerror(errno));
    errors_read = Fd(apart[0]);
    errors_write = Fd(apart[1]);
    spec.descriptors[2] = errors_write.get();
  }
  Fd input;
  if (!spec.input.empty()) {
    auto whole = memory_file(spec.input);
    if (!whole) return fail(std::move(whole.error()));
    input = std::move(*whole);
    spec.descriptors[0] = input.get();
  }
  auto child = spawn(spec);
  if (!child) return fail(std::move(child.error()));
  write_end.reset();
  errors_write.reset();
  RunResult result;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto left = [&] {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, ms.count()));
  };
  char buffer[16384];
  bool open = true;
  while (open) {
    pollfd ready[3] = {{read_end.get(), POLLIN, 0}, {child->pidfd(), POLLIN, 0}, {errors_read.get(), POLLIN, 0}};
    const int n = ::poll(ready, 3, cancelled ? std::min(left(), 100) : left());
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 && left() > 0 && !cancelled->load()) continue;
    if (n == 0) {
      result.timed_out = true;
      child->signal_group(SIGKILL);
      break;
    }
    if (ready[2].revents != 0) {
      const auto got = ::read(errors_read.get(), buffer, sizeof buffer);
      if (got <= 0) errors_read.reset();
      else result.errors.append(buffer, std::min(most_output - std::min(most_output, result.errors.size()), static_cast<std::size_t>(got)));
    }
    if (ready[0].revents != 0) {
      const auto got = ::read(read_end.get(), buffer, sizeof buffer);
      if (got <= 0) {
        open = false;
      } else {
        const auto room = most_output - std::min(most_output, result.output.size());
        result.output.append(buffer, std::min<std::size_t>(room, static_cast<std::size_t>(got)));
      }
    } else if (ready[1].revents != 0 && ready[2].revents == 0) {
      // Ended, and nothing more to read; a surviving grandchild may hold the pipe open.
      open = false;
    }
  }
  for (pollfd left_over{errors_read.get(), POLLIN, 0}; errors_read && ::poll(&left_over, 1, 0) == 1;) {
    const auto got = ::read(errors_read.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    result.errors.append(buffer, std::min(most_output - std::min(most_output, result.errors.size()), static_cast<std::size_t>(got)));
  }
  auto status = child->wait(result.timed_out ? std::chrono::milliseconds(5000) : std::chrono::milliseconds(left()));
  if (!status) {
    result.timed_out = true;
    child->signal_group(SIGKILL);
    status = child->wait(std::chrono::milliseconds(5000));
  }
  if (!status) return fail(std::move(status.error()));
  result.status = *status;
  return result;
}

}  // namespace sabir::process

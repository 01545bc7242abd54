#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "sabir/process/spawn.h"

namespace sabir::testing {
namespace {

constexpr std::size_t kMostLine = std::size_t{1} << 20U;
// How often a wait looks for the deadline and for stop_children.
constexpr auto kTick = std::chrono::milliseconds(50);
// What a group gets between SIGTERM and SIGKILL.
constexpr auto kGrace = std::chrono::seconds(2);

std::atomic<bool> stopping{false};

struct Pipe {
  process::Fd read;
  process::Fd write;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read = process::Fd(ends[0]);
    write = process::Fd(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
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

}  // namespace

void stop_children() { stopping.store(true); }
void allow_children() { stopping.store(false); }
bool children_stopped() { return stopping.load(); }

Result<ChildEnd> run_child(const ChildSpec& spec) {
  Pipe output;
  Pipe report;
  if (!output.open() || (spec.report && !report.open())) {
    return fail(ErrorCode::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  auto changes = spec.environment;
  process::SpawnSpec how;
  how.argv = spec.argv;
  how.directory = spec.folder;
  how.descriptors = {{1, output.write.get()}, {2, output.write.get()}};
  if (spec.report) {
    how.descriptors[3] = report.write.get();
    changes["SABIR_TEST_REPORT_FD"] = "3";
  }
  how.environment = process::environment_with(changes);
  auto child = process::spawn(how);
  if (!child) return fail(std::move(child.error()));
  output.write.reset();
  report.write.reset();

  ChildEnd end;
  Lines output_lines(spec.on_output_line);
  Lines report_lines(spec.on_report_line);
  bool output_open = true;
  bool report_open = spec.report;
  bool asked = false;
  auto kill_at = std::chrono::steady_clock::time_point::max();
  // The child stays a zombie until its group is killed, so that the group's number cannot be another's by then.
  for (bool ended = false; !ended;) {
    std::array<pollfd, 3> waits = {pollfd{output_open ? output.read.get() : -1, POLLIN, 0},
                                   pollfd{report_open ? report.read.get() : -1, POLLIN, 0},
                                   pollfd{child->pidfd(), POLLIN, 0}};
    ::poll(waits.data(), waits.size(), static_cast<int>(kTick.count()));
    if (output_open && waits[0].revents != 0) output_open = output_lines.read_from(output.read.get());
    if (report_open && waits[1].revents != 0) report_open = report_lines.read_from(report.read.get());
    ended = waits[2].revents != 0;
    const auto now = std::chrono::steady_clock::now();
    if (!ended && !asked && (stopping.load() || now >= spec.deadline)) {
      asked = true;
      end.stopped = stopping.load();
      end.timed_out = !end.stopped;
      child->signal_group(SIGTERM);
      kill_at = now + kGrace;
    }
    if (now >= kill_at) {
      child->signal_group(SIGKILL);
      kill_at = std::chrono::steady_clock::time_point::max();
    }
  }
  // Grandchildren would keep the pipes open.
  child->signal_group(SIGKILL);
  const auto status = child->wait(kGrace);
  if (!status) return fail(status.error());
  end.exit_code = status->signal == 0 ? status->code : 128 + status->signal;
  if (output_open) output_lines.read_from(output.read.get());
  if (report_open) report_lines.read_from(report.read.get());
  output_lines.finish_rest();
  report_lines.finish_rest();
  return end;
}

}  // namespace sabir::testing

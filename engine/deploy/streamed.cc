#include "sabir/deploy/streamed.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sabir::deploy {
namespace {

constexpr std::size_t kMostLine = 8192;
constexpr std::size_t kMostOutput = std::size_t{64} << 20U;

struct Pipe {
  process::Fd read;
  process::Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "no pipe can be made");
  return Pipe{process::Fd(ends[0]), process::Fd(ends[1])};
}

}  // namespace

Result<process::ExitStatus> run_streamed(process::SpawnSpec spec, std::chrono::milliseconds timeout, const Say& say, std::string* output, const std::function<bool()>& stop) {
  auto lines = make_pipe();
  if (!lines) return fail(std::move(lines.error()));
  Pipe whole;
  if (output) {
    auto made = make_pipe();
    if (!made) return fail(std::move(made.error()));
    whole = std::move(*made);
  }
  spec.descriptors = {{1, output ? whole.write.get() : lines->write.get()}, {2, lines->write.get()}};
  const std::string name = spec.argv.front();
  auto child = process::spawn(spec);
  if (!child) return fail(std::move(child.error()));
  lines->write.reset();
  whole.write.reset();
  const auto until = std::chrono::steady_clock::now() + timeout;
  std::string line;
  const auto flush = [&] {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.pop_back();
    say(line);
    line.clear();
  };
  bool ended = false;
  std::array<char, 16384> buffer{};
  while (lines->read || whole.read) {
    std::array<pollfd, 3> watched{{{lines->read ? lines->read.get() : -1, POLLIN, 0}, {whole.read ? whole.read.get() : -1, POLLIN, 0}, {ended ? -1 : child->pidfd(), POLLIN, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (stop && stop()) {
      child->signal_group(SIGTERM);
      if (!child->wait(std::chrono::seconds(5))) {
        child->signal_group(SIGKILL);
        (void)child->wait(std::chrono::seconds(5));
      }
      return process::ExitStatus{};
    }
    if (left <= 0) {
      child->signal_group(SIGKILL);
      (void)child->wait(std::chrono::seconds(5));
      return fail(ErrorCode::kTimeout, name + " took more than " + std::to_string(timeout.count() / 1000) + " s, and was killed");
    }
    // What the program left running may keep the pipes open: its own end is what counts.
    const int got = ::poll(watched.data(), watched.size(), ended ? 0 : static_cast<int>(std::min<long long>(left, stop ? 200 : 1000)));
    if (got < 0 && errno != EINTR) break;
    if (ended && got <= 0) break;
    if ((watched[2].revents & POLLIN) != 0) ended = true;
    if (watched[0].revents != 0) {
      const auto n = ::read(lines->read.get(), buffer.data(), buffer.size());
      if (n <= 0) lines->read.reset();
      for (ssize_t i = 0; i < n; ++i) {
        if (buffer[static_cast<std::size_t>(i)] == '\n' || line.size() >= kMostLine) flush();
        if (buffer[static_cast<std::size_t>(i)] != '\n') line += buffer[static_cast<std::size_t>(i)];
      }
    }
    if (watched[1].revents != 0) {
      const auto n = ::read(whole.read.get(), buffer.data(), buffer.size());
      if (n <= 0) whole.read.reset();
      else if (output->size() < kMostOutput) output->append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  if (!line.empty()) flush();
  const auto left = std::max<std::chrono::milliseconds>(std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()), std::chrono::milliseconds(1));
  auto status = child->wait(left);
  if (!status) {
    child->signal_group(SIGKILL);
    (void)child->wait(std::chrono::seconds(5));
  }
  return status;
}

}  // namespace sabir::deploy

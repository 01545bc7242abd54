#include "boot_process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/process/forked.h"

namespace sabir::workers {
namespace {

constexpr int kControlFd = 3;
constexpr std::size_t kMostLine = 1U << 20U;
constexpr std::size_t kMostPrinted = 8192;

std::int64_t number_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : 0;
}

bool flag_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

}  // namespace

Result<std::shared_ptr<BootProcess>> BootProcess::start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch) {
  auto pair = process::socket_pair();
  if (!pair) return fail(std::move(pair.error()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for the output of a boot process");
  process::Fd output_read(ends[0]);
  const process::Fd output_write(ends[1]);
  process::SpawnSpec child;
  child.argv = launch.argv;
  child.environment = launch.environment;
  child.environment.push_back("SABIR_FD=" + std::to_string(kControlFd));
  child.directory = launch.directory;
  child.descriptors = {{1, output_write.get()}, {2, output_write.get()}, {kControlFd, pair->second.get()}};
  auto spawned = process::spawn(child);
  if (!spawned) return fail(std::move(spawned.error()));

  std::shared_ptr<BootProcess> process(new BootProcess(loop, spec));
  process->child_ = std::move(*spawned);
  process->control_fd_ = pair->first.release();
  process->control_ = std::make_unique<net::Stream>(loop, process->control_fd_, process->control_fd_, *process);
  const int out = output_read.release();
  process->output_ = std::make_unique<net::Stream>(loop, out, out, process->output_handler_);
  process->timer_ = loop.after(spec.startup, [p = process.get()] {
    p->fail_with(Error(ErrorCode::kTimeout, "the " + p->spec_.language + " boot file was not loaded within " + std::to_string(p->spec_.startup.count() / 1000) + " s"));
  });
  return process;
}

BootProcess::~BootProcess() {
  *alive_ = false;
  loop_.cancel(timer_);
  control_->close();
  output_->close();
  if (child_.pid() > 0) {
    child_.signal_group(SIGKILL);
    (void)child_.wait(std::chrono::milliseconds(2000));
  }
}

std::uint64_t BootProcess::fork(int connection, int output, Events events) {
  const std::uint64_t ticket = next_ticket_++;
  auto& entry = forked_[ticket];
  entry.events = std::move(events);
  std::optional<Error> wrong = failure_;
  if (!wrong) {
    const std::string line = "{\"fork\":" + std::to_string(ticket) + "}\n";
    if (auto sent = process::send_with_descriptors(control_fd_, line, {connection, output}); !sent) wrong = std::move(sent.error());
  }
  if (wrong) {
    loop_.post([this, alive = alive_, ticket, error = std::move(*wrong)] {
      if (!*alive) return;
      const auto found = forked_.find(ticket);
      if (found == forked_.end()) return;
      const auto told = std::move(found->second.events.forked);
      forked_.erase(found);
      told(fail(error));
    });
  }
  return ticket;
}

void BootProcess::seen(pid_t pid) {
  if (failure_) return;
  // Where it cannot be told, the process has ended.
  (void)process::send_with_descriptors(control_fd_, "{\"seen\":" + std::to_string(pid) + "}\n", {});
}

void BootProcess::drop(std::uint64_t ticket) { forked_.erase(ticket); }

void BootProcess::when_settled(std::function<void()> settled) {
  settled_.push_back(std::move(settled));
  if (ready_ || failure_) settle();
}

void BootProcess::settle() {
  loop_.cancel(timer_);
  const auto tasks = std::exchange(settled_, {});
  for (const auto& task : tasks) {
    loop_.post([alive = alive_, task] {
      if (*alive) task();
    });
  }
}

void BootProcess::on_bytes(std::string_view bytes) {
  line_ += bytes;
  std::size_t begin = 0;
  const auto here = alive_;
  while (true) {
    const std::size_t end = line_.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string line = line_.substr(begin, end - begin);
    begin = end + 1;
    take(line);
    if (!*here) return;
  }
  line_.erase(0, begin);
  if (line_.size() > kMostLine) fail_with(Error(ErrorCode::kProtocol, "the " + spec_.language + " boot process wrote a line of over 1 MiB"));
}

void BootProcess::take(const std::string& line) {
  const auto value = parse_json(line);
  if (!value || !value->is_object()) {
    return fail_with(Error(ErrorCode::kProtocol, "the " + spec_.language + " boot process wrote what is no JSON object"));
  }
  const auto& message = value->get_object();
  if (flag_of(message, "ready")) {
    ready_ = true;
    reloads_ = flag_of(message, "reloads");
    return settle();
  }
  if (const auto* failed = message.if_contains("failed"); failed && failed->is_object()) {
    Error error = error_from_json(failed->get_object());
    if (error.code != ErrorCode::kLoadFailed) error.code = ErrorCode::kLoadFailed;
    return fail_with(std::move(error));
  }
  if (const std::int64_t ticket = number_of(message, "forked"); ticket > 0) {
    const auto found = forked_.find(static_cast<std::uint64_t>(ticket));
    const auto pid = static_cast<pid_t>(number_of(message, "pid"));
    if (found == forked_.end() || pid <= 1) {
      if (pid > 1) {
        // Nobody waits for it any more; without its connection it ends by itself.
        ::kill(-pid, SIGKILL);
        seen(pid);
      }
      return;
    }
    found->second.pid = pid;
    if (found->second.events.forked) std::exchange(found->second.events.forked, nullptr)(pid);
    return;
  }
  if (const std::int64_t pid = number_of(message, "ended"); pid > 0) {
    const process::ExitStatus status{static_cast<int>(number_of(message, "status")), static_cast<int>(number_of(message, "signal"))};
    for (auto it = forked_.begin(); it != forked_.end(); ++it) {
      if (it->second.pid != pid) continue;
      const auto told = std::move(it->second.events.ended);
      forked_.erase(it);
      if (told) told(status);
      return;
    }
  }
}

void BootProcess::take_output(std::string_view bytes) {
  tail_ += bytes;
  if (tail_.size() > kMostPrinted) tail_.erase(0, tail_.size() - kMostPrinted);
  printed_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = printed_.find('\n'); end != std::string::npos; end = printed_.find('\n', begin)) {
    if (spec_.output) spec_.output(std::string_view(printed_).substr(begin, end - begin));
    begin = end + 1;
  }
  printed_.erase(0, begin);
  if (printed_.size() > kMostPrinted) printed_.clear();
}

void BootProcess::on_closed() {
  std::string how = "ended";
  if (auto status = child_.wait(std::chrono::milliseconds(200))) how = status->text();
  fail_with(Error(ErrorCode::kUnavailable, "the " + spec_.language + " boot process " + how,
                  tail_.empty() ? "Run `sabir doctor` to see what is missing." : "It printed:\n" + tail_));
}

void BootProcess::fail_with(Error error) {
  if (failure_) return;
  failure_ = error;
  child_.signal_group(SIGKILL);
  const auto here = alive_;
  std::vector<std::uint64_t> waiting;
  for (const auto& [ticket, entry] : forked_) {
    if (entry.events.forked) waiting.push_back(ticket);
  }
  for (const auto ticket : waiting) {
    const auto found = forked_.find(ticket);
    if (found == forked_.end()) continue;
    const auto told = std::move(found->second.events.forked);
    forked_.erase(found);
    told(fail(error));
    if (!*here) return;
  }
  settle();
}

// ---- those of a pool ---------------------------------------------------------------------------------------------------

Result<std::shared_ptr<BootProcess>> BootProcesses::current(const LaunchSpec& launch) {
  if (!serving()) {
    auto started = BootProcess::start(loop_, spec_, launch);
    if (!started) return fail(std::move(started.error()));
    current_ = std::move(*started);
  }
  return current_;
}

void BootProcesses::anew(std::function<void()> taken) {
  auto launch = spec_.launch();
  auto started = launch ? BootProcess::start(loop_, spec_, *launch) : Result<std::shared_ptr<BootProcess>>(fail(std::move(launch.error())));
  if (!started) return log(LogLevel::kWarning, to_text(started.error()));
  next_ = std::move(*started);
  // It calls no more once it is destroyed, which it is with this object or by another anew().
  next_->when_settled([this, at = next_.get(), taken = std::move(taken)] {
    if (next_.get() != at) return;
    const auto loaded = std::exchange(next_, nullptr);
    if (const auto* const why = loaded->failure()) return log(LogLevel::kWarning, to_text(*why) + "\nThe last good version keeps serving.");
    current_ = loaded;
    taken();
  });
}

}  // namespace sabir::workers

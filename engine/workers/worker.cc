#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sabir/base/log.h"
#include "sabir/process/forked.h"

namespace sabir::workers {
namespace {
constexpr int kWorkerFd = 3;
constexpr std::size_t kMostTail = 4096;
constexpr std::size_t kMostLine = 8192;
constexpr std::size_t kMostOutput = 1U << 20U;  // bytes a second that reach the log
}  // namespace

Worker::Worker(net::Loop& loop, const PoolSpec& spec, Events events)
    : loop_(loop), spec_(spec), events_(std::move(events)) {}

Worker::~Worker() {
  *alive_ = false;
  loop_.unwatch(watch_);
  loop_.cancel(startup_timer_);
  loop_.cancel(kill_timer_);
  loop_.cancel(settle_timer_);
  if (!process_gone_ && child_.pid() > 0) {
    child_.signal_group(SIGKILL);
    if (!boot_) (void)child_.wait(std::chrono::milliseconds(2000));
  }
  if (boot_) boot_->drop(ticket_);
}

Result<std::unique_ptr<Worker>> Worker::start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch, Events events,
                                               BootProcesses* boots) {
  std::shared_ptr<BootProcess> boot;
  if (launch.boots) {
    if (!boots) return fail(ErrorCode::kInternal, "a worker is to be forked, and there is nothing to fork it from");
    auto current = boots->current(launch);
    if (!current) return fail(std::move(current.error()));
    boot = std::move(*current);
  }
  process::Fd ours_in;
  process::Fd ours_out;
  process::Fd theirs_in;
  process::Fd theirs_out;  // of pipes alone
  if (launch.pipes && !boot) {
    int to_worker[2];
    int from_worker[2];
    if (::pipe2(to_worker, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for a worker");
    theirs_in = process::Fd(to_worker[0]);
    ours_out = process::Fd(to_worker[1]);
    if (::pipe2(from_worker, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for a worker");
    ours_in = process::Fd(from_worker[0]);
    theirs_out = process::Fd(from_worker[1]);
  } else {
    auto pair = process::socket_pair();
    if (!pair) return fail(std::move(pair.error()));
    ours_in = std::move(pair->first);
    theirs_in = std::move(pair->second);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for a worker's output");
  process::Fd output_read(ends[0]);
  const process::Fd output_write(ends[1]);
  std::unique_ptr<Worker> worker(new Worker(loop, spec, std::move(events)));
  worker->start_params_ = launch.start_params.empty() ? spec.start_params : launch.start_params;
  if (boot) {
    worker->boot_ = std::move(boot);
    Worker* const w = worker.get();
    w->ticket_ = w->boot_->fork(theirs_in.get(), output_write.get(), {[w](Result<pid_t> pid) { w->forked(std::move(pid)); }, [w](const process::ExitStatus& status) {
                                  w->ended_why_ = status.text();
                                  if (w->connection_gone_ && w->process_gone_) w->finish();
                                }});
    worker->connect(ours_in.release(), -1, output_read.release());
    return worker;
  }
  process::SpawnSpec child;
  child.argv = launch.argv;
  child.environment = launch.environment;
  child.environment.push_back("SABIR_FD=" + std::to_string(kWorkerFd) + (launch.pipes ? "," + std::to_string(kWorkerFd + 1) : ""));
  child.directory = launch.directory;
  child.terminal = launch.terminal;
  child.sandbox = launch.sandbox;
  child.descriptors = {{1, output_write.get()}, {2, output_write.get()}, {kWorkerFd, theirs_in.get()}};
  if (launch.terminal) {
    for (const int standard : {0, 1, 2}) child.descriptors[standard] = standard;
  }
  if (launch.pipes) child.descriptors[kWorkerFd + 1] = theirs_out.get();
  auto spawned = process::spawn(child);
  if (!spawned) return fail(std::move(spawned.error()));

  worker->child_ = std::move(*spawned);
  worker->watch_ = loop.when_readable(worker->child_.pidfd(), [w = worker.get()] { w->process_ended(); });
  worker->connect(ours_in.release(), launch.pipes ? ours_out.release() : -1, output_read.release());
  return worker;
}

// `to` is -1 where `from` is a socket.
void Worker::connect(int from, int to, int output) {
  peer_ = std::make_unique<Peer>(loop_, from, to < 0 ? from : to, *this);
  output_ = std::make_unique<net::Stream>(loop_, output, output, output_handler_);
  startup_timer_ = loop_.after(spec_.startup, [this] {
    start_error_ = Error(ErrorCode::kTimeout, "the " + spec_.language + " worker was not ready within " + std::to_string(spec_.startup.count()) + " ms");
    kill();
  });
  greet();
}

void Worker::forked(Result<pid_t> pid) {
  if (pid) {
    auto child = process::watch_forked(*pid);
    if (child) {
      child_ = std::move(*child);
      watch_ = loop_.when_readable(child_.pidfd(), [this] { process_ended(); });
    }
    boot_->seen(*pid);
    if (kill_wanted_) kill();
    if (child) return;
    ended_why_ = "ended";
  } else {
    start_error_ = pid.error();
    ended_why_ = "was not forked";
  }
  process_gone_ = true;
  loop_.post([this, alive = alive_] {
    if (*alive) finish();
  });
}

void Worker::greet() {
  static const std::string hello = std::string(R"({"protocol":{"min":1,"max":1},"engine":")") + SABIR_VERSION +
                                   R"(","limits":{"frame":67108864,"blobs":1024}})";
  const auto refused = [this](const Error& error) {
    if (connection_gone_) return;
    start_error_ = error;
    kill();
  };
  // `start` need not wait for the answer to `hello`: a worker answers in order, and a wrong one is killed either way.
  peer_->request("hello", hello, {}, [refused](std::int64_t, Result<Incoming> answer) {
    if (!answer) return refused(answer.error());
    const auto members = protocol::raw_members(answer->body);
    if (!members || protocol::find_member(*members, "protocol") != "1") {
      refused(Error(ErrorCode::kProtocol, "the worker speaks another protocol version"));
    }
  });
  peer_->request("start", start_params_, {}, [this, refused](std::int64_t, Result<Incoming> answer) {
    if (!answer) return refused(answer.error());
    if (state_ != State::kStarting) return;
    loop_.cancel(startup_timer_);
    state_ = State::kReady;
    was_ready_ = true;
    events_.ready(*this);
  });
}

void Worker::kill() {
  kill_wanted_ = true;
  child_.signal_group(SIGKILL);
}

void Worker::drain(std::chrono::milliseconds grace) {
  if (kill_timer_ != 0 || connection_gone_) return;
  kill_timer_ = loop_.after(grace, [this] { kill(); });
  peer_->request("drain", "{}", {}, [](std::int64_t, const Result<Incoming>&) {});
}

void Worker::on_closed(const Error&) {
  connection_gone_ = true;
  // A worker without its connection is of no use; what it still runs cannot answer.
  if (!process_gone_ && kill_timer_ == 0) kill_timer_ = loop_.after(spec_.grace, [this] { kill(); });
  if (process_gone_ && !(boot_ && ended_why_.empty())) finish();
}

void Worker::process_ended() {
  process_gone_ = true;
  if (boot_) {
    // The group may outlive its leader. How it ended, the boot process says soon.
    child_.signal_group(SIGKILL);
    if (connection_gone_ && !ended_why_.empty()) return finish();
    settle_timer_ = loop_.after(std::chrono::milliseconds(50), [this] { finish(); });
    return;
  }
  if (auto status = child_.wait(std::chrono::milliseconds(0))) {
    ended_why_ = status->text();
  } else {
    ended_why_ = "ended";
  }
  // Answers it sent before its end may still lie in the socket: the end of the stream comes after them. A grandchild
  // that holds the socket open must not delay the news for long.
  if (connection_gone_) {
    finish();
  } else {
    settle_timer_ = loop_.after(std::chrono::milliseconds(50), [this] { finish(); });
  }
}

void Worker::finish() {
  if (finished_) return;
  finished_ = true;
  if (ended_why_.empty()) ended_why_ = "ended";
  state_ = State::kDead;
  if (!line_.empty()) take_output("\n");
  tell_of_left_out();
  peer_->close();
  events_.ended(*this, ended_why_);
}

void Worker::tell_of_left_out() {
  if (left_out_ == 0 || !spec_.output) return;
  spec_.output(std::to_string(std::exchange(left_out_, 0)) + " lines were left out: more than 1 MB in a second");
}

void Worker::say(std::string_view line) {
  if (!spec_.output) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    said_ = 0;
    tell_of_left_out();
  }
  if (said_ + line.size() > kMostOutput) {
    ++left_out_;
    return;
  }
  said_ += line.size() + 1;
  spec_.output(line);
}

void Worker::take_output(std::string_view bytes) {
  tail_ += bytes;
  if (tail_.size() > kMostTail) tail_.erase(0, tail_.size() - kMostTail);
  line_ += bytes;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = line_.find('\n', begin);
    if (end == std::string::npos) break;
    say(std::string_view(line_).substr(begin, end - begin));
    begin = end + 1;
  }
  line_.erase(0, begin);
  if (line_.size() > kMostLine) {
    say(line_);
    line_.clear();
  }
}

}  // namespace sabir::workers

#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sabir/base/log.h"

namespace sabir::workers {
namespace {
constexpr int kWorkerFd = 3;
constexpr std::size_t kMostTail = 4096;
constexpr std::size_t kMostLine = 8192;
}  // namespace

Worker::Worker(net::Loop& loop, const PoolSpec& spec, Events events)
    : loop_(loop), spec_(spec), events_(std::move(events)) {}

Worker::~Worker() {
  loop_.unwatch(watch_);
  loop_.cancel(startup_timer_);
  loop_.cancel(kill_timer_);
  loop_.cancel(settle_timer_);
  if (!process_gone_ && child_.pid() > 0) {
    child_.signal_group(SIGKILL);
    (void)child_.wait(std::chrono::milliseconds(2000));
  }
}

Result<std::unique_ptr<Worker>> Worker::start(net::Loop& loop, const PoolSpec& spec, const LaunchSpec& launch, Events events) {
  auto pair = process::socket_pair();
  if (!pair) return fail(std::move(pair.error()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for a worker's output");
  process::Fd output_read(ends[0]);
  const process::Fd output_write(ends[1]);
  process::SpawnSpec child;
  child.argv = launch.argv;
  child.environment = launch.environment;
  child.environment.push_back("SABIR_FD=" + std::to_string(kWorkerFd));
  child.directory = launch.directory;
  child.descriptors = {{1, output_write.get()}, {2, output_write.get()}, {kWorkerFd, pair->second.get()}};
  auto spawned = process::spawn(child);
  if (!spawned) return fail(std::move(spawned.error()));

  std::unique_ptr<Worker> worker(new Worker(loop, spec, std::move(events)));
  worker->child_ = std::move(*spawned);
  const int fd = pair->first.release();
  worker->peer_ = std::make_unique<Peer>(loop, fd, fd, *worker);
  const int out = output_read.release();
  worker->output_ = std::make_unique<net::Stream>(loop, out, out, worker->output_handler_);
  worker->watch_ = loop.when_readable(worker->child_.pidfd(), [w = worker.get()] { w->process_ended(); });
  worker->startup_timer_ = loop.after(spec.startup, [w = worker.get()] {
    w->start_error_ = Error(ErrorCode::kTimeout, "the " + w->spec_.language + " worker was not ready within " +
                                                     std::to_string(w->spec_.startup.count()) + " ms");
    w->kill();
  });
  worker->greet();
  return worker;
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
  peer_->request("start", spec_.start_params, {}, [this, refused](std::int64_t, Result<Incoming> answer) {
    if (!answer) return refused(answer.error());
    if (state_ != State::kStarting) return;
    loop_.cancel(startup_timer_);
    state_ = State::kReady;
    was_ready_ = true;
    events_.ready(*this);
  });
}

void Worker::kill() { child_.signal_group(SIGKILL); }

void Worker::drain(std::chrono::milliseconds grace) {
  if (kill_timer_ != 0 || connection_gone_) return;
  kill_timer_ = loop_.after(grace, [this] { kill(); });
  peer_->request("drain", "{}", {}, [](std::int64_t, const Result<Incoming>&) {});
}

void Worker::on_closed(const Error&) {
  connection_gone_ = true;
  // A worker without its connection is of no use; what it still runs cannot answer.
  if (!process_gone_ && kill_timer_ == 0) kill_timer_ = loop_.after(spec_.grace, [this] { kill(); });
  if (process_gone_) finish();
}

void Worker::process_ended() {
  process_gone_ = true;
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
  state_ = State::kDead;
  if (!line_.empty()) take_output("\n");
  peer_->close();
  events_.ended(*this, ended_why_);
}

void Worker::take_output(std::string_view bytes) {
  tail_ += bytes;
  if (tail_.size() > kMostTail) tail_.erase(0, tail_.size() - kMostTail);
  line_ += bytes;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = line_.find('\n', begin);
    if (end == std::string::npos) break;
    if (spec_.output) spec_.output(std::string_view(line_).substr(begin, end - begin));
    begin = end + 1;
  }
  line_.erase(0, begin);
  if (line_.size() > kMostLine) {
    if (spec_.output) spec_.output(line_);
    line_.clear();
  }
}

}  // namespace sabir::workers

#include "stdio_transport.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace sabir::peers {
namespace {

constexpr std::size_t kMostLine = std::size_t{32} << 20U;   // of one message
constexpr std::size_t kMostUnsent = std::size_t{64} << 20U; // that the server does not read
constexpr std::size_t kMostErrorLine = 2000;
constexpr std::size_t kKeptLines = 8;
constexpr std::chrono::milliseconds kPatience[] = {std::chrono::milliseconds(1500), std::chrono::milliseconds(1000)};  // after the input's end, after SIGTERM

Result<std::pair<process::Fd, process::Fd>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe for a server of MCP");
  return std::pair(process::Fd(ends[0]), process::Fd(ends[1]));
}

}  // namespace

Result<std::unique_ptr<StdioTransport>> StdioTransport::start(net::Loop& loop, const StdioLaunch& launch, TransportEvents events) {
  auto input = make_pipe();
  auto output = make_pipe();
  auto errors = make_pipe();
  for (auto* pipe : {&input, &output, &errors}) {
    if (!*pipe) return fail(std::move(pipe->error()));
  }
  process::SpawnSpec spec;
  spec.argv = launch.argv;
  spec.environment = launch.environment;
  spec.directory = launch.directory;
  spec.descriptors = {{0, input->first.get()}, {1, output->second.get()}, {2, errors->second.get()}};
  auto child = process::spawn(spec);
  if (!child) return fail(std::move(child.error()));
  std::unique_ptr<StdioTransport> out(new StdioTransport(loop, std::move(events)));
  out->child_ = std::move(*child);
  out->program_ = launch.argv.front();
  out->output_.owner = out->errors_.owner = out.get();
  out->error_stream_ = std::make_unique<net::Stream>(loop, errors->first.get(), errors->first.get(), out->errors_);
  errors->first.release();
  const int from = output->first.release();
  const int to = input->second.release();
  out->stream_ = std::make_unique<net::Stream>(loop, from, to, out->output_);
  out->watch_ = loop.when_readable(out->child_.pidfd(), [transport = out.get()] { transport->process_ended(); });
  return out;
}

StdioTransport::~StdioTransport() {
  *alive_ = false;
  loop_.cancel(timer_);
  loop_.unwatch(watch_);
  if (ended_.empty() && child_.pid() > 0) {
    child_.signal_group(SIGKILL);
    (void)child_.wait(std::chrono::milliseconds(2000));
  }
}

void StdioTransport::send(mcp::ClientMessage message) {
  if (has_lost_ || !stream_) return;
  if (stream_->unsent() + message.text.size() > kMostUnsent) {
    loop_.post([this, here = alive_] {
      if (*here) lose(Error(ErrorCode::kLimit, program_ + " does not read what it is sent"));
    });
    return;
  }
  stream_->output() += message.text;
  stream_->output() += '\n';
  stream_->flush_soon();
}

void StdioTransport::take_output(std::string_view bytes) {
  const auto here = alive_;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    line_.append(bytes.substr(0, end));
    if (line_.size() > kMostLine) return lose(Error(ErrorCode::kLimit, program_ + " sent a message larger than " + std::to_string(kMostLine >> 20U) + " MiB"));
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    std::string line = std::exchange(line_, {});
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    const auto message = events_.message;
    message(line, 0);
    if (!*here || has_lost_ || !stream_) return;
  }
}

void StdioTransport::output_closed() {
  // Its process has ended, or will have in a moment, and says how.
  if (!ended_.empty() || closed_) return;
  loop_.after(std::chrono::milliseconds(300), [this, here = alive_] {
    if (*here && ended_.empty()) lose(Error(ErrorCode::kUnavailable, program_ + " has closed its standard output"));
  });
}

void StdioTransport::take_errors(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (error_line_.size() < kMostErrorLine) error_line_.append(bytes.substr(0, std::min(end, kMostErrorLine)));
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    const std::string line = mcp::harmless(std::exchange(error_line_, {}), kMostErrorLine);
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    last_lines_.push_back(line);
    if (last_lines_.size() > kKeptLines) last_lines_.pop_front();
    if (events_.said) events_.said(line);
  }
}

void StdioTransport::process_ended() {
  loop_.unwatch(watch_);
  const auto status = child_.wait(std::chrono::milliseconds(0));
  ended_ = status ? status->text() : "ended";
  child_.signal_group(SIGKILL);  // what it has started
  loop_.cancel(timer_);
  if (closed_) {
    stream_.reset();
    error_stream_.reset();
    return std::exchange(closed_, nullptr)();
  }
  // Its last words may still be on their way.
  timer_ = loop_.after(std::chrono::milliseconds(errors_closed_ ? 0 : 50), [this] {
    if (!error_line_.empty()) take_errors("\n");
    std::string words;
    for (const auto& line : last_lines_) words += "\n    " + line;
    lose(Error(ErrorCode::kUnavailable, program_ + " " + ended_ + (words.empty() ? ", and said nothing" : ". Its last words:" + words)));
  });
}

void StdioTransport::lose(Error error) {
  if (has_lost_ || closed_) return;
  has_lost_ = true;
  if (ended_.empty()) child_.signal_group(SIGKILL);
  const auto lost = events_.lost;
  lost(std::move(error), false);
}

void StdioTransport::close(std::function<void()> done) {
  loop_.cancel(timer_);
  events_ = {};
  stream_.reset();  // the end of its input
  if (!ended_.empty()) {
    error_stream_.reset();
    loop_.post(std::move(done));
    return;
  }
  closed_ = std::move(done);
  next_step();
}

void StdioTransport::next_step() {
  if (step_ > 0) child_.signal_group(step_ == 1 ? SIGTERM : SIGKILL);
  if (step_ > 1) return;  // the watch tells of its end
  timer_ = loop_.after(kPatience[step_++], [this] { next_step(); });
}

}  // namespace sabir::peers

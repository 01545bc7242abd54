#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "engine_host.h"
#include "offers.h"
#include "sabir/base/log.h"
#include "sabir/serve/mcp.h"

namespace sabir::serve {
namespace {

constexpr std::size_t kMostWaiting = std::size_t{128} << 20U;  // bytes that a client has not read
constexpr std::size_t kMostAhead = 1000;                       // messages that have been read and not been looked at
constexpr std::chrono::seconds kLastAnswers{10};               // for what runs when the input ends

// Writes lines on a thread of its own, so that a client that does not read holds up nobody.
class Writer {
 public:
  explicit Writer(int fd) : fd_(fd), thread_([this] { run(); }) {}
  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    more_.notify_all();
    thread_.join();
  }
  // False: the client does not read, or has gone.
  bool write(std::string line) {
    const std::lock_guard lock(mutex_);
    if (broken_ || waiting_ + line.size() > kMostWaiting) return false;
    waiting_ += line.size() + 1;
    lines_.push_back(std::move(line) + "\n");
    more_.notify_one();
    return true;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      more_.wait(lock, [this] { return closing_ || !lines_.empty(); });
      if (lines_.empty()) return;
      const std::string line = std::move(lines_.front());
      lines_.pop_front();
      const bool hurry = closing_;
      lock.unlock();
      const bool written = write_all(line, hurry);
      lock.lock();
      waiting_ -= line.size();
      if (written) continue;
      broken_ = true;
      lines_.clear();
    }
  }
  // Waits for a reader as long as it takes; `hurry`: two seconds.
  bool write_all(std::string_view rest, bool hurry) const {
    while (!rest.empty()) {
      pollfd ready{fd_, POLLOUT, 0};
      const int n = ::poll(&ready, 1, hurry || is_closing() ? 2000 : 1000);
      if (n < 0 && errno != EINTR) return false;
      if (n == 0 && (hurry || is_closing())) return false;
      if (n <= 0) continue;
      const auto size = ::write(fd_, rest.data(), std::min<std::size_t>(rest.size(), 4096));
      if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (size < 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  bool is_closing() const {
    const std::lock_guard lock(mutex_);
    return closing_;
  }

  const int fd_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::string> lines_;
  std::size_t waiting_ = 0;
  bool closing_ = false;
  bool broken_ = false;
  std::thread thread_;  // last: it uses the rest
};

// The client's server and what stands behind it. The loop's.
struct Client {
  Client(runtime::Engine& engine, const CallContext& context, Writer& writer, std::function<void()> deaf)
      : offers(engine), host(engine, offers, context), server(host, options_of(engine), [&writer, deaf = std::move(deaf)](const mcp::Outgoing& out) {
          if (!out.text.empty() && !writer.write(out.text)) deaf();
        }) {
    offers.listen(this, [this](const Offers::Changes& changes) {
      for (const auto kind : changes.lists) server.changed(kind);
      for (const auto& uri : changes.resources) server.updated(uri);
    });
  }
  mcp::ServerOptions options_of(runtime::Engine& engine) {
    mcp::ServerOptions out;
    out.name = "sabir";
    out.version = SABIR_VERSION;
    const auto project = engine.current_project();
    out.title = project->mcp.title.empty() ? project->name : project->mcp.title;
    out.instructions = project->mcp.instructions;
    out.now_ms = [] { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); };
    out.watch = [this](const std::string& uri, bool wanted) {
      host.watch(uri, wanted, [this](const std::string& changed) { server.updated(changed); });
    };
    return out;
  }
  Offers offers;
  EngineHost host;
  mcp::Server server;
};

template <class Task>
auto on_loop(runtime::Engine& engine, Task task) {
  std::promise<decltype(task())> promise;
  engine.loop().post([&] {
    if constexpr (std::is_void_v<decltype(task())>) {
      task();
      promise.set_value();
    } else {
      promise.set_value(task());
    }
  });
  return promise.get_future().get();
}

}  // namespace

Result<void> serve_mcp_stdio(runtime::Engine& engine, const StdioOptions& options) {
  if (auto watching = engine.watch(); !watching) log(LogLevel::kWarning, to_text(watching.error()));
  Writer writer(options.out);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(ErrorCode::kIo, "cannot make a pipe");
  std::atomic<bool> is_deaf = false;
  auto client = on_loop(engine, [&] {
    return std::make_shared<Client>(engine, options.context, writer, [&is_deaf, end = ends[1]] {
      is_deaf = true;
      [[maybe_unused]] const auto written = ::write(end, "x", 1);
    });
  });
  Result<void> outcome;
  std::atomic<std::size_t> ahead = 0;
  std::string line;
  std::vector<char> buffer(65536);
  mcp::ExchangeId exchange = 0;
  const auto take = [&](std::string text) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) return;
    ++ahead;
    engine.loop().post([client, &ahead, id = ++exchange, text = std::move(text)] {
      --ahead;
      client->server.receive(id, text);
    });
  };
  while (true) {
    pollfd ready[3] = {{options.in, POLLIN, 0}, {options.stop, POLLIN, 0}, {ends[0], POLLIN, 0}};
    if (ahead > kMostAhead) ready[0].fd = -1;  // the rest waits where it is
    const int n = ::poll(ready, 3, ahead > kMostAhead ? 5 : -1);
    if (n < 0 && errno != EINTR) {
      outcome = fail(ErrorCode::kIo, std::string("poll: ") + std::strerror(errno));
      break;
    }
    if (n <= 0) continue;
    if (ready[1].revents != 0) break;
    if (is_deaf) {
      outcome = fail(ErrorCode::kLimit, "the client does not read what it is sent");
      break;
    }
    if (ready[0].revents == 0) continue;
    const auto got = ::read(options.in, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) {
      take(std::move(line));
      break;
    }
    std::string_view rest(buffer.data(), static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      line.append(rest.substr(0, end));
      take(std::exchange(line, {}));
      rest.remove_prefix(end + 1);
    }
    line.append(rest);
    if (line.size() > mcp::kMostMessage) {
      outcome = fail(ErrorCode::kLimit, "the client sent more than 64 MiB in one line");
      break;
    }
  }
  // What runs may still be answered, unless this is to end now.
  const auto deadline = std::chrono::steady_clock::now() + (outcome && !is_deaf ? kLastAnswers : std::chrono::seconds(0));
  while (std::chrono::steady_clock::now() < deadline && on_loop(engine, [&] { return client->server.open() > 0; })) {
    pollfd stop{options.stop, POLLIN, 0};
    if (::poll(&stop, 1, 20) > 0) break;
  }
  on_loop(engine, [&client] {
    client->offers.forget(client.get());
    client->server.shut_down();
  });
  // Its last owner is the loop's turn after which nothing of it runs.
  std::promise<void> gone;
  engine.loop().post([&gone, held = std::move(client)]() mutable {
    held.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  ::close(ends[0]);
  ::close(ends[1]);
  return outcome;
}

}  // namespace sabir::serve

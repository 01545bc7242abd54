#include "sabir/net/loop.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <unordered_map>

namespace sabir::net {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using asio::posix::stream_descriptor;

struct Loop::State {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::atomic<bool> stopped{false};
  std::uint64_t next = 1;
  std::unordered_map<TimerId, std::unique_ptr<asio::steady_timer>> timers;
  std::unordered_map<WatchId, std::unique_ptr<stream_descriptor>> watches;
  std::chrono::microseconds spin{0};
  int held = 0;
};

Loop::Loop() : state_(std::make_unique<State>()) {}
Loop::~Loop() {
  // A watch never owns its descriptor.
  for (auto& [id, watch] : state_->watches) watch->release();
}

void Loop::run() {
  auto& context = state_->context;
  while (!state_->stopped) {
    if (context.poll() > 0) continue;
    if (state_->spin.count() > 0 && state_->held > 0) {
      const auto until = Clock::now() + state_->spin;
      std::size_t ran = 0;
      while (!state_->stopped && (ran = context.poll()) == 0 && Clock::now() < until) {
      }
      if (ran > 0 || state_->stopped) continue;
    }
    context.run_one();
  }
}

void Loop::stop() {
  state_->stopped = true;
  post([] {});
}

void Loop::post(std::function<void()> task) { asio::post(state_->context, std::move(task)); }

Loop::TimerId Loop::after(std::chrono::milliseconds delay, std::function<void()> task) {
  const TimerId id = state_->next++;
  auto timer = std::make_unique<asio::steady_timer>(state_->context, delay);
  timer->async_wait([this, id, task = std::move(task)](const boost::system::error_code& ec) {
    if (ec || state_->timers.erase(id) == 0) return;
    task();
  });
  state_->timers.emplace(id, std::move(timer));
  return id;
}

void Loop::cancel(TimerId timer) { state_->timers.erase(timer); }

Loop::WatchId Loop::when_readable(int fd, std::function<void()> ready) {
  const WatchId id = state_->next++;
  auto watch = std::make_unique<stream_descriptor>(state_->context, fd);
  watch->async_wait(stream_descriptor::wait_read, [this, id, ready = std::move(ready)](const boost::system::error_code& ec) {
    const auto found = state_->watches.find(id);
    if (found == state_->watches.end()) return;
    found->second->release();
    state_->watches.erase(found);
    if (!ec) ready();
  });
  state_->watches.emplace(id, std::move(watch));
  return id;
}

void Loop::unwatch(WatchId watch) {
  const auto found = state_->watches.find(watch);
  if (found == state_->watches.end()) return;
  found->second->release();
  state_->watches.erase(found);
}

void Loop::set_spin(std::chrono::microseconds spin) { state_->spin = spin; }
void Loop::hold() { ++state_->held; }
void Loop::release() { --state_->held; }

struct Stream::State : std::enable_shared_from_this<Stream::State> {
  State(Loop& l, int in_fd, int out_fd, Handler& h) : loop(l), handler(&h), in(l.state_->context, in_fd) {
    if (out_fd != in_fd) {
      out = std::make_unique<stream_descriptor>(l.state_->context, out_fd);
    }
    for (const int fd : {in_fd, out_fd}) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  }

  stream_descriptor& writer() { return out ? *out : in; }

  void wait_read() {
    if (closed || paused || reading) return;
    reading = true;
    in.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& ec) {
      self->reading = false;
      if (!ec) self->read();
    });
  }

  void read() {
    // Bounded turns, so that one busy peer does not starve the others.
    for (int turn = 0; turn < 16 && !closed && !paused; ++turn) {
      const auto n = ::read(in.native_handle(), buffer, sizeof buffer);
      if (n > 0) {
        handler->on_bytes({buffer, static_cast<std::size_t>(n)});
        if (static_cast<std::size_t>(n) < sizeof buffer) break;
        continue;
      }
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      lost();
      return;
    }
    wait_read();
  }

  void lost() {
    if (closed) return;
    Handler* to = handler;
    close();
    to->on_closed();
  }

  void flush() {
    flush_posted = false;
    while (!closed && sent < pending.size()) {
      const auto n = ::write(writer().native_handle(), pending.data() + sent, pending.size() - sent);
      if (n > 0) {
        sent += static_cast<std::size_t>(n);
        continue;
      }
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        if (!writing) {
          writing = true;
          writer().async_wait(stream_descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code& ec) {
            self->writing = false;
            if (!ec) self->flush();
          });
        }
        return;
      }
      lost();
      return;
    }
    pending.clear();
    sent = 0;
    if (pending.capacity() > (std::size_t{4} << 20U)) pending.shrink_to_fit();
  }

  void close() {
    if (closed) return;
    closed = true;
    boost::system::error_code ignored;
    in.close(ignored);
    if (out) out->close(ignored);
  }

  Loop& loop;
  Handler* handler;
  stream_descriptor in;
  std::unique_ptr<stream_descriptor> out;  // only when it differs from `in`
  std::string pending;
  std::size_t sent = 0;
  bool flush_posted = false;
  bool writing = false;
  bool reading = false;
  bool paused = false;
  bool closed = false;
  char buffer[65536];
};

Stream::Stream(Loop& loop, int in_fd, int out_fd, Handler& handler)
    : state_(std::make_shared<State>(loop, in_fd, out_fd, handler)) {
  state_->wait_read();
}
Stream::~Stream() { state_->close(); }
std::string& Stream::output() { return state_->pending; }
void Stream::flush_soon() {
  if (state_->flush_posted || state_->writing || state_->closed) return;
  state_->flush_posted = true;
  asio::post(state_->loop.state_->context, [self = state_] { self->flush(); });
}
std::size_t Stream::unsent() const { return state_->pending.size() - state_->sent; }
void Stream::pause_reading(bool paused) {
  state_->paused = paused;
  if (!paused) state_->wait_read();
}
void Stream::close() { state_->close(); }

namespace {
Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kIo, "socket path longer than 107 bytes: " + path, "Set XDG_RUNTIME_DIR to a shorter folder.");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}
}  // namespace

Result<int> connect_unix(const std::string& path) {
  auto address = address_of(path);
  if (!address) return fail(std::move(address.error()));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(ErrorCode::kIo, std::string("socket: ") + std::strerror(errno));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int number = errno;
    ::close(fd);
    return fail(number == ENOENT || number == ECONNREFUSED ? ErrorCode::kNotFound : ErrorCode::kIo,
                "cannot connect to " + path + ": " + std::strerror(number));
  }
  return fd;
}

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(Loop& l, int fd) : socket(l.state_->context, fd) {}

  void wait() {
    socket.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& ec) {
      if (ec) return;
      while (true) {
        const int fd = ::accept4(self->socket.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) break;
        ucred peer{};
        socklen_t size = sizeof peer;
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || (peer.uid != ::getuid() && peer.uid != 0)) {
          ::close(fd);
          continue;
        }
        self->accepted(fd);
      }
      self->wait();
    });
  }

  stream_descriptor socket;
  std::function<void(int)> accepted;
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
};

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const std::string& path, std::function<void(int)> accepted) {
  auto address = address_of(path);
  if (!address) return fail(std::move(address.error()));
  if (auto other = connect_unix(path)) {
    ::close(*other);
    return fail(ErrorCode::kExists, "an engine already listens at " + path);
  }
  ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(ErrorCode::kIo, std::string("socket: ") + std::strerror(errno));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 || ::listen(fd, 512) != 0) {
    const int number = errno;
    ::close(fd);
    return fail(ErrorCode::kIo, "cannot listen at " + path + ": " + std::strerror(number));
  }
  ::chmod(path.c_str(), 0600);
  auto state = std::make_shared<State>(loop, fd);
  state->accepted = std::move(accepted);
  state->path = path;
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    state->device = info.st_dev;
    state->inode = info.st_ino;
  }
  state->wait();
  return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}
Listener::~Listener() {
  boost::system::error_code ignored;
  state_->socket.close(ignored);
  // Only the file this listener made; a successor may have replaced it.
  struct stat info {};
  if (::stat(state_->path.c_str(), &info) == 0 && info.st_dev == state_->device && info.st_ino == state_->inode) {
    ::unlink(state_->path.c_str());
  }
}

}  // namespace sabir::net

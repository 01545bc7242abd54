#include "sabir/net/loop.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace sabir::net {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using asio::posix::stream_descriptor;

namespace {
constexpr int kMostSoon = 64;                       // tasks of soon() between two looks for events
constexpr std::chrono::milliseconds kPatience{2};   // who is in foreign code is relieved after one to two of these
constexpr int kQuietTicks = 200;                    // without foreign code, until nobody watches for it
constexpr int kMostHelpers = 4;
// Of a thread that came back from foreign code and found that the loop had gone on without it.
thread_local bool relieved = false;
// Of a helper: the foreign code's mark in its loop, which the helper keeps alive.
thread_local std::atomic<Loop::Ticket>* foreign_of_loop = nullptr;

// Whether it pays to look for events for a while before sleeping: after short waits the next one is likely to be short. Where
// looking was in vain, because whoever is waited for needs this core or takes longer than usual, it is left ever longer.
class Spinning {
 public:
  // How long to look; 0: not at all.
  std::chrono::nanoseconds worth(std::chrono::nanoseconds most) {
    if (skip_ > 0) {
      --skip_;
      return {};
    }
    const auto look = usual_ + usual_ / 2;
    return look <= most ? look : std::chrono::nanoseconds(0);
  }
  void waited(std::chrono::nanoseconds time) { usual_ = (usual_ * 7 + std::min<std::chrono::nanoseconds>(time, kLongest)) / 8; }
  void found() { misses_ = 0; }
  void missed() {
    misses_ = std::min(misses_ + 1, kMostMisses);
    skip_ = 1 << misses_;
  }

 private:
  static constexpr std::chrono::milliseconds kLongest{2};
  static constexpr int kMostMisses = 8;
  std::chrono::nanoseconds usual_ = kLongest;  // an average of the last waits
  int misses_ = 0;                             // in a row
  int skip_ = 0;                               // waits until it is tried again
};
}  // namespace

// The loop and, once foreign code has asked for them, threads that run it in turn: one is the owner, another, the spare,
// watches while the owner is in foreign code. The thread that called run() then only waits for the end, since it has to
// return even if foreign code never does.
struct Loop::State : std::enable_shared_from_this<Loop::State> {
  struct Helper {
    std::thread thread;
    bool left = false;
  };

  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::atomic<bool> stopped{false};
  std::atomic<std::thread::id> owner{};

  // Of the owner.
  std::uint64_t next = 1;
  std::unordered_map<TimerId, std::unique_ptr<asio::steady_timer>> timers;
  std::unordered_map<WatchId, std::unique_ptr<stream_descriptor>> watches;
  const std::chrono::microseconds most_spin{std::thread::hardware_concurrency() > 1 ? 200 : 0};
  Spinning spinning;
  int held = 0;
  std::deque<std::function<void()>> soon;
  bool in_soon = false;
  bool helped = false;          // a helper is the owner
  bool wants_help = false;

  std::atomic<Ticket> foreign{0};     // odd: the owner is in foreign code; grows at each end of it
  std::atomic<bool> watching{false};  // a spare looks at it every kPatience
  std::atomic<int> spares{0};
  static bool is_foreign(Ticket ticket) { return ticket % 2 != 0; }

  std::mutex mutex;
  std::condition_variable wake;
  // Under the mutex.
  std::list<Helper> helpers;
  bool vacant = false;          // the loop waits for its first helper
  bool ended = false;           // the last owner has left it

  // True once the loop has stopped; false when this thread no longer owns it.
  bool turn();
  bool run_soon();
  void add_helper();            // under the mutex
  void help(Helper& self);
  bool watch(std::unique_lock<std::mutex>& lock);
};

Loop::Loop() : state_(std::make_shared<State>()) {}
Loop::~Loop() {
  // A watch never owns its descriptor.
  for (auto& [id, watch] : state_->watches) watch->release();
}

void Loop::run() {
  auto& s = *state_;
  if (s.turn()) return;
  std::unique_lock lock(s.mutex);
  s.vacant = true;
  s.add_helper();
  s.add_helper();
  s.wake.notify_all();
  s.wake.wait(lock, [&] { return s.ended; });
  // Those that are in foreign code may never leave it.
  s.wake.wait_for(lock, std::chrono::milliseconds(50), [&] { return std::all_of(s.helpers.begin(), s.helpers.end(), [](const auto& h) { return h.left; }); });
  std::vector<std::thread> gone;
  for (auto& helper : s.helpers) {
    if (helper.left) gone.push_back(std::move(helper.thread));
    else helper.thread.detach();
  }
  lock.unlock();
  for (auto& thread : gone) thread.join();
}

bool Loop::State::turn() {
  owner = std::this_thread::get_id();
  while (!stopped) {
    if (!run_soon()) return false;
    if (wants_help && !helped) return false;
    if (context.poll() > 0 || !soon.empty()) continue;
    if (held == 0 || most_spin.count() == 0) {
      context.run_one();
      continue;
    }
    const auto begin = Clock::now();
    if (const auto look = spinning.worth(most_spin); look.count() > 0) {
      auto now = begin;
      std::size_t ran = 0;
      while (!stopped && (ran = context.poll()) == 0 && now < begin + look) {
        // Whoever is waited for may have been woken on this very core.
        ::sched_yield();
        now = Clock::now();
      }
      if (ran > 0 || stopped) {
        spinning.waited(now - begin);
        spinning.found();
        continue;
      }
      spinning.missed();
    }
    context.run_one();
    spinning.waited(Clock::now() - begin);
  }
  return true;
}

bool Loop::State::run_soon() {
  for (int count = 0; count < kMostSoon && !soon.empty(); ++count) {
    const auto task = std::move(soon.front());
    soon.pop_front();
    in_soon = true;
    task();
    if (relieved) return false;
    in_soon = false;
  }
  return true;
}

void Loop::State::add_helper() {
  auto& helper = helpers.emplace_back();
  helper.thread = std::thread([self = shared_from_this(), &helper] { self->help(helper); });
}

void Loop::State::help(Helper& self) {
  foreign_of_loop = &foreign;
  std::unique_lock lock(mutex);
  while (!ended) {
    if (!vacant && !watch(lock)) continue;
    if (vacant) {
      vacant = false;
      helped = true;
    } else if (spares == 0 && static_cast<int>(helpers.size()) < kMostHelpers) {
      add_helper();
    }
    lock.unlock();
    const bool stopped_here = turn();
    relieved = false;
    lock.lock();
    if (stopped_here) {
      ended = true;
      wake.notify_all();
    }
  }
  self.left = true;
  wake.notify_all();
}

// What a spare does: waits for something to happen. True when it is the owner from now on.
bool Loop::State::watch(std::unique_lock<std::mutex>& lock) {
  ++spares;
  bool taken = false;
  const auto called = [this] { return vacant || ended; };
  if (!watching) {
    wake.wait(lock, [&] { return called() || watching; });
  } else {
    Ticket seen = foreign;
    for (int quiet = 0; !called() && !taken && quiet < kQuietTicks; ++quiet) {
      wake.wait_for(lock, kPatience, called);
      Ticket now = foreign;
      if (now != seen) {
        seen = now;
        quiet = 0;
      } else if (is_foreign(now) && foreign.compare_exchange_strong(now, now + 1)) {
        in_soon = false;
        taken = true;
      }
    }
    // Foreign code that begins now sets it again.
    if (!taken && !called()) {
      watching = false;
      if (is_foreign(foreign)) watching = true;
    }
  }
  --spares;
  return taken;
}

void Loop::stop() {
  state_->stopped = true;
  post([] {});
}

void Loop::post(std::function<void()> task) { asio::post(state_->context, std::move(task)); }

bool Loop::on_loop() const { return state_->owner.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

asio::io_context& context_of(Loop& loop) { return loop.state_->context; }

void Loop::soon(std::function<void()> task) { state_->soon.push_back(std::move(task)); }

Loop::Ticket Loop::enter_foreign() {
  auto& s = *state_;
  s.wants_help = true;
  if (!s.in_soon || !s.helped || s.spares == 0) return 0;
  const Ticket ticket = s.foreign + 1;
  s.foreign = ticket;
  if (!s.watching) {
    const std::lock_guard lock(s.mutex);
    s.watching = true;
    s.wake.notify_all();
  }
  return ticket;
}

bool Loop::leave_foreign(Ticket ticket) {
  Ticket expected = ticket;
  if (foreign_of_loop->compare_exchange_strong(expected, ticket + 1)) return true;
  relieved = true;
  return false;
}

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

void Loop::hold() { ++state_->held; }
void Loop::release() { --state_->held; }

namespace {
constexpr std::size_t kEnough = 2048;  // bytes that are worth a system call of their own
constexpr std::size_t kUncopied = 16384;  // bytes that are worth not to be copied
}

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
      const auto room = handler->room();
      const iovec places[] = {{room.data(), room.size()}, {buffer, sizeof buffer}};
      const auto n = room.empty() ? ::read(in.native_handle(), buffer, sizeof buffer) : ::readv(in.native_handle(), places, 2);
      if (n > 0) {
        const std::size_t count = static_cast<std::size_t>(n);
        const std::size_t direct = std::min(room.size(), count);
        if (direct > 0) handler->on_filled(direct);
        handler->on_bytes({buffer, count - direct});
        if (count < room.size() + sizeof buffer) break;
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

  // True when all is written. A peer that is gone is noticed by flush(), outside of whoever writes here.
  bool write_some() {
    const auto n = ::write(writer().native_handle(), pending.data() + sent, pending.size() - sent);
    if (n > 0) sent += static_cast<std::size_t>(n);
    if (sent < pending.size()) return false;
    pending.clear();
    sent = 0;
    return true;
  }

  // As much of `parts` as the peer takes at once, behind what is pending; the rest is kept.
  void write_through(std::span<const std::string_view> parts) {
    std::array<iovec, 16> places;
    places[0] = {pending.data() + sent, pending.size() - sent};
    std::size_t count = 1;
    for (const auto part : parts) {
      if (count == places.size()) break;
      places[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    const auto n = ::writev(writer().native_handle(), places.data(), static_cast<int>(count));
    std::size_t taken = n > 0 ? static_cast<std::size_t>(n) : 0;
    const std::size_t before = std::min(taken, pending.size() - sent);
    sent += before;
    taken -= before;
    if (sent == pending.size()) {
      pending.clear();
      sent = 0;
    }
    for (const auto part : parts) {
      const std::size_t gone = std::min(taken, part.size());
      taken -= gone;
      pending.append(part.substr(gone));
    }
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
  // The peer may begin while the rest of this turn is being worked out.
  if (!state_->writing && !state_->closed && state_->pending.size() - state_->sent >= kEnough && state_->write_some()) return;
  if (state_->flush_posted || state_->writing || state_->closed) return;
  state_->flush_posted = true;
  asio::post(state_->loop.state_->context, [self = state_] { self->flush(); });
}
void Stream::send(std::span<const std::string_view> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size();
  if (size >= kUncopied && !state_->writing && !state_->closed) {
    state_->write_through(parts);
    if (state_->pending.empty()) return;
  } else {
    for (const auto part : parts) state_->pending.append(part);
  }
  flush_soon();
}
void Stream::flush_some() {
  if (!state_->closed && state_->sent < state_->pending.size()) state_->write_some();
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

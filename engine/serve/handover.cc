#include "sabir/serve/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/process/spawn.h"

namespace sabir::serve {
namespace {

namespace fs = std::filesystem;
using process::Fd;

constexpr const char* kName = "serve.sock";
constexpr std::size_t kMostMessage = 16384;
// Languages may have to be built first.
constexpr std::chrono::minutes kMostPreparation{15};
constexpr std::chrono::seconds kAnswerTime{10};

std::string reason() { return std::strerror(errno); }

// The socket below a folder whose own path may be longer than an address has room for.
struct Place {
  Fd folder;
  sockaddr_un address{};

  static Result<Place> of(const fs::path& state_dir) {
    Place place;
    place.folder = Fd(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!place.folder) return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, state_dir.string() + ": " + reason());
    place.address.sun_family = AF_UNIX;
    std::snprintf(place.address.sun_path, sizeof place.address.sun_path, "/proc/self/fd/%d/%s", place.folder.get(), kName);
    return place;
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

bool wait_for(int fd, short what, std::chrono::steady_clock::time_point deadline, int stop = -1) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> ready{pollfd{fd, what, 0}, pollfd{stop, POLLIN, 0}};
    const int n = ::poll(ready.data(), stop >= 0 ? 2 : 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (n < 0 && errno != EINTR) return false;
    if (stop >= 0 && ready[1].revents != 0) return false;
    if (n > 0 && ready[0].revents != 0) return true;
  }
}

// One message is one packet; `descriptor` goes along.
bool send_message(int fd, const json::object& message, int descriptor = -1) {
  std::string text = json::serialize(message);
  iovec part{text.data(), text.size()};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    head.msg_control = control;
    head.msg_controllen = sizeof control;
    cmsghdr* const one = CMSG_FIRSTHDR(&head);
    one->cmsg_level = SOL_SOCKET;
    one->cmsg_type = SCM_RIGHTS;
    one->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(one), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(fd, &head, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// Nothing: the other side is gone, has said what cannot be read, or nothing in time. `stop` as wait_for() has it.
std::optional<json::object> receive_message(int fd, std::chrono::steady_clock::time_point deadline, Fd* descriptor = nullptr, int stop = -1) {
  if (!wait_for(fd, POLLIN, deadline, stop)) return std::nullopt;
  std::string text(kMostMessage, '\0');
  iovec part{text.data(), text.size()};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {};
  head.msg_control = control;
  head.msg_controllen = sizeof control;
  const auto got = ::recvmsg(fd, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  for (cmsghdr* one = got > 0 ? CMSG_FIRSTHDR(&head) : nullptr; one != nullptr; one = CMSG_NXTHDR(&head, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(one) + i * sizeof(int), sizeof number);
      Fd mine(number);
      if (descriptor != nullptr && !*descriptor) *descriptor = std::move(mine);
    }
  }
  if (got <= 0 || (head.msg_flags & MSG_TRUNC) != 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  auto value = parse_json(text);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(value->get_object());
}

bool is_ours(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == ::getuid() || peer.uid == 0);
}

json::object refusal(const std::string& message) { return {{"error", {{"message", message}}}}; }

std::chrono::steady_clock::time_point in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

}  // namespace

struct HandoverOffer::State {
  State(Place p, OfferOptions o) : place(std::move(p)), options(std::move(o)) {}

  void work() {
    while (!stopping && !gone) {
      if (!wait_for(listening.get(), POLLIN, in(std::chrono::hours(1)), stop.get())) continue;
      Fd taker(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (taker && is_ours(taker.get())) hand_to(taker.get());
    }
  }

  void hand_to(int taker) {
    const auto hello = receive_message(taker, in(kAnswerTime), nullptr, stop.get());
    if (!hello || string_or(*hello, "method") != "takeover") return;
    if (!send_message(taker, {{"format", 1}, {"engine", SABIR_VERSION}, {"pid", ::getpid()}, {"address", options.address}}, options.descriptor)) return;
    // Whoever comes meanwhile waits in vain: one at a time.
    const auto deadline = in(kMostPreparation);
    std::optional<json::object> said;
    while (!stopping) {
      std::array<pollfd, 3> ready{pollfd{taker, POLLIN, 0}, pollfd{listening.get(), POLLIN, 0}, pollfd{stop.get(), POLLIN, 0}};
      const int n = ::poll(ready.data(), ready.size(), 1000);
      if (n < 0 && errno != EINTR) break;
      // First: whoever comes after one that has ended is not refused for its sake.
      if (n > 0 && ready[0].revents != 0) {
        said = receive_message(taker, in(std::chrono::seconds(1)));
        break;
      }
      if (n > 0 && ready[1].revents != 0) {
        const Fd other(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (other) send_message(other.get(), refusal("another process is taking over from this server at this moment"));
      }
      if (std::chrono::steady_clock::now() >= deadline) {
        said = json::object{{"failed", "it was not ready within 15 minutes"}};
        break;
      }
    }
    if (stopping) return;
    const std::string why = !said ? "it ended before it was ready" : std::string(string_or(*said, "failed"));
    const auto* pid = said ? said->if_contains("ready") : nullptr;
    if (pid == nullptr || !pid->is_int64()) return options.failed(why.empty() ? "it said what is not understood" : why);
    // Nobody finds an offer here from now on, but the next server's.
    unlink_own();
    listening.reset();
    gone = true;
    options.taken(static_cast<pid_t>(pid->get_int64()));
    send_message(taker, {{"released", true}});
  }

  void unlink_own() {
    struct stat info {};
    if (inode != 0 && ::fstatat(place.folder.get(), kName, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_ino == inode) ::unlinkat(place.folder.get(), kName, 0);
    inode = 0;
  }

  Place place;
  OfferOptions options;
  Fd listening;
  Fd stop;
  ino_t inode = 0;
  std::atomic<bool> stopping{false};
  bool gone = false;  // the thread's
  std::thread thread;
};

Result<std::unique_ptr<HandoverOffer>> HandoverOffer::open(const fs::path& state_dir, OfferOptions options) {
  std::error_code ec;
  fs::create_directories(state_dir, ec);
  auto place = Place::of(state_dir);
  if (!place) return fail(std::move(place.error()));
  auto state = std::make_unique<State>(std::move(*place), std::move(options));
  auto& s = *state;
  {
    const Fd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (probe && ::connect(probe.get(), s.place.get(), sizeof s.place.address) == 0) {
      return fail(ErrorCode::kExists, "another server of this project offers its socket", "`sabir serve --takeover` takes it over.");
    }
  }
  ::unlinkat(s.place.folder.get(), kName, 0);
  s.listening = Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  s.stop = Fd(::eventfd(0, EFD_CLOEXEC));
  // Until listen() nobody can connect, whatever the permissions are.
  if (!s.listening || !s.stop || ::bind(s.listening.get(), s.place.get(), sizeof s.place.address) != 0 || ::fchmodat(s.place.folder.get(), kName, 0600, 0) != 0 ||
      ::listen(s.listening.get(), 8) != 0) {
    return fail(ErrorCode::kIo, "cannot offer the server's socket at " + (state_dir / kName).string() + ": " + reason());
  }
  struct stat info {};
  if (::fstatat(s.place.folder.get(), kName, &info, AT_SYMLINK_NOFOLLOW) == 0) s.inode = info.st_ino;
  s.thread = std::thread([&s] { s.work(); });
  return std::unique_ptr<HandoverOffer>(new HandoverOffer(std::move(state)));
}

HandoverOffer::HandoverOffer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HandoverOffer::~HandoverOffer() {
  state_->stopping = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto told = ::write(state_->stop.get(), &one, sizeof one);
  state_->thread.join();
  state_->unlink_own();
}

Result<std::unique_ptr<Handover>> Handover::begin(const fs::path& state_dir) {
  auto place = Place::of(state_dir);
  const auto nobody = [&] {
    return fail(ErrorCode::kNotFound, "no running server offers its socket at " + (state_dir / kName).string(),
                "Start it without --takeover; or, if it serves another folder of the project, say which: --takeover-from FOLDER.");
  };
  if (!place) return place.error().code == ErrorCode::kNotFound ? Result<std::unique_ptr<Handover>>(nobody()) : fail(std::move(place.error()));
  std::unique_ptr<Handover> out(new Handover());
  out->socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (out->socket_ < 0) return fail(ErrorCode::kIo, "socket: " + reason());
  if (::connect(out->socket_, place->get(), sizeof place->address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return nobody();
    return fail(ErrorCode::kIo, "cannot ask the running server: " + reason());
  }
  if (!is_ours(out->socket_)) return fail(ErrorCode::kIo, "what listens at " + (state_dir / kName).string() + " is another user's");
  Fd descriptor;
  send_message(out->socket_, {{"method", "takeover"}, {"format", 1}, {"engine", SABIR_VERSION}, {"pid", ::getpid()}});
  const auto answer = receive_message(out->socket_, in(kAnswerTime), &descriptor);
  if (!answer) return fail(ErrorCode::kProtocol, "the running server does not answer", "It may be ending: try again, or start without --takeover once it has.");
  if (const auto* error = answer->if_contains("error"); error && error->is_object()) return fail(ErrorCode::kBusy, std::string(string_or(error->get_object(), "message")));
  if (!descriptor) return fail(ErrorCode::kProtocol, "the running server (" + std::string(string_or(*answer, "engine")) + ") sent no socket");
  out->descriptor_ = descriptor.release();
  out->address_ = string_or(*answer, "address");
  return out;
}

Handover::~Handover() {
  if (socket_ >= 0) ::close(socket_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

int Handover::release_descriptor() { return std::exchange(descriptor_, -1); }

void Handover::failed(const std::string& why) { send_message(socket_, {{"failed", why.substr(0, kMostMessage / 8)}}); }

bool Handover::ready(std::chrono::milliseconds most) {
  if (!send_message(socket_, {{"ready", ::getpid()}})) return false;
  const auto answer = receive_message(socket_, in(most));
  return answer && answer->contains("released");
}

}  // namespace sabir::serve

#include "sabir/net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "http_connection.h"
#include "loop_context.h"
#include "sabir/base/log.h"

namespace sabir::net {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
constexpr std::chrono::milliseconds kSweep{500};
constexpr std::chrono::milliseconds kDrainSweep{50};
constexpr std::chrono::milliseconds kNoDescriptors{100};
constexpr int kMostAccepted = 64;                     // in one turn

std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  const std::size_t bracket = host.rfind(']');
  return colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket) ? host.substr(0, colon) : host;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
};

std::string text_of(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "unix";
}

bool is_loopback(const Address& address) {
  if (address.storage.ss_family == AF_INET) {
    return (ntohl(reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr.s_addr) >> 24U) == 127;
  }
  if (address.storage.ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr) != 0;
  return false;
}

Result<int> listen_tcp(const HttpListen& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  std::string host = where.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(where.port).c_str(), &hints, &found); code != 0) {
    return fail(ErrorCode::kIo, "cannot listen at '" + where.host + "': " + ::gai_strerror(code), "A host is an address of this machine: 127.0.0.1, 0.0.0.0, ::1.");
  }
  int number = EADDRNOTAVAIL;
  int fd = -1;
  for (const addrinfo* one = found; one != nullptr && fd < 0; one = one->ai_next) {
    fd = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      number = errno;
      continue;
    }
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(fd, one->ai_addr, one->ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0) break;
    number = errno;
    ::close(fd);
    fd = -1;
  }
  ::freeaddrinfo(found);
  if (fd >= 0) return fd;
  const std::string name = where.host + ":" + std::to_string(where.port);
  if (number == EADDRINUSE) return fail(ErrorCode::kExists, "something listens at " + name + " already", "Choose another port, or end what listens there: ss -ltnp 'sport = :" + std::to_string(where.port) + "'");
  return fail(ErrorCode::kIo, "cannot listen at " + name + ": " + std::strerror(number));
}

Result<int> listen_unix(const HttpListen& where) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (where.unix_path.size() >= sizeof address.sun_path) return fail(ErrorCode::kIo, "socket path longer than 107 bytes: " + where.unix_path, "Choose a shorter one.");
  std::memcpy(address.sun_path, where.unix_path.c_str(), where.unix_path.size() + 1);
  struct stat info {};
  if (::lstat(where.unix_path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
    return fail(ErrorCode::kExists, where.unix_path + " is there and is no socket", "Choose another path.");
  }
  if (auto other = connect_unix(where.unix_path)) {
    ::close(*other);
    return fail(ErrorCode::kExists, "something listens at " + where.unix_path + " already");
  }
  ::unlink(where.unix_path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(ErrorCode::kIo, std::string("socket: ") + std::strerror(errno));
  // Nobody may connect before the permissions are as they shall be: until listen() nobody can.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::chmod(where.unix_path.c_str(), where.unix_mode) != 0 ||
      ::listen(fd, SOMAXCONN) != 0) {
    const int number = errno;
    ::close(fd);
    return fail(ErrorCode::kIo, "cannot listen at " + where.unix_path + ": " + std::strerror(number));
  }
  return fd;
}

// The file of a listening Unix socket; "" where it has none.
std::string unix_path_of(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return {};
  return {address.sun_path, ::strnlen(address.sun_path, size - offsetof(sockaddr_un, sun_path))};
}

std::string busy_answer() {
  const auto response = problem(503, "the server has as many connections as it may", "Try again later.");
  return "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nContent-Length: " +
         std::to_string(response.body.size()) + "\r\nConnection: close\r\n\r\n" + response.body;
}

}  // namespace

bool is_local_socket(int fd) {
  Address address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return false;
  return address.storage.ss_family == AF_UNIX || is_loopback(address);
}

std::vector<int> inherited_sockets() {
  std::vector<int> out;
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid != nullptr && count != nullptr && std::strtol(pid, nullptr, 10) == ::getpid()) {
    const long most = std::clamp(std::strtol(count, nullptr, 10), 0L, 16L);
    for (int fd = 3; fd < 3 + most; ++fd) {
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) out.push_back(fd);
    }
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return out;
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(Loop& loop, HttpServerOptions options, Router router) {
  auto state = std::make_shared<State>(loop, std::move(options), std::move(router));
  auto& s = *state;
  if (s.options.certificate.empty() != s.options.key.empty()) return fail(ErrorCode::kConfig, "TLS needs a certificate and its key; one of them is missing");
  if (!s.options.certificate.empty()) {
    auto tls = Tls::open(s.options.certificate, s.options.key);
    if (!tls) return fail(std::move(tls.error()));
    s.tls = std::move(*tls);
  }
  s.scheme = s.tls ? "https" : "http";
  const auto& where = s.options.listen;
  if (where.descriptor >= 0) {
    s.listening = where.descriptor;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(s.listening, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
      s.listening = -1;
      return fail(ErrorCode::kIo, "descriptor " + std::to_string(where.descriptor) + " is no listening socket");
    }
    ::fcntl(s.listening, F_SETFL, ::fcntl(s.listening, F_GETFL) | O_NONBLOCK);
    ::fcntl(s.listening, F_SETFD, FD_CLOEXEC);
    if (where.owns_path) s.own_path(unix_path_of(s.listening));
  } else {
    auto fd = where.unix_path.empty() ? listen_tcp(where) : listen_unix(where);
    if (!fd) return fail(std::move(fd.error()));
    s.listening = *fd;
    s.own_path(where.unix_path);
  }
  Address address;
  ::getsockname(s.listening, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  if (address.storage.ss_family == AF_UNIX) {
    s.address = "unix:" + (where.unix_path.empty() ? std::string(reinterpret_cast<const sockaddr_un&>(address.storage).sun_path) : where.unix_path);
  } else {
    const std::string text = text_of(address);
    s.port = static_cast<int>(std::strtol(text.substr(text.rfind(':') + 1).c_str(), nullptr, 10));
    s.address = s.scheme + "://" + text;
    s.on_loopback = is_loopback(address);
  }
  s.answer_for(s.options.hosts);
  const bool later = s.options.accept_later;
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(state)));
  if (!later) server->accept();
  return server;
}

void HttpServer::accept() {
  state_->loop.post([state = state_] {
    if (state->ended || state->draining || state->listener) return;
    state->listener = std::make_unique<stream_descriptor>(context_of(state->loop), state->listening);
    state->accept_next();
  });
}

void HttpServer::change(const HttpLimits& limits, std::vector<std::string> hosts, std::vector<std::string> origins) {
  state_->options.limits = limits;
  state_->options.origins = std::move(origins);
  state_->answer_for(std::move(hosts));
}

void HttpServer::State::answer_for(std::vector<std::string> hosts) {
  any_host = hosts.empty() && !on_loopback;
  if (hosts.empty() && on_loopback) hosts = {"localhost", "127.0.0.1", "[::1]"};
  for (auto& host : hosts) std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  options.hosts = std::move(hosts);
}

void HttpServer::hand_over() {
  state_->loop.post([state = state_] { state->unix_path.clear(); });
}

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  if (state_->loop.on_loop()) state_->close_all();
  else state_->loop.post([state = state_] { state->close_all(); });
}

HttpServer::State::~State() {
  for (const auto& connection : connections) connection->detach();
  if (!listener && listening >= 0) ::close(listening);
}

const std::string& HttpServer::address() const { return state_->address; }
int HttpServer::port() const { return state_->port; }
int HttpServer::descriptor() const { return state_->listening; }
HttpCounts HttpServer::counts() const {
  return {state_->open_now, state_->running, state_->accepted, state_->requests, state_->refused};
}

void HttpServer::replace(Router router) {
  state_->loop.post([state = state_, next = std::make_shared<const Router>(std::move(router))] { state->router = next; });
}

Result<void> HttpServer::renew_certificate() {
  if (state_->options.certificate.empty()) return {};
  auto tls = Tls::open(state_->options.certificate, state_->options.key);
  if (!tls) return fail(std::move(tls.error()));
  state_->loop.post([state = state_, next = std::shared_ptr<Tls>(std::move(*tls))] { state->tls = next; });
  return {};
}

void HttpServer::drain(std::chrono::milliseconds most, std::chrono::milliseconds idle, std::function<void()> done) {
  state_->loop.post([state = state_, most, idle, done = std::move(done)]() mutable {
    auto& s = *state;
    if (s.draining || s.ended) return;
    s.draining = true;
    s.drained = std::move(done);
    s.idle_until = Clock::now() + std::min(idle, most);
    s.drain_until = Clock::now() + most;
    boost::system::error_code ignored;
    if (s.listener) s.listener->close(ignored);
    s.listening = -1;
    s.sweep();
    s.end_if_drained();
  });
}

void HttpServer::State::own_path(const std::string& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return;
  unix_path = path;
  unix_inode = info.st_ino;
}

void HttpServer::State::end_if_drained() {
  if (!draining || !connections.empty() || !drained) return;
  loop.post(std::exchange(drained, nullptr));
}

void HttpServer::State::close_all() {
  ended = true;
  boost::system::error_code ignored;
  if (listener) listener->close(ignored);
  listening = -1;
  const auto open = connections;
  for (const auto& connection : open) connection->close();
  struct stat info {};
  // Only the file this server made; a successor may have replaced it.
  if (!unix_path.empty() && ::stat(unix_path.c_str(), &info) == 0 && info.st_ino == unix_inode) ::unlink(unix_path.c_str());
  unix_path.clear();
}

void HttpServer::State::closed(Connection& connection) {
  connections.erase(connection.place);
  --open_now;
  end_if_drained();
}

bool HttpServer::State::evict_idle() {
  std::shared_ptr<Connection> oldest;
  for (const auto& connection : connections) {
    if (connection->is_idle() && (!oldest || connection->since() < oldest->since())) oldest = connection;
  }
  if (!oldest) return false;
  oldest->close();
  return true;
}

void HttpServer::State::accept_next() {
  listener->async_wait(stream_descriptor::wait_read, [weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && !self->ended && !self->draining) self->accept_some();
  });
}

void HttpServer::State::accept_some() {
  for (int count = 0; count < kMostAccepted; ++count) {
    Address peer;
    const int fd = ::accept4(listening, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      // No descriptor is left: an idle one goes, or all wait for a moment.
      if (evict_idle()) continue;
      log(LogLevel::kWarning, std::string("cannot take a connection: ") + std::strerror(errno));
      loop.after(kNoDescriptors, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self && !self->ended && !self->draining) self->accept_next();
      });
      return;
    }
    ++accepted;
    if (connections.size() >= options.limits.connections && !evict_idle()) {
      static const std::string kBusy = busy_answer();
      if (!tls) [[maybe_unused]] const auto n = ::send(fd, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
      continue;
    }
    const int yes = 1;
    if (peer.storage.ss_family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto connection = std::make_shared<Connection>(*this, fd, text_of(peer));
    connection->place = connections.insert(connections.end(), connection);
    ++open_now;
    connection->start();
  }
  if (!sweeping && !connections.empty()) sweep();
  accept_next();
}

void HttpServer::State::sweep() {
  // Callbacks of one may close others.
  const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
  const auto now = Clock::now();
  if (draining && now >= drain_until) {
    for (const auto& connection : all) connection->close();
  } else {
    for (const auto& connection : all) connection->check(now);
  }
  sweeping = !connections.empty();
  if (!sweeping || ended) return;
  const auto turn = draining ? kDrainSweep : std::min(kSweep, options.keep_alive);
  loop.after(turn, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self) self->sweep();
  });
}

std::string HttpServer::State::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second || date_text.empty()) {
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[40];
    std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                  kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    date_text = text;
    date_second = now;
  }
  return date_text;
}

std::optional<ServerResponse> HttpServer::State::check_source(const ServerRequest& request) const {
  const auto known = [this](std::string_view host) { return std::find(options.hosts.begin(), options.hosts.end(), without_port(host)) != options.hosts.end(); };
  // Without one it is HTTP/1.0, which no browser speaks.
  if (!any_host && !request.host.empty() && !known(request.host)) {
    return problem(421, "this server does not answer for the host '" + request.host + "'", "Ask it by its own name, or add the name to 'hosts' of the server's configuration.");
  }
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return std::nullopt;
  const auto& allowed = options.origins;
  if (std::find(allowed.begin(), allowed.end(), origin) != allowed.end() || std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) return std::nullopt;
  const std::size_t start = origin.find("://");
  if (start != std::string_view::npos && !request.host.empty() && origin.substr(start + 3) == request.host) return std::nullopt;
  return problem(403, "requests from the origin '" + std::string(origin.substr(0, 200)) + "' are not allowed", "Add it to the origins of the server's configuration, if its pages may ask.");
}

}  // namespace sabir::net

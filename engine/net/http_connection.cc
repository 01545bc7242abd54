#include "http_connection.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "loop_context.h"
#include "sabir/base/log.h"

namespace sabir::net {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
constexpr std::size_t kMostPipelined = 16384;        // read ahead of the request that runs
constexpr std::size_t kKeptBuffer = 65536;
constexpr std::chrono::milliseconds kLinger{2'000};  // for a client to take the last answer
constexpr long kLost = -3;
constexpr int kMostTurns = 8;

std::string_view view_of(std::string_view method, const std::string& body) { return method == "HEAD" ? std::string_view() : std::string_view(body); }

bool is_plain(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos; }

bool is_servers_own(std::string_view name) {
  const auto same = [&](std::string_view other) {
    return name.size() == other.size() && std::equal(name.begin(), name.end(), other.begin(), [](char a, char b) { return (a | 0x20) == b; });
  };
  return same("content-length") || same("connection") || same("transfer-encoding") || same("date");
}

}  // namespace

Connection::Connection(HttpServer::State& server, int fd, std::string peer)
    : server_(server), socket_(context_of(server.loop), fd), peer_(std::move(peer)), since_(Clock::now()) {
  // The handshake is part of what a client must get done in time.
  deadline_ = since_ + (server_.tls ? server_.options.limits.head_time : server_.options.limits.idle_time);
  write_deadline_ = Clock::time_point::max();
  if (server_.tls) tls_ = server_.tls->session(fd);
}

void Connection::start() {
  if (server_.tls && !tls_) return close();
  wait_read();
}

bool Connection::has_unread() {
  int bytes = 0;
  return ::ioctl(socket_.native_handle(), FIONREAD, &bytes) == 0 && bytes > 0;
}

long Connection::receive(char* to, std::size_t most) {
  if (tls_) return tls_->read(to, most);
  while (true) {
    const auto n = ::recv(socket_.native_handle(), to, most, 0);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? TlsSession::kWaitRead : kLost;
  }
}

long Connection::transmit(const char* from, std::size_t size) {
  if (tls_) {
    const long n = tls_->write(from, size);
    return n == TlsSession::kClosed ? kLost : n;
  }
  while (true) {
    const auto n = ::send(socket_.native_handle(), from, size, MSG_NOSIGNAL);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? TlsSession::kWaitWrite : kLost;
  }
}

void Connection::wait_read() {
  if (closed_ || reading_ || eof_) return;
  if (!lingering_ && exchange_ && in_.size() >= kMostPipelined) return;
  reading_ = true;
  socket_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& ec) {
    self->reading_ = false;
    if (!ec) self->read();
  });
}

void Connection::wait_write() {
  if (closed_ || writing_) return;
  writing_ = true;
  socket_.async_wait(stream_descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code& ec) {
    self->writing_ = false;
    if (ec || self->closed_) return;
    self->flush();
    // A handshake may have waited for this as well.
    if (self->tls_ && !self->closed_) self->read();
  });
}

void Connection::read() {
  // Bounded turns, so that one busy client does not starve the others.
  int turn = 0;
  for (; turn < kMostTurns && !closed_ && !eof_; ++turn) {
    if (!lingering_ && exchange_ && in_.size() >= kMostPipelined) return;
    const long n = receive(server_.buffer, sizeof server_.buffer);
    if (n > 0) {
      if (!lingering_) feed({server_.buffer, static_cast<std::size_t>(n)});
      if (!tls_ && static_cast<std::size_t>(n) < sizeof server_.buffer) break;
      continue;
    }
    if (n == TlsSession::kWaitRead) break;
    if (n == TlsSession::kWaitWrite) {
      wait_write();
      break;
    }
    if (n == kLost || lingering_) return close();
    eof_ = true;
    if (exchange_) {
      // An answer that comes yet is sent: the client may have closed its own side only.
      const auto exchange = exchange_;
      return exchange->leave();
    }
    if (sent_ == out_.size()) return close();
    keep_ = false;
    return flush();
  }
  if (turn == kMostTurns) read_more();
  else wait_read();
}

void Connection::read_more() {
  // What TLS has read ahead is not seen by a wait for the socket.
  if (!tls_) return wait_read();
  server_.loop.post([self = shared_from_this()] {
    if (!self->closed_ && !self->reading_) self->read();
  });
}

void Connection::feed(std::string_view bytes) {
  consuming_ = true;
  if (in_.empty()) {
    const std::size_t used = consume(bytes);
    if (!closed_ && used < bytes.size()) in_.assign(bytes.substr(used));
  } else {
    in_.append(bytes);
    const std::size_t used = consume(in_);
    in_.erase(0, std::min(used, in_.size()));
  }
  consuming_ = false;
  flush();
}

void Connection::resume() {
  if (consuming_ || closed_) return;
  if (!in_.empty()) {
    consuming_ = true;
    // What is behind it stays where it is until it is understood.
    const std::string bytes = std::exchange(in_, {});
    const std::size_t used = consume(bytes);
    if (!closed_ && used < bytes.size()) in_.insert(0, bytes, used, std::string::npos);
    consuming_ = false;
    flush();
  }
  read_more();
}

std::size_t Connection::consume(std::string_view bytes) {
  std::size_t used = 0;
  const auto& limits = server_.options.limits;
  while (used < bytes.size() && !exchange_ && keep_ && !closed_) {
    if (!reader_) {
      // An empty line before a request is let pass (RFC 9112, 2.2).
      if (bytes.substr(used).starts_with("\r\n")) {
        used += 2;
        continue;
      }
      reader_ = std::make_unique<RequestReader>(limits.head_bytes, limits.body_bytes);
      since_ = Clock::now();
      deadline_ = since_ + limits.head_time;
      continued_ = false;
    }
    const bool had_head = reader_->head_done();
    const std::size_t taken = reader_->put(bytes.substr(used));
    used += taken;
    if (reader_->refused()) {
      refuse(problem(reader_->refused()->status, reader_->refused()->why));
      return bytes.size();
    }
    server_.bodies += reader_->body_bytes() - counted_;
    counted_ = reader_->body_bytes();
    if (server_.bodies > limits.all_bodies) {
      refuse(problem(503, "the server holds as many bodies of requests as it may", "Try again later."));
      return bytes.size();
    }
    if (!had_head && reader_->head_done()) deadline_ = Clock::now() + limits.body_time;
    if (reader_->done()) {
      dispatch();
      continue;
    }
    if (reader_->head_done() && reader_->expects_continue() && !continued_) {
      continued_ = true;
      out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    break;
  }
  // Of a connection that ends nothing more is read.
  return keep_ || exchange_ ? used : bytes.size();
}

void Connection::dispatch() {
  auto exchange = std::make_shared<Exchange::State>(server_.loop, server_.options.limits.unsent_bytes);
  keep_ = reader_->keep_alive();
  auto& request = exchange->request;
  request = reader_->take();
  reader_.reset();
  request.peer = peer_;
  request.secure = tls_ != nullptr;
  request.received = since_;
  exchange->connection = this;
  exchange->bare = request.method == "HEAD";
  exchange_ = exchange;
  deadline_ = Clock::time_point::max();
  ++server_.running;
  ++server_.requests;
  auto handle = std::make_shared<Exchange>(exchange);
  if (auto refusal = server_.check_source(request)) {
    ++server_.refused;
    return handle->respond(std::move(*refusal));
  }
  // A handler may replace the router.
  const auto router = server_.router;
  auto match = router->find(request.method, request.path);
  if (match.malformed) return handle->respond(problem(400, "the path has an escape that stands for nothing"));
  request.captures = std::move(match.captures);
  const HttpHandler* handler = match.handler ? match.handler : router->fallback() ? &router->fallback() : nullptr;
  if (handler == nullptr) {
    ++server_.refused;
    if (match.allowed.empty()) return handle->respond(problem(404, "there is nothing at this path"));
    auto response = problem(405, "this path knows " + match.allowed + " alone");
    response.headers.emplace_back("Allow", match.allowed);
    return handle->respond(std::move(response));
  }
  try {
    (*handler)(handle);
  } catch (const std::exception& e) {
    log(LogLevel::kError, std::string("a request broke its handler: ") + e.what());
    handle->respond(problem(500, "the server broke over this request"));
    handle->abort();
  }
}

void Connection::refuse(ServerResponse response) {
  ++server_.requests;
  ++server_.refused;
  keep_ = false;
  const ServerRequest request = reader_ ? reader_->request() : ServerRequest{};
  reader_.reset();
  write_head(response, response.body.size(), false);
  out_ += view_of(request.method, response.body);
  if (server_.options.finished) {
    server_.options.finished({request, {}, response.status, response.body.size(), Clock::now() - since_, false});
  }
  server_.bodies -= counted_;
  counted_ = 0;
  if (!consuming_) flush();
}

void Connection::write_head(const ServerResponse& response, std::optional<std::size_t> length, bool chunked) {
  const std::string_view text = status_text(response.status);
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(response.status);
  out_ += ' ';
  out_ += text;
  out_ += "\r\nDate: ";
  out_ += server_.date();
  out_ += "\r\n";
  const auto add = [this](const HttpHeaders& headers) {
    for (const auto& [name, value] : headers) {
      // A line break would begin another header, or the body.
      if (name.empty() || !is_plain(name) || !is_plain(value) || is_servers_own(name)) continue;
      out_ += name;
      out_ += ": ";
      out_ += value;
      out_ += "\r\n";
    }
  };
  add(response.headers);
  if (exchange_) {
    const std::lock_guard lock(exchange_->mutex);
    add(exchange_->headers);
  }
  const bool empty = response.status == 204 || response.status == 304;
  if (length && !empty) {
    out_ += "Content-Length: ";
    out_ += std::to_string(*length);
    out_ += "\r\n";
  }
  if (chunked) out_ += "Transfer-Encoding: chunked\r\n";
  if (!keep_) {
    out_ += "Connection: close\r\n";
  } else if (exchange_ && !exchange_->request.http11) {
    out_ += "Connection: keep-alive\r\n";
  }
  out_ += "\r\n";
}

void Connection::answer(ServerResponse response) {
  if (server_.draining || eof_) keep_ = false;
  if (server_.options.decorate) server_.options.decorate(exchange_->request, response);
  write_head(response, response.body.size(), false);
  exchange_->status = response.status;
  if (!exchange_->bare && response.status != 204 && response.status != 304) {
    out_ += response.body;
    exchange_->sent_bytes = response.body.size();
  }
  finish();
}

void Connection::begin(ServerResponse head, bool events) {
  const bool http11 = exchange_->request.http11;
  if (server_.draining || eof_ || !http11) keep_ = false;
  if (server_.options.decorate) server_.options.decorate(exchange_->request, head);
  exchange_->status = head.status;
  exchange_->chunked = http11 && !exchange_->bare;
  exchange_->events = events;
  write_head(head, std::nullopt, exchange_->chunked);
  exchange_->unsent += static_cast<std::int64_t>(out_.size() - sent_);
  last_event_ = Clock::now();
  if (!head.body.empty() && !exchange_->bare) {
    std::string framed = head.body;
    if (exchange_->chunked) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", head.body.size());
      framed = size + head.body + "\r\n";
    }
    exchange_->unsent += static_cast<std::int64_t>(framed.size());
    pass(framed);
  } else if (!consuming_) {
    flush();
  }
}

void Connection::pass(const std::string& framed) {
  if (exchange_->bare) {
    exchange_->unsent -= static_cast<std::int64_t>(framed.size());
    return;
  }
  out_ += framed;
  exchange_->sent_bytes += framed.size();
  last_event_ = Clock::now();
  if (!consuming_) flush();
}

void Connection::end(bool whole) {
  if (!whole) return close();
  if (exchange_->chunked) out_ += "0\r\n\r\n";
  finish();
}

void Connection::finish() {
  const auto exchange = std::exchange(exchange_, nullptr);
  exchange->connection = nullptr;
  {
    const std::lock_guard lock(exchange->mutex);
    // They hold what the handler has given them, this exchange perhaps.
    exchange->when_gone.clear();
  }
  --server_.running;
  server_.bodies -= counted_;
  counted_ = 0;
  if (server_.options.finished) {
    server_.options.finished({exchange->request, exchange->notes, exchange->status, exchange->sent_bytes, Clock::now() - exchange->request.received, exchange->gone});
  }
  exchange->drain();
  since_ = Clock::now();
  deadline_ = since_ + server_.options.limits.idle_time;
  if (consuming_) return;
  const auto self = shared_from_this();
  flush();
  if (keep_) resume();
}

void Connection::flush() {
  if (closed_ || consuming_) return;
  while (sent_ < out_.size()) {
    const long n = transmit(out_.data() + sent_, out_.size() - sent_);
    if (n > 0) {
      sent_ += static_cast<std::size_t>(n);
      write_deadline_ = Clock::now() + server_.options.limits.write_time;
      if (exchange_ && exchange_->status != 0) {
        const auto left = exchange_->unsent.fetch_sub(n) - n;
        if (left <= exchange_->most_unsent / 2) {
          const auto self = shared_from_this();
          const auto exchange = exchange_;
          exchange->drain();
          if (closed_) return;
        }
      }
      continue;
    }
    if (n == TlsSession::kWaitWrite || n == TlsSession::kWaitRead) {
      if (write_deadline_ == Clock::time_point::max()) write_deadline_ = Clock::now() + server_.options.limits.write_time;
      if (n == TlsSession::kWaitWrite) wait_write();
      else wait_read();
      return;
    }
    return close();
  }
  write_deadline_ = Clock::time_point::max();
  out_.clear();
  sent_ = 0;
  if (out_.capacity() > kKeptBuffer) out_.shrink_to_fit();
  if (!exchange_ && !keep_ && !lingering_) linger();
}

void Connection::linger() {
  // Closed at once, a connection with unread bytes would take the answer down with it.
  if (eof_) return close();
  if (tls_) tls_->close();
  ::shutdown(socket_.native_handle(), SHUT_WR);
  lingering_ = true;
  in_.clear();
  deadline_ = Clock::now() + kLinger;
  wait_read();
}

void Connection::check(Clock::time_point now) {
  if (now >= write_deadline_) return close();
  if (exchange_) {
    if (exchange_->events && exchange_->chunked && sent_ == out_.size() && now - last_event_ >= server_.options.keep_alive) {
      static const std::string kComment = "f\r\n: still there\n\n\r\n";
      exchange_->unsent += static_cast<std::int64_t>(kComment.size());
      pass(kComment);
    }
    return;
  }
  if (server_.draining && is_idle() && now >= server_.idle_until && !has_unread()) return close();
  if (now < deadline_) return;
  if (reader_) return refuse(problem(408, "the request did not come in time"));
  close();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();
  if (tls_) tls_->close();
  boost::system::error_code ignored;
  socket_.close(ignored);
  server_.bodies -= counted_;
  counted_ = 0;
  reader_.reset();
  server_.closed(*this);
  if (const auto exchange = std::exchange(exchange_, nullptr)) {
    exchange->connection = nullptr;
    --server_.running;
    if (server_.options.finished) {
      server_.options.finished({exchange->request, exchange->notes, exchange->status, exchange->sent_bytes, Clock::now() - exchange->request.received, true});
    }
    exchange->leave();
  }
}

}  // namespace sabir::net

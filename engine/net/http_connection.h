// The insides of the HTTP server: its state, one connection, and what an Exchange is made of. Loop thread only, but for the
// members of Exchange::State that say otherwise.
#pragma once

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "request_reader.h"
#include "sabir/net/http_server.h"
#include "tls.h"

namespace sabir::net {

class Connection;
using Clock = std::chrono::steady_clock;

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
  State(Loop& l, HttpServerOptions o, Router r) : loop(l), options(std::move(o)), router(std::make_shared<const Router>(std::move(r))) {}
  ~State();

  void accept_next();
  void accept_some();
  void sweep();
  void close_all();
  void closed(Connection& connection);
  void end_if_drained();
  void answer_for(std::vector<std::string> hosts);
  void own_path(const std::string& path);
  bool evict_idle();
  std::string date();
  // Nothing, or the answer to a request from where none may come.
  std::optional<ServerResponse> check_source(const ServerRequest& request) const;

  Loop& loop;
  HttpServerOptions options;
  std::shared_ptr<const Router> router;
  std::shared_ptr<Tls> tls;
  std::string address;
  std::string scheme;
  int port = 0;
  bool any_host = false;
  bool on_loopback = false;
  int listening = -1;
  std::unique_ptr<boost::asio::posix::stream_descriptor> listener;
  std::list<std::shared_ptr<Connection>> connections;
  std::size_t bodies = 0;              // bytes of requests that are held
  bool sweeping = false;
  bool draining = false;
  bool ended = false;
  Clock::time_point idle_until;        // while draining: kept connections without a request end then
  Clock::time_point drain_until;
  std::function<void()> drained;
  std::int64_t date_second = 0;
  std::string date_text;
  std::string unix_path;               // to remove, with its file's identity
  std::uint64_t unix_inode = 0;
  char buffer[65536];                  // what has been read, of whichever connection is read
  std::atomic<std::size_t> open_now{0};
  std::atomic<std::size_t> running{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> refused{0};
};

struct Exchange::State : std::enable_shared_from_this<Exchange::State> {
  State(Loop& l, std::size_t most) : loop(l), most_unsent(static_cast<std::int64_t>(most)) {}
  enum class Phase { kOpen, kStreaming, kEnded };

  void run(std::function<void()> task);   // on the loop, now or soon; any thread
  Sent take(std::string bytes);           // any thread
  void leave();                           // the client has left
  void drain();                           // its buffer has room again

  Loop& loop;
  const std::int64_t most_unsent;
  ServerRequest request;
  std::atomic<Phase> phase{Phase::kOpen};   // as whoever answers sees it
  std::atomic<bool> gone{false};
  std::atomic<std::int64_t> unsent{0};
  std::mutex mutex;                         // of the four below
  std::vector<std::function<void()>> when_gone;
  std::vector<std::function<void()>> when_drained;
  std::vector<std::pair<std::string, std::string>> notes;
  HttpHeaders headers;

  // The loop's.
  Connection* connection = nullptr;         // null once it is over
  bool chunked = false;
  bool events = false;
  bool bare = false;                        // HEAD: no body
  int status = 0;
  std::uint64_t sent_bytes = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpServer::State& server, int fd, std::string peer);
  void start();
  void close();                             // at once
  void check(Clock::time_point now);        // deadlines; may close
  bool is_idle() const { return !exchange_ && !reader_ && !lingering_; }
  Clock::time_point since() const { return since_; }
  // The server is gone, and nobody closes this.
  void detach() {
    if (exchange_) exchange_->connection = nullptr;
  }

  // Of its exchange.
  void answer(ServerResponse response);
  void begin(ServerResponse head, bool events);
  void pass(const std::string& framed);
  void end(bool whole);

  std::list<std::shared_ptr<Connection>>::iterator place;

 private:
  void wait_read();
  void wait_write();
  void read();
  void read_more();
  void feed(std::string_view bytes);
  std::size_t consume(std::string_view bytes);
  void dispatch();
  void refuse(ServerResponse response);
  void write_head(const ServerResponse& response, std::optional<std::size_t> length, bool chunked);
  void flush();
  void finish();
  void resume();
  void linger();
  bool has_unread();
  long receive(char* to, std::size_t most);
  long transmit(const char* from, std::size_t size);

  HttpServer::State& server_;
  boost::asio::posix::stream_descriptor socket_;
  std::unique_ptr<TlsSession> tls_;
  std::unique_ptr<RequestReader> reader_;
  std::shared_ptr<Exchange::State> exchange_;
  std::string peer_;
  std::string in_;                          // read, and not yet understood
  std::string out_;
  std::size_t sent_ = 0;
  Clock::time_point since_;                 // of the present phase
  Clock::time_point deadline_;
  Clock::time_point write_deadline_;
  Clock::time_point last_event_;
  std::size_t counted_ = 0;                 // of server_.bodies
  bool reading_ = false;
  bool writing_ = false;
  bool consuming_ = false;
  bool continued_ = false;
  bool keep_ = true;                        // the connection, after this exchange
  bool eof_ = false;
  bool lingering_ = false;
  bool closed_ = false;
};

}  // namespace sabir::net

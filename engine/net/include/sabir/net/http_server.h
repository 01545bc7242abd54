// HttpServer: HTTP/1.1 over TCP, a Unix socket or an inherited descriptor, with or without TLS, on the engine's event loop.
//
// Threads: open() and the methods from any; handlers and callbacks run on the loop. Lifetimes: the destructor closes what is
// open, at once on the loop, soon after from elsewhere; the loop must outlive the server.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/net/http_exchange.h"
#include "sabir/net/loop.h"
#include "sabir/net/router.h"

namespace sabir::net {

// One of the three: a path, a descriptor that listens already, or host and port.
struct HttpListen {
  std::string host = "127.0.0.1";
  int port = 0;                    // 0: any free one
  std::string unix_path;
  unsigned unix_mode = 0600;
  int descriptor = -1;
  bool owns_path = false;          // the file of a Unix socket given as `descriptor` is removed when the server ends
};

struct HttpLimits {
  std::size_t head_bytes = 32768;                   // request line and headers; more: 431
  std::size_t body_bytes = std::size_t{16} << 20U;  // of one request; more: 413
  std::size_t all_bodies = std::size_t{256} << 20U; // of all requests at once; more: 503
  std::size_t unsent_bytes = std::size_t{1} << 20U; // of a stream whose client reads slowly; then Exchange::Sent::kFull
  std::size_t connections = 16384;                  // beyond it the one that was idle longest is closed, else 503
  std::chrono::milliseconds head_time{10'000};      // from the first byte of a request; more: 408
  std::chrono::milliseconds body_time{60'000};      // from the end of its head; more: 408
  std::chrono::milliseconds idle_time{75'000};      // between requests
  std::chrono::milliseconds write_time{30'000};     // in which the client takes nothing of what waits for it
};

// What the access log needs to know of an exchange that has ended.
struct HttpFinished {
  const ServerRequest& request;
  const std::vector<std::pair<std::string, std::string>>& notes;
  int status = 0;
  std::uint64_t bytes = 0;                          // of the answer's body
  std::chrono::nanoseconds took{0};
  bool gone = false;                                // the client left before the end
};

struct HttpServerOptions {
  HttpListen listen;
  HttpLimits limits;
  std::chrono::milliseconds keep_alive{15'000};     // between comments of an event stream
  // Host headers that are answered, without port; others: 421. Empty: the loopback's names where the server listens there, any elsewhere.
  std::vector<std::string> hosts;
  // Origins beside the server's own that may ask ("https://app.example"); others: 403. "*": all.
  std::vector<std::string> origins;
  std::string certificate;                          // PEM file, chain included; with `key`: TLS
  std::string key;
  // Sees each answer's head before it goes out.
  std::function<void(const ServerRequest&, ServerResponse&)> decorate;
  std::function<void(const HttpFinished&)> finished;
  bool accept_later = false;                        // takes no connections before accept()
};

struct HttpCounts {
  std::size_t connections = 0;
  std::size_t running = 0;                          // exchanges
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;                        // requests that no handler saw
};

class HttpServer {
 public:
  // Errors: kIo (address, certificate), kExists (the address is in use), kUnavailable (TLS without OpenSSL's library).
  static Result<std::unique_ptr<HttpServer>> open(Loop& loop, HttpServerOptions options, Router router);
  ~HttpServer();

  // "http://127.0.0.1:8080", "unix:/run/app.sock".
  const std::string& address() const;
  int port() const;                                 // 0 where there is none
  int descriptor() const;                           // the listening one, to hand over
  HttpCounts counts() const;

  void replace(Router router);                      // from the next request on
  // From the next request on; as HttpServerOptions has them. The loop's thread.
  void change(const HttpLimits& limits, std::vector<std::string> hosts, std::vector<std::string> origins);
  // Reads certificate and key again, for connections to come.
  Result<void> renew_certificate();
  void accept();                                    // from now on, after HttpServerOptions::accept_later
  // Takes no more connections, answers what runs and what comes on kept connections with Connection: close, and calls `done` on the
  // loop when all are closed, or after `most`, by force. Kept connections without a request are closed after `idle`: a client that asks at
  // that very moment gets no answer, so there is a while in which it is told.
  void drain(std::chrono::milliseconds most, std::chrono::milliseconds idle, std::function<void()> done);
  // Another process has the listening socket too, and the file of a Unix socket is its to remove. Before drain().
  void hand_over();

  struct State;

 private:
  explicit HttpServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Whether a listening socket can be reached from this machine alone: the loopback, a Unix socket.
bool is_local_socket(int fd);

// The sockets of systemd's LISTEN_FDS that are meant for this process; closed in programs it starts. Empties the variables.
std::vector<int> inherited_sockets();

}  // namespace sabir::net

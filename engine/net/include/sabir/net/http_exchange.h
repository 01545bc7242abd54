// Exchange: one request that came to the HTTP server, and its answer: whole, or streamed in pieces or server-sent events.
//
// Threads: every method from any; what is given to when_gone() and when_drained() runs on the loop, or at once on the calling
// thread where it is true already. Lifetimes: the last owner that lets go of an unanswered exchange answers it with 500; the
// loop must outlive it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/net/http_client.h"

namespace sabir::net {

struct ServerRequest {
  std::string method;
  std::string target;     // as sent
  std::string path;       // of the target, with its escapes
  std::string query;      // behind the "?", with its escapes
  HttpHeaders headers;    // names in lower case, in the order they came
  std::string body;
  std::string peer;       // "127.0.0.1:51234", "unix"
  std::string host;       // of the Host header or an absolute target, lower case, with its port
  std::vector<std::pair<std::string, std::string>> captures;  // what the route's {names} stand for, unescaped
  std::chrono::steady_clock::time_point received;
  bool secure = false;    // TLS
  bool http11 = true;

  std::string_view header(std::string_view name) const;  // the first value, or ""; `name` in lower case
  std::string_view capture(std::string_view name) const;
  std::optional<std::string> parameter(std::string_view name) const;  // of the query, unescaped; the first one
};

struct ServerResponse {
  int status = 200;
  HttpHeaders headers;    // Content-Length, Connection, Transfer-Encoding and Date are the server's
  std::string body;
};

// RFC 9457 of what HTTP itself finds wrong: {"type": "about:blank", "title", "status", "detail", "hint"?}.
ServerResponse problem(int status, std::string_view detail, std::string_view hint = {});
// "Not Found"; "" for what is no status.
std::string_view status_text(int status);
// %41 and, where it is asked for, "+". Nothing for a broken escape, a control character or what is not UTF-8.
std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_blank = false);

class Exchange {
 public:
  enum class Sent {
    kTaken,
    kFull,   // the client reads too slowly: nothing was taken; see when_drained()
    kGone,   // the client has left, or the answer has ended
  };
  struct State;
  explicit Exchange(std::shared_ptr<State> state);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const ServerRequest& request() const;

  // The whole answer. The first answer counts; later ones are dropped.
  void respond(ServerResponse response);

  // An answer in pieces: the head with what there is of the body, then send() as often as wanted, then end().
  void begin(ServerResponse head);
  Sent send(std::string_view bytes);
  void end();
  // Server-sent events; a comment is sent by itself where nothing was for HttpServerOptions::keep_alive.
  void begin_events(HttpHeaders headers = {});
  Sent event(std::string_view data, std::string_view type = {}, std::string_view id = {});
  // Breaks off a stream so that the client sees that it is not whole.
  void abort();

  bool gone() const;                                 // the client has left; nobody reads an answer
  void when_gone(std::function<void()> task);        // once; never after the answer has ended
  std::size_t unsent() const;                        // bytes that the client has not taken
  void when_drained(std::function<void()> task);     // once, when send() takes again, or the client is gone
  // Goes out with whatever answer there will be.
  void add_header(std::string name, std::string value);
  // For the access log: members beside those of the server.
  void note(std::string name, std::string value);

 private:
  std::shared_ptr<State> state_;
};

}  // namespace sabir::net

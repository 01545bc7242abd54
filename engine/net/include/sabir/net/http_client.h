// HttpClient: HTTP/1.1 and HTTP/2 requests over libcurl, which is opened with dlopen on the first request so that a
// program that sends none does not pay for it.
//
// Threads: send() blocks and may be called from any thread, any number at once. `on_body` runs on the calling thread.
// Lifetime: connections are kept and reused until the client is destroyed; REQUIRES: no send() runs then. A process
// that forks without exec must not use a client made before the fork.
//
// Proxies come from http_proxy, https_proxy, all_proxy and no_proxy; certificate authorities from CURL_CA_BUNDLE,
// SSL_CERT_FILE and SSL_CERT_DIR, else the system's. Redirects are not followed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https:// only
  HttpHeaders headers;
  std::string body;
  // Each wait has its own bound; zero means that only `total_timeout` bounds it.
  std::chrono::milliseconds connect_timeout{10'000};    // name look-up, TCP and TLS
  std::chrono::milliseconds first_byte_timeout{60'000}; // from the start of send() to the status line
  std::chrono::milliseconds idle_timeout{60'000};       // between two pieces of the answer
  std::chrono::milliseconds total_timeout{120'000};     // the whole exchange; REQUIRES: above zero
  std::size_t most_body_bytes = std::size_t{64} << 20U;
  std::size_t most_header_bytes = std::size_t{256} << 10U;
  std::shared_ptr<std::atomic<bool>> cancelled;  // may be null; looked at every 50 ms
  std::function<std::optional<Error>()> watch;   // may be empty; asked as often, and its error ends the exchange
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  std::string body;     // empty when `on_body` took it
  // First value of the header, or "". `name` in lower case.
  std::string_view header(std::string_view name) const;
};

// Takes pieces of a 2xx answer's body as they arrive; `head` has status and headers. Answers of any other status are
// collected in HttpResponse::body. False ends the exchange early, which is no error.
using OnBody = std::function<bool(const HttpResponse& head, std::string_view piece)>;

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any status is a success here. Errors: kUnavailable (no libcurl), kModelUnreachable (name, connection, TLS, broken
  // answer), kTimeout, kCancelled, kLimit (answer too large), kInvalidArguments (URL, header). Messages name host and
  // port, never the query, user or headers. Data: {"reason": "tls" or "unreachable"} with kModelUnreachable.
  Result<HttpResponse> send(const HttpRequest& request, const OnBody& on_body = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "host:port" of an http or https URL, for messages; "" when it is not one.
std::string host_and_port(std::string_view url);

}  // namespace sabir::net

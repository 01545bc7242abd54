#include "sabir/net/http_client.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include "curl_library.h"
#include "transfers.h"

namespace sabir::net {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n')) {
    text.remove_suffix(1);
  }
  return text;
}

constexpr std::size_t kMostArrived = std::size_t{64} << 10U;  // that wait for a fiber

// What one exchange has seen so far; libcurl's callbacks write here.
struct Exchange {
  const HttpRequest* request = nullptr;
  const OnBody* on_body = nullptr;
  HttpResponse response;
  std::size_t header_bytes = 0;
  std::size_t body_bytes = 0;
  bool head_started = false;
  bool stopped = false;   // on_body said enough
  Fiber* fiber = nullptr; // which takes what has arrived; null: whoever sends does so at once
  std::string arrived;
  bool paused = false;    // until it has
  bool too_large = false;
  Clock::time_point last_piece;
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  exchange.last_piece = Clock::now();
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > exchange.request->most_header_bytes) {
    exchange.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    // A second status line follows 1xx answers and a proxy's CONNECT; the last one counts.
    exchange.response = {};
    exchange.head_started = true;
    const std::size_t space = line.find(' ');
    if (space != std::string_view::npos) {
      exchange.response.status = static_cast<int>(std::strtol(std::string(line.substr(space + 1, 3)).c_str(), nullptr, 10));
    }
    if (exchange.response.status < 200) exchange.head_started = false;
    return line.size();
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    exchange.response.headers.emplace_back(lower(strip(line.substr(0, colon))), strip(line.substr(colon + 1)));
  }
  return line.size();
}

// False: that is enough.
bool take(Exchange& exchange, std::string_view piece) {
  const int status = exchange.response.status;
  if (!*exchange.on_body || status < 200 || status >= 300) {
    exchange.response.body.append(piece);
    return true;
  }
  exchange.stopped = !(*exchange.on_body)(exchange.response, piece);
  return !exchange.stopped;
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view piece(data, size * count);
  exchange.last_piece = Clock::now();
  exchange.body_bytes += piece.size();
  if (exchange.body_bytes > exchange.request->most_body_bytes) {
    exchange.too_large = true;
    return 0;
  }
  if (exchange.fiber == nullptr) return take(exchange, piece) ? piece.size() : 0;
  if (exchange.arrived.size() + piece.size() > kMostArrived && !exchange.arrived.empty()) {
    exchange.body_bytes -= piece.size();  // it comes again
    exchange.paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  exchange.arrived.append(piece);
  exchange.fiber->wake();
  return piece.size();
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

bool plain_header(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos; }

Error unreachable(const Curl& curl, CURLcode code, const char* detail, const std::string& where) {
  const std::string why = detail[0] != '\0' ? detail : curl.easy_strerror(code);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return Error(ErrorCode::kModelUnreachable, "cannot reach " + where + ": the host's name does not resolve",
                   "Check the spelling of the host in base_url, and this machine's network; behind a proxy set "
                   "https_proxy.");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Error(ErrorCode::kModelUnreachable, "cannot reach " + where + ": the proxy's name does not resolve",
                   "Check https_proxy, http_proxy and all_proxy in the environment.");
    case CURLE_COULDNT_CONNECT:
      return Error(ErrorCode::kModelUnreachable, "cannot connect to " + where + ": " + why,
                   "Check that a server runs there, host and port in base_url, and the proxy settings (https_proxy, "
                   "no_proxy).");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return Error(ErrorCode::kModelUnreachable, "TLS with " + where + " failed: " + why,
                   "If the host has a private certificate authority, set SSL_CERT_FILE to its certificate; if not, "
                   "install ca-certificates and check this machine's clock.");
    case CURLE_SSL_CONNECT_ERROR:
      return Error(ErrorCode::kModelUnreachable, "TLS with " + where + " failed: " + why,
                   "Check that the port speaks https; a plain server needs http:// in base_url.");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return Error(ErrorCode::kInvalidArguments, "not an address to send requests to: '" + where + "'",
                   "An address starts with http:// or https:// and has a host.");
    default:
      return Error(ErrorCode::kModelUnreachable, "the exchange with " + where + " broke off: " + why,
                   "Try again; if it stays so, look at the server's log and at proxies in between.");
  }
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string host_and_port(std::string_view url) {
  const std::string scheme = lower(url.substr(0, url.find("://")));
  if ((scheme != "http" && scheme != "https") || url.size() <= scheme.size() + 3) return {};
  url.remove_prefix(scheme.size() + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.empty()) return {};
  const std::size_t bracket = url.rfind(']');
  const std::size_t colon = url.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return std::string(url) + (has_port ? "" : scheme == "https" ? ":443" : ":80");
}

// A thread's exchange has one multi handle with its easy handle: the multi handle owns the connections, so a pair is taken from the idle
// list and put back with its connections open.
struct HttpClient::State {
  struct Line {
    CURLM* multi = nullptr;
    CURL* easy = nullptr;
  };
  static constexpr std::size_t kMostIdle = 16;

  std::mutex mutex;
  std::vector<Line> idle;

  Line take(const Curl& curl) {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Line line = idle.back();
        idle.pop_back();
        return line;
      }
    }
    Line line{curl.multi_init(), curl.easy_init()};
    if (line.multi != nullptr) curl.multi_setopt(line.multi, CURLMOPT_MAXCONNECTS, 4L);
    return line;
  }

  static void close(const Curl& curl, Line line) {
    if (line.easy != nullptr) curl.easy_cleanup(line.easy);
    if (line.multi != nullptr) curl.multi_cleanup(line.multi);
  }

  void give_back(const Curl& curl, Line line) {
    curl.easy_reset(line.easy);
    {
      const std::lock_guard lock(mutex);
      if (idle.size() < kMostIdle) {
        idle.push_back(line);
        return;
      }
    }
    close(curl, line);
  }
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {}

HttpClient::~HttpClient() {
  if (state_->idle.empty()) return;
  for (const auto& line : state_->idle) State::close(curl_library(), line);
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request, const OnBody& on_body) {
  const std::string where = host_and_port(request.url);
  if (where.empty() || !plain_header(request.url)) {
    return fail(ErrorCode::kInvalidArguments, "not an http or https address with a host",
                "An address looks like https://api.openai.com/v1 or http://127.0.0.1:8080/v1.");
  }
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !plain_header(name) || name.find_first_of(": ") != std::string::npos || !plain_header(value)) {
      return fail(ErrorCode::kInvalidArguments, "header '" + name + "' for " + where + " has a line break or a bad name",
                  "A key pasted with a line break is the usual cause.");
    }
  }
  const Curl& curl = curl_library();
  if (!curl.problem.empty()) {
    return fail(ErrorCode::kUnavailable, "cannot send a request to " + where + ": " + curl.problem,
                "Install it: apt-get install libcurl4");
  }
  auto* const fiber = Fiber::current();
  Loop* const loop = fiber != nullptr ? &fiber->loop() : nullptr;
  State::Line line = loop != nullptr ? State::Line{nullptr, take_handle(*loop)} : state_->take(curl);
  if (line.easy == nullptr || (line.multi == nullptr && loop == nullptr)) {
    State::close(curl, line);
    return fail(ErrorCode::kInternal, "libcurl gives no handle for a request to " + where);
  }

  Exchange exchange;
  exchange.request = &request;
  exchange.on_body = &on_body;
  exchange.fiber = fiber;
  char detail[CURL_ERROR_SIZE] = {};
  curl_slist* headers = nullptr;
  const auto add_header = [&](const std::string& text) {
    if (curl_slist* next = curl.slist_append(headers, text.c_str()); next != nullptr) headers = next;
  };
  for (const auto& [name, value] : request.headers) add_header(value.empty() ? name + ";" : name + ": " + value);
  add_header("Expect:");  // no round trip for permission to send the body

  CURL* easy = line.easy;
  curl.easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl.easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl.easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl.easy_setopt(easy, CURLOPT_USERAGENT, "sabir/" SABIR_VERSION);
  curl.easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
  curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  curl.easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl.easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_write);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  const char* bundle = environment("CURL_CA_BUNDLE");
  if (bundle == nullptr) bundle = environment("SSL_CERT_FILE");
  if (bundle != nullptr) curl.easy_setopt(easy, CURLOPT_CAINFO, bundle);
  if (const char* folder = environment("SSL_CERT_DIR")) curl.easy_setopt(easy, CURLOPT_CAPATH, folder);
  if (request.method == "POST" || !request.body.empty()) {
    curl.easy_setopt(easy, CURLOPT_POST, 1L);
    curl.easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method == "HEAD") {
    curl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET" && request.method != "POST") {
    curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  const auto started = Clock::now();
  exchange.last_piece = started;
  const auto over = [](Clock::time_point since, milliseconds most) {
    return most.count() > 0 && Clock::now() - since >= most;
  };
  const auto seconds = [](milliseconds span) {
    std::string text = std::to_string(static_cast<double>(span.count()) / 1000.0);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text + " s";
  };

  std::optional<Error> error;
  const auto look = [&] {
    if (request.cancelled && request.cancelled->load(std::memory_order_relaxed)) {
      error = Error(ErrorCode::kCancelled, "the request to " + where + " was cancelled");
    } else if (over(started, request.total_timeout)) {
      error = Error(ErrorCode::kTimeout, where + " has not finished its answer within " + seconds(request.total_timeout),
                    "Raise the timeout, or ask for a shorter answer.");
    } else if (!exchange.head_started && over(started, request.first_byte_timeout)) {
      error = Error(ErrorCode::kTimeout, where + " has not begun to answer within " + seconds(request.first_byte_timeout),
                    "Look whether the server is overloaded or still loading its model.");
    } else if (exchange.head_started && over(exchange.last_piece, request.idle_timeout)) {
      error = Error(ErrorCode::kTimeout, where + " has gone silent for " + seconds(request.idle_timeout) +
                                             " in the middle of its answer",
                    "Try again; look at the server's log and at proxies in between.");
    } else if (request.watch) {
      error = request.watch();
    }
    return error.has_value();
  };
  CURLcode outcome = CURLE_OK;
  if (loop != nullptr) {
    Transfer transfer(easy);
    while (!exchange.stopped) {
      const bool ended = transfer.ended().has_value();
      if (!exchange.arrived.empty() && !take(exchange, std::exchange(exchange.arrived, {}))) break;
      if (ended) {
        outcome = *transfer.ended();
        break;
      }
      if (std::exchange(exchange.paused, false)) {
        transfer.go_on();
        continue;
      }
      if (look()) break;
      transfer.wait();
    }
  } else {
    curl.multi_add_handle(line.multi, easy);
    bool finished = false;
    while (!finished && !error) {
      int running = 0;
      if (curl.multi_perform(line.multi, &running) != CURLM_OK) {
        error = Error(ErrorCode::kInternal, "libcurl cannot go on with a request to " + where);
        break;
      }
      int left = 0;
      while (CURLMsg* message = curl.multi_info_read(line.multi, &left)) {
        if (message->msg == CURLMSG_DONE) {
          finished = true;
          outcome = message->data.result;
        }
      }
      if (!finished && !look()) curl.multi_poll(line.multi, nullptr, 0, 50, nullptr);
    }
    curl.multi_remove_handle(line.multi, easy);
  }
  curl.slist_free_all(headers);

  if (!error && outcome != CURLE_OK && !exchange.stopped) {
    if (exchange.too_large) {
      error = Error(ErrorCode::kLimit, "the answer of " + where + " is larger than " +
                                           std::to_string(exchange.header_bytes > request.most_header_bytes
                                                              ? request.most_header_bytes
                                                              : request.most_body_bytes) +
                                           " bytes");
    } else if (outcome == CURLE_OPERATION_TIMEDOUT) {
      error = Error(ErrorCode::kTimeout, "cannot connect to " + where + " within " + seconds(request.connect_timeout),
                    "Check host and port in base_url, firewalls, and the proxy settings (https_proxy, no_proxy).");
    } else {
      error = unreachable(curl, outcome, detail, where);
      const bool tls = outcome == CURLE_PEER_FAILED_VERIFICATION || outcome == CURLE_SSL_CACERT_BADFILE || outcome == CURLE_SSL_CONNECT_ERROR;
      if (error->code == ErrorCode::kModelUnreachable) error->data = tls ? R"({"reason":"tls"})" : R"({"reason":"unreachable"})";
    }
  }
  if (error) {
    // The handle may be in the middle of an answer: its connections are not worth keeping.
    State::close(curl, line);
    return fail(std::move(*error));
  }
  if (loop != nullptr) give_back_handle(*loop, line.easy);
  else state_->give_back(curl, line);
  return std::move(exchange.response);
}

}  // namespace sabir::net

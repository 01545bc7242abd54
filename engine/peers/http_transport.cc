#include "http_transport.h"

#include <mutex>

#include "sabir/base/log.h"
#include "sabir/mcp/message.h"
#include "sabir/net/sse_parser.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::peers {
namespace {

constexpr std::size_t kMostThreads = 64;
constexpr std::size_t kMostWaiting = 1000;
constexpr std::size_t kMostAnswer = std::size_t{32} << 20U;
constexpr int kMostTries = 4;               // of one request, with another token each time
constexpr int kMostResumptions = 8;         // without a message between them
constexpr std::chrono::milliseconds kPause{1000};        // before a stream is taken up again, where the server names none
constexpr std::chrono::milliseconds kLongestPause{60'000};
constexpr std::chrono::hours kLongest{24};  // an exchange ends by its caller's deadline
constexpr std::chrono::milliseconds kFarewell{2000};
constexpr std::chrono::milliseconds kNotice{10'000};     // for what is not answered

bool is_events(const net::HttpResponse& head) { return head.header("content-type").starts_with("text/event-stream"); }

}  // namespace

struct HttpTransport::Shared {
  Shared(net::Loop& l, const project::McpServer& s, const secrets::Secrets& k, std::shared_ptr<Authorizer> a, TransportEvents e)
      : loop(l), server(s), secrets(k), authorizer(std::move(a)), events(std::move(e)) {}

  net::Loop& loop;
  const project::McpServer& server;
  const secrets::Secrets& secrets;
  const std::shared_ptr<Authorizer> authorizer;
  const TransportEvents events;
  HttpTransport* owner = nullptr;  // the loop's; null = it is gone
  bool has_lost = false;           // the loop's
  net::HttpClient http;
  std::mutex mutex;
  std::string session;             // Mcp-Session-Id; "" = none
  std::string revision;            // the loop's; of the session

  std::string session_now() {
    const std::lock_guard lock(mutex);
    return session;
  }
  std::string shown() const { return "the MCP server '" + server.name + "'"; }
};

// What one thread does: a request until it is answered, or the session's own stream.
struct HttpTransport::Exchange {
  std::shared_ptr<Shared> shared;
  std::shared_ptr<std::atomic<bool>> cancelled;
  mcp::RequestId request = 0;
  std::string method;
  bool is_answered = false;
  bool has_progressed = false;      // a message has come since the last resumption
  std::string last_event;
  std::chrono::milliseconds pause = kPause;

  // Any thread: on the loop, unless the transport is gone.
  void post(std::function<void(Shared&)> task) const {
    shared->loop.post([kept = shared, task = std::move(task)] {
      if (kept->owner && !kept->owner->is_closing_) task(*kept);
    });
  }
  void undelivered(Error error, bool is_refused = false) {
    is_answered = true;
    if (cancelled->load()) return;
    post([id = request, error = std::move(error), is_refused](Shared& s) { s.events.undelivered(id, error, is_refused); });
  }
  void message(std::string text) {
    has_progressed = true;
    if (request != 0 && !is_answered) {
      const auto read = mcp::read_message(text);
      is_answered = read ? read->kind == mcp::Message::Kind::kResponse && read->id == std::to_string(request) : false;
    }
    post([id = request, text = std::move(text)](Shared& s) { s.events.message(text, id); });
  }
  void lost(Error error, bool is_expired) {
    is_answered = true;
    post([error = std::move(error), is_expired](Shared& s) {
      if (!std::exchange(s.has_lost, true)) s.events.lost(error, is_expired);
    });
  }

  Result<net::HttpRequest> request_with(const std::string& verb, const std::vector<std::pair<std::string, std::string>>& headers, std::string& token) {
    net::HttpRequest out;
    out.method = verb;
    out.url = shared->server.url;
    out.headers = {{"Accept", verb == "GET" ? "text/event-stream" : "application/json, text/event-stream"}};
    if (verb == "POST") out.headers.emplace_back("Content-Type", "application/json");
    bool has_own = false;
    for (const auto& [name, value] : shared->server.headers) {
      auto text = shared->secrets.fill_in(value);
      if (!text) return fail(std::move(text.error()));
      has_own = has_own || (name.size() == 13 && std::equal(name.begin(), name.end(), "authorization", [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; }));
      out.headers.emplace_back(name, std::move(*text));
    }
    if (!has_own) {
      auto header = shared->authorizer->header(cancelled);
      if (!header) return fail(std::move(header.error()));
      token = std::move(*header);
      if (!token.empty()) out.headers.emplace_back("Authorization", token);
    }
    if (const auto session = shared->session_now(); !session.empty() && method != "initialize") out.headers.emplace_back("Mcp-Session-Id", session);
    out.headers.insert(out.headers.end(), headers.begin(), headers.end());
    out.first_byte_timeout = std::chrono::milliseconds(0);
    out.idle_timeout = std::chrono::milliseconds(0);
    out.total_timeout = verb == "POST" && request == 0 ? kNotice : std::chrono::milliseconds(kLongest);
    out.most_body_bytes = std::size_t{1} << 40U;  // each event and each JSON answer has a bound of its own
    out.cancelled = cancelled;
    return out;
  }

  static Error named(Error error, const Shared& shared) {
    if (error.code == ErrorCode::kModelUnreachable) {
      error.code = ErrorCode::kUnavailable;
      error.hint = "Check that " + shared.shown() + " runs there, and its url in config/mcp.yml.";
      error.data.clear();
    }
    return error;
  }

  // One request, with another token where the first is refused. Its events are told as they come.
  Result<net::HttpResponse> ask(const std::string& verb, const std::string& body, const std::vector<std::pair<std::string, std::string>>& headers) {
    for (int tries = 1;; ++tries) {
      std::string token;
      auto asked = request_with(verb, headers, token);
      if (!asked) return fail(std::move(asked.error()));
      asked->body = body;
      net::SseParser events(kMostAnswer);
      std::string collected;
      std::optional<Error> broken;
      bool streams = false;
      auto answer = shared->http.send(*asked, [&](const net::HttpResponse& head, std::string_view piece) {
        streams = is_events(head);
        // Before the answer itself is told: what it brings about belongs to the session already.
        if (method == "initialize") take_session(head);
        if (!streams) {
          collected += piece;
          if (collected.size() > kMostAnswer) broken = Error(ErrorCode::kLimit, shared->shown() + " answers with more than " + std::to_string(kMostAnswer >> 20U) + " MiB");
          return !broken;
        }
        auto some = events.feed(piece);
        if (!some) {
          broken = std::move(some.error());
          return false;
        }
        note(events);
        for (auto& event : *some) {
          if (event.type == "message" && !event.data.empty()) message(std::move(event.data));
        }
        return !(request != 0 && is_answered);
      });
      if (broken) return fail(std::move(*broken));
      if (!answer) {
        // A stream that breaks off can be taken up again.
        if (streams && !cancelled->load() && !last_event.empty()) return net::HttpResponse{200, {{"content-type", "text/event-stream"}}, ""};
        return fail(named(std::move(answer.error()), *shared));
      }
      if (streams) {
        if (auto last = events.finish(); last && last->type == "message" && !last->data.empty() && !is_answered) message(std::move(last->data));
        note(events);
      }
      if (answer->status >= 200 && answer->status < 300) answer->body = std::move(collected);
      const bool is_refused = answer->status == 401 || (answer->status == 403 && answer->header("www-authenticate").find("insufficient_scope") != std::string_view::npos);
      if (!is_refused) return answer;
      if (tries >= kMostTries) return fail(ErrorCode::kUnavailable, shared->shown() + " refuses each token that it was sent (status " + std::to_string(answer->status) + ")");
      if (auto again = shared->authorizer->refused(answer->status, answer->header("www-authenticate"), token, cancelled); !again) return fail(std::move(again.error()));
    }
  }

  void take_session(const net::HttpResponse& head) const {
    const std::lock_guard lock(shared->mutex);
    shared->session = std::string(head.header("mcp-session-id"));
  }

  void note(const net::SseParser& events) {
    if (!events.last_id().empty()) last_event = events.last_id();
    if (events.retry_ms()) pause = std::min(std::chrono::milliseconds(*events.retry_ms()), kLongestPause);
  }

  bool wait(std::chrono::milliseconds span) const {
    const auto until = std::chrono::steady_clock::now() + span;
    while (!cancelled->load()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) return true;
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(20)));
    }
    return false;
  }

  void deliver(const mcp::ClientMessage& message_out) {
    request = message_out.request;
    method = message_out.method;
    auto answer = ask("POST", message_out.text, message_out.headers);
    if (!answer) {
      if (request != 0 && !is_answered) undelivered(std::move(answer.error()));
      return;
    }
    const int status = answer->status;
    if (request == 0 || is_answered) {
      if (status == 404 && !shared->session_now().empty()) lost(Error(ErrorCode::kUnavailable, shared->shown() + " has forgotten the session"), true);
      return;
    }
    if (status >= 200 && status < 300) {
      if (is_events(*answer)) return resume(message_out.headers);
      if (answer->body.empty()) return undelivered(Error(ErrorCode::kProtocol, shared->shown() + " answers with nothing (status " + std::to_string(status) + ")"));
      // Whatever id it wrote: it is the answer to this.
      if (auto text = with_own_id(answer->body)) {
        is_answered = true;
        return message(std::move(*text));
      }
      return undelivered(Error(ErrorCode::kProtocol, shared->shown() + " does not answer with a message of the protocol"));
    }
    if (status == 404 && !shared->session_now().empty() && method != "initialize" && method != "server/discover") {
      return lost(Error(ErrorCode::kUnavailable, shared->shown() + " has forgotten the session"), true);
    }
    if (auto text = with_own_id(answer->body)) {
      is_answered = true;
      return message(std::move(*text));
    }
    std::string hint = "Look at the server's log.";
    if (status == 404 || status == 405) hint = "Check the url in config/mcp.yml: it is the address of the MCP endpoint itself. Servers that speak the older HTTP+SSE transport alone are not spoken to.";
    if (status >= 300 && status < 400) hint = "It points to " + mcp::harmless(answer->header("location"), 300) + ". Redirects are not followed, so that no token goes astray: if that is right, write it into config/mcp.yml.";
    const bool is_verdict = status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 && status != 429;
    undelivered(Error(ErrorCode::kUnavailable, shared->shown() + " answers with status " + std::to_string(status), std::move(hint)), is_verdict);
  }

  // A response that a body holds, with the id of this request in place of its own.
  std::optional<std::string> with_own_id(std::string_view body) const {
    const auto members = protocol::raw_members(body);
    if (!members) return std::nullopt;
    const std::string id = std::to_string(request);
    if (const auto result = protocol::find_member(*members, "result"); result && result->front() == '{') return mcp::make_result(id, *result);
    if (const auto error = protocol::find_member(*members, "error"); error && error->front() == '{') return "{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"error\":" + std::string(*error) + "}";
    return std::nullopt;
  }

  void resume(const std::vector<std::pair<std::string, std::string>>& headers) {
    for (int tries = 0; !is_answered; ++tries) {
      if (has_progressed) tries = 0;
      has_progressed = false;
      if (last_event.empty() || tries >= kMostResumptions) {
        return undelivered(Error(ErrorCode::kUnavailable, shared->shown() + " has ended its answer before the result", "What was asked may have been done."));
      }
      if (!wait(pause)) return;
      std::vector<std::pair<std::string, std::string>> more;
      for (const auto& one : headers) {
        if (one.first == "MCP-Protocol-Version") more.push_back(one);
      }
      more.emplace_back("Last-Event-ID", last_event);
      auto answer = ask("GET", "", more);
      if (cancelled->load()) return;
      if (!answer) continue;  // perhaps it is back in a moment
      if (answer->status >= 400 && answer->status < 500) {
        return undelivered(Error(ErrorCode::kUnavailable, shared->shown() + " does not let its answer be taken up again (status " + std::to_string(answer->status) + ")", "What was asked may have been done."));
      }
    }
  }

  // The session's own stream, for what the server says of itself.
  void listen(const std::string& revision) {
    int failures = 0;
    while (!cancelled->load() && failures < kMostResumptions) {
      std::vector<std::pair<std::string, std::string>> headers{{"MCP-Protocol-Version", revision}};
      if (!last_event.empty()) headers.emplace_back("Last-Event-ID", last_event);
      const auto begun = std::chrono::steady_clock::now();
      const auto answer = ask("GET", "", headers);
      if (cancelled->load() || (answer && answer->status >= 400)) return;  // 405: it has none
      failures = answer && std::chrono::steady_clock::now() - begun > std::chrono::seconds(10) ? 0 : failures + 1;
      if (!wait(pause * (1 + failures))) return;
    }
  }
};

HttpTransport::HttpTransport(net::Loop& loop, const project::McpServer& server, const secrets::Secrets& secrets, std::shared_ptr<Authorizer> authorizer, TransportEvents events)
    : shared_(std::make_shared<Shared>(loop, server, secrets, std::move(authorizer), std::move(events))) {
  shared_->owner = this;
}

HttpTransport::~HttpTransport() {
  shared_->owner = nullptr;
  for (auto& [id, one] : running_) *one.cancelled = true;
  for (auto& [id, one] : running_) one.thread.join();
}

bool HttpTransport::begin(mcp::RequestId request, std::function<void(const std::shared_ptr<Exchange>&)> work) {
  if (running_.size() >= kMostThreads) return false;
  const ThreadId id = next_++;
  auto exchange = std::make_shared<Exchange>();
  exchange->shared = shared_;
  exchange->cancelled = std::make_shared<std::atomic<bool>>(false);
  auto& own = running_[id];
  own.cancelled = exchange->cancelled;
  own.request = request;
  own.thread = std::thread([exchange, work = std::move(work), id] {
    work(exchange);
    exchange->shared->loop.post([kept = exchange->shared, id] {
      if (kept->owner) kept->owner->ended(id);
    });
  });
  return true;
}

void HttpTransport::ended(ThreadId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second.thread.join();
  running_.erase(found);
  if (id == notifying_) {
    notifying_ = 0;
    while (notifying_ == 0 && !waiting_.empty() && !is_closing_) {
      auto next = std::move(waiting_.front());
      waiting_.pop_front();
      send(std::move(next));
    }
  }
  if (running_.empty() && closed_) std::exchange(closed_, nullptr)();
}

void HttpTransport::send(mcp::ClientMessage message) {
  if (is_closing_) return;
  // Requests overtake each other as they like, but nothing overtakes "initialized", a cancellation or an answer.
  if (notifying_ != 0 && waiting_.size() < kMostWaiting) {
    waiting_.push_back(std::move(message));
    return;
  }
  const auto id = message.request;
  const auto thread = next_;
  if (begin(id, [message = std::move(message)](const std::shared_ptr<Exchange>& exchange) { exchange->deliver(message); })) {
    if (id == 0) notifying_ = thread;
    return;
  }
  if (id == 0) return;
  shared_->loop.post([kept = shared_, id] {
    if (kept->owner) kept->events.undelivered(id, Error(ErrorCode::kBusy, "more than " + std::to_string(kMostThreads) + " requests are open at " + kept->shown(), "Try again later."), false);
  });
}

void HttpTransport::abandon(mcp::RequestId request) {
  std::erase_if(waiting_, [&](const auto& message) { return message.request == request; });
  for (auto& [id, one] : running_) {
    if (one.request == request) *one.cancelled = true;
  }
}

void HttpTransport::opened(const mcp::Client& client) {
  shared_->revision = mcp::name_of(*client.revision());
  if (mcp::is_stateless(*client.revision())) return;
  // Changes come there, and what a server asks without saying for which call.
  begin(0, [revision = shared_->revision](const std::shared_ptr<Exchange>& exchange) { exchange->listen(revision); });
}

void HttpTransport::close(std::function<void()> done) {
  is_closing_ = true;
  waiting_.clear();
  for (auto& [id, one] : running_) *one.cancelled = true;
  if (!shared_->has_lost && !shared_->session_now().empty()) {
    begin(0, [revision = shared_->revision](const std::shared_ptr<Exchange>& exchange) {
      std::string token;
      auto request = exchange->request_with("DELETE", {{"MCP-Protocol-Version", revision}}, token);
      if (!request) return;
      request->connect_timeout = request->total_timeout = kFarewell;
      if (auto answer = exchange->shared->http.send(*request); !answer) log(LogLevel::kDebug, "the session with " + exchange->shared->shown() + " was not ended: " + answer.error().message);
    });
  }
  if (running_.empty()) return shared_->loop.post(std::move(done));
  closed_ = std::move(done);
}

}  // namespace sabir::peers

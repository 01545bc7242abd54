#include "sabir/net/http_exchange.h"

#include <algorithm>

#include "http_connection.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"

namespace sabir::net {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string chunk(std::string_view bytes) {
  char head[20];
  const int size = std::snprintf(head, sizeof head, "%zx\r\n", bytes.size());
  std::string out;
  out.reserve(bytes.size() + static_cast<std::size_t>(size) + 2);
  out.append(head, static_cast<std::size_t>(size)).append(bytes).append("\r\n");
  return out;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  // A line break would begin another field.
  out += name;
  for (const char c : value) {
    if (c != '\r' && c != '\n' && c != '\0') out += c;
  }
  out += '\n';
}

}  // namespace

std::string_view ServerRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string_view ServerRequest::capture(std::string_view name) const {
  for (const auto& [key, value] : captures) {
    if (key == name) return value;
  }
  return {};
}

std::optional<std::string> ServerRequest::parameter(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto key = percent_decoded(pair.substr(0, equals), true);
    if (key && *key == name) return percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true);
  }
  return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return std::nullopt;
      c = static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  if (find_invalid_utf8(out) != std::string_view::npos) return std::nullopt;
  return out;
}

std::string_view status_text(int status) {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    default: return "";
  }
}

ServerResponse problem(int status, std::string_view detail, std::string_view hint) {
  json::object body{{"type", "about:blank"}, {"title", status_text(status)}, {"status", status}, {"detail", detail}};
  if (!hint.empty()) body["hint"] = hint;
  return {status, {{"Content-Type", "application/problem+json"}}, compact_json(body)};
}

void Exchange::State::run(std::function<void()> task) {
  if (loop.on_loop()) return task();
  loop.post(std::move(task));
}

Exchange::Sent Exchange::State::take(std::string bytes) {
  if (gone || phase != Phase::kStreaming) return Sent::kGone;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const auto before = unsent.fetch_add(size);
  // Half full takes a piece of any size, so that when_drained() promises something.
  if (before > most_unsent / 2 && before + size > most_unsent) {
    unsent.fetch_sub(size);
    return Sent::kFull;
  }
  if (loop.on_loop()) {
    if (connection) connection->pass(bytes);
  } else {
    loop.post([self = shared_from_this(), framed = std::move(bytes)] {
      if (self->connection) self->connection->pass(framed);
    });
  }
  return Sent::kTaken;
}

void Exchange::State::leave() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex);
    if (gone.exchange(true)) return;
    tasks = std::move(when_gone);
    when_gone.clear();
    for (auto& task : when_drained) tasks.push_back(std::move(task));
    when_drained.clear();
  }
  for (const auto& task : tasks) task();
}

void Exchange::State::drain() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex);
    tasks = std::exchange(when_drained, {});
  }
  for (const auto& task : tasks) task();
}

Exchange::Exchange(std::shared_ptr<State> state) : state_(std::move(state)) {}

Exchange::~Exchange() {
  switch (state_->phase) {
    case State::Phase::kOpen: respond(problem(500, "the server lost track of this request")); break;
    case State::Phase::kStreaming: abort(); break;
    case State::Phase::kEnded: break;
  }
}

const ServerRequest& Exchange::request() const { return state_->request; }

void Exchange::respond(ServerResponse response) {
  auto expected = State::Phase::kOpen;
  if (!state_->phase.compare_exchange_strong(expected, State::Phase::kEnded)) return;
  if (state_->loop.on_loop()) {
    if (state_->connection) state_->connection->answer(std::move(response));
    return;
  }
  state_->loop.post([state = state_, response = std::move(response)]() mutable {
    if (state->connection) state->connection->answer(std::move(response));
  });
}

void Exchange::begin(ServerResponse head) {
  auto expected = State::Phase::kOpen;
  if (!state_->phase.compare_exchange_strong(expected, State::Phase::kStreaming)) return;
  auto shared = std::make_shared<ServerResponse>(std::move(head));
  state_->run([state = state_, shared] {
    if (state->connection) state->connection->begin(std::move(*shared), false);
  });
}

void Exchange::begin_events(HttpHeaders headers) {
  auto expected = State::Phase::kOpen;
  if (!state_->phase.compare_exchange_strong(expected, State::Phase::kStreaming)) return;
  auto shared = std::make_shared<ServerResponse>(ServerResponse{200, std::move(headers), {}});
  shared->headers.emplace_back("Content-Type", "text/event-stream");
  shared->headers.emplace_back("Cache-Control", "no-store");
  shared->headers.emplace_back("X-Accel-Buffering", "no");
  state_->run([state = state_, shared] {
    if (state->connection) state->connection->begin(std::move(*shared), true);
  });
}

Exchange::Sent Exchange::send(std::string_view bytes) {
  if (bytes.empty()) return gone() ? Sent::kGone : Sent::kTaken;
  return state_->take(state_->request.http11 ? chunk(bytes) : std::string(bytes));
}

Exchange::Sent Exchange::event(std::string_view data, std::string_view type, std::string_view id) {
  std::string text;
  text.reserve(data.size() + type.size() + id.size() + 32);
  if (!type.empty()) append_field(text, "event: ", type);
  if (!id.empty()) append_field(text, "id: ", id);
  while (true) {
    const std::size_t end = std::min(data.find_first_of("\r\n"), data.size());
    append_field(text, "data: ", data.substr(0, end));
    if (end == data.size()) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2U : 1U));
  }
  text += '\n';
  return send(text);
}

void Exchange::end() {
  auto expected = State::Phase::kStreaming;
  if (!state_->phase.compare_exchange_strong(expected, State::Phase::kEnded)) return;
  state_->run([state = state_] {
    if (state->connection) state->connection->end(true);
  });
}

void Exchange::abort() {
  auto expected = State::Phase::kStreaming;
  if (!state_->phase.compare_exchange_strong(expected, State::Phase::kEnded)) return;
  state_->run([state = state_] {
    if (state->connection) state->connection->end(false);
  });
}

bool Exchange::gone() const { return state_->gone; }
std::size_t Exchange::unsent() const { return static_cast<std::size_t>(std::max<std::int64_t>(state_->unsent, 0)); }

void Exchange::when_gone(std::function<void()> task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->gone) {
      state_->when_gone.push_back(std::move(task));
      return;
    }
  }
  task();
}

void Exchange::when_drained(std::function<void()> task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->gone && state_->unsent > state_->most_unsent / 2) {
      state_->when_drained.push_back(std::move(task));
      return;
    }
  }
  task();
}

void Exchange::add_header(std::string name, std::string value) {
  const std::lock_guard lock(state_->mutex);
  state_->headers.emplace_back(std::move(name), std::move(value));
}

void Exchange::note(std::string name, std::string value) {
  const std::lock_guard lock(state_->mutex);
  state_->notes.emplace_back(std::move(name), std::move(value));
}

}  // namespace sabir::net

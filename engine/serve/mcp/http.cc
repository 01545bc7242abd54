#include "http.h"

#include <algorithm>

#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostKept = std::size_t{256} << 10U;  // bytes of a stream that can be sent again
constexpr std::size_t kMostEvents = 256;
constexpr std::size_t kMostStreams = 1100;                  // of one client: more than it may have requests
constexpr std::size_t kMostCallers = 1000;                  // of the newer era that are kept ready
constexpr std::chrono::seconds kTidy{15};
constexpr std::chrono::minutes kKeepDone{5};                // what ended while nobody read
constexpr std::string_view kRetry = "1000";                 // milliseconds until a client takes up a stream again

bool accepts(std::string_view header, std::string_view type) {
  if (header.empty()) return true;
  const auto kind = type.substr(0, type.find('/'));
  while (!header.empty()) {
    const auto comma = header.find(',');
    auto one = trim(header.substr(0, comma));
    one = trim(one.substr(0, one.find(';')));
    if (one == "*/*" || one == type || (one.ends_with("/*") && one.substr(0, one.size() - 2) == kind)) return true;
    if (comma == std::string_view::npos) break;
    header.remove_prefix(comma + 1);
  }
  return false;
}

void refuse(const std::shared_ptr<net::Exchange>& exchange, int status, const mcp::Refusal& refusal, std::string_view id = {}) {
  net::HttpHeaders headers{{"Content-Type", "application/json"}};
  if (status == 405) headers.emplace_back("Allow", "POST");
  exchange->respond({status, std::move(headers), mcp::make_error(id, refusal)});
}

// For the access log. Names are the client's, and may be anything.
void note_what(net::Exchange& exchange, const mcp::Message& message) {
  constexpr std::size_t kMostName = 128;
  if (!message.method.empty()) exchange.note("rpc", message.method.substr(0, kMostName));
  const auto members = protocol::raw_members(message.params);
  const auto name = members ? protocol::find_member(*members, "name") : std::nullopt;
  if (name && name->size() > 2 && name->front() == '"') exchange.note("name", protocol::unquote(*name).substr(0, kMostName));
}

mcp::RequestHeaders headers_of(const net::ServerRequest& request) {
  mcp::RequestHeaders out;
  constexpr std::string_view kParameter = "mcp-param-";
  for (const auto& [name, value] : request.headers) {
    const std::string text(trim(value));
    if (name == "mcp-protocol-version") out.revision = text;
    else if (name == "mcp-method") out.method = text;
    else if (name == "mcp-name") out.name = text;
    else if (name.starts_with(kParameter)) out.parameters.emplace_back(name.substr(kParameter.size()), text);
  }
  return out;
}

std::string event_id(mcp::ExchangeId stream, std::uint64_t number) { return std::to_string(stream) + "-" + std::to_string(number); }

std::optional<std::pair<mcp::ExchangeId, std::uint64_t>> read_event_id(std::string_view text) {
  const auto dash = text.find('-');
  const auto number = [](std::string_view digits) { return !digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string_view::npos; };
  if (dash == std::string_view::npos || !number(text.substr(0, dash)) || !number(text.substr(dash + 1))) return std::nullopt;
  return std::pair{std::stoull(std::string(text.substr(0, dash))), std::stoull(std::string(text.substr(dash + 1)))};
}

}  // namespace

struct McpHttp::Client {
  Client(McpHttp& http, const CallContext& context, std::string principal_, bool is_session)
      : principal(std::move(principal_)), has_session(is_session), host(http.engine_, http.offers_, context),
        server(host, options_of(http), [this, &http](const mcp::Outgoing& out) { http.take(*this, out); }) {
    http.offers_.listen(this, [this](const Offers::Changes& changes) {
      for (const auto kind : changes.lists) server.changed(kind);
      for (const auto& uri : changes.resources) server.updated(uri);
    });
  }
  mcp::ServerOptions options_of(McpHttp& http) {
    mcp::ServerOptions out;
    const auto project = http.offers_.project();
    out.version = SABIR_VERSION;
    out.title = project->mcp.title.empty() ? project->name : project->mcp.title;
    out.instructions = project->mcp.instructions;
    out.seal = http.seal_;
    out.is_shared = !has_session;
    out.is_open = http.options_.is_open;
    out.now_ms = [] { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); };
    out.watch = [this](const std::string& uri, bool wanted) {
      host.watch(uri, wanted, [this](const std::string& changed) { server.updated(changed); });
    };
    return out;
  }
  bool is_busy() const {
    if (server.open() > 0) return true;
    return std::any_of(streams.begin(), streams.end(), [](const auto& one) { return one.second.http != nullptr; });
  }

  std::string id;  // of a session
  const std::string principal;
  const bool has_session;
  Clock::time_point used = Clock::now();
  mcp::ExchangeId last = 0;
  std::map<mcp::ExchangeId, Stream> streams;
  EngineHost host;
  mcp::Server server;  // last: it uses the rest
};

McpHttp::McpHttp(runtime::Engine& engine, McpHttpOptions options) : engine_(engine), options_(options), offers_(engine) {
  timer_ = engine_.loop().after(kTidy, [this, here = alive_] {
    if (*here) tidy();
  });
}

McpHttp::~McpHttp() {
  *alive_ = false;
  engine_.loop().cancel(timer_);
  shut_down();
}

void McpHttp::drain() {
  for (auto* clients : {&sessions_, &stateless_}) {
    for (const auto& [key, client] : std::map(*clients)) {
      client->server.end_listening();
      const auto own = client->streams.find(0);
      if (own == client->streams.end() || !own->second.http) continue;
      std::exchange(own->second.http, nullptr)->end();
    }
  }
}

void McpHttp::shut_down() {
  for (auto* clients : {&sessions_, &stateless_}) {
    const auto all = std::move(*clients);
    clients->clear();
    for (const auto& [key, client] : all) forget_later(client);
  }
}

void McpHttp::handle(const std::shared_ptr<net::Exchange>& exchange, const CallContext& context, const std::string& name) {
  const auto& method = exchange->request().method;
  const std::string principal = compact_json(json::array{name, context.user, context.tenant});
  if (method == "POST") return post(exchange, context, principal);
  if (method == "GET") return get(exchange, principal);
  remove(exchange, principal);
}

std::shared_ptr<McpHttp::Client> McpHttp::make_client(const CallContext& context, const std::string& principal, bool is_session) {
  return std::make_shared<Client>(*this, context, principal, is_session);
}

// ---- requests --------------------------------------------------------------------------------------------------------------

void McpHttp::post(const std::shared_ptr<net::Exchange>& exchange, const CallContext& context, const std::string& principal) {
  const auto& request = exchange->request();
  const auto type = trim(request.header("content-type").substr(0, request.header("content-type").find(';')));
  if (type != "application/json") return refuse(exchange, 415, {mcp::kInvalidRequest, "the request's Content-Type must be application/json", {}});
  const auto accept = request.header("accept");
  if (!accepts(accept, "application/json") || !accepts(accept, "text/event-stream")) {
    return refuse(exchange, 406, {mcp::kInvalidRequest, "the request must accept application/json and text/event-stream", {}});
  }
  auto message = mcp::read_message(request.body);
  if (!message) return refuse(exchange, 400, message.error().refusal, message.error().id);
  note_what(*exchange, *message);
  const auto headers = headers_of(request);
  if (mcp::is_stateless_request(headers, *message)) return stateless(exchange, *message, headers, context, principal);
  if (headers.revision && !mcp::revision_of(*headers.revision)) {
    return refuse(exchange, 400, {mcp::kInvalidRequest, "the revision '" + *headers.revision + "' is not spoken here", {}}, message->id);
  }
  const bool opens = message->kind == mcp::Message::Kind::kRequest && message->method == "initialize";
  std::shared_ptr<Client> client;
  if (opens && request.header("mcp-session-id").empty()) {
    if (!make_room()) return refuse(exchange, 503, {mcp::kInternalError, "there are as many sessions as there may be; try again later", {}}, message->id);
    client = make_client(context, principal, true);
    client->id = new_id() + new_id();
    sessions_.emplace(client->id, client);
  } else {
    if (!session_of(exchange, principal)) return;
    client = sessions_.at(std::string(request.header("mcp-session-id")));
  }
  client->used = Clock::now();
  const auto id = ++client->last;
  auto& stream = client->streams[id];
  stream.http = exchange;
  stream.is_opening = opens;
  // What runs for a session goes on without its reader, who may take up the stream again.
  exchange->when_gone([here = alive_, weak = std::weak_ptr<Client>(client), id] {
    const auto there = weak.lock();
    if (!*here || !there) return;
    if (const auto found = there->streams.find(id); found != there->streams.end()) {
      found->second.http = nullptr;
      if (found->second.is_done && found->second.events.empty()) there->streams.erase(found);
    }
  });
  client->server.receive(id, *message, principal);
  // What did not become a session leaves nothing behind.
  if (opens && !client->server.has_session()) {
    sessions_.erase(client->id);
    forget_later(client);
  }
}

void McpHttp::stateless(const std::shared_ptr<net::Exchange>& exchange, const mcp::Message& message, const mcp::RequestHeaders& headers, const CallContext& context,
                        const std::string& principal) {
  if (auto refusal = mcp::check_headers(headers, message, *offers_.catalogue())) return refuse(exchange, 400, *refusal, message.id);
  auto& client = stateless_[principal];
  if (!client) {
    if (stateless_.size() > kMostCallers) {
      const auto idle = std::find_if(stateless_.begin(), stateless_.end(), [](const auto& one) { return one.second && !one.second->is_busy(); });
      if (idle == stateless_.end()) {
        stateless_.erase(principal);
        return refuse(exchange, 503, {mcp::kInternalError, "there are as many callers as there may be; try again later", {}}, message.id);
      }
      forget_later(idle->second);
      stateless_.erase(idle);
    }
    client = make_client(context, principal, false);
  }
  client->used = Clock::now();
  const auto id = ++client->last;
  client->streams[id].http = exchange;
  exchange->when_gone([this, here = alive_, weak = std::weak_ptr<Client>(client), id] {
    const auto there = weak.lock();
    if (*here && there) lose(*there, id);
  });
  const auto held = client;
  held->server.receive(id, message, principal);
}

McpHttp::Client* McpHttp::session_of(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal) {
  const auto& request = exchange->request();
  const std::string id(request.header("mcp-session-id"));
  if (id.empty()) {
    refuse(exchange, 400, {mcp::kInvalidRequest, "the request needs the header Mcp-Session-Id that 'initialize' was answered with", {}});
    return nullptr;
  }
  const auto found = sessions_.find(id);
  // Another caller's session is none at all.
  if (found == sessions_.end() || found->second->principal != principal) {
    refuse(exchange, 404, {mcp::kInvalidRequest, "there is no such session, or it has ended: open another", {}});
    return nullptr;
  }
  const auto revision = request.header("mcp-protocol-version");
  const auto agreed = found->second->server.session_revision();
  if (!revision.empty() && agreed && trim(revision) != mcp::name_of(*agreed)) {
    refuse(exchange, 400, {mcp::kInvalidRequest, "the session speaks revision " + std::string(mcp::name_of(*agreed)) + ", the header says " + std::string(trim(revision)), {}});
    return nullptr;
  }
  return found->second.get();
}

void McpHttp::get(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal) {
  const auto& request = exchange->request();
  if (request.header("mcp-session-id").empty()) return refuse(exchange, 405, {mcp::kInvalidRequest, "only a session has a stream of its own; send requests by POST", {}});
  if (request.header("accept").empty() || !accepts(request.header("accept"), "text/event-stream")) {
    return refuse(exchange, 406, {mcp::kInvalidRequest, "the request must accept text/event-stream", {}});
  }
  if (!session_of(exchange, principal)) return;
  const auto client = sessions_.at(std::string(request.header("mcp-session-id")));
  client->used = Clock::now();
  mcp::ExchangeId id = 0;
  std::uint64_t seen = 0;
  if (const auto last = request.header("last-event-id"); !last.empty()) {
    const auto read = read_event_id(last);
    if (!read || (read->first != 0 && !client->streams.contains(read->first))) return refuse(exchange, 404, {mcp::kInvalidRequest, "the stream of that event is gone", {}});
    id = read->first;
    seen = read->second;
  } else if (client->streams.contains(0)) {
    seen = client->streams.at(0).next - 1;  // from now on
  }
  auto& stream = client->streams[id];
  if (stream.http) stream.http->end();
  stream.http = exchange;
  stream.has_begun = false;
  exchange->when_gone([here = alive_, weak = std::weak_ptr<Client>(client), id, raw = exchange.get()] {
    const auto there = weak.lock();
    if (!*here || !there) return;
    const auto found = there->streams.find(id);
    if (found != there->streams.end() && found->second.http.get() == raw) found->second.http = nullptr;
  });
  begin_events(*client, id, stream);
  for (const auto& event : std::deque<Event>(stream.events)) {
    if (event.number > seen && stream.http) write(*client, id, stream, event);
  }
  if (stream.is_done && stream.http) {
    stream.http->end();
    client->streams.erase(id);
  }
}

void McpHttp::remove(const std::shared_ptr<net::Exchange>& exchange, const std::string& principal) {
  if (exchange->request().header("mcp-session-id").empty()) return refuse(exchange, 405, {mcp::kInvalidRequest, "only a session can be ended", {}});
  if (!session_of(exchange, principal)) return;
  const auto found = sessions_.find(std::string(exchange->request().header("mcp-session-id")));
  const auto client = found->second;
  sessions_.erase(found);
  forget_later(client);
  exchange->respond({200, {}, {}});
}

// ---- answers ---------------------------------------------------------------------------------------------------------------

void McpHttp::take(Client& client, const mcp::Outgoing& out) {
  auto found = client.streams.find(out.exchange);
  if (found == client.streams.end()) {
    if (out.exchange != 0 || !client.has_session || out.text.empty()) return;
    found = client.streams.emplace(0, Stream{}).first;
  }
  Stream& stream = found->second;
  const auto finish = [&] {
    stream.is_done = true;
    stream.done_at = Clock::now();
    // Nobody has read it to its end: it is kept for a while.
    if (stream.http || !client.has_session) client.streams.erase(found);
  };
  if (out.is_last && !stream.has_begun && stream.http && stream.events.empty()) {
    if (out.text.empty()) {
      stream.http->respond({out.status == 200 ? 202 : out.status, {}, {}});
    } else {
      net::HttpHeaders headers{{"Content-Type", "application/json"}};
      if (stream.is_opening && client.server.has_session()) headers.emplace_back("Mcp-Session-Id", client.id);
      stream.http->respond({out.status, std::move(headers), out.text});
    }
    client.streams.erase(found);
    return;
  }
  if (!out.text.empty()) {
    Event event{stream.next++, out.text};
    if (client.has_session) {
      stream.bytes += event.text.size();
      stream.events.push_back(event);
      while (stream.events.size() > 1 && (stream.events.size() > kMostEvents || stream.bytes > kMostKept)) {
        stream.bytes -= stream.events.front().text.size();
        stream.events.pop_front();
      }
    }
    if (stream.http) {
      if (!stream.has_begun) begin_events(client, out.exchange, stream);
      write(client, out.exchange, stream, event);
      // Writing may have lost the reader, and with it the stream.
      found = client.streams.find(out.exchange);
      if (found == client.streams.end()) return;
    }
  }
  if (!out.is_last) return;
  if (stream.http) stream.http->end();
  finish();
}

void McpHttp::begin_events(Client& client, mcp::ExchangeId id, Stream& stream) {
  net::HttpHeaders headers{{"X-Accel-Buffering", "no"}};
  if (client.has_session && stream.is_opening) headers.emplace_back("Mcp-Session-Id", client.id);
  stream.http->begin_events(std::move(headers));
  stream.has_begun = true;
  // With an id from the first moment on, so that a client that loses the stream can take it up again.
  if (client.has_session && client.server.session_revision() == mcp::Revision::k2025_11_25) {
    stream.http->send("id: " + event_id(id, stream.events.empty() ? 0 : stream.events.front().number - 1) + "\nretry: " + std::string(kRetry) + "\ndata:\n\n");
  }
}

void McpHttp::write(Client& client, mcp::ExchangeId id, Stream& stream, const Event& event) {
  const auto sent = stream.http->event(event.text, {}, client.has_session ? event_id(id, event.number) : std::string());
  if (sent != net::Exchange::Sent::kFull) return;
  // It reads too slowly. A session's client may take up the stream where it stands; else the request is lost with it.
  stream.http->abort();
  stream.http = nullptr;
  if (!client.has_session) {
    engine_.loop().post([this, here = alive_, &client, id, held = client.principal] {
      const auto found = *here ? stateless_.find(held) : stateless_.end();
      if (*here && found != stateless_.end() && found->second.get() == &client) lose(client, id);
    });
  }
}

// A reader of the newer era has gone, and with it the request.
void McpHttp::lose(Client& client, mcp::ExchangeId id) {
  const auto found = client.streams.find(id);
  if (found == client.streams.end()) return;
  found->second.http = nullptr;
  client.streams.erase(found);
  client.server.closed(id);
}

// ---- sessions --------------------------------------------------------------------------------------------------------------

bool McpHttp::make_room() {
  if (sessions_.size() < options_.most_sessions) return true;
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (it->second->is_busy()) continue;
    if (oldest == sessions_.end() || it->second->used < oldest->second->used) oldest = it;
  }
  if (oldest == sessions_.end()) return false;
  forget_later(oldest->second);
  sessions_.erase(oldest);
  return true;
}

// Its server may be what is running just now.
void McpHttp::forget_later(const std::shared_ptr<Client>& client) {
  offers_.forget(client.get());
  client->server.shut_down();
  for (auto& [id, stream] : client->streams) {
    if (stream.http) stream.http->end();
    stream.http = nullptr;
  }
  engine_.loop().post([client] {});
}

void McpHttp::tidy() {
  const auto now = Clock::now();
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    auto& client = *it->second;
    std::erase_if(client.streams, [&](const auto& one) { return one.second.is_done && now - one.second.done_at > kKeepDone; });
    while (client.streams.size() > kMostStreams) {
      const auto done = std::find_if(client.streams.begin(), client.streams.end(), [](const auto& one) { return one.second.is_done; });
      if (done == client.streams.end()) break;
      client.streams.erase(done);
    }
    if (client.is_busy() || now - client.used < options_.session_idle) {
      ++it;
      continue;
    }
    forget_later(it->second);
    it = sessions_.erase(it);
  }
  for (auto it = stateless_.begin(); it != stateless_.end();) {
    if (!it->second || it->second->is_busy() || now - it->second->used < options_.session_idle) {
      ++it;
      continue;
    }
    forget_later(it->second);
    it = stateless_.erase(it);
  }
  timer_ = engine_.loop().after(kTidy, [this, here = alive_] {
    if (*here) tidy();
  });
}

}  // namespace sabir::serve

// Who asks: tokens, JWTs, a proxy's headers; and how much of it is let in.
#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

constexpr std::size_t kMostName = 512;        // of a user, a tenant, a conversation
constexpr std::chrono::seconds kKeysAtMostEvery{30};

bool is_name(std::string_view text) {
  return text.size() <= kMostName && find_invalid_utf8(text) == std::string_view::npos &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

struct Ip {
  unsigned char bytes[16] = {};
  bool v6 = false;
};

std::optional<Ip> ip_of(std::string_view text) {
  const std::string own(text);
  Ip out;
  if (::inet_pton(AF_INET, own.c_str(), out.bytes) == 1) return out;
  if (::inet_pton(AF_INET6, own.c_str(), out.bytes) != 1) return std::nullopt;
  static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(std::begin(kMapped), std::end(kMapped), out.bytes)) {
    std::copy(out.bytes + 12, out.bytes + 16, out.bytes);
    return out;
  }
  out.v6 = true;
  return out;
}

// "127.0.0.1:5123", "[::1]:5123", "unix".
std::string_view host_of(std::string_view peer) {
  peer = peer.substr(0, peer.rfind(':'));
  if (peer.size() > 2 && peer.front() == '[') return peer.substr(1, peer.size() - 2);
  return peer;
}

bool is_within(std::string_view peer, const std::string& network) {
  if (network == "unix" || peer == "unix") return network == peer;
  const std::size_t slash = network.find('/');
  const auto base = ip_of(std::string_view(network).substr(0, slash));
  const auto ip = ip_of(host_of(peer));
  if (!base || !ip || base->v6 != ip->v6) return false;
  const int most = ip->v6 ? 128 : 32;
  int bits = slash == std::string::npos ? most : std::clamp(static_cast<int>(std::strtol(network.c_str() + slash + 1, nullptr, 10)), 0, most);
  for (int i = 0; bits > 0; ++i, bits -= 8) {
    const auto mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if ((ip->bytes[i] & mask) != (base->bytes[i] & mask)) return false;
  }
  return true;
}

std::string claim(const json::object& claims, const std::string& name) {
  if (name.empty()) return {};
  const auto* value = claims.if_contains(name);
  if (!value) return {};
  if (value->is_string()) return std::string(value->get_string());
  return value->is_int64() ? std::to_string(value->get_int64()) : std::string();
}

std::vector<std::string> words_of(const json::object& claims, const std::string& name) {
  std::vector<std::string> out;
  const auto* value = claims.if_contains(name);
  if (value && value->is_array()) {
    for (const auto& one : value->get_array()) {
      if (one.is_string()) out.emplace_back(one.get_string());
    }
  } else if (value && value->is_string()) {
    std::string_view rest = value->get_string();
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      if (end > 0) out.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return out;
}

trace::SpanContext span_of(const net::ServerRequest& request) {
  if (const auto given = trace::parse_traceparent(request.header("traceparent"))) return *given;
  trace::SpanContext span;
  span.remote = true;  // what it is asked for begins the trace here
  const auto run = request.header("x-sabir-run-id");
  if (const auto given = run.size() == 32 ? trace::parse_traceparent("00-" + std::string(run) + "-0000000000000001-01") : std::nullopt) span.trace = given->trace;
  if (!span.trace) span.trace = trace::new_trace_id();
  return span;
}

constexpr const char* kMcpPath = "/mcp";
constexpr const char* kMetadata = "/.well-known/oauth-protected-resource";

// "https://api.example", by the name that the client knows the server by.
std::string base_of(const net::ServerRequest& request) { return (request.secure ? "https://" : "http://") + request.host; }

Identity anyone(Identity who) {
  who.name = "anonymous";
  who.scopes.set();
  return who;
}

}  // namespace

Scopes scopes_of(const std::vector<std::string>& names) {
  Scopes out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::find(names.begin(), names.end(), project::kScopes[i]) != names.end();
  return out;
}

bool Identity::may(std::string_view scope) const {
  if (scope.empty()) return true;
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    if (project::kScopes[i] == scope) return scopes[i];
  }
  return false;
}

bool Server::State::asks_who() {
  if (jwt || serving.proxy || tokens.any()) has_asked = true;
  // Who takes the last token back means to let nobody in, and not everybody.
  return has_asked;
}

std::expected<Identity, Server::State::Refusal> Server::State::identify(const net::ServerRequest& request) {
  Identity who;
  who.span = span_of(request);
  who.context.run = trace::hex(who.span.trace);
  const auto conversation = request.header("x-sabir-conversation");
  if (!is_name(conversation)) return std::unexpected(Refusal{400, "X-Sabir-Conversation is no name", "It has at most 512 bytes of UTF-8 text without control characters."});
  who.context.conversation = conversation;
  const auto authorization = request.header("authorization");
  if (!authorization.empty()) {
    const std::size_t blank = std::min(authorization.find(' '), authorization.size());
    std::string kind(authorization.substr(0, blank));
    std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string text(trim(authorization.substr(blank)));
    if (kind == "basic" && request.method == "GET") {
      // A browser that reads the documentation: the token is the password.
      auto plain = base64_decode(text);
      text = plain ? plain->substr(std::min(plain->find(':') + 1, plain->size())) : std::string();
    } else if (kind != "bearer") {
      return std::unexpected(Refusal{401, "this server knows bearer tokens alone", "Send: Authorization: Bearer TOKEN"});
    }
    if (text.starts_with("sabir_") || !jwt) {
      const auto token = tokens.find(text);
      // OpenAI's clients send a key, whatever it is.
      if (!token && !asks_who()) return anyone(std::move(who));
      if (!token) return std::unexpected(Refusal{401, "the token is not known, or has expired", "`sabir tokens add NAME --scopes functions` makes one."});
      who.name = token->name;
      who.scopes = scopes_of(token->scopes);
      who.context.user = token->user;
      who.context.tenant = token->tenant;
      who.rate = token->rate;
      who.at_once = token->at_once;
      return who;
    }
    auto claims = jwt->verify(text);
    if (!claims) return std::unexpected(Refusal{401, "the token is not taken: " + claims.error().why, "Get a new one from the issuer.", claims.error().unknown_key});
    const auto& rules = jwt->rules();
    who.name = "jwt";
    who.context.user = claim(*claims, rules.user);
    who.context.tenant = claim(*claims, rules.tenant);
    who.scopes = scopes_of(rules.granted.empty() ? words_of(*claims, rules.scopes) : rules.granted);
    if (who.context.user.empty() || !is_name(who.context.user) || !is_name(who.context.tenant) || (!rules.tenant.empty() && who.context.tenant.empty())) {
      return std::unexpected(Refusal{401, "the token does not say who it is for", "Its claims '" + rules.user + "'" + (rules.tenant.empty() ? "" : " and '" + rules.tenant + "'") + " must."});
    }
    return who;
  }
  if (serving.proxy) {
    const auto& rules = *serving.proxy;
    const auto user = request.header(rules.user);
    const bool trusted = std::any_of(rules.addresses.begin(), rules.addresses.end(), [&](const auto& network) { return is_within(request.peer, network); });
    // Two of them: somebody before the proxy has set one.
    const auto times = std::count_if(request.headers.begin(), request.headers.end(), [&](const auto& header) { return header.first == rules.user; });
    if (trusted && times == 1 && !user.empty()) {
      who.name = "proxy";
      who.context.user = user;
      if (!rules.tenant.empty()) who.context.tenant = request.header(rules.tenant);
      if (!rules.conversation.empty() && !request.header(rules.conversation).empty()) who.context.conversation = request.header(rules.conversation);
      who.scopes = scopes_of(rules.scopes);
      if (!is_name(who.context.user) || !is_name(who.context.tenant) || !is_name(who.context.conversation) || (!rules.tenant.empty() && who.context.tenant.empty())) {
        return std::unexpected(Refusal{401, "the proxy's headers do not say who asks", "Check serve.proxy in sabir.yml against what the proxy sends."});
      }
      return who;
    }
  }
  if (asks_who()) return std::unexpected(Refusal{401, "this server has to know who asks", "Send: Authorization: Bearer TOKEN"});
  return anyone(std::move(who));
}

bool Server::State::admit(const Identity& who, const std::shared_ptr<net::Exchange>& exchange) {
  const auto& rate = who.rate.count > 0 ? who.rate : serving.rate;
  const int at_once = who.at_once > 0 ? who.at_once : serving.at_once;
  if (rate.count <= 0 && at_once <= 0) return true;
  std::string key = who.name;
  key += '\n';
  key += who.context.tenant;
  key += '\n';
  key += who.context.user.empty() && who.name == "anonymous" ? std::string(host_of(exchange->request().peer)) : who.context.user;
  const auto verdict = limits.enter(key, rate, at_once, Limits::Clock::now());
  if (rate.count > 0 && !verdict.too_many_at_once) {
    // draft-ietf-httpapi-ratelimit-headers.
    exchange->add_header("RateLimit-Policy", "\"caller\";q=" + std::to_string(rate.count) + ";w=" + std::to_string(rate.seconds));
    exchange->add_header("RateLimit", "\"caller\";r=" + std::to_string(verdict.left) + ";t=" + std::to_string(verdict.wait_s));
  }
  if (verdict.admitted) {
    if (at_once > 0) entered.emplace(&exchange->request(), std::move(key));
    return true;
  }
  auto response = refusal(exchange->request(), 429, verdict.too_many_at_once ? "more than " + std::to_string(at_once) + " requests of this caller at once" : "more requests than " + project::to_text(rate),
                          "Try again in " + std::to_string(verdict.wait_s) + " s.");
  response.headers.emplace_back("Retry-After", std::to_string(verdict.wait_s));
  exchange->respond(std::move(response));
  return false;
}

void Server::State::add_discovery() {
  for (const bool of_mcp : {false, true}) {
    const std::string resource = of_mcp ? kMcpPath : "";
    add("GET", kMetadata + resource, "public", [this, resource](const std::shared_ptr<net::Exchange>& exchange, const Identity&) {
      if (!jwt || exchange->request().host.empty()) return exchange->respond(refusal(exchange->request(), 404, "there is nothing at this path", "Without serve.jwt in sabir.yml no issuer's tokens are taken here."));
      json::array scopes;
      for (const auto& scope : project::kScopes) scopes.push_back(json::value(scope));
      exchange->respond(json_response(json::object{{"resource", base_of(exchange->request()) + resource}, {"authorization_servers", {jwt->rules().issuer}}, {"bearer_methods_supported", {"header"}},
                                                   {"scopes_supported", std::move(scopes)}, {"resource_name", project()->name}}));
    });
  }
}

void Server::State::let_in(std::string_view scope, const Handler& handler, std::shared_ptr<net::Exchange> exchange, bool again) {
  if (scope == "public") {
    Identity nobody;
    nobody.span = span_of(exchange->request());
    nobody.context.run = trace::hex(nobody.span.trace);
    return handler(std::move(exchange), nobody);
  }
  auto who = identify(exchange->request());
  const auto refuse = [&](int status, const std::string& detail, const std::string& hint) {
    auto response = refusal(exchange->request(), status, redact(detail), hint);
    if (status == 401) {
      std::string challenge = exchange->request().header("authorization").empty() ? "Bearer" : "Bearer error=\"invalid_token\"";
      if (jwt && exchange->request().path == kMcpPath) {
        challenge += std::string(challenge == "Bearer" ? " " : ", ") + "resource_metadata=\"" + base_of(exchange->request()) + kMetadata + kMcpPath + "\"";
      }
      response.headers.emplace_back("WWW-Authenticate", std::move(challenge));
      if (exchange->request().path == "/docs") response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"sabir: any name, the token as password\"");
    }
    exchange->respond(std::move(response));
  };
  if (!who) {
    if (who.error().unknown_key && !again) {
      // The issuer may have new keys. Nobody makes this server ask for them all the time.
      const bool taken = elsewhere([self = shared_from_this(), issuer = jwt, scope = std::string(scope), handler, exchange] {
        if (auto read = issuer->refresh(kKeysAtMostEvery); !read) log(LogLevel::kWarning, to_text(read.error()));
        self->engine_.loop().post([self, scope, handler, exchange] { self->let_in(scope, handler, exchange, true); });
      });
      if (taken) return;
    }
    return refuse(who.error().status, who.error().detail, who.error().hint);
  }
  if (jwt && jwt->is_stale() && !again) {
    // What is there is good until the new ones come.
    elsewhere([issuer = jwt] {
      if (auto read = issuer->refresh(kKeysAtMostEvery); !read) log(LogLevel::kWarning, to_text(read.error()));
    });
  }
  exchange->add_header("X-Sabir-Run-Id", who->context.run);
  exchange->note("trace", who->context.run);
  if (who->name != "anonymous") exchange->note("token", who->name);
  if (!who->context.user.empty()) exchange->note("user", who->context.user);
  if (!who->context.tenant.empty()) exchange->note("tenant", who->context.tenant);
  if (!who->may(scope)) return refuse(403, "the token '" + who->name + "' lacks the scope '" + std::string(scope) + "'", "Use a token that has it: sabir tokens add NAME --scopes " + std::string(scope));
  // Its end has been told already, and would not be again.
  if (again && exchange->gone()) return exchange->respond(net::problem(503, "the client has left"));
  if (!admit(*who, exchange)) return;
  handler(std::move(exchange), *who);
}

}  // namespace sabir::serve

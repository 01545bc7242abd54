#include "remote_engine.h"

#include <cstdlib>

#include "command.h"
#include "sabir/base/json.h"
#include "sabir/net/sse_parser.h"
#include "sabir/project/serving.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::cli {
namespace {

constexpr const char* kToken = "Where the engine runs: sabir tokens add NAME --scopes functions,prompts,assistants. Here: put it in SABIR_TOKEN, or in a variable of which "
                               "--token-from-env gives the name.";
constexpr std::chrono::seconds kBetweenPieces{60};  // an engine sends a comment every 15 s

}  // namespace

Result<std::unique_ptr<RemoteEngine>> RemoteEngine::open(EngineAddress address) {
  const std::string where = net::host_and_port(address.url);
  if (where.empty()) return fail(ErrorCode::kUsage, "'" + address.url + "' is no address of an engine", "It begins with https:// or http://, as `sabir serve` printed it.");
  while (address.url.ends_with('/')) address.url.pop_back();
  std::string_view host = std::string_view(where).substr(0, where.rfind(':'));
  if (address.url.starts_with("http://") && !address.token.empty() && !project::is_loopback_host(host)) {
    note("sabir: the token goes to " + where + " unencrypted: https:// keeps it from those who listen");
  }
  std::unique_ptr<RemoteEngine> out(new RemoteEngine());
  out->address_ = std::move(address);
  return out;
}

Error RemoteEngine::refusal_of(int status, std::string_view body) const {
  const std::string where = net::host_and_port(address_.url);
  auto value = parse_json(body);
  const json::object none;
  const auto& problem = value && value->is_object() ? value->get_object() : none;
  std::string_view type = string_or(problem, "type");
  constexpr std::string_view kOwn = "urn:sabir:error:";
  if (type.starts_with(kOwn)) {
    json::object error{{"type", type.substr(kOwn.size())}, {"message", string_or(problem, "detail")}};
    for (const char* name : {"hint", "file", "line"}) {
      if (const auto* member = problem.if_contains(name)) error[name] = *member;
    }
    return error_from_json(error);
  }
  const std::string detail(string_or(problem, "detail"));
  if (status == 401) {
    return Error(ErrorCode::kNotGranted, "the engine at " + where + (address_.token.empty() ? " has to know who asks" : " does not take the token" + (detail.empty() ? "" : ": " + detail)), kToken);
  }
  if (problem.empty() || status == 404) {
    return Error(ErrorCode::kProtocol, "what answers at " + where + " is no engine of this version: it said " + std::to_string(status) + " to POST /engine/requests",
                 "The address is that of `sabir serve`, of version " SABIR_VERSION " or compatible, without a path unless a proxy adds one.");
  }
  const auto code = status == 403 ? ErrorCode::kNotGranted : status == 429 || status == 503 ? ErrorCode::kBusy : status == 413 ? ErrorCode::kLimit : ErrorCode::kProtocol;
  return Error(code, "the engine at " + where + ": " + detail, std::string(string_or(problem, "hint")));
}

Result<std::string> RemoteEngine::request(const std::string& method, std::string_view params, std::chrono::milliseconds timeout, const OnEvent& on_event,
                                          std::shared_ptr<std::atomic<bool>> cancelled) {
  net::HttpRequest request;
  request.method = "POST";
  request.url = address_.url + "/engine/requests";
  request.headers = {{"Content-Type", "application/json"}, {"Accept", on_event ? "text/event-stream" : "application/json"}, {"User-Agent", "sabir/" SABIR_VERSION}};
  if (!address_.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + address_.token);
  if (const char* parent = std::getenv("TRACEPARENT"); parent && *parent) request.headers.emplace_back("Traceparent", parent);
  request.body = "{\"format\":1,\"method\":" + protocol::quote(method) + ",\"timeout_ms\":" + std::to_string(timeout.count()) + ",\"params\":" + std::string(params) + "}";
  // The engine ends it at the deadline; the rest is for the way.
  request.total_timeout = timeout + std::chrono::seconds(10);
  request.first_byte_timeout = request.total_timeout;
  request.idle_timeout = on_event ? std::chrono::milliseconds(kBetweenPieces) : request.total_timeout;
  request.cancelled = std::move(cancelled);
  net::SseParser parser;
  std::optional<std::string> result;
  std::optional<Error> failed;
  const auto take = [&](const net::SseEvent& event) {
    if (event.type == "result") result = event.data;
    else if (event.type == "error") failed = refusal_of(500, event.data);
    else on_event(event.type, event.data);
  };
  net::OnBody on_body;
  std::string whole;
  if (on_event) {
    on_body = [&](const net::HttpResponse& head, std::string_view piece) {
      if (!head.header("content-type").starts_with("text/event-stream")) {
        whole += piece;
        return whole.size() < (std::size_t{64} << 20U);
      }
      auto events = parser.feed(piece);
      if (!events) {
        failed = events.error();
        return false;
      }
      for (const auto& event : *events) take(event);
      return true;
    };
  }
  auto response = client_.send(request, on_body);
  if (failed) return fail(std::move(*failed));
  if (result) return std::move(*result);
  const std::string where = net::host_and_port(address_.url);
  if (!response) {
    auto& error = response.error();
    if (error.code != ErrorCode::kModelUnreachable) return fail(std::move(error));
    const bool tls = error.data.find("\"tls\"") != std::string::npos;
    return fail(ErrorCode::kUnavailable, "cannot reach the engine at " + where + ": " + error.message,
                tls ? "For a certificate of your own authority: --cacert FILE, or CURL_CA_BUNDLE." : "Does `sabir serve` run there, and can this machine reach it? curl " + address_.url + "/healthz");
  }
  if (response->status != 200) return fail(refusal_of(response->status, response->body));
  if (on_event && response->header("content-type").starts_with("text/event-stream")) return fail(ErrorCode::kIo, "the engine at " + where + " broke off before its answer");
  const std::string& body = on_event ? whole : response->body;
  const auto members = protocol::raw_members(body);
  const auto format = members ? protocol::find_member(*members, "format") : std::nullopt;
  const auto given = members ? protocol::find_member(*members, "result") : std::nullopt;
  if (!given || format != "1") return fail(refusal_of(404, ""));
  return std::string(*given);
}

}  // namespace sabir::cli

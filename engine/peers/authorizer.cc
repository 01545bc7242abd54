#include "authorizer.h"

#include <sys/stat.h>

#include <condition_variable>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/mcp/tool_definition.h"
#include "sabir/net/http_server.h"
#include "sabir/net/loop.h"

namespace sabir::peers {
namespace {

using Cancelled = std::shared_ptr<std::atomic<bool>>;
constexpr int kFormat = 1;
constexpr std::int64_t kEarly = 30'000;  // ms before its end a token is renewed
constexpr std::size_t kMostMetadata = std::size_t{1} << 20U;

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// The server's own address without a fragment: what a token is for (RFC 8707).
std::string resource_of(const std::string& url) { return url.substr(0, url.find('#')); }

}  // namespace

Authorizer::Authorizer(const project::McpServer& server, const secrets::Secrets& secrets, std::filesystem::path state_dir)
    : server_(server), secrets_(secrets), file_(std::move(state_dir) / "mcp" / (server.name + ".tokens.json")) {}

void Authorizer::load() {
  if (std::exchange(loaded_, true)) return;
  struct stat info {};
  if (::lstat(file_.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  if ((info.st_mode & 077U) != 0) return log(LogLevel::kWarning, file_.string() + " can be read by others: its tokens are not used. Delete it and log in again.");
  const auto text = read_file(file_, kMostMetadata);
  const auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!value || !value->is_object()) return;
  const auto& object = value->get_object();
  const auto* format = object.if_contains("format");
  // Of another address they are another server's.
  if (!format || *format != kFormat || string_or(object, "url") != server_.url) return;
  const auto text_at = [&](const char* key) { return std::string(string_or(object, key)); };
  kept_.issuer = text_at("issuer");
  kept_.client = {text_at("client_id"), text_at("client_secret"), text_at("client_method")};
  const auto* registered = object.if_contains("registered");
  kept_.is_registered = registered && registered->is_bool() && registered->get_bool();
  kept_.redirect_uri = text_at("redirect_uri");
  kept_.token_endpoint = text_at("token_endpoint");
  kept_.resource = text_at("resource");
  kept_.tokens = {text_at("access_token"), text_at("refresh_token"), 0, text_at("scope")};
  if (const auto* expires = object.if_contains("expires_ms"); expires && expires->is_int64()) kept_.tokens.expires_ms = expires->get_int64();
  kept_.challenge = {text_at("challenge_metadata"), text_at("challenge_scope"), text_at("challenge_error")};
  for (const auto* secret : {&kept_.client.secret, &kept_.tokens.access, &kept_.tokens.refresh}) {
    if (!secret->empty()) secrets_.redactor()->add("mcp_" + server_.name, *secret);
  }
}

Result<void> Authorizer::save() {
  for (const auto* secret : {&kept_.client.secret, &kept_.tokens.access, &kept_.tokens.refresh}) {
    if (!secret->empty()) secrets_.redactor()->add("mcp_" + server_.name, *secret);
  }
  const json::object object{{"format", kFormat}, {"url", server_.url}, {"issuer", kept_.issuer}, {"client_id", kept_.client.id}, {"client_secret", kept_.is_registered ? kept_.client.secret : ""},
                            {"client_method", kept_.client.method}, {"registered", kept_.is_registered}, {"redirect_uri", kept_.redirect_uri}, {"token_endpoint", kept_.token_endpoint},
                            {"resource", kept_.resource}, {"access_token", kept_.tokens.access}, {"refresh_token", kept_.tokens.refresh}, {"expires_ms", kept_.tokens.expires_ms},
                            {"scope", kept_.tokens.scope}, {"challenge_metadata", kept_.challenge.resource_metadata}, {"challenge_scope", kept_.challenge.scope},
                            {"challenge_error", kept_.challenge.error}};
  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  return write_file(file_, compact_json(object) + "\n", 0600);
}

Error Authorizer::needs_login(const std::string& why) const {
  return Error(ErrorCode::kUnavailable, "the MCP server '" + server_.name + "' " + why, "Log in: sabir mcp login " + server_.name);
}

Result<net::HttpResponse> Authorizer::send(net::HttpRequest request, const Cancelled& cancelled) {
  request.cancelled = cancelled;
  request.first_byte_timeout = std::chrono::seconds(20);
  request.total_timeout = std::chrono::seconds(30);
  request.most_body_bytes = kMostMetadata;
  auto answer = http_.send(request);
  if (!answer && answer.error().code == ErrorCode::kModelUnreachable) {
    answer.error().code = ErrorCode::kUnavailable;
    answer.error().hint = "Check this machine's network and the address in config/mcp.yml.";
  }
  return answer;
}

Result<std::string> Authorizer::header(const Cancelled& cancelled) {
  if (server_.auth.kind == project::McpAuth::Kind::kBearer) {
    auto token = secrets_.fill_in(server_.auth.bearer);
    if (!token) return token;
    return "Bearer " + *token;
  }
  const std::lock_guard lock(mutex_);
  load();
  auto& tokens = kept_.tokens;
  if (tokens.access.empty()) return std::string();
  if (tokens.expires_ms != 0 && now_ms() + kEarly > tokens.expires_ms) {
    if (!tokens.refresh.empty()) {
      // The server says what is wrong with the old one, where this fails.
      if (auto renewed = refresh(cancelled); !renewed) log(LogLevel::kWarning, "the token for the MCP server '" + server_.name + "' was not renewed: " + renewed.error().message);
    } else if (server_.auth.kind == project::McpAuth::Kind::kCredentials) {
      if (auto renewed = by_credentials({{}, tokens.scope, {}}, cancelled); !renewed) return fail(std::move(renewed.error()));
    }
  }
  return tokens.access.empty() ? std::string() : "Bearer " + tokens.access;
}

Result<void> Authorizer::refused(int status, std::string_view www_authenticate, const std::string& used, const Cancelled& cancelled) {
  const auto challenge = mcp::read_challenge(www_authenticate);
  const bool needs_more = status == 403 && challenge.error == "insufficient_scope";
  if (server_.auth.kind == project::McpAuth::Kind::kBearer) {
    return fail(ErrorCode::kUnavailable, "the MCP server '" + server_.name + "' does not take the token of config/mcp.yml (status " + std::to_string(status) + ")",
                "Renew the secret that `auth.bearer` names.");
  }
  const std::lock_guard lock(mutex_);
  load();
  // Another request has renewed it meanwhile.
  if (!kept_.tokens.access.empty() && "Bearer " + kept_.tokens.access != used) return {};
  if (server_.auth.kind == project::McpAuth::Kind::kCredentials) {
    auto asked = challenge;
    if (needs_more) asked.scope = mcp::joined_scopes(kept_.tokens.scope, challenge.scope);
    return by_credentials(asked, cancelled);
  }
  if (!needs_more && !used.empty() && !kept_.tokens.refresh.empty()) {
    // What was refreshed at one authorization server says nothing to another: the resource may have moved.
    const auto found = discover(challenge, cancelled);
    if (found && found->server.issuer == kept_.issuer && refresh(cancelled)) return {};
  }
  // A login is to answer it, perhaps in another process.
  kept_.challenge = challenge;
  if (!needs_more) kept_.tokens = {{}, {}, 0, kept_.tokens.scope};
  if (auto saved = save(); !saved) log(LogLevel::kWarning, to_text(saved.error()));
  if (needs_more) return fail(needs_login("asks for more than was granted" + (challenge.scope.empty() ? std::string() : ": " + mcp::harmless(challenge.scope, 300))));
  return fail(needs_login(used.empty() ? "asks for a login" : "does not take the login any more"));
}

bool Authorizer::has_tokens() {
  const std::lock_guard lock(mutex_);
  load();
  return !kept_.tokens.access.empty();
}

bool Authorizer::logout() {
  const std::lock_guard lock(mutex_);
  kept_ = {};
  loaded_ = true;
  std::error_code error;
  return std::filesystem::remove(file_, error);
}

// ---- finding out who to ask -------------------------------------------------------------------------------------------------

Result<Authorizer::Found> Authorizer::discover(const mcp::Challenge& challenge, const Cancelled& cancelled) {
  Found out;
  const auto get = [&](const std::string& url) {
    net::HttpRequest request;
    request.url = url;
    request.headers = {{"Accept", "application/json"}, {"MCP-Protocol-Version", "2025-11-25"}};
    return send(std::move(request), cancelled);
  };
  std::string issuer;
  for (const auto& url : mcp::resource_metadata_urls(challenge, server_.url)) {
    if (!mcp::is_private_enough(url)) continue;
    auto answer = get(url);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->status >= 500 || answer->status == 429) {
      return fail(ErrorCode::kUnavailable, "the MCP server '" + server_.name + "' does not tell who grants access to it: status " + std::to_string(answer->status), "Try again later.");
    }
    if (answer->status != 200) continue;
    auto resource = mcp::read_resource_metadata(answer->body, server_.url);
    if (!resource) return fail(std::move(resource.error()));
    if (!resource->authorization_servers.empty()) issuer = resource->authorization_servers.front();
    out.resource = std::move(*resource);
    break;
  }
  // A server that tells nothing grants access itself.
  if (issuer.empty()) issuer = mcp::origin_of(server_.url);
  if (!mcp::is_private_enough(issuer)) return fail(ErrorCode::kUnavailable, "the authorization server " + mcp::harmless(issuer, 200) + " has no https address", "Secrets are not sent in the clear.");
  for (const auto& url : mcp::server_metadata_urls(issuer)) {
    auto answer = get(url);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->status >= 500) break;
    if (answer->status != 200) continue;
    auto server = mcp::read_server_metadata(answer->body, issuer);
    if (!server) return fail(std::move(server.error()));
    out.server = std::move(*server);
    return out;
  }
  return fail(ErrorCode::kUnavailable, "the authorization server " + mcp::harmless(issuer, 200) + " tells nothing of itself", "Its operator has to serve RFC 8414's or OpenID Connect's metadata.");
}

Result<mcp::ClientIdentity> Authorizer::configured_client(const mcp::ServerMetadata& server) {
  mcp::ClientIdentity out;
  auto id = secrets_.fill_in(server_.auth.client_id);
  auto secret = secrets_.fill_in(server_.auth.client_secret);
  if (!id) return fail(std::move(id.error()));
  if (!secret) return fail(std::move(secret.error()));
  auto method = mcp::method_of(server.methods, !secret->empty());
  if (!method) return fail(std::move(method.error()));
  return mcp::ClientIdentity{std::move(*id), std::move(*secret), std::move(*method)};
}

// ---- tokens ------------------------------------------------------------------------------------------------------------------

Result<void> Authorizer::take_tokens(mcp::Form form, const std::string& scope, const Cancelled& cancelled) {
  const std::string before = kept_.tokens.refresh;
  net::HttpRequest request;
  request.method = "POST";
  request.url = kept_.token_endpoint;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
  if (auto who = mcp::identify(kept_.client, form); !who.empty()) request.headers.emplace_back("Authorization", std::move(who));
  request.body = mcp::form_text(form);
  auto answer = send(std::move(request), cancelled);
  if (!answer) return fail(std::move(answer.error()));
  auto tokens = mcp::read_tokens(answer->status, answer->body, now_ms(), scope);
  if (!tokens) return fail(std::move(tokens.error()));
  kept_.tokens = std::move(*tokens);
  kept_.challenge = {};
  if (kept_.tokens.refresh.empty() && form.front().second == "refresh_token") kept_.tokens.refresh = before;
  return save();
}

Result<void> Authorizer::refresh(const Cancelled& cancelled) {
  if (!server_.auth.client_secret.empty() && kept_.client.secret.empty()) {
    auto secret = secrets_.fill_in(server_.auth.client_secret);
    if (!secret) return fail(std::move(secret.error()));
    kept_.client.secret = std::move(*secret);
  }
  return take_tokens({{"grant_type", "refresh_token"}, {"refresh_token", kept_.tokens.refresh}, {"resource", kept_.resource}}, kept_.tokens.scope, cancelled);
}

Result<void> Authorizer::by_credentials(const mcp::Challenge& challenge, const Cancelled& cancelled) {
  auto found = discover(challenge, cancelled);
  if (!found) return fail(std::move(found.error()));
  auto client = configured_client(found->server);
  if (!client) return fail(std::move(client.error()));
  kept_.client = std::move(*client);
  kept_.is_registered = false;
  kept_.issuer = found->server.issuer;
  kept_.token_endpoint = found->server.token_endpoint;
  kept_.resource = found->resource ? found->resource->resource : resource_of(server_.url);
  mcp::Form form{{"grant_type", "client_credentials"}, {"resource", kept_.resource}};
  const std::string scope = mcp::scopes_to_ask(challenge, found->resource, {}, server_.auth.scopes, "");
  if (!scope.empty()) form.emplace_back("scope", scope);
  return take_tokens(std::move(form), scope, cancelled);
}

// ---- a person logs in --------------------------------------------------------------------------------------------------------

Result<mcp::Challenge> Authorizer::ask_for_challenge(const Cancelled& cancelled) {
  if (!kept_.challenge.resource_metadata.empty() || !kept_.challenge.scope.empty() || !kept_.challenge.error.empty()) return kept_.challenge;
  net::HttpRequest request;
  request.method = "POST";
  request.url = server_.url;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};
  for (const auto& [name, value] : server_.headers) {
    auto text = secrets_.fill_in(value);
    if (!text) return fail(std::move(text.error()));
    request.headers.emplace_back(name, std::move(*text));
  }
  request.body = R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"sabir","version":")" SABIR_VERSION R"("}}})";
  if (server_.revision == "2026-07-28") {
    request.headers.insert(request.headers.end(), {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "server/discover"}});
    request.body = R"({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"sabir","version":")" SABIR_VERSION
                   R"("},"io.modelcontextprotocol/clientCapabilities":{}}}})";
  }
  auto answer = send(std::move(request), cancelled);
  if (!answer) return fail(std::move(answer.error()));
  if (answer->status != 401 && answer->status != 403) return mcp::Challenge{};
  return mcp::read_challenge(answer->header("www-authenticate"));
}

Result<void> Authorizer::login(const std::function<void(const std::string&)>& show, std::chrono::milliseconds most, const Cancelled& cancelled) {
  if (server_.auth.kind != project::McpAuth::Kind::kAsked) {
    return fail(ErrorCode::kUsage, "nobody logs in to the MCP server '" + server_.name + "': config/mcp.yml says how the project shows who it is");
  }
  const std::lock_guard lock(mutex_);
  load();
  auto challenge = ask_for_challenge(cancelled);
  if (!challenge) return fail(std::move(challenge.error()));
  auto found = discover(*challenge, cancelled);
  if (!found) return fail(std::move(found.error()));
  const auto& server = found->server;
  if (server.authorization_endpoint.empty()) return fail(ErrorCode::kProtocol, "the authorization server " + server.issuer + " names no authorization_endpoint");

  // What comes back, on a port of this machine.
  struct Waiting {
    std::mutex mutex;
    std::condition_variable came;
    std::optional<mcp::Form> query;
  };
  auto waiting = std::make_shared<Waiting>();
  const std::string state = mcp::random_token();
  net::Loop loop;
  net::Router router;
  router.add("GET", "/callback", [waiting, state](const std::shared_ptr<net::Exchange>& exchange) {
    mcp::Form query;
    for (const char* name : {"state", "code", "iss", "error", "error_description"}) {
      if (auto value = exchange->request().parameter(name)) query.emplace_back(name, std::move(*value));
    }
    const bool is_ours = exchange->request().parameter("state") == state;
    net::ServerResponse answer;
    answer.status = is_ours ? 200 : 400;
    answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}};
    answer.body = is_ours ? "You can close this page and go back to the terminal.\n" : "This does not belong to the login that is waited for.\n";
    exchange->respond(std::move(answer));
    if (!is_ours) return;
    const std::lock_guard guard(waiting->mutex);
    if (!waiting->query) waiting->query = std::move(query);
    waiting->came.notify_all();
  });
  net::HttpServerOptions options;
  options.listen.port = server_.auth.redirect_port;
  std::thread thread([&loop] { loop.run(); });
  struct Stop {
    net::Loop& loop;
    std::thread& thread;
    ~Stop() {
      loop.stop();
      thread.join();
    }
  };
  const Stop stop{loop, thread};
  auto listener = net::HttpServer::open(loop, std::move(options), std::move(router));
  if (!listener) return fail(std::move(listener.error()));
  const std::string redirect = (*listener)->address() + "/callback";

  const std::string scope = mcp::scopes_to_ask(*challenge, found->resource, server, server_.auth.scopes, challenge->error == "insufficient_scope" ? kept_.tokens.scope : "");
  Kept next;
  next.issuer = server.issuer;
  next.token_endpoint = server.token_endpoint;
  next.resource = found->resource ? found->resource->resource : resource_of(server_.url);
  next.redirect_uri = redirect;
  if (!server_.auth.client_id.empty()) {
    auto client = configured_client(server);
    if (!client) return fail(std::move(client.error()));
    next.client = std::move(*client);
  } else if (!server_.auth.client_metadata.empty() && server.takes_client_metadata) {
    next.client = {server_.auth.client_metadata, "", "none"};
  } else if (!server.registration_endpoint.empty()) {
    // Of this server alone: at another the same id would be another client. The port of the redirect is another each time.
    net::HttpRequest request;
    request.method = "POST";
    request.url = server.registration_endpoint;
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    request.body = mcp::registration_request(redirect, server, scope);
    const auto asked = parse_json(request.body);
    const std::string method(string_or(asked->get_object(), "token_endpoint_auth_method"));
    auto answer = send(std::move(request), cancelled);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->status != 200 && answer->status != 201) {
      return fail(ErrorCode::kUnavailable, "the authorization server " + server.issuer + " registers no client (status " + std::to_string(answer->status) + "): " + mcp::harmless(answer->body, 300),
                  "Register one by hand, and write its client_id into config/mcp.yml.");
    }
    auto client = mcp::read_registration(answer->body, method);
    if (!client) return fail(std::move(client.error()));
    next.client = std::move(*client);
    next.is_registered = true;
  } else {
    return fail(ErrorCode::kUnavailable, "the authorization server " + server.issuer + " registers no clients by itself", "Register one there, and write its client_id into config/mcp.yml.");
  }

  const auto pkce = mcp::make_pkce();
  show(mcp::authorization_url(server, {next.client.id, redirect, scope, next.resource, state, pkce.challenge}));
  std::optional<mcp::Form> query;
  {
    const auto until = std::chrono::steady_clock::now() + most;
    std::unique_lock guard(waiting->mutex);
    while (!waiting->query && std::chrono::steady_clock::now() < until && !(cancelled && cancelled->load())) waiting->came.wait_for(guard, std::chrono::milliseconds(100));
    query = waiting->query;
  }
  if (!query) return fail(ErrorCode::kTimeout, "nobody has logged in to the MCP server '" + server_.name + "'", "Run `sabir mcp login " + server_.name + "` again, and open the address in a browser on this machine.");
  auto code = mcp::code_of(*query, state, server);
  if (!code) return fail(std::move(code.error()));
  kept_ = std::move(next);
  return take_tokens({{"grant_type", "authorization_code"}, {"code", *code}, {"redirect_uri", redirect}, {"code_verifier", pkce.verifier}, {"resource", kept_.resource}}, scope, cancelled);
}

}  // namespace sabir::peers

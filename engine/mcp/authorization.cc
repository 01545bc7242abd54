#include "sabir/mcp/authorization.h"

#include <sys/random.h>

#include <algorithm>

#include "sabir/base/text.h"
#include "url_base64.h"
#include "sabir/bridge/bridge.h"
#include "sabir/mcp/tool_definition.h"

namespace sabir::mcp {
namespace {

constexpr std::size_t kMostMetadata = std::size_t{1} << 20U;
constexpr std::size_t kMostListed = 200;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string sha256(std::string_view bytes) {
  sb_sha256* const state = sb_sha256_new();
  sb_sha256_update(state, {bytes.data(), bytes.size()});
  char hex[64];
  sb_sha256_finish(state, hex);
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string out;
  for (std::size_t i = 0; i < sizeof hex; i += 2) out += static_cast<char>(digit(hex[i]) << 4U | digit(hex[i + 1]));
  return out;
}

// Path with its slash, without query and fragment.
std::string path_of(std::string_view url) {
  const std::size_t begin = url.find("://");
  if (begin == std::string_view::npos) return "";
  const std::size_t slash = url.find_first_of("/?#", begin + 3);
  if (slash == std::string_view::npos || url[slash] != '/') return "";
  return std::string(url.substr(slash, url.find_first_of("?#", slash) - slash));
}

bool is_address(std::string_view url) {
  return !origin_of(url).empty() && url.size() <= 4096 && std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

std::vector<std::string> texts(const json::object& object, const char* key) {
  std::vector<std::string> out;
  const auto* list = object.if_contains(key);
  if (!list || !list->is_array()) return out;
  for (const auto& one : list->get_array()) {
    if (one.is_string() && out.size() < kMostListed && one.get_string().size() <= 1024) out.emplace_back(one.get_string());
  }
  return out;
}

bool is_true(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

bool contains(const std::vector<std::string>& list, std::string_view word) { return std::find(list.begin(), list.end(), word) != list.end(); }

Result<json::object> document(std::string_view text, const char* what) {
  auto value = text.size() <= kMostMetadata ? parse_json(text) : Result<json::value>(fail(ErrorCode::kLimit, "too large"));
  if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, std::string(what) + " is not readable: " + (value ? "no object" : value.error().message));
  return std::move(value->get_object());
}

}  // namespace

Challenge read_challenge(std::string_view header) {
  Challenge out;
  const std::string all = lower(header);
  std::size_t at = all.find("bearer");
  if (at == std::string::npos) return out;
  at += 6;
  // auth-param = token BWS "=" BWS ( token / quoted-string ), separated by commas.
  while (at < header.size()) {
    while (at < header.size() && (header[at] == ' ' || header[at] == ',' || header[at] == '\t')) ++at;
    const std::size_t begin = at;
    while (at < header.size() && header[at] != '=' && header[at] != ',' && header[at] != ' ') ++at;
    const std::string name = all.substr(begin, at - begin);
    while (at < header.size() && header[at] == ' ') ++at;
    if (at >= header.size() || header[at] != '=') {
      if (at == begin) ++at;
      continue;  // the next scheme's name
    }
    ++at;
    while (at < header.size() && header[at] == ' ') ++at;
    std::string value;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size()) ++at;
        value += header[at];
      }
      if (at < header.size()) ++at;
    } else {
      while (at < header.size() && header[at] != ',' && header[at] != ' ') value += header[at++];
    }
    if (value.size() > 4096) continue;
    if (name == "resource_metadata" && is_address(value)) out.resource_metadata = value;
    if (name == "scope") out.scope = value;
    if (name == "error") out.error = value;
  }
  return out;
}

std::string origin_of(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return "";
  const std::string scheme = lower(url.substr(0, colon));
  if (scheme != "http" && scheme != "https") return "";
  const auto rest = url.substr(colon + 3);
  std::string host = lower(rest.substr(0, rest.find_first_of("/?#")));
  if (host.empty() || host.find('@') != std::string::npos) return "";
  const std::string own = scheme == "https" ? ":443" : ":80";
  if (host.ends_with(own)) host.resize(host.size() - own.size());
  return scheme + "://" + host;
}

bool is_private_enough(std::string_view url) {
  const std::string origin = origin_of(url);
  if (origin.starts_with("https://")) return true;
  if (!origin.starts_with("http://")) return false;
  std::string host = origin.substr(7);
  if (host.starts_with('[')) {
    host.resize(std::min(host.size(), host.find(']') + 1));
  } else {
    host.resize(std::min(host.size(), host.find(':')));
  }
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]" || host.ends_with(".localhost");
}

std::vector<std::string> resource_metadata_urls(const Challenge& challenge, std::string_view server_url) {
  std::vector<std::string> out;
  if (!challenge.resource_metadata.empty()) out.push_back(challenge.resource_metadata);
  const std::string origin = origin_of(server_url);
  const std::string path = path_of(server_url);
  const std::string base = origin + "/.well-known/oauth-protected-resource";
  if (!path.empty() && path != "/") out.push_back(base + path);
  out.push_back(base);
  return out;
}

Result<ResourceMetadata> read_resource_metadata(std::string_view text, std::string_view server_url) {
  auto object = document(text, "the metadata of the protected resource");
  if (!object) return fail(std::move(object.error()));
  ResourceMetadata out;
  out.resource = string_or(*object, "resource");
  for (auto& issuer : texts(*object, "authorization_servers")) {
    if (is_address(issuer)) out.authorization_servers.push_back(std::move(issuer));
  }
  if (object->contains("scopes_supported")) out.scopes = texts(*object, "scopes_supported");
  // The same place, or a folder above it: a token for another resource must never be sent here.
  std::string above = path_of(out.resource);
  std::string own = path_of(server_url);
  if (!above.ends_with('/')) above += '/';
  if (!own.ends_with('/')) own += '/';
  if (origin_of(out.resource).empty() || origin_of(out.resource) != origin_of(server_url) || !own.starts_with(above)) {
    return fail(ErrorCode::kProtocol, "the server's metadata is of another resource: '" + harmless(out.resource, 200) + "', not " + std::string(server_url),
                "A token for it would be another server's. Check the address in config/mcp.yml; if it is right, its operator has to mend the metadata.");
  }
  return out;
}

std::vector<std::string> server_metadata_urls(std::string_view issuer) {
  const std::string origin = origin_of(issuer);
  std::string path = path_of(issuer);
  while (path.ends_with('/')) path.pop_back();
  std::vector<std::string> out{origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path};
  if (!path.empty()) out.push_back(origin + path + "/.well-known/openid-configuration");
  return out;
}

Result<ServerMetadata> read_server_metadata(std::string_view text, std::string_view issuer) {
  auto object = document(text, "the metadata of the authorization server");
  if (!object) return fail(std::move(object.error()));
  ServerMetadata out;
  out.issuer = string_or(*object, "issuer");
  // Character by character (RFC 8414 §3.3).
  if (out.issuer != issuer) {
    return fail(ErrorCode::kProtocol, "the authorization server calls itself '" + harmless(out.issuer, 200) + "', and was named '" + harmless(issuer, 200) + "'",
                "One of them is not what it seems; nothing was sent to it.");
  }
  for (const auto& [key, target] : {std::pair("authorization_endpoint", &out.authorization_endpoint), std::pair("token_endpoint", &out.token_endpoint),
                                    std::pair("registration_endpoint", &out.registration_endpoint)}) {
    *target = string_or(*object, key);
    if (target->empty()) continue;
    if (!is_address(*target) || !is_private_enough(*target)) return fail(ErrorCode::kProtocol, std::string("the authorization server's ") + key + " is not an https address");
  }
  if (out.token_endpoint.empty()) return fail(ErrorCode::kProtocol, "the authorization server names no token_endpoint");
  if (object->contains("code_challenge_methods_supported") && !contains(texts(*object, "code_challenge_methods_supported"), "S256")) {
    return fail(ErrorCode::kProtocol, "the authorization server does not do PKCE by S256, without which a login can be stolen");
  }
  out.scopes = texts(*object, "scopes_supported");
  out.methods = texts(*object, "token_endpoint_auth_methods_supported");
  out.says_issuer = is_true(*object, "authorization_response_iss_parameter_supported");
  out.takes_client_metadata = is_true(*object, "client_id_metadata_document_supported");
  return out;
}

Result<std::string> method_of(const std::vector<std::string>& methods, bool has_secret) {
  if (!has_secret) {
    if (methods.empty() || contains(methods, "none")) return "none";
    return fail(ErrorCode::kUnavailable, "the authorization server wants a client with a secret, and there is none", "Register a client there, and write its client_id and client_secret into config/mcp.yml.");
  }
  for (const char* method : {"client_secret_basic", "client_secret_post"}) {
    if (methods.empty() || contains(methods, method)) return method;
  }
  if (contains(methods, "none")) return "none";
  return fail(ErrorCode::kUnavailable, "the authorization server knows clients only by " + join(methods, ", "), "client_secret_basic, client_secret_post and none are spoken here.");
}

std::string registration_request(const std::string& redirect_uri, const ServerMetadata& server, const std::string& scope) {
  std::string method = "none";
  if (!server.methods.empty() && !contains(server.methods, "none")) method = contains(server.methods, "client_secret_basic") ? "client_secret_basic" : "client_secret_post";
  json::object out{{"client_name", "Sabir"}, {"redirect_uris", json::array{json::value(redirect_uri)}}, {"grant_types", json::array{"authorization_code", "refresh_token"}},
                   {"response_types", json::array{"code"}}, {"token_endpoint_auth_method", method}, {"application_type", "native"}};
  if (!scope.empty()) out["scope"] = scope;
  return compact_json(out);
}

Result<ClientIdentity> read_registration(std::string_view text, const std::string& asked_method) {
  auto object = document(text, "the answer to the registration");
  if (!object) return fail(std::move(object.error()));
  ClientIdentity out{std::string(string_or(*object, "client_id")), std::string(string_or(*object, "client_secret")), std::string(string_or(*object, "token_endpoint_auth_method", asked_method))};
  if (out.id.empty()) return fail(ErrorCode::kProtocol, "the authorization server registers a client without a client_id");
  if (out.method != "none" && out.method != "client_secret_basic" && out.method != "client_secret_post") return fail(ErrorCode::kUnavailable, "the authorization server registers clients that show who they are by " + harmless(out.method, 60), "Register one by hand, and write its client_id into config/mcp.yml.");
  if (out.method != "none" && out.secret.empty()) return fail(ErrorCode::kProtocol, "the authorization server registers a client for " + out.method + " and gives no secret");
  return out;
}

std::string random_token() {
  std::string bytes(32, '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const auto n = ::getrandom(bytes.data() + have, bytes.size() - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  return url_base64(bytes);
}

Pkce make_pkce() {
  Pkce out;
  out.verifier = random_token();
  out.challenge = url_base64(sha256(out.verifier));
  return out;
}

std::string joined_scopes(std::string_view a, std::string_view b) {
  std::vector<std::string> words;
  for (const auto text : {a, b}) {
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      if (end > at && !contains(words, text.substr(at, end - at))) words.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return join(words, " ");
}

std::string scopes_to_ask(const Challenge& challenge, const std::optional<ResourceMetadata>& resource, const ServerMetadata& server, const std::vector<std::string>& configured,
                          const std::string& had) {
  std::string out = challenge.scope;
  if (out.empty() && resource && resource->scopes) out = join(*resource->scopes, " ");
  out = joined_scopes(had, joined_scopes(out, join(configured, " ")));
  // Without it some servers give no refresh token.
  if (!out.empty() && contains(server.scopes, "offline_access")) out = joined_scopes(out, "offline_access");
  return out;
}

std::string url_encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~')) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

std::string form_text(const Form& form) {
  std::string out;
  for (const auto& [name, value] : form) {
    if (!out.empty()) out += '&';
    out += url_encoded(name) + "=" + url_encoded(value);
  }
  return out;
}

std::string authorization_url(const ServerMetadata& server, const AuthorizationRequest& request) {
  Form form{{"response_type", "code"}, {"client_id", request.client_id}, {"redirect_uri", request.redirect_uri}, {"state", request.state},
            {"code_challenge", request.challenge}, {"code_challenge_method", "S256"}, {"resource", request.resource}};
  if (!request.scope.empty()) form.emplace_back("scope", request.scope);
  // Whoever may go on by himself for long has to be asked each time (OpenID Connect Core §11).
  if ((" " + request.scope + " ").find(" offline_access ") != std::string::npos) form.emplace_back("prompt", "consent");
  const char join_by = server.authorization_endpoint.find('?') == std::string::npos ? '?' : '&';
  return server.authorization_endpoint + join_by + form_text(form);
}

Result<std::string> code_of(const Form& query, const std::string& state, const ServerMetadata& server) {
  const auto get = [&](std::string_view name) -> std::optional<std::string> {
    for (const auto& [key, value] : query) {
      if (key == name) return value;
    }
    return std::nullopt;
  };
  if (get("state") != state) return fail(ErrorCode::kProtocol, "what came back does not belong to this login");
  // Whoever mixes up two servers gets neither's code (RFC 9207).
  const auto issuer = get("iss");
  if (issuer && *issuer != server.issuer) return fail(ErrorCode::kProtocol, "the answer came from '" + harmless(*issuer, 200) + "', and '" + server.issuer + "' was asked");
  if (!issuer && server.says_issuer) return fail(ErrorCode::kProtocol, "the answer does not say from which authorization server it is, which this one always does");
  if (const auto error = get("error")) {
    return fail(ErrorCode::kApprovalRefused, "the authorization server refuses: " + harmless(*error, 100) + (get("error_description") ? ": " + harmless(*get("error_description"), 500) : ""));
  }
  const auto code = get("code");
  if (!code || code->empty() || code->size() > 8192) return fail(ErrorCode::kProtocol, "what came back has no code");
  return *code;
}

std::string identify(const ClientIdentity& client, Form& form) {
  if (client.method == "client_secret_basic") return "Basic " + base64_encode(url_encoded(client.id) + ":" + url_encoded(client.secret));
  form.emplace_back("client_id", client.id);
  if (client.method == "client_secret_post") form.emplace_back("client_secret", client.secret);
  return "";
}

Result<Tokens> read_tokens(int status, std::string_view text, std::int64_t now_ms, const std::string& asked_scope) {
  auto object = document(text, "the answer of the token endpoint");
  if (status != 200 || !object) {
    const std::string said = object ? harmless(string_or(*object, "error"), 100) + " " + harmless(string_or(*object, "error_description"), 500) : std::string();
    return fail(ErrorCode::kUnavailable, "the authorization server gives no token (status " + std::to_string(status) + ")" + (trim(said).empty() ? "" : ": " + std::string(trim(said))));
  }
  Tokens out;
  out.access = string_or(*object, "access_token");
  out.refresh = string_or(*object, "refresh_token");
  out.scope = string_or(*object, "scope", asked_scope);
  if (lower(string_or(*object, "token_type", "bearer")) != "bearer") return fail(ErrorCode::kUnavailable, "the authorization server gives a token of a kind that is not spoken: " + harmless(string_or(*object, "token_type"), 60));
  const auto is_plain = [](std::string_view token) { return std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; }); };
  if (out.access.empty() || !is_plain(out.access) || !is_plain(out.refresh)) return fail(ErrorCode::kProtocol, "the authorization server gives a token that no header can carry");
  if (const auto* seconds = object->if_contains("expires_in"); seconds && seconds->is_number()) {
    out.expires_ms = now_ms + static_cast<std::int64_t>(std::clamp(seconds->to_number<double>(), 0.0, 1e9) * 1000);
  }
  return out;
}

}  // namespace sabir::mcp

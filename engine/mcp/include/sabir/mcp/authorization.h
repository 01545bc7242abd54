// Authorization: OAuth 2.1 as MCP's clients use it, as far as it needs no I/O: what a server's refusal says, where its metadata is
// (RFC 9728, RFC 8414, OpenID Connect Discovery), what may be believed of it, the address that a person opens (PKCE, RFC 7636;
// RFC 8707) and what comes back (RFC 9207).
//
// Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::mcp {

// Of a WWW-Authenticate header with the scheme Bearer.
struct Challenge {
  std::string resource_metadata;  // an address; "" = not told
  std::string scope;
  std::string error;              // "invalid_token", "insufficient_scope", …
};
Challenge read_challenge(std::string_view www_authenticate);

// scheme://host[:port] of an address, lower case, without the scheme's own port; "" when it is none.
std::string origin_of(std::string_view url);
// Whether secrets may go there: TLS, or this machine.
bool is_private_enough(std::string_view url);

// Where to look for the resource's metadata, in order.
std::vector<std::string> resource_metadata_urls(const Challenge& challenge, std::string_view server_url);
struct ResourceMetadata {
  std::string resource;
  std::vector<std::string> authorization_servers;
  std::optional<std::vector<std::string>> scopes;
};
// Errors: kProtocol for what is none, or is another resource's.
Result<ResourceMetadata> read_resource_metadata(std::string_view text, std::string_view server_url);

// Where to look for an authorization server's metadata, in order.
std::vector<std::string> server_metadata_urls(std::string_view issuer);
struct ServerMetadata {
  std::string issuer;
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string registration_endpoint;  // "" = none
  std::vector<std::string> scopes;
  std::vector<std::string> methods;   // by which clients show at the token endpoint who they are; empty = not told
  bool says_issuer = false;           // authorization_response_iss_parameter_supported
  bool takes_client_metadata = false;
};
// Errors: kProtocol for what is none, names another issuer, or has no PKCE by S256 though it lists methods.
Result<ServerMetadata> read_server_metadata(std::string_view text, std::string_view issuer);

// Of the client at one authorization server.
struct ClientIdentity {
  std::string id;
  std::string secret;  // "" = a public client
  std::string method;  // "none", "client_secret_basic", "client_secret_post"
};
// The way among `methods` that fits whether there is a secret. Errors: kUnavailable.
Result<std::string> method_of(const std::vector<std::string>& methods, bool has_secret);

std::string registration_request(const std::string& redirect_uri, const ServerMetadata& server, const std::string& scope);
Result<ClientIdentity> read_registration(std::string_view text, const std::string& asked_method);

struct Pkce {
  std::string verifier;
  std::string challenge;
};
Pkce make_pkce();
std::string random_token();  // 32 random bytes, base64url

// Which scopes to ask for; "" = none are named. `had`: those that were granted or asked for before.
std::string scopes_to_ask(const Challenge& challenge, const std::optional<ResourceMetadata>& resource, const ServerMetadata& server, const std::vector<std::string>& configured,
                          const std::string& had);
// The words of both, each once.
std::string joined_scopes(std::string_view a, std::string_view b);

struct AuthorizationRequest {
  std::string client_id;
  std::string redirect_uri;
  std::string scope;
  std::string resource;
  std::string state;
  std::string challenge;
};
std::string authorization_url(const ServerMetadata& server, const AuthorizationRequest& request);
// What the redirect brought, by its query parameters. Errors: kApprovalRefused where the person or the server said no, kProtocol
// where it is not the answer to what was asked.
using Form = std::vector<std::pair<std::string, std::string>>;
Result<std::string> code_of(const Form& query, const std::string& state, const ServerMetadata& server);

std::string form_text(const Form& form);  // application/x-www-form-urlencoded
std::string url_encoded(std::string_view text);

// How the client shows who it is: adds to the form, and gives an Authorization header or "".
std::string identify(const ClientIdentity& client, Form& form);

struct Tokens {
  std::string access;
  std::string refresh;           // "" = none
  std::int64_t expires_ms = 0;   // Unix; 0 = not told
  std::string scope;
};
// Errors: kUnavailable with what the server says.
Result<Tokens> read_tokens(int status, std::string_view text, std::int64_t now_ms, const std::string& asked_scope);

}  // namespace sabir::mcp

// Serving: what sabir.yml says of how the project is served to others, and what of it they may reach.
//
// Threads: plain values; immutable in a Project.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sabir::project {

// Who may call is told by a JWT that this issuer signed.
struct JwtRules {
  std::string jwks;                          // an https address, http of this machine, or a file from the project's root
  std::string issuer;
  std::vector<std::string> audience;         // one of them must be the token's
  std::string user = "sub";                  // the claims that say so
  std::string tenant;                        // "" = no claim says so
  std::string scopes = "scope";              // words with blanks between, or a list
  std::vector<std::string> granted;          // scopes of every good token; empty: those that `scopes` names
};

// Who may call is told by headers of a proxy in front, which lets nobody else set them.
struct ProxyRules {
  std::vector<std::string> addresses;        // from which it connects: "127.0.0.1", "10.0.0.0/8", "unix"
  std::string user = "x-forwarded-user";     // names of headers, in lower case
  std::string tenant;
  std::string conversation;
  std::vector<std::string> scopes;           // that its callers have
};

// So many requests in so many seconds, of one caller; count 0 = no bound.
struct Rate {
  int count = 0;
  int seconds = 60;
  bool operator==(const Rate&) const = default;
};
// "10/s", "600/min", "5000/h": 1 to 10,000,000; nullopt for anything else.
std::optional<Rate> parse_rate(std::string_view text);
std::string to_text(const Rate& rate);

// sabir.yml's `serve`, as it holds for the environment.
struct Serving {
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string socket;                        // path of a Unix socket, from the project's root; stands before host and port
  std::vector<std::string> hosts;            // Host headers that are answered; empty: as net::HttpServerOptions has it
  std::vector<std::string> origins;          // whose pages may ask: CORS
  std::string certificate;                   // PEM files, from the project's root
  std::string key;
  std::optional<JwtRules> jwt;
  std::optional<ProxyRules> proxy;
  std::uint64_t body_bytes = std::uint64_t{16} << 20U;
  int head_bytes = 32768;
  int connections = 16384;
  int running = 4096;                        // requests at once
  Rate rate;                                 // of one caller
  int at_once = 0;                           // requests of one caller; 0 = no bound
  std::chrono::milliseconds timeout{600'000};      // of a request, whatever its function may take
  std::chrono::milliseconds drain{30'000};
  std::chrono::milliseconds start{300'000};        // in which languages are built and warm before it is ready anyway
  std::chrono::milliseconds keep_answers{86'400'000};  // under an Idempotency-Key
};

enum class Door { kRest, kMcp, kModel };
std::string_view door_name(Door door);       // "rest", "mcp", "model"

// sabir.yml's `expose`: entries of what may be reached through each door: a function's address, with or without its language,
// "assistants/NAME", "prompts/NAME", "models/ALIAS" or "memory"; * stands for any text.
struct Exposure {
  std::vector<std::string> rest;
  std::vector<std::string> mcp;
  std::vector<std::string> model;
  bool everything = false;                   // in development

  // `name` as an entry writes it; a function is asked for as "language/address".
  bool reaches(Door door, std::string_view name) const;
  bool reaches_function(Door door, std::string_view language, std::string_view address) const;
  const std::vector<std::string>& entries(Door door) const;
};

// What tokens, JWTs and proxies allow.
inline constexpr std::string_view kScopes[] = {"functions", "prompts", "memory", "assistants", "approvals", "mcp", "model", "admin", "engine"};
bool is_scope(std::string_view name);

// Whether this machine alone can reach it: a name or an address of the loopback.
bool is_loopback_host(std::string_view host);

}  // namespace sabir::project

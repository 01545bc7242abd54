// McpServer: one entry of config/mcp.yml: a server of the Model Context Protocol whose tools are functions of the project.
//
// Threads: plain values; immutable in a Project.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::project {

// How the project shows to a server over HTTP who it is. Texts may have ${secret:NAME} in them.
struct McpAuth {
  enum class Kind {
    kAsked,        // OAuth 2.1 once the server asks for it, with `sabir mcp login`
    kBearer,       // one token
    kCredentials,  // OAuth 2.1's client_credentials: nobody logs in
  };
  Kind kind = Kind::kAsked;
  std::string bearer;
  std::string client_id;          // registered before; "" = by its metadata document or dynamically
  std::string client_secret;
  std::string client_metadata;    // URL of a client ID metadata document
  std::vector<std::string> scopes;  // beside those that the server asks for
  int redirect_port = 0;          // of the loopback listener; 0 = any free one
};

struct McpServer {
  std::string name;
  int line = 0;                   // in config/mcp.yml
  std::string prefix;             // of its functions' addresses
  bool enabled = true;

  std::vector<std::string> command;  // argv; empty: over HTTP
  std::vector<std::string> passed;   // names of variables that it gets from the engine's environment
  std::vector<std::pair<std::string, std::string>> environment;  // may have ${secret:NAME}
  std::filesystem::path directory;   // absolute

  std::string url;                // "" = over standard input and output
  std::vector<std::pair<std::string, std::string>> headers;  // may have ${secret:NAME}
  McpAuth auth;

  std::string revision;           // the only one that is spoken; "" = the newest that both know
  int timeout_ms = 60'000;        // of one call
  int start_timeout_ms = 30'000;  // until it has told its tools
  std::vector<std::string> allow;  // names of tools, `*` is any text; empty: all
  std::vector<std::string> deny;   // stronger than `allow`
  std::vector<std::pair<std::string, std::string>> effects;  // name of a tool or pattern, and "read", "write" or "irreversible"; the first that fits
};

// Whether `allow` and `deny` let a tool through.
bool is_allowed(const McpServer& server, std::string_view tool);

// The names in the ${secret:NAME} of a text, in order. Errors: kConfig for a name that is none.
Result<std::vector<std::string>> secrets_in(std::string_view text);

// All secrets that a server's entry names; each once.
std::vector<std::string> secrets_of(const McpServer& server);

}  // namespace sabir::project

// Headers: what the stateless era repeats of a request in HTTP headers, checked against the request itself.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/mcp/catalogue.h"
#include "sabir/mcp/message.h"

namespace sabir::mcp {

struct RequestHeaders {
  std::optional<std::string> revision;  // MCP-Protocol-Version
  std::optional<std::string> method;    // Mcp-Method
  std::optional<std::string> name;      // Mcp-Name
  std::vector<std::pair<std::string, std::string>> parameters;  // of Mcp-Param-<name>: the name in lower case, the value
};

// Whether a request belongs to the stateless era: its header or its `_meta` says so, or names a revision that nobody knows.
bool is_stateless_request(const RequestHeaders& headers, const Message& message);

// Nothing, or why the request is refused with status 400. REQUIRES: a request of the stateless era.
std::optional<Refusal> check_headers(const RequestHeaders& headers, const Message& message, const Catalogue& catalogue);

// A header's value as it was before it was encoded; nothing where what says it is base64 is none.
std::optional<std::string> decoded_header(std::string_view value);

}  // namespace sabir::mcp

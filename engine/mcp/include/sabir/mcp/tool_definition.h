// ToolDefinition: one tool as a server describes it, and what a call of it gives, read with the care that a stranger's words need.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/mcp/catalogue.h"
#include "sabir/mcp/revision.h"
#include "sabir/protocol/payload.h"

namespace sabir::mcp {

inline constexpr std::size_t kMostTools = 2000;                          // of one server
inline constexpr std::size_t kMostToolText = std::size_t{1} << 20U;      // bytes of one definition
inline constexpr std::size_t kMostToolsText = std::size_t{16} << 20U;    // of all

struct ToolDefinition {
  std::string name;
  std::string title;
  std::string description;
  json::object input_schema;
  json::object output_schema;  // {} = unknown
  json::object annotations;
  std::string digest;          // of all of these, whatever the order of members: what consent is given to
  std::string problem;         // why it cannot be called; "" = it can
  std::vector<MirroredParameter> mirrored;

  bool hint(std::string_view annotation) const;  // an annotation that is true
};

// One entry of tools/list. Never fails: what is wrong with it is its `problem`. `over_http` counts what headers need.
ToolDefinition read_tool(const json::value& entry, bool over_http);
// Again as the server wrote it, as far as it was read.
json::object to_json(const ToolDefinition& tool);

// Mcp-Param-* of a call. REQUIRES: `arguments` is a JSON object.
std::vector<std::pair<std::string, std::string>> mirrored_headers(const ToolDefinition& tool, std::string_view arguments);
// A value as a header may carry it: itself, or base64 of it.
std::string encoded_header(std::string_view value);

// What tools/call gave: `structuredContent`, else its text, else {"content": [blocks]}.
// Errors: kFunctionError with the server's text where the tool says that it failed, kProtocol.
Result<protocol::Payload> value_of_result(std::string_view result, const std::string& shown);

// Text of a stranger for a terminal or a log: no control characters but line ends, nothing that hides or turns text around, UTF-8
// alone, at most `most` bytes.
std::string harmless(std::string_view text, std::size_t most = 4096);

}  // namespace sabir::mcp

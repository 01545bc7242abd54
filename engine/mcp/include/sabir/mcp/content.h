// What functions and prompts give, as MCP carries it: content blocks, structured content, prompt messages, resource contents.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/mcp/catalogue.h"
#include "sabir/mcp/revision.h"
#include "sabir/protocol/payload.h"

namespace sabir::mcp {

// "image/png", "audio/wav", …, by the first bytes; "application/octet-stream" where they tell nothing.
std::string_view media_type_of(std::string_view bytes);

// The members of a tool's result, as JSON text. What the schema calls bytes becomes images, audio or embedded resources.
// A function without a promised structure may give the content itself: {"content": [blocks], "structuredContent"?, "isError"?}.
// Errors: kProtocol for a payload whose blobs have no place.
Result<std::string> tool_result(Revision revision, const Tool& tool, const protocol::Payload& value);
// The same for a call that failed: what a model needs to do better.
std::string tool_failure(const Error& error);

// The messages of a prompt from what a function gave: a text, one message or several, {"role"?, "content": text, block or blocks}.
// Errors: kInvalidResult.
Result<json::array> prompt_messages(const protocol::Payload& value);
// From messages of completions/: roles that MCP lacks are the user's.
json::array prompt_messages(const json::array& messages);

// The one content of a resource from what a function gave: text, bytes where they are promised, or any other value as JSON.
Result<json::object> resource_content(const std::string& uri, const std::string& media_type, bool is_bytes, const protocol::Payload& value);

}  // namespace sabir::mcp

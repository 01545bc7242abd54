// KeptTools: what a server told when it was last asked, kept in the project's state, so that its functions can be listed, and the
// engine starts, while it is down. Beside it, the tools as they were when consent was given, to show what has changed since.
//
// Threads: pure functions. Processes: written beside and renamed; the last one wins.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/mcp/tool_definition.h"
#include "sabir/project/mcp_servers.h"

namespace sabir::peers {

struct KeptTools {
  std::string revision;     // that was spoken
  std::string server_name;  // as it calls itself
  std::vector<mcp::ToolDefinition> tools;
};

std::filesystem::path kept_file(const std::filesystem::path& state_dir, const std::string& server);
// Nothing where none are kept, or they are of a server that the entry no longer names.
std::optional<KeptTools> read_kept(const std::filesystem::path& state_dir, const project::McpServer& server);
Result<void> keep(const std::filesystem::path& state_dir, const project::McpServer& server, const KeptTools& tools);

std::optional<std::vector<mcp::ToolDefinition>> read_trusted(const std::filesystem::path& state_dir, const project::McpServer& server);
Result<void> keep_trusted(const std::filesystem::path& state_dir, const project::McpServer& server, const std::vector<mcp::ToolDefinition>& tools);

}  // namespace sabir::peers

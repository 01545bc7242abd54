// What people see of servers: their state, and how tools differ from those that were consented to.
//
// Threads: pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/peers/servers.h"

namespace sabir::peers {

// Of each server of config/mcp.yml: {"name", "prefix", "transport", "state", "revision", "server", "tools", "hidden", "waiting": [{"tool",
// "why"}], "error"?}. `live` has what an engine knows; empty: there is none.
json::array status_json(const project::Project& project, const std::map<std::string, ServerStatus>& live);

struct ToolChange {
  enum class Kind { kNew, kChanged, kGone };
  Kind kind = Kind::kNew;
  std::string tool;
  std::string text;  // for a terminal: the definition of a new tool, the lines that changed of another
};
// `before` is what was consented to, as far as this machine has it.
std::vector<ToolChange> changes(const std::string& server, const Pins& pins, const std::optional<std::vector<mcp::ToolDefinition>>& before, const std::vector<mcp::ToolDefinition>& now);

}  // namespace sabir::peers

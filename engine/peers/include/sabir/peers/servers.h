// Servers: the servers of the Model Context Protocol that config/mcp.yml names, as the engine uses them: their tools, calls of them,
// and what a person has consented to.
//
// Threads: the loop's, but for the functions. Lifetimes: shutdown() before destruction, or what runs is cut off; the setup outlives it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/inputs.h"
#include "sabir/base/json.h"
#include "sabir/mcp/client.h"
#include "sabir/net/loop.h"
#include "sabir/peers/kept_tools.h"
#include "sabir/peers/pins.h"
#include "sabir/project/project.h"
#include "sabir/secrets/secrets.h"

namespace sabir::peers {

struct ServersSetup {
  std::filesystem::path root;
  std::filesystem::path state_dir;
  std::shared_ptr<secrets::Secrets> secrets;
  // Runs blocking work elsewhere; empty: where it is called.
  std::function<void(std::function<void()>)> background;
  // A line that a server wrote to its standard error, or logged; may be empty.
  std::function<void(const std::string& server, std::string_view level, std::string_view text)> said;
  // Tools are other than they were: kept_tools.h has the new ones. The loop's; may be empty.
  std::function<void(const std::string& server)> tools_changed;
};

using CallId = std::uint64_t;

struct ServerCall {
  std::string server;
  std::string tool;       // as the server calls it
  std::string arguments;  // a JSON object
  std::chrono::steady_clock::time_point deadline;
  bool is_read = false;   // may be made once more after the server has ended
  mcp::ToolCall events;
};

struct ServerStatus {
  std::string state;      // "idle", "starting", "ready", "failed"
  std::string revision;
  std::string server_name;
  std::optional<Error> error;
  std::size_t running = 0;
};

class Servers {
 public:
  Servers(net::Loop& loop, ServersSetup setup);
  ~Servers();

  // Goes over to another reading of config/mcp.yml; what runs at a server whose entry is as it was goes on.
  void configure(const std::vector<project::McpServer>& servers, std::shared_ptr<const Pins> pins);
  // `call.events.done` comes once, never from inside call(). The deadline answers kTimeout.
  CallId call(ServerCall call);
  void cancel(CallId id, ErrorCode code, const std::string& reason);
  // Asks the servers for their tools and keeps them; `done` gets the errors by name.
  void list(const std::vector<std::string>& names, std::function<void(std::map<std::string, Error>)> done);
  std::map<std::string, ServerStatus> status() const;
  void shutdown(std::function<void()> done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One tool of one server, as far as it is known without asking.
struct OfferedTool {
  const project::McpServer* server = nullptr;
  mcp::ToolDefinition tool;
  std::string canonical;   // its name in addresses: lower-case letters, digits and _
  std::string address;     // prefix.canonical
  Consent consent = Consent::kNew;
  bool is_allowed = true;  // by config/mcp.yml
};

struct Offered {
  std::vector<OfferedTool> tools;             // by server, then by name
  std::vector<const project::McpServer*> unknown;  // servers that were never asked
  Inputs inputs;                              // that it was made from
};

// Any thread. Lifetimes: `project` outlives what is given.
Offered offered(const project::Project& project, const Pins& pins);

// The canonical names of a server's tools, in their order: each once, whatever the others are.
std::vector<std::string> canonical_names(const std::vector<mcp::ToolDefinition>& tools);

// "read", "write" or "irreversible": as config/mcp.yml says, else as the server does.
std::string effect_of(const project::McpServer& server, const mcp::ToolDefinition& tool);

// Asks one server for its tools, blocking, with a loop of its own. Any thread. Errors: as it answers.
Result<KeptTools> ask_for_tools(const project::McpServer& server, const ServersSetup& setup);

// A person logs in, or out. Any thread; blocks. `show` gets the address that has to be opened.
Result<void> login(const project::McpServer& server, const ServersSetup& setup, const std::function<void(const std::string& url)>& show, std::chrono::milliseconds most);
bool logout(const project::McpServer& server, const ServersSetup& setup);
bool is_logged_in(const project::McpServer& server, const ServersSetup& setup);

}  // namespace sabir::peers

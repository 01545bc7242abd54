#include "sabir/peers/servers.h"

#include <algorithm>
#include <future>
#include <set>
#include <thread>

#include "authorizer.h"
#include "connection.h"
#include "sabir/base/text.h"

namespace sabir::peers {
namespace {

bool same_entry(const project::McpServer& a, const project::McpServer& b) {
  return a.name == b.name && a.command == b.command && a.passed == b.passed && a.environment == b.environment && a.directory == b.directory && a.url == b.url &&
         a.headers == b.headers && a.auth.kind == b.auth.kind && a.auth.bearer == b.auth.bearer && a.auth.client_id == b.auth.client_id &&
         a.auth.client_secret == b.auth.client_secret && a.auth.client_metadata == b.auth.client_metadata && a.auth.scopes == b.auth.scopes && a.revision == b.revision &&
         a.start_timeout_ms == b.start_timeout_ms && a.timeout_ms == b.timeout_ms && a.prefix == b.prefix && a.enabled == b.enabled;
}

// Lower-case letters, digits and _; a name of others gets one made of its bytes.
std::string canonical_of(std::string_view name) {
  std::string out = to_snake_case(name);
  bool has_letter = false;
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    has_letter = has_letter || plain;
    if (!plain) c = '_';
  }
  if (!has_letter || out.size() > 100) out = "tool_" + fingerprint(name).substr(0, 8);
  return out;
}

}  // namespace

std::vector<std::string> canonical_names(const std::vector<mcp::ToolDefinition>& tools) {
  std::map<std::string, int> seen;
  for (const auto& tool : tools) ++seen[canonical_of(tool.name)];
  std::vector<std::string> out;
  for (const auto& tool : tools) {
    std::string name = canonical_of(tool.name);
    // Which of them comes first must not decide what an address means; what is written that way keeps it.
    if (seen[name] > 1 && name != tool.name) name += "_" + fingerprint(tool.name).substr(0, 6);
    out.push_back(std::move(name));
  }
  return out;
}

std::string effect_of(const project::McpServer& server, const mcp::ToolDefinition& tool) {
  for (const auto& [pattern, effect] : server.effects) {
    if (project::name_matches(pattern, tool.name)) return effect;
  }
  if (tool.hint("readOnlyHint")) return "read";
  return tool.hint("destructiveHint") ? "irreversible" : "write";
}

Offered offered(const project::Project& project, const Pins& pins) {
  Offered out;
  const auto state_dir = project.state_dir();
  std::error_code error;
  const auto lock = project.root / kLockFile;
  if (!project.mcp_servers.empty()) out.inputs.add(lock, std::filesystem::exists(lock, error));
  for (const auto& server : project.mcp_servers) {
    if (!server.enabled) continue;
    const auto file = kept_file(state_dir, server.name);
    out.inputs.add(file, std::filesystem::exists(file, error));
    auto kept = read_kept(state_dir, server);
    if (!kept) {
      out.unknown.push_back(&server);
      continue;
    }
    std::sort(kept->tools.begin(), kept->tools.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    const auto names = canonical_names(kept->tools);
    for (std::size_t i = 0; i < kept->tools.size(); ++i) {
      OfferedTool one;
      one.server = &server;
      one.canonical = names[i];
      one.address = server.prefix + "." + names[i];
      one.is_allowed = project::is_allowed(server, kept->tools[i].name);
      one.consent = pins.consent(server.name, kept->tools[i]);
      one.tool = std::move(kept->tools[i]);
      out.tools.push_back(std::move(one));
    }
  }
  return out;
}

struct Servers::State {
  State(net::Loop& l, ServersSetup s) : loop(l), setup(std::move(s)) {}
  net::Loop& loop;
  const ServersSetup setup;
  std::shared_ptr<const Pins> pins = std::make_shared<const Pins>();
  std::map<std::string, std::shared_ptr<Connection>> connections;
  std::map<CallId, std::pair<std::shared_ptr<Connection>, CallId>> calls;
  CallId next = 1;
  bool is_ending = false;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

Servers::Servers(net::Loop& loop, ServersSetup setup) : state_(std::make_unique<State>(loop, std::move(setup))) {}
Servers::~Servers() { *state_->alive = false; }

void Servers::configure(const std::vector<project::McpServer>& servers, std::shared_ptr<const Pins> pins) {
  auto& s = *state_;
  s.pins = std::move(pins);
  std::map<std::string, std::shared_ptr<Connection>> next;
  for (const auto& server : servers) {
    if (!server.enabled || s.is_ending) continue;
    const auto now = s.connections.find(server.name);
    if (now != s.connections.end() && same_entry(now->second->server(), server)) {
      next.emplace(server.name, std::move(now->second));
      s.connections.erase(now);
      continue;
    }
    next.emplace(server.name, std::make_shared<Connection>(s.loop, std::make_shared<const project::McpServer>(server), s.setup, [&s, name = server.name] {
                   if (s.setup.tools_changed) s.setup.tools_changed(name);
                 }));
  }
  for (auto& [name, old] : s.connections) old->close([old] {});
  s.connections = std::move(next);
}

CallId Servers::call(ServerCall call) {
  auto& s = *state_;
  const CallId id = s.next++;
  const auto found = s.connections.find(call.server);
  auto done = std::move(call.events.done);
  if (found == s.connections.end()) {
    s.loop.post([done = std::move(done), name = call.server] { done(fail(ErrorCode::kUnavailable, "config/mcp.yml names no MCP server '" + name + "' any more")); });
    return id;
  }
  call.events.done = [&s, here = s.alive, id, done = std::move(done)](Result<protocol::Payload> outcome) {
    if (*here) s.calls.erase(id);
    done(std::move(outcome));
  };
  const auto connection = found->second;
  s.calls[id] = {connection, connection->call(std::move(call), s.pins)};
  return id;
}

void Servers::cancel(CallId id, ErrorCode code, const std::string& reason) {
  const auto found = state_->calls.find(id);
  if (found == state_->calls.end()) return;
  const auto [connection, number] = found->second;
  connection->cancel(number, code, reason);
}

void Servers::list(const std::vector<std::string>& names, std::function<void(std::map<std::string, Error>)> done) {
  struct Waiting {
    std::size_t left = 0;
    std::map<std::string, Error> errors;
    std::function<void(std::map<std::string, Error>)> done;
  };
  auto waiting = std::make_shared<Waiting>();
  waiting->left = names.size() + 1;
  waiting->done = std::move(done);
  const auto one_less = [waiting] {
    if (--waiting->left == 0) waiting->done(std::move(waiting->errors));
  };
  for (const auto& name : names) {
    const auto found = state_->connections.find(name);
    if (found == state_->connections.end()) {
      waiting->errors.emplace(name, Error(ErrorCode::kNotFound, "config/mcp.yml names no MCP server '" + name + "'"));
      one_less();
      continue;
    }
    found->second->list([waiting, name, one_less](Result<KeptTools> tools) {
      if (!tools) waiting->errors.emplace(name, std::move(tools.error()));
      one_less();
    });
  }
  one_less();
}

std::map<std::string, ServerStatus> Servers::status() const {
  std::map<std::string, ServerStatus> out;
  for (const auto& [name, connection] : state_->connections) out[name] = connection->status();
  return out;
}

void Servers::shutdown(std::function<void()> done) {
  auto& s = *state_;
  s.is_ending = true;
  auto left = std::make_shared<std::size_t>(s.connections.size() + 1);
  auto finished = std::make_shared<std::function<void()>>(std::move(done));
  const auto one_less = [left, finished] {
    if (--*left == 0) (*finished)();
  };
  for (auto& [name, connection] : s.connections) connection->close([one_less, connection] { one_less(); });
  one_less();
}

Result<KeptTools> ask_for_tools(const project::McpServer& server, const ServersSetup& setup) {
  net::Loop loop;
  std::thread thread([&loop] { loop.run(); });
  std::unique_ptr<Connection> connection;
  std::promise<Result<KeptTools>> told;
  loop.post([&] {
    connection = std::make_unique<Connection>(loop, std::make_shared<const project::McpServer>(server), setup, std::function<void()>());
    connection->list([&told](Result<KeptTools> tools) { told.set_value(std::move(tools)); });
  });
  auto tools = told.get_future().get();
  std::promise<void> closed;
  loop.post([&] { connection->close([&closed] { closed.set_value(); }); });
  closed.get_future().wait_for(std::chrono::seconds(5));
  std::promise<void> gone;
  loop.post([&] {
    connection.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  loop.stop();
  thread.join();
  return tools;
}

Result<void> login(const project::McpServer& server, const ServersSetup& setup, const std::function<void(const std::string&)>& show, std::chrono::milliseconds most) {
  if (server.url.empty()) return fail(ErrorCode::kUsage, "the MCP server '" + server.name + "' is a program of this machine: nobody logs in to it", "What it needs to know goes into `env` in config/mcp.yml.");
  return Authorizer(server, *setup.secrets, setup.state_dir).login(show, most, nullptr);
}

bool logout(const project::McpServer& server, const ServersSetup& setup) { return Authorizer(server, *setup.secrets, setup.state_dir).logout(); }

bool is_logged_in(const project::McpServer& server, const ServersSetup& setup) {
  return !server.url.empty() && Authorizer(server, *setup.secrets, setup.state_dir).has_tokens();
}

}  // namespace sabir::peers

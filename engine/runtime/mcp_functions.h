// McpFunctions: the tools of the servers in config/mcp.yml as functions of the project.
//
// Threads: functions() from any; the rest on the loop. Lifetimes: shutdown() before destruction; the Functions that calls it ends before.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sabir/functions/provider.h"
#include "sabir/net/loop.h"
#include "sabir/peers/servers.h"

namespace sabir::runtime {

class McpFunctions : public functions::Provider {
 public:
  McpFunctions(net::Loop& loop, peers::ServersSetup setup);

  std::string_view language() const override { return "mcp"; }
  functions::Provided functions(const project::Project& project) const override;
  CallId call(const functions::Function& function, workers::CallSpec spec, workers::CallEvents events) override;
  void cancel(CallId id, ErrorCode code, const std::string& reason) override { servers_.cancel(id, code, reason); }

  // Goes over to what the project says now, and to what has been consented to.
  void configure(const project::Project& project);
  // Servers that a person has consented to and whose tools nobody has kept are asked now; `done` comes when they have answered.
  void ask_unknown(const project::Project& project, std::function<void(bool asked)> done);
  // As `sabir mcp servers --json` shows them: the files', with what is known of those that run.
  json::array status(const project::Project& project) const;
  void shutdown(std::function<void()> done) { servers_.shutdown(std::move(done)); }

 private:
  const std::filesystem::path root_;
  net::Loop& loop_;
  peers::Servers servers_;
  std::map<std::string, std::string> by_prefix_;  // the server's name
};

}  // namespace sabir::runtime

// EngineHost: the project behind one MCP client, or behind all requests of one caller.
//
// Threads: the loop's. Lifetimes: engine and offers outlive it; what it began before goes on without effect.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "offers.h"
#include "sabir/base/context.h"
#include "sabir/mcp/server.h"
#include "sabir/runtime/engine.h"

namespace sabir::serve {

class EngineHost final : public mcp::Host {
 public:
  // `may_call`: which functions it sees; empty = all. What it answers goes to the server with `updated`.
  EngineHost(runtime::Engine& engine, Offers& offers, CallContext context);
  ~EngineHost() override;

  // Subscriptions of the server that it answers for: memory is looked at every so often.
  void watch(const std::string& uri, bool wanted, const std::function<void(const std::string& uri)>& updated);

  std::shared_ptr<const mcp::Catalogue> catalogue() override { return offers_.catalogue(); }
  void call_tool(mcp::WorkPtr work, std::shared_ptr<const mcp::Catalogue> catalogue, const mcp::Tool& tool, std::string arguments) override;
  void get_prompt(mcp::WorkPtr work, std::shared_ptr<const mcp::Catalogue> catalogue, const mcp::Prompt& prompt, json::object arguments) override;
  void read_resource(mcp::WorkPtr work, std::string uri) override;
  void more_resources(const mcp::Work& work, const std::string& after, int most, std::function<void(Result<More>)> done) override;
  void complete(const mcp::Work& work, const mcp::Completion& asked, std::function<void(std::vector<std::string>)> done) override;

 private:
  using Reply = std::function<void(Result<protocol::Payload>)>;
  // One request to the engine; nothing comes of it once this is gone.
  std::function<void()> ask(std::string method, std::string params, Reply reply, runtime::Asked asked = {});
  void ask_object(std::string method, const json::object& params, std::function<void(Result<json::object>)> reply);
  // Calls a function for a client's request; its value, or why there is none. What it streams comes as one list.
  void call(const mcp::WorkPtr& work, const std::string& address, std::string arguments, Reply reply);
  void approve(const mcp::WorkPtr& work, const mcp::Tool& tool, const std::string& arguments, std::function<void()> approved);
  void read_part(const mcp::WorkPtr& work, const std::string& uri);
  void read_memory(const mcp::WorkPtr& work, const std::string& uri, const std::string& name_space, const std::string& key);
  void look_at_memory();
  Error shown(Error error) const;

  runtime::Engine& engine_;
  Offers& offers_;
  const CallContext context_;
  std::shared_ptr<const secrets::Redactor> redactor_;
  struct Watched {
    std::int64_t version = -1;  // not looked at yet
  };
  std::map<std::string, Watched> watched_;  // URIs of memory
  std::string looked_at_;                   // the last of a round
  std::function<void(const std::string&)> updated_;
  net::Loop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What functions are given of a text that a client sends: as the schema says, where the text is that.
json::value argument_value(const std::string& text, const json::object& schema);

}  // namespace sabir::serve

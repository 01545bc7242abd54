// Client: the client's side of MCP as a state machine: agrees on a revision, learns a server's tools and calls them. Messages go
// in, messages come out. No I/O, no clock, no thread of its own.
//
// One Client is one connection: a process behind its standard input and output, or an address. It tries the newer era first
// (`server/discover`) and falls back to `initialize`.
//
// Threads: one at a time. Lifetimes: callbacks come from inside the methods, never after the client is gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/mcp/message.h"
#include "sabir/mcp/revision.h"
#include "sabir/mcp/tool_definition.h"

namespace sabir::mcp {

using RequestId = std::uint64_t;  // of the client's own; never 0

struct ClientMessage {
  RequestId request = 0;  // which it is; 0 = a notification or an answer
  std::string method;     // "" = an answer
  std::string text;       // one message, no line end in it
  std::vector<std::pair<std::string, std::string>> headers;  // over HTTP, beside the session's
};

// One call of a tool. `done` comes once; after it, or after cancel(), nothing else does.
struct ToolCall {
  std::function<void(Result<protocol::Payload>)> done;
  std::function<void(std::string params_json)> progress;  // {"done", "total"?, "message"?}; may be empty
  std::function<void(std::string_view level, std::string_view text)> log;  // of this call alone; may be empty
  // Puts questions to the person: {"key": {"method": "elicitation/create", "params"}}; answers by key. Empty: nobody can be asked.
  std::function<void(std::string questions_json, std::function<void(Result<std::string>)> answered)> ask;
  json::object elicitation;  // the capability of whoever can be asked
};

struct ClientEvents {
  std::function<void(ClientMessage)> send;
  std::function<void(RequestId)> abandon;        // nobody waits for its answer any more; over HTTP its exchange ends
  std::function<void()> tools_changed;           // the server says so
  std::function<void(std::string_view level, std::string_view text)> log;
  std::function<void(std::chrono::milliseconds, std::function<void()>)> later;  // for a server that asks to be called again
};

struct ClientOptions {
  std::string name = "sabir";
  std::string version;
  std::string server;                    // as messages call it
  std::optional<Revision> revision;      // the only one that is spoken
  bool over_http = false;
};

class Client {
 public:
  Client(ClientOptions options, ClientEvents events);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Agrees on a revision. Errors: kUnavailable where there is none that both know, or the server refuses.
  void connect(std::function<void(Result<void>)> done);
  // Nothing has come back for `server/discover`: it is a server of the older era, as far as can be told.
  void no_answer_to_discover();
  // All pages. Errors: as the server refuses; kLimit.
  void list_tools(std::function<void(Result<std::vector<ToolDefinition>>)> done);
  // Asks to hear of changes, in the way of the revision. REQUIRES: connected.
  void listen();

  // REQUIRES: `arguments` is a JSON object. The id of the call, which is not a request's.
  std::uint64_t call_tool(const ToolDefinition& tool, std::string arguments, ToolCall call);
  void cancel(std::uint64_t call, const std::string& reason);

  // One message of the server; over HTTP with the request to whose answer it belongs (0 = none).
  void receive(std::string_view text, RequestId exchange = 0);
  // No answer will come to a request. `is_refused`: the server has, by an HTTP status, so that it may be of the older era.
  void undelivered(RequestId request, Error error, bool is_refused = false);
  // The connection is gone: everything open fails.
  void close(const Error& error);

  bool is_connected() const { return revision_.has_value(); }
  std::optional<Revision> revision() const { return revision_; }
  const std::string& server_name() const { return server_name_; }
  bool tells_changes() const { return tells_changes_; }

 private:
  using Answer = std::function<void(Result<std::string>)>;  // a result's raw JSON
  struct Open {
    std::string method;
    Answer answer;
    std::uint64_t call = 0;
  };
  struct Call;
  using CallPtr = std::shared_ptr<Call>;
  struct Listing;

  RequestId request(const std::string& method, std::string params_members, Answer answer, std::uint64_t call = 0,
                    std::vector<std::pair<std::string, std::string>> headers = {}, const json::object* elicitation = nullptr);
  void notify(const std::string& method, const std::string& params);
  void discover(Revision revision);
  void discovered(Result<std::string> result, Revision asked);
  void initialize();
  void initialized(Result<std::string> result);
  void connected(Result<void> outcome);
  void list_page(const std::shared_ptr<Listing>& listing, const std::string& cursor);
  void try_call(const CallPtr& call);
  void call_answered(const CallPtr& call, Result<std::string> result);
  void input_required(const CallPtr& call, std::string_view result);
  void finish(const CallPtr& call, Result<protocol::Payload> outcome);
  void server_request(const Message& message, RequestId exchange);
  void server_notification(const Message& message, RequestId exchange);
  void respond(std::string text);
  CallPtr call_behind(RequestId exchange);
  Error error_of(std::string_view error, const std::string& method) const;

  const ClientOptions options_;
  const ClientEvents events_;
  std::optional<Revision> revision_;
  std::optional<Revision> asking_;        // while agreeing: the revision of the requests
  std::function<void(Result<void>)> connecting_;
  RequestId discovering_ = 0;
  bool has_asked_twice_ = false;
  bool tells_changes_ = false;
  bool has_logging_ = false;
  std::string server_name_;
  RequestId next_ = 1;
  std::map<RequestId, Open> open_;
  std::uint64_t next_call_ = 1;
  std::map<std::uint64_t, CallPtr> calls_;
  std::size_t asked_ = 0;                 // questions that the server has put and that are not answered
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sabir::mcp

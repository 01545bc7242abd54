// Server: the server's side of MCP as a state machine. Messages go in, messages come out; what the project's functions,
// prompts and memory say is asked of a Host. No I/O, no clock, no thread of its own.
//
// One Server is one client's session of the older era (a process that speaks over its standard input, or an HTTP session),
// and at the same time any number of requests of the newer one, which stand for themselves.
//
// Threads: one at a time, the host's included. Lifetimes: the host outlives the server; a Work may outlive it and then does
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/mcp/catalogue.h"
#include "sabir/mcp/message.h"
#include "sabir/mcp/request_state.h"
#include "sabir/mcp/revision.h"

namespace sabir::mcp {

// What came in one HTTP request, or one line; the number is the transport's own and never 0.
using ExchangeId = std::uint64_t;

struct Outgoing {
  ExchangeId exchange = 0;  // to which it belongs; 0 = none: the client's general stream
  std::string text;         // one message, no line end in it; may be empty with is_last
  bool is_last = false;     // nothing follows for the exchange
  int status = 200;         // of an HTTP answer that is nothing but this message
};

enum class Severity { kDebug, kInfo, kNotice, kWarning, kError, kCritical, kAlert, kEmergency };
std::optional<Severity> severity_of(std::string_view name);
std::string_view name_of(Severity severity);

class Server;

// One request that a host works on. Whatever is told to one that has been answered or cancelled is dropped.
class Work : public std::enable_shared_from_this<Work> {
 public:
  Revision revision() const { return revision_; }
  bool is_open() const { return server_ != nullptr; }
  // The same in every round of a request; another for each request.
  const std::string& key() const { return key_; }
  // Who asks, as the transport knows them; "" = nobody in particular.
  const std::string& principal() const { return principal_; }
  const json::object& capabilities() const { return capabilities_; }  // of the client
  const std::string& traceparent() const { return traceparent_; }     // W3C's, of the client's own span; as it came, "" = none

  // Values that do not grow are dropped, as is everything for a client that asked for no progress.
  void progress(double done, std::optional<double> total, std::string_view message);
  void log(Severity severity, std::string_view logger, std::string_view text);

  // Asks the client: {"key": {"method": "elicitation/create" | "sampling/createMessage" | "roots/list", "params"}}, and gives its
  // results by key. In the newer era what has not been answered yet ends the work: the client asks anew, with answers.
  // Errors: kUnavailable where the client cannot be asked, kApprovalRefused where it answers with an error, kLimit,
  // kCancelled where the work has ended.
  using Answered = std::function<void(Result<json::object>)>;
  // Whether answers count that the client sends of itself, before it was asked.
  enum class Trust { kAnyAnswer, kAskedAlone };
  void ask(const json::object& requests, Answered answered, Trust trust = Trust::kAnyAnswer);
  // Of a request that was asked about in earlier rounds: true once, false for whoever sends the same again.
  bool consume();

  // For how long, and by whom else, the newer era's clients may keep the answer; of cacheable ones alone. REQUIRES: before it.
  void may_keep(std::int64_t ttl_ms, bool is_private);
  void answer(json::object result);
  void answer_members(std::string_view members);  // `"a":1,"b":2`
  void refuse(const Refusal& refusal);

  // Called once, when nobody waits for the answer any more.
  std::function<void()> when_cancelled;

 private:
  friend class Server;
  struct Asking {
    json::object answers;
    std::size_t missing = 0;
    Answered answered;
  };
  void end();
  void require_input(json::object requests);

  Server* server_ = nullptr;  // null: has ended
  ExchangeId exchange_ = 0;
  std::string id_;            // raw JSON
  std::string method_;
  Revision revision_ = Revision::k2025_11_25;
  std::string progress_token_;  // raw JSON; "" = none
  double progressed_ = -1;
  std::optional<Severity> least_;  // that is sent
  json::object capabilities_;      // of the client
  std::string principal_;
  std::string key_;
  std::string traceparent_;
  std::string name_;               // of what may be asked in several rounds, with its arguments as they came
  std::string arguments_;
  json::object given_;             // answers of this round and of earlier ones, by key
  bool has_state_ = false;
  bool is_cacheable_ = false;
  std::int64_t ttl_ms_ = 0;
  bool is_private_ = true;
};
using WorkPtr = std::shared_ptr<Work>;

struct Completion {
  bool is_prompt = true;
  std::string name;      // of the prompt, or the template's URI
  std::string argument;
  std::string value;     // begun
  json::object arguments;  // that are known already
};

// Answers requests, now or later, once each; an error by Work::refuse().
class Host {
 public:
  virtual ~Host() = default;
  virtual std::shared_ptr<const Catalogue> catalogue() = 0;
  virtual void call_tool(WorkPtr work, std::shared_ptr<const Catalogue> catalogue, const Tool& tool, std::string arguments) = 0;
  // All required arguments are there.
  virtual void get_prompt(WorkPtr work, std::shared_ptr<const Catalogue> catalogue, const Prompt& prompt, json::object arguments) = 0;
  // `{"contents": [one]}`, or refuse_unknown_resource().
  virtual void read_resource(WorkPtr work, std::string uri) = 0;
  // Resources beyond the catalogue's, after the one with the cursor `after` ("" = from the first).
  struct More {
    std::vector<Resource> resources;
    std::string next;  // "" = these were the last
  };
  virtual void more_resources(const Work& work, const std::string& after, int most, std::function<void(Result<More>)> done) = 0;
  // Of a template's argument that its schema does not tell; at most 100.
  virtual void complete(const Work& work, const Completion& asked, std::function<void(std::vector<std::string>)> done) = 0;
};

void refuse_unknown_resource(Work& work, const std::string& uri);

struct ServerOptions {
  std::string name = "sabir";
  std::string title;
  std::string version;
  std::string instructions;
  bool tells_changes = true;                    // changed() and updated() will be called
  bool is_shared = false;                       // many clients' requests of the newer era, whose ids say nothing beyond their exchange
  bool is_open = true;                          // everyone who reaches it sees the same lists
  std::shared_ptr<const Seal> seal;             // null: one of its own
  std::function<std::int64_t()> now_ms;         // Unix; for the expiry of what clients carry
  std::function<void(const std::string& uri, bool wanted)> watch;  // subscriptions to resources come and go; may be empty
  std::size_t most_open = 1000;                 // requests at work
  std::size_t most_subscriptions = 1000;        // of one client or stream
  int page = 100;                               // entries of a list at a time
  std::int64_t ttl_ms = 60'000;                 // for which lists may be kept
  std::int64_t state_ms = 600'000;              // for which a client may carry the state of a request
};

enum class ListKind { kTools, kPrompts, kResources };

class Server {
 public:
  using Out = std::function<void(Outgoing)>;
  Server(Host& host, ServerOptions options, Out out);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One message of the client. `principal` is who sent it, as far as the transport knows.
  void receive(ExchangeId exchange, std::string_view text, const std::string& principal = {});
  void receive(ExchangeId exchange, const Message& message, const std::string& principal = {});
  // The client has stopped to listen to an exchange of the newer era: what runs for it is cancelled.
  void closed(ExchangeId exchange);
  void changed(ListKind kind);
  void updated(const std::string& uri);
  // Ends what is open; subscriptions are told.
  void shut_down();
  // Answers those who listen for changes, and goes on with everything else.
  void end_listening();

  bool has_session() const { return session_revision_.has_value(); }
  std::optional<Revision> session_revision() const { return session_revision_; }
  std::size_t open() const { return works_.size(); }

 private:
  friend class Work;
  struct Listening {
    std::string id;  // raw JSON
    bool tools = false;
    bool prompts = false;
    bool resources = false;
    std::set<std::string> uris;
  };
  struct Asked {
    WorkPtr work;
    std::string key;
    std::string method;
    std::shared_ptr<Work::Asking> asking;
  };

  void request(ExchangeId exchange, const Message& message, const std::string& principal);
  void notification(const Message& message);
  void response(const Message& message);
  void session_request(const WorkPtr& work, const json::object& params);
  void stateless_request(const WorkPtr& work, const json::object& params);
  bool common_request(const WorkPtr& work, const Message& message, const json::object& params);
  void initialize(Work& work, const json::object& params);
  void discover(Work& work);
  void listen(Work& work, const json::object& params);
  void list(const WorkPtr& work, const json::object& params);
  void list_resources(const WorkPtr& work, const std::string& cursor);
  void call_tool(const WorkPtr& work, const Message& message, const json::object& params);
  void get_prompt(const WorkPtr& work, const json::object& params);
  void complete(const WorkPtr& work, const json::object& params);
  void subscribe(Work& work, const json::object& params, bool wanted);
  bool take_round(Work& work, const Message& message, const json::object& params, std::string_view name, std::string_view arguments);
  json::object capabilities(bool stateless) const;
  json::object implementation() const;
  void begin(const WorkPtr& work);
  void send(ExchangeId exchange, std::string text, bool is_last = false, int status = 200);
  void finish(Work& work, std::string text, int status);
  void drop_questions(const Work& work, bool tell);
  void cancel(const WorkPtr& work);
  void watch(const std::string& uri, bool wanted);

  Host& host_;
  const ServerOptions options_;
  const Out out_;
  const std::shared_ptr<const Seal> seal_;
  const std::string info_;  // `"_meta":{…}` of stateless results
  std::optional<Revision> session_revision_;
  bool is_initialized_ = false;
  json::object session_capabilities_;
  std::optional<Severity> session_least_;
  std::set<std::string> session_uris_;
  std::map<ExchangeId, WorkPtr> works_;
  std::map<ExchangeId, Listening> listening_;
  std::map<std::string, Asked> asked_;  // by the id of the question
  std::uint64_t next_question_ = 1;
  std::map<std::string, std::int64_t> consumed_;  // nonces and when they expire
  std::map<std::string, int> watched_;
};

}  // namespace sabir::mcp

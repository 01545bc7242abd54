// Run: one run of an assistant as a state machine. It is told what happened and answers what to do next; it does no I/O,
// knows no clock of its own and starts nothing.
//
//   start → AskModel → model_replied → CallTool… / AskApproval… → tool_finished… → AskModel → … → Finish
//
// Threads: one at a time. Lifetime: after Finish every further event is ignored.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sabir/assistants/definition.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::assistants {

using Clock = std::chrono::steady_clock;

// A function as the model sees it.
struct Tool {
  std::string name;          // [A-Za-z0-9_-]{1,64}
  std::string address;       // "ruby/text.slugify"
  std::string description;
  json::object parameters;   // JSON Schema of the arguments
  bool irreversible = false;
};

// A tool of whoever asked, who makes the calls: the run ends with them. {"type": "function", "function": {"name", …}}
using ClientTools = json::array;

// One call that the model asked for and how it ended.
struct CallMade {
  std::string call_id;
  std::string address;       // the tool's name as the model wrote it when there is no such tool
  std::string arguments_json;
  std::string value_json;    // when ok
  std::optional<Error> error;
};

// ---- What to do next ----
struct AskModel {
  json::array messages;
  json::array tools;                       // empty on the last step: what is known by then must do
  std::chrono::milliseconds timeout{0};    // what is left of the run's time
};
// Tools called for in one list of actions run side by side.
struct CallTool {
  std::string call_id;
  std::string address;
  std::string arguments_json;
};
struct AskApproval {
  std::string call_id;
  std::string address;
  std::string arguments_json;
};
// Messages to append to the conversation, in order; a tool call is never apart from its results.
struct Remember {
  std::vector<json::object> messages;
};
struct Finish {
  Result<std::string> content;  // the answer; kLimit, kTimeout, kCancelled, kModel and the model's own errors
  std::vector<models::ToolCall> handed_over;  // of client's tools, which have to be made before the run can be asked again
};
using Action = std::variant<AskModel, CallTool, AskApproval, Remember, Finish>;
using Actions = std::vector<Action>;

class Run {
 public:
  // `opening` goes before the history (system message, examples); `history` is what the conversation held.
  Run(const Definition& definition, std::vector<Tool> tools, json::array opening, json::array history, ClientTools client_tools = {});

  Actions start(const std::string& message, Clock::time_point now);
  // Where the opening asks already.
  Actions start(Clock::time_point now);
  Actions model_replied(const models::Reply& reply, Clock::time_point now);
  Actions model_failed(Error error);
  // `outcome` is the function's value as JSON.
  Actions tool_finished(const std::string& call_id, Result<std::string> outcome, Clock::time_point now);
  // `reason` is what the model is told when it was not granted.
  Actions approval_answered(const std::string& call_id, bool granted, const std::string& reason, Clock::time_point now);
  // Time that a person took to answer does not count.
  void exclude(Clock::duration waited) { deadline_ += waited; }
  // To be called when time may be over.
  Actions tick(Clock::time_point now);
  Actions cancel();

  bool finished() const { return finished_; }
  int steps() const { return steps_; }
  Clock::time_point deadline() const { return deadline_; }
  const std::vector<CallMade>& calls() const { return calls_; }
  // What the run has added to the messages that it began with, the question aside: calls, their results, the answer.
  json::array said() const;
  // The latest call of that id; null when there is none.
  const CallMade* call(const std::string& call_id) const;

 private:
  struct Pending {
    std::string call_id;
    std::string name;
    std::size_t made = 0;                 // index in calls_
    std::optional<std::string> content;   // of the tool message, once known
  };

  Actions ask(Clock::time_point now);
  Actions finish(Result<std::string> content, std::vector<models::ToolCall> handed_over = {});
  bool is_client_tool(const std::string& name) const;
  // Where a reply calls client's tools and nothing else.
  Actions hand_over(const models::Reply& reply);
  void begin_call(const models::ToolCall& call, Actions& actions, Actions& approvals);
  void settle(Pending& pending, Result<std::string> outcome);
  Actions go_on_when_settled(Clock::time_point now);
  Pending* find_pending(const std::string& call_id);
  const Tool* find_tool(const std::string& name) const;

  std::string name_;  // "the assistant 'helper'"
  std::string where_to_raise_;  // its limits; "" = nowhere
  int max_steps_;
  std::chrono::milliseconds max_time_;
  std::vector<Tool> tools_;
  std::vector<std::string> client_tools_;  // names
  json::array tool_schemas_;               // of both
  json::array messages_;
  std::size_t asked_ = 0;  // messages when the model was first asked
  std::vector<json::object> unremembered_;  // of the step under way
  std::vector<Pending> pending_;
  std::vector<CallMade> calls_;
  Clock::time_point deadline_{};
  int steps_ = 0;
  int empty_replies_ = 0;
  bool finished_ = false;
};

}  // namespace sabir::assistants

// Runner: executes an assistant's run with the rooms it is given: asks the model, calls the functions side by side,
// asks for approvals, keeps the conversation in memory and the steps in the journal.
//
// Threads: run() blocks and may be called from any number of threads at once; events come on the calling thread.
// Lifetime: the parts outlive the Runner.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sabir/assistants/definition.h"
#include "sabir/assistants/run.h"
#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/completions/renderer.h"
#include "sabir/journal/journal.h"
#include "sabir/memory/memory.h"
#include "sabir/models/model.h"

namespace sabir::assistants {

// The functions an assistant may call.
class ToolCaller {
 public:
  virtual ~ToolCaller() = default;
  // What the assistant's `functions` name. Errors: kUnknownFunction for an entry that names nothing.
  virtual Result<std::vector<Tool>> list(const std::vector<std::string>& patterns) = 0;
  // Blocks until `deadline` at most; called from several threads at once. `call_id` is the model's. The value is JSON.
  virtual Result<std::string> call(const std::string& address, const std::string& arguments_json, const std::string& call_id,
                                   const CallContext& context, Clock::time_point deadline) = 0;
};

enum class Approval { kGranted, kDenied };

// Any of them may be empty; without `approve` calls that need approval wait for one, or are refused (Parts::may_wait).
struct Events {
  std::function<void(std::string_view text)> text;  // the model's words as they come
  std::function<void(double progress)> loading;     // a local model is being loaded, 0..1
  std::function<void(const std::string& address, const std::string& arguments_json)> calling;
  std::function<void(const CallMade& call)> called;
  std::function<Approval(const std::string& address, const std::string& arguments_json)> approve;
};

struct Answer {
  std::string content;
  std::string conversation;
  std::string run;        // the journal's id; "" without a journal
  std::string model;
  std::string provider;
  int steps = 0;
  std::vector<CallMade> calls;
  models::Usage usage;
  double cost_usd = 0;
  bool priced = true;     // false: of some call nobody knows the price
  std::string finish_reason = "stop";         // of the model's last reply
  std::vector<models::ToolCall> handed_over;  // Finish::handed_over
  json::array said;                           // Run::said
  std::vector<journal::Approval> waiting;     // the run waits for these, and goes on by Runner::resume; there is no content yet
};

// A conversation that its owner sends whole, as Chat Completions has it.
struct Turn {
  json::array messages;
  ClientTools tools;
  json::object parameters;                    // the definition's own are stronger
  std::optional<json::object> output_schema;
};

// {"content", "conversation", "run", "model", "provider", "steps", "calls": [{"address", "arguments", "value" or
// "error"}], "usage", "cost_usd"?, "waiting"? [{"id", …}]}
json::object to_json(const Answer& answer);

struct Parts {
  ToolCaller* tools = nullptr;
  // The model behind an alias, "" for the default; null is never returned.
  std::function<Result<std::shared_ptr<models::Model>>(const std::string& alias)> model;
  memory::Memory* memory = nullptr;            // null: nothing is remembered
  journal::Journal* journal = nullptr;         // null: nothing is recorded
  bool may_wait = false;                       // where nobody can be asked, a run waits for approvals in the journal
  std::chrono::milliseconds approval_time{std::chrono::hours(24)};  // after which they have expired
  // What the journal may hold of a JSON text: without secrets.
  std::function<std::string(std::string json_text)> redact = [](std::string text) { return text; };
  const completions::Renderer* prompts = nullptr;
  completions::FunctionCaller* prompt_functions = nullptr;  // what the templates of prompts call
  std::function<Clock::time_point()> now = [] { return Clock::now(); };
};

class Runner {
 public:
  explicit Runner(Parts parts) : parts_(std::move(parts)) {}

  // An empty `conversation` begins a new one, named in the answer. `cancelled` may be null. Errors: kLimit (steps),
  // kTimeout (time), kCancelled, kTemplate and kNotFound (the prompt), kUnknownFunction (an entry of `functions`), the
  // model's, the store's.
  Result<Answer> run(const Definition& definition, const std::string& message, const std::string& conversation,
                     CallContext context, const Events& events,
                     std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  // The same where the caller keeps the conversation: nothing of it is remembered.
  Result<Answer> answer(const Definition& definition, Turn turn, CallContext context, const Events& events,
                        std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  // Goes on with a run of assistant `definition` that waited: what was approved is called, the model is told of the rest.
  Result<Answer> resume(const Definition& definition, const journal::Journal::Suspended& suspended, CallContext context, const Events& events,
                        std::shared_ptr<std::atomic<bool>> cancelled = nullptr);
  // `secrets` is Rendered::secrets. The same from messages that ask already. They are no conversation: nothing is remembered.
  Result<Answer> complete(const Definition& definition, json::array messages, std::vector<std::string> secrets, CallContext context, const Events& events,
                          std::shared_ptr<std::atomic<bool>> cancelled = nullptr);

 private:
  struct Opened;  // a run that can begin
  // The opening, by instructions or by a prompt, then tools and model.
  Result<void> open_assistant(Opened& opened, const Definition& definition, const CallContext& context);
  // Finds tools and model.
  Result<void> open(Opened& opened, const std::vector<std::string>& functions, const std::string& alias);
  Result<Answer> execute(const Definition& definition, Opened opened, const std::string* message, CallContext context, const Events& events,
                         std::shared_ptr<std::atomic<bool>> cancelled);
  // From its first actions to its end, or until it waits.
  Result<Answer> carry_out(const Definition& definition, Opened opened, Run run, const std::function<Actions(Run&)>& begin, CallContext context, const Events& events,
                           std::shared_ptr<std::atomic<bool>> cancelled);

  Parts parts_;
};

}  // namespace sabir::assistants

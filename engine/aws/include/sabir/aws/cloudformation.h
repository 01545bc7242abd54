// Stacks: CloudFormation's stacks, changed by change sets, as one says what will be done before it is.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference
//
// Threads: any; each method blocks for its requests, and asks once: whoever waits for a stack asks again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sabir/aws/client.h"
#include "sabir/aws/xml.h"

namespace sabir::aws {

struct Stack {
  std::string id;
  std::string status;  // "UPDATE_COMPLETE"
  std::string reason;
  std::map<std::string, std::string> parameters;
  std::map<std::string, std::string> outputs;

  bool is_settled() const { return !status.ends_with("_IN_PROGRESS"); }
  bool is_good() const { return status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE" || status == "IMPORT_COMPLETE"; }
};

struct StackEvent {
  std::string id;
  std::string time;
  std::string resource;  // logical id
  std::string type;      // "AWS::EC2::Instance"
  std::string status;
  std::string reason;
};

// One resource of a change set.
struct StackChange {
  std::string action;       // Add, Modify, Remove, Import, Dynamic
  std::string resource;
  std::string type;
  std::string replacement;  // "", True, False, Conditional
  std::vector<std::string> properties;  // that change, each once
};

struct ChangeSet {
  std::string status;  // CREATE_PENDING, CREATE_IN_PROGRESS, CREATE_COMPLETE, FAILED
  std::string reason;
  std::vector<StackChange> changes;
  // What CloudFormation calls a failure: there is nothing to change.
  bool is_empty() const { return status == "FAILED" && (reason.find("didn't contain changes") != std::string::npos || reason.find("No updates are to be performed") != std::string::npos); }
};

// A resource that is no longer as the stack made it.
struct StackDrift {
  std::string resource;
  std::string type;
  std::string status;  // MODIFIED, DELETED
  std::vector<std::string> differences;  // "/Tags/0/Value: a -> b"
};

class Stacks {
 public:
  Stacks(ClientSettings settings, std::string configured_in);

  // Nothing = there is none of that name, or it is deleted.
  Result<std::optional<Stack>> describe(const std::string& name);
  // Its ARN. A stack that is not there yet (or is in REVIEW_IN_PROGRESS) is `create`d. `token` makes a repeated request one.
  enum class Kind { kCreate, kUpdate };
  Result<std::string> create_change_set(const std::string& stack, const std::string& name, Kind kind, const std::string& body,
                                        const std::map<std::string, std::string>& parameters, const std::map<std::string, std::string>& tags);
  Result<ChangeSet> change_set(const std::string& stack, const std::string& name);
  Result<void> execute(const std::string& stack, const std::string& name, const std::string& token);
  Result<void> drop_change_set(const std::string& stack, const std::string& name);
  // Those after the event `since` ("" = of all time), oldest first; at most 1,000.
  Result<std::vector<StackEvent>> events(const std::string& stack, const std::string& since);
  Result<void> remove(const std::string& stack, const std::string& token);
  // Of an UPDATE_ROLLBACK_FAILED: it goes on with what it could not undo.
  Result<void> continue_rollback(const std::string& stack, const std::string& token);
  // Begins a look at what has drifted; its id.
  Result<std::string> detect_drift(const std::string& stack);
  // Nothing = it is still looking.
  Result<std::optional<std::vector<StackDrift>>> drift(const std::string& stack, const std::string& id);
  // What it consists of: logical id and type.
  Result<std::vector<std::pair<std::string, std::string>>> resources(const std::string& stack);

 private:
  Result<Element> ask(const std::string& action, Query form, const std::string& what);

  Client client_;
};

}  // namespace sabir::aws

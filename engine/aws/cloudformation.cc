#include "sabir/aws/cloudformation.h"

#include <algorithm>

namespace sabir::aws {
namespace {

constexpr int kTries = 6;
constexpr std::size_t kMostEvents = 1'000;
constexpr int kMostPages = 100;
constexpr std::size_t kMostBodyBytes = 51'200;  // CloudFormation's own bound of a template in a request

std::string number(std::size_t index) { return std::to_string(index + 1); }

// "Stack with id x does not exist": CloudFormation has no code of its own for that.
bool is_missing(const Error& error) { return code_of(error) == "ValidationError" && error.message.find("does not exist") != std::string::npos; }

}  // namespace

Stacks::Stacks(ClientSettings settings, std::string configured_in)
    : client_({"cloudformation", "CloudFormation", "AWS_ENDPOINT_URL_CLOUDFORMATION", std::move(configured_in)}, std::move(settings)) {}

Result<Element> Stacks::ask(const std::string& action, Query form, const std::string& what) {
  form.emplace_back("Action", action);
  form.emplace_back("Version", "2010-05-15");
  Call call;
  call.action = "cloudformation:" + action;
  call.what = what;
  call.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  call.body = query_text(std::move(form));
  call.most_bytes = std::size_t{16} << 20U;
  call.patience = std::chrono::seconds(30);
  call.tries = kTries;
  auto answer = client_.send(call);
  if (!answer) {
    if (is_missing(answer.error())) answer.error().code = ErrorCode::kNotFound;
    return fail(std::move(answer.error()));
  }
  auto document = parse_xml(answer->body);
  if (!document) return fail(std::move(document.error()));
  if (const auto* result = document->child(action + "Result")) return *result;
  return Element{};
}

Result<std::optional<Stack>> Stacks::describe(const std::string& name) {
  auto answer = ask("DescribeStacks", {{"StackName", name}}, name);
  if (!answer) {
    if (answer.error().code == ErrorCode::kNotFound) return std::nullopt;
    return fail(std::move(answer.error()));
  }
  const auto& stacks = answer->list("Stacks");
  if (stacks.empty()) return std::nullopt;
  const auto& one = stacks.front();
  Stack out;
  out.id = one.said("StackId");
  out.status = one.said("StackStatus");
  out.reason = one.said("StackStatusReason");
  for (const auto& parameter : one.list("Parameters")) out.parameters.emplace(parameter.said("ParameterKey"), parameter.said("ParameterValue"));
  for (const auto& output : one.list("Outputs")) out.outputs.emplace(output.said("OutputKey"), output.said("OutputValue"));
  if (out.status == "DELETE_COMPLETE") return std::nullopt;
  return out;
}

Result<std::string> Stacks::create_change_set(const std::string& stack, const std::string& name, Kind kind, const std::string& body,
                                              const std::map<std::string, std::string>& parameters, const std::map<std::string, std::string>& tags) {
  if (body.size() > kMostBodyBytes) {
    return fail(ErrorCode::kLimit, "the template has " + std::to_string(body.size()) + " bytes, and CloudFormation takes " + std::to_string(kMostBodyBytes), "Split it, or take comments out.");
  }
  Query form{{"StackName", stack}, {"ChangeSetName", name}, {"ChangeSetType", kind == Kind::kCreate ? "CREATE" : "UPDATE"}, {"TemplateBody", body},
             {"Capabilities.member.1", "CAPABILITY_IAM"}, {"Capabilities.member.2", "CAPABILITY_NAMED_IAM"}, {"ClientToken", name}};
  std::size_t index = 0;
  for (const auto& [key, value] : parameters) {
    form.emplace_back("Parameters.member." + number(index) + ".ParameterKey", key);
    form.emplace_back("Parameters.member." + number(index++) + ".ParameterValue", value);
  }
  index = 0;
  for (const auto& [key, value] : tags) {
    form.emplace_back("Tags.member." + number(index) + ".Key", key);
    form.emplace_back("Tags.member." + number(index++) + ".Value", value);
  }
  auto answer = ask("CreateChangeSet", std::move(form), stack);
  if (!answer) return fail(std::move(answer.error()));
  return std::string(answer->said("Id"));
}

Result<ChangeSet> Stacks::change_set(const std::string& stack, const std::string& name) {
  ChangeSet out;
  std::string token;
  for (int page = 0; page < kMostPages; ++page) {
    Query form{{"StackName", stack}, {"ChangeSetName", name}};
    if (!token.empty()) form.emplace_back("NextToken", token);
    auto answer = ask("DescribeChangeSet", std::move(form), stack);
    if (!answer) return fail(std::move(answer.error()));
    out.status = answer->said("Status");
    out.reason = answer->said("StatusReason");
    for (const auto& one : answer->list("Changes")) {
      const auto* change = one.child("ResourceChange");
      if (!change) continue;
      StackChange made{std::string(change->said("Action")), std::string(change->said("LogicalResourceId")), std::string(change->said("ResourceType")), std::string(change->said("Replacement")), {}};
      for (const auto& detail : change->list("Details")) {
        const auto* target = detail.child("Target");
        if (!target) continue;
        const auto property = std::string(target->said("Name").empty() ? target->said("Attribute") : target->said("Name"));
        if (!property.empty() && std::find(made.properties.begin(), made.properties.end(), property) == made.properties.end()) made.properties.push_back(property);
      }
      out.changes.push_back(std::move(made));
    }
    token = answer->said("NextToken");
    if (token.empty()) break;
  }
  return out;
}

Result<void> Stacks::execute(const std::string& stack, const std::string& name, const std::string& token) {
  auto answer = ask("ExecuteChangeSet", {{"StackName", stack}, {"ChangeSetName", name}, {"ClientRequestToken", token}}, stack);
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Result<void> Stacks::drop_change_set(const std::string& stack, const std::string& name) {
  auto answer = ask("DeleteChangeSet", {{"StackName", stack}, {"ChangeSetName", name}}, stack);
  if (!answer && answer.error().code != ErrorCode::kNotFound) return fail(std::move(answer.error()));
  return {};
}

Result<std::vector<StackEvent>> Stacks::events(const std::string& stack, const std::string& since) {
  std::vector<StackEvent> out;
  std::string token;
  for (int page = 0; page < kMostPages && out.size() < kMostEvents; ++page) {
    Query form{{"StackName", stack}};
    if (!token.empty()) form.emplace_back("NextToken", token);
    auto answer = ask("DescribeStackEvents", std::move(form), stack);
    if (!answer) return fail(std::move(answer.error()));
    // The newest come first.
    for (const auto& one : answer->list("StackEvents")) {
      if (!since.empty() && one.said("EventId") == since) {
        std::reverse(out.begin(), out.end());
        return out;
      }
      out.push_back({std::string(one.said("EventId")), std::string(one.said("Timestamp")), std::string(one.said("LogicalResourceId")), std::string(one.said("ResourceType")),
                     std::string(one.said("ResourceStatus")), std::string(one.said("ResourceStatusReason"))});
    }
    token = answer->said("NextToken");
    if (token.empty()) break;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Result<void> Stacks::remove(const std::string& stack, const std::string& token) {
  auto answer = ask("DeleteStack", {{"StackName", stack}, {"ClientRequestToken", token}}, stack);
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Result<void> Stacks::continue_rollback(const std::string& stack, const std::string& token) {
  auto answer = ask("ContinueUpdateRollback", {{"StackName", stack}, {"ClientRequestToken", token}}, stack);
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Result<std::string> Stacks::detect_drift(const std::string& stack) {
  auto answer = ask("DetectStackDrift", {{"StackName", stack}}, stack);
  if (!answer) return fail(std::move(answer.error()));
  return std::string(answer->said("StackDriftDetectionId"));
}

Result<std::optional<std::vector<StackDrift>>> Stacks::drift(const std::string& stack, const std::string& id) {
  auto answer = ask("DescribeStackDriftDetectionStatus", {{"StackDriftDetectionId", id}}, stack);
  if (!answer) return fail(std::move(answer.error()));
  const auto status = answer->said("DetectionStatus");
  if (status == "DETECTION_IN_PROGRESS") return std::nullopt;
  if (status != "DETECTION_COMPLETE") return fail(ErrorCode::kUnavailable, "CloudFormation cannot tell what has drifted of " + stack + ": " + std::string(answer->said("DetectionStatusReason")));
  std::vector<StackDrift> out;
  std::string token;
  for (int page = 0; page < kMostPages; ++page) {
    Query form{{"StackName", stack}, {"StackResourceDriftStatusFilters.member.1", "MODIFIED"}, {"StackResourceDriftStatusFilters.member.2", "DELETED"}};
    if (!token.empty()) form.emplace_back("NextToken", token);
    answer = ask("DescribeStackResourceDrifts", std::move(form), stack);
    if (!answer) return fail(std::move(answer.error()));
    for (const auto& one : answer->list("StackResourceDrifts")) {
      StackDrift made{std::string(one.said("LogicalResourceId")), std::string(one.said("ResourceType")), std::string(one.said("StackResourceDriftStatus")), {}};
      for (const auto& difference : one.list("PropertyDifferences")) {
        made.differences.push_back(std::string(difference.said("PropertyPath")) + ": " + std::string(difference.said("ExpectedValue")) + " -> " + std::string(difference.said("ActualValue")));
      }
      out.push_back(std::move(made));
    }
    token = answer->said("NextToken");
    if (token.empty()) break;
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> Stacks::resources(const std::string& stack) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string token;
  for (int page = 0; page < kMostPages; ++page) {
    Query form{{"StackName", stack}};
    if (!token.empty()) form.emplace_back("NextToken", token);
    auto answer = ask("ListStackResources", std::move(form), stack);
    if (!answer) return fail(std::move(answer.error()));
    for (const auto& one : answer->list("StackResourceSummaries")) {
      if (!one.said("LogicalResourceId").empty() && one.said("ResourceStatus") != "DELETE_COMPLETE") out.emplace_back(one.said("LogicalResourceId"), one.said("ResourceType"));
    }
    token = answer->said("NextToken");
    if (token.empty()) break;
  }
  return out;
}

}  // namespace sabir::aws

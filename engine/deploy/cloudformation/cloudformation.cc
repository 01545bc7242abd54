// The target cloudformation: a stack of deploy/cloudformation/service.yml, changed by change sets. CloudFormation itself waits for the
// release on the instance, and takes back what fails.
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "aws/logs.h"
#include "aws/s3_backend.h"
#include "aws/settings.h"
#include "blanks.h"
#include "sabir/deploy/packages.h"
#include "sabir/aws/cloudformation.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/deploy/target.h"
#include "sabir/project/project.h"

namespace sabir::deploy {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr std::chrono::minutes kWhole{90};          // CloudFormation's own bounds are below it
constexpr std::chrono::minutes kForAChangeSet{5};
constexpr std::chrono::minutes kForDrift{3};
constexpr const char* kVolume = "state_volume";     // in the backend: the volume that a deleted stack left

// Asked again ever more seldom: quick with what is quick, sparing with what takes minutes.
class Pauses {
 public:
  explicit Pauses(std::chrono::milliseconds whole) : end_(Clock::now() + whole) {}
  // False: the time is over.
  bool wait() {
    if (Clock::now() >= end_) return false;
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 3 / 2, std::chrono::milliseconds(3'000));
    return true;
  }
  void again() { pause_ = std::chrono::milliseconds(200); }

 private:
  const Clock::time_point end_;
  std::chrono::milliseconds pause_{200};
};

bool was_cancelled(const std::string& reason) { return reason.find("cancelled") != std::string::npos; }

class CloudFormation final : public Target {
 public:
  CloudFormation(TargetContext context, AwsPlace place, std::string stack, std::string body_file, std::string parameters_file)
      : context_(std::move(context)), place_(std::move(place)), stack_(std::move(stack)), body_file_(std::move(body_file)), parameters_file_(std::move(parameters_file)),
        bucket_(place_.bucket, place_.client, place_.file), backend_(s3_backend(bucket_, place_.prefix)), stacks_(place_.client, place_.file) {}

  Backend& backend() override { return *backend_; }

  Result<void> check() override {
    if (auto body = read(body_file_); !body) return fail(std::move(body.error()));
    if (auto asked = file_parameters(); !asked) return fail(std::move(asked.error()));
    return {};
  }

  Result<TargetPlan> plan(const Release& release, const Say& say) override {
    TargetPlan out;
    auto before = stacks_.describe(stack_);
    if (!before) return fail(std::move(before.error()));
    const bool is_new = !*before || (*before)->status == "REVIEW_IN_PROGRESS";
    // CloudFormation says nothing of a change while another one is under way, or got stuck.
    if (!is_new && !(*before)->is_settled()) {
      out.changes.push_back({ChangeKind::kNote, stack_, "somebody changes the stack at this moment: " + (*before)->status + "; what would change is known once that has ended"});
      return out;
    }
    if (!is_new && (*before)->status == "UPDATE_ROLLBACK_FAILED") {
      out.changes.push_back({ChangeKind::kNote, stack_, "its last change could not be taken back; that is gone on with first, and what would change is known then"});
      return out;
    }
    if (*before && never_worked(**before)) {
      out.changes.push_back({ChangeKind::kReplace, stack_, "it never came up (" + (*before)->status + "), and is made anew"});
      return out;
    }
    std::vector<std::string> missing;
    auto changes = changes_for(release, is_new, missing);
    if (!changes) return fail(std::move(changes.error()));
    for (const auto& name : missing) out.changes.push_back({ChangeKind::kNote, "secret " + name, "AWS Secrets Manager does not have it yet: sabir secrets set " + name + " --env " + context_.environment});
    for (const auto& one : *changes) out.changes.push_back(shown(one));
    if (!is_new) out.drift = drift(say);
    return out;
  }

  // The bundle and the engine are in the bucket; the instance fetches them as the stack changes.
  Result<void> stage(const Release&, const Say&) override { return {}; }

  Result<std::string> activate(const Release& release, const Say& say) override {
    auto before = settle_down(say);
    if (!before) return fail(std::move(before.error()));
    if (auto sent = send_tokens(context_, *backend_, say); !sent) return fail(std::move(sent.error()));
    const bool is_new = !*before || (*before)->status == "REVIEW_IN_PROGRESS";
    auto asked = parameters(release, is_new);
    if (!asked) return fail(std::move(asked.error()));
    if (!asked->missing.empty()) {
      return fail(ErrorCode::kSecretMissing, "AWS Secrets Manager does not have what the project names: " + join(asked->missing, ", "), "sabir secrets set " + asked->missing.front() + " --env " + context_.environment);
    }
    const std::string name = "sabir-" + release.id + "-" + new_id().substr(0, 12);
    auto body = read(body_file_);
    if (!body) return fail(std::move(body.error()));
    auto made = stacks_.create_change_set(stack_, name, is_new ? aws::Stacks::Kind::kCreate : aws::Stacks::Kind::kUpdate, *body, asked->values, tags());
    if (!made) return fail(std::move(made.error()));
    auto set = ready(name);
    if (!set) return fail(std::move(set.error()));
    if (set->is_empty()) {
      if (auto gone = stacks_.drop_change_set(stack_, name); !gone) return fail(std::move(gone.error()));
      say("the stack " + stack_ + " is as it should be");
      return *before ? url_of(**before) : fail(ErrorCode::kConfig, body_file_ + " makes nothing");
    }
    if (set->status == "FAILED") {
      (void)stacks_.drop_change_set(stack_, name);
      return fail(ErrorCode::kInvalidArguments, "CloudFormation does not take the change of " + stack_ + ": " + context_.redact(set->reason), "Look at " + body_file_ + " and " + parameters_file_ + ".");
    }
    auto seen = last_event();
    if (!seen) return fail(std::move(seen.error()));
    if (auto begun = stacks_.execute(stack_, name, name); !begun) return fail(std::move(begun.error()));
    auto after = follow(stack_, std::move(*seen), say);
    if (!after) return fail(std::move(after.error()));
    if (!*after || !(*after)->is_good()) return fail(failure(*after));
    return url_of(**after);
  }

  Result<void> settle(const std::vector<Release>& kept, const Say& say) override { return drop_old_objects(*backend_, kept, say); }

  Result<Status> status() override {
    auto stack = stacks_.describe(stack_);
    if (!stack) return fail(std::move(stack.error()));
    Status out;
    if (!*stack || (*stack)->status == "REVIEW_IN_PROGRESS") {
      out.running = Running::kNothing;
      return out;
    }
    const auto& one = **stack;
    const bool took_back = one.status == "UPDATE_ROLLBACK_COMPLETE";
    out.running = one.is_good() || took_back ? Running::kYes : one.is_settled() ? Running::kBroken : Running::kUnknown;
    const auto said = [](const std::map<std::string, std::string>& values, const char* name) {
      const auto at = values.find(name);
      return at == values.end() ? std::string() : at->second;
    };
    out.release = said(one.parameters, "Release");
    out.bundle_hash = said(one.parameters, "BundleHash");
    out.url = said(one.outputs, "Url");
    if (took_back) out.notes.push_back("the last change failed, and CloudFormation took it back");
    else if (!one.is_good()) out.notes.push_back("the stack is " + one.status + (one.reason.empty() ? "" : ": " + context_.redact(one.reason)));
    json::object outputs;
    for (const auto& [name, value] : one.outputs) outputs[name] = value;
    out.data = {{"stack", stack_}, {"status", one.status}, {"region", bucket_.region()}, {"outputs", std::move(outputs)}};
    return out;
  }

  Result<void> logs(const LogOptions& options, const Say& say) override {
    auto stack = stacks_.describe(stack_);
    if (!stack) return fail(std::move(stack.error()));
    const auto group = *stack && (*stack)->outputs.contains("LogGroup") ? (*stack)->outputs.at("LogGroup") : std::string();
    if (group.empty()) return fail(ErrorCode::kNotFound, "the stack " + stack_ + " has no output LogGroup", "Deploy it first, or keep that output in " + body_file_ + ".");
    return cloudwatch_logs(place_, group, options, say);
  }

  Result<TargetPlan> plan_destroy(const Say&) override {
    TargetPlan out;
    auto stack = stacks_.describe(stack_);
    if (!stack) return fail(std::move(stack.error()));
    if (!*stack) return out;
    auto resources = stacks_.resources(stack_);
    if (!resources) return fail(std::move(resources.error()));
    for (const auto& [name, type] : *resources) {
      const bool stays = type == "AWS::EC2::Volume";
      out.changes.push_back({stays ? ChangeKind::kNote : ChangeKind::kDelete, type + " " + name, stays ? "it stays, with the project's state" : ""});
    }
    return out;
  }

  Result<void> destroy(const Say& say) override {
    auto before = settle_down(say);
    if (!before) return fail(std::move(before.error()));
    if (!*before) return {};
    const auto& stack = **before;
    if (const auto guarded = stack.parameters.find("Protected"); guarded != stack.parameters.end() && guarded->second == "true") {
      return fail(ErrorCode::kNotGranted, "the stack " + stack_ + " is protected against deletion", "Set Protected: false in " + parameters_file_ + ", apply, then destroy.");
    }
    // Written first: whoever finds the stack gone finds the volume here.
    const auto volume = stack.outputs.contains("StateVolumeId") ? stack.outputs.at("StateVolumeId") : std::string();
    if (!volume.empty()) {
      if (auto kept = backend_->put(kVolume, volume, std::nullopt); !kept) return fail(std::move(kept.error()));
    }
    const std::string id = stack.id;
    auto seen = last_event();
    if (!seen) return fail(std::move(seen.error()));
    if (auto begun = stacks_.remove(stack_, new_id()); !begun) return fail(std::move(begun.error()));
    auto after = follow(id, std::move(*seen), say);
    if (!after) return fail(std::move(after.error()));
    if (*after) return fail(failure(*after));
    if (!volume.empty()) say("the volume " + volume + " stays with the project's state; the next apply takes it again");
    return {};
  }

 private:
  struct Asked {
    std::map<std::string, std::string> values;
    std::vector<std::string> missing;  // secrets
  };

  Result<std::string> read(const std::string& file) const {
    auto text = read_file(context_.root / file, kMostBytes);
    if (!text) {
      return fail(Error(ErrorCode::kNotFound, file + " is not there, or cannot be read", "sabir deploy init cloudformation").at(file));
    }
    return text;
  }
  std::map<std::string, std::string> tags() const { return {{"app", context_.app}, {"environment", context_.environment}, {"made_by", "sabir deploy"}}; }
  static bool never_worked(const aws::Stack& stack) { return stack.status == "ROLLBACK_COMPLETE" || stack.status == "ROLLBACK_FAILED" || stack.status == "CREATE_FAILED"; }

  // What the environment's file says. Errors: kConfig at the file's line.
  Result<std::map<std::string, std::string>> file_parameters() const {
    auto text = read(parameters_file_);
    if (!text) return fail(std::move(text.error()));
    if (auto whole = refuse_blanks(*text, parameters_file_); !whole) return fail(std::move(whole.error()));
    project::Positions positions;
    auto value = project::parse_yaml(*text, parameters_file_, &positions);
    if (!value) return fail(std::move(value.error()));
    std::map<std::string, std::string> out;
    const auto wrong = [&](const std::string& pointer, std::string message, std::string hint = {}) {
      const auto [line, column] = project::position_of(positions, pointer);
      return fail(Error(ErrorCode::kConfig, std::move(message), std::move(hint)).at(parameters_file_, line, column));
    };
    const auto* list = value->is_object() ? value->get_object().if_contains("parameters") : nullptr;
    if (!list || !list->is_object()) return wrong("", parameters_file_ + " has no mapping 'parameters'", "Write parameters: {VpcId: vpc-…}");
    for (const auto& [name, one] : list->get_object()) {
      const std::string at = "/parameters/" + std::string(name);
      std::vector<std::string> parts;
      const auto part = [&](const json::value& it) {
        if (it.is_string()) parts.emplace_back(it.get_string());
        else if (it.is_bool() || it.is_number()) parts.push_back(json::serialize(it));
        else return false;
        return true;
      };
      bool good = true;
      if (one.is_array()) {
        for (const auto& it : one.get_array()) good = good && part(it);
      } else {
        good = part(one);
      }
      if (!good) return wrong(at, std::string(name) + " must be a text, a number, true, false or a list of those");
      if (!declares(std::string(name))) return wrong(at, body_file_ + " has no parameter " + std::string(name), did_you_mean(name, declared()));
      out[std::string(name)] = join(parts, ",");
    }
    return out;
  }

  // The names below the template's Parameters. It is read by its lines: its short forms (!Ref) are no plain YAML.
  std::vector<std::string> declared() const {
    std::vector<std::string> out;
    auto text = read(body_file_);
    if (!text) return out;
    bool inside = false;
    for (const auto line : split_lines(*text)) {
      if (!line.empty() && line.front() != ' ' && line.front() != '#') inside = line.starts_with("Parameters:");
      else if (inside && line.size() > 3 && line.starts_with("  ") && line[2] != ' ' && line[2] != '#' && line.find(':') != std::string_view::npos) out.emplace_back(line.substr(2, line.find(':') - 2));
    }
    return out;
  }
  bool declares(const std::string& name) const {
    const auto names = declared();
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  Result<Asked> parameters(const Release& release, bool is_new) {
    auto values = file_parameters();
    if (!values) return fail(std::move(values.error()));
    auto secrets = secret_arns(context_, place_);
    if (!secrets) return fail(std::move(secrets.error()));
    Asked out{std::move(*values), std::move(secrets->missing)};
    const std::map<std::string, std::string> own{{"App", context_.app}, {"EnvironmentName", context_.environment}, {"Bucket", place_.bucket}, {"Prefix", place_.prefix},
                                                 {"BundleHash", release.bundle_hash}, {"EngineHash", release.engine_hash}, {"Release", release.id},
                                                 {"SecretArns", join(secrets->arns, ",")}, {"Packages", join(ubuntu_packages(context_.root), " ")}};
    const auto names = declared();
    for (const auto& [name, value] : own) {
      // A person's own word stands, and a template that was changed may have no use for one.
      if (std::find(names.begin(), names.end(), name) != names.end()) out.values.emplace(name, value);
    }
    if (is_new && out.values.find("StateVolumeId") == out.values.end()) {
      auto kept = backend_->get(kVolume);
      if (kept) out.values["StateVolumeId"] = kept->bytes;
      else if (kept.error().code != ErrorCode::kNotFound) return fail(std::move(kept.error()));
    } else if (!is_new && out.values.find("StateVolumeId") == out.values.end()) {
      auto stack = stacks_.describe(stack_);
      if (stack && *stack && (*stack)->parameters.contains("StateVolumeId")) out.values["StateVolumeId"] = (*stack)->parameters.at("StateVolumeId");
    }
    return out;
  }

  Result<aws::ChangeSet> ready(const std::string& name) {
    for (Pauses pauses(kForAChangeSet);;) {
      auto set = stacks_.change_set(stack_, name);
      if (!set) return fail(std::move(set.error()));
      if (set->status == "CREATE_COMPLETE" || set->status == "FAILED") return set;
      if (!pauses.wait()) return fail(ErrorCode::kTimeout, "CloudFormation has not said within five minutes what would change of " + stack_);
    }
  }

  // By a change set that is thrown away again, and with it the stack that it would be the first of.
  Result<std::vector<aws::StackChange>> changes_for(const Release& release, bool is_new, std::vector<std::string>& missing) {
    auto asked = parameters(release, is_new);
    if (!asked) return fail(std::move(asked.error()));
    missing = asked->missing;
    auto body = read(body_file_);
    if (!body) return fail(std::move(body.error()));
    const std::string name = "sabir-plan-" + new_id().substr(0, 12);
    auto made = stacks_.create_change_set(stack_, name, is_new ? aws::Stacks::Kind::kCreate : aws::Stacks::Kind::kUpdate, *body, asked->values, tags());
    if (!made) return fail(std::move(made.error()));
    auto set = ready(name);
    (void)stacks_.drop_change_set(stack_, name);
    if (is_new) (void)stacks_.remove(stack_, name);
    if (!set) return fail(std::move(set.error()));
    if (set->status == "FAILED" && !set->is_empty()) {
      return fail(ErrorCode::kInvalidArguments, "CloudFormation does not take the change of " + stack_ + ": " + context_.redact(set->reason), "Look at " + body_file_ + " and " + parameters_file_ + ".");
    }
    return std::move(set->changes);
  }

  static Change shown(const aws::StackChange& one) {
    Change out{ChangeKind::kUpdate, one.type + " " + one.resource, join(one.properties, ", ")};
    if (one.action == "Add" || one.action == "Import") out.kind = ChangeKind::kCreate;
    else if (one.action == "Remove") out.kind = ChangeKind::kDelete;
    else if (one.replacement == "True") out.kind = ChangeKind::kReplace;
    else if (one.replacement == "Conditional") out.detail += (out.detail.empty() ? "" : "; ") + std::string("may be replaced");
    return out;
  }

  std::vector<std::string> drift(const Say& say) {
    std::vector<std::string> out;
    const auto unknown = [&](const Error& error) {
      say("what has drifted cannot be told: " + error.message);
      return out;
    };
    auto id = stacks_.detect_drift(stack_);
    if (!id) return unknown(id.error());
    for (Pauses pauses(kForDrift);;) {
      auto found = stacks_.drift(stack_, *id);
      if (!found) return unknown(found.error());
      if (*found) {
        for (const auto& one : **found) {
          out.push_back(one.type + " " + one.resource + (one.status == "DELETED" ? " is gone" : " was changed" + (one.differences.empty() ? "" : ": " + context_.redact(join(one.differences, "; ")))));
        }
        return out;
      }
      if (!pauses.wait()) return unknown(Error(ErrorCode::kTimeout, "CloudFormation is still looking after three minutes"));
    }
  }

  Result<std::string> last_event() {
    auto events = stacks_.events(stack_, "");
    if (!events) {
      if (events.error().code == ErrorCode::kNotFound) return std::string();
      return fail(std::move(events.error()));
    }
    return events->empty() ? std::string() : events->back().id;
  }

  // Says each event until the stack, by name or id, has settled; nothing = it is gone.
  Result<std::optional<aws::Stack>> follow(const std::string& stack, std::string seen, const Say& say) {
    first_failure_.clear();
    for (Pauses pauses(kWhole);;) {
      // Asked first, so that no event before it settled is left out.
      auto now = stacks_.describe(stack);
      if (!now) return fail(std::move(now.error()));
      auto events = stacks_.events(stack, seen);
      if (!events && events.error().code != ErrorCode::kNotFound) return fail(std::move(events.error()));
      if (events) {
        for (const auto& one : *events) {
          seen = one.id;
          const auto reason = context_.redact(one.reason);
          say((one.time.size() >= 19 ? one.time.substr(11, 8) + "  " : "") + one.status + "  " + one.resource + (one.type.empty() ? "" : " (" + one.type + ")") + (reason.empty() ? "" : ": " + reason));
          if (first_failure_.empty() && one.status.ends_with("_FAILED") && !was_cancelled(reason)) first_failure_ = one.resource + ": " + (reason.empty() ? one.status : reason);
        }
        if (!events->empty()) pauses.again();
      }
      if (!*now || (*now)->is_settled()) return now;
      if (!pauses.wait()) {
        return fail(ErrorCode::kTimeout, "the stack " + stack_ + " is still " + (*now)->status + " after 90 minutes", "sabir deploy status --env " + context_.environment + " says how it goes on; nothing was taken back.");
      }
    }
  }

  // What an interrupted apply, or somebody else, has begun is waited for; what cannot be gone on with is taken away or undone.
  Result<std::optional<aws::Stack>> settle_down(const Say& say) {
    auto stack = stacks_.describe(stack_);
    if (!stack) return fail(std::move(stack.error()));
    if (*stack && (*stack)->status != "REVIEW_IN_PROGRESS" && !(*stack)->is_settled()) {
      say("the stack " + stack_ + " is " + (*stack)->status + "; waiting for it");
      auto seen = last_event();
      if (!seen) return fail(std::move(seen.error()));
      stack = follow((*stack)->id, std::move(*seen), say);
      if (!stack) return fail(std::move(stack.error()));
    }
    if (*stack && (*stack)->status == "UPDATE_ROLLBACK_FAILED") {
      say("the stack " + stack_ + " could not take its last change back; going on with that");
      auto seen = last_event();
      if (!seen) return fail(std::move(seen.error()));
      if (auto begun = stacks_.continue_rollback(stack_, new_id()); !begun) return fail(std::move(begun.error()));
      stack = follow((*stack)->id, std::move(*seen), say);
      if (!stack) return fail(std::move(stack.error()));
      if (*stack && (*stack)->status == "UPDATE_ROLLBACK_FAILED") return fail(failure(*stack));
    }
    if (*stack && never_worked(**stack)) {
      say("the stack " + stack_ + " never came up; it is taken away first");
      auto seen = last_event();
      if (!seen) return fail(std::move(seen.error()));
      const std::string id = (*stack)->id;
      if (auto begun = stacks_.remove(stack_, new_id()); !begun) return fail(std::move(begun.error()));
      stack = follow(id, std::move(*seen), say);
      if (!stack) return fail(std::move(stack.error()));
      if (*stack) return fail(failure(*stack));
    }
    return stack;
  }

  Error failure(const std::optional<aws::Stack>& stack) const {
    const std::string status = stack ? stack->status : "gone";
    const std::string why = !first_failure_.empty() ? first_failure_ : stack ? context_.redact(stack->reason) : "";
    const bool took_back = status == "UPDATE_ROLLBACK_COMPLETE";
    return Error(ErrorCode::kUnavailable, (took_back ? "CloudFormation has taken the change of " + stack_ + " back" : "the stack " + stack_ + " is " + status) + (why.empty() ? "" : ": " + why),
                 took_back ? "What was served before is served still." : "sabir deploy status --env " + context_.environment);
  }

  Result<std::string> url_of(const aws::Stack& stack) const {
    const auto url = stack.outputs.find("Url");
    if (url == stack.outputs.end()) return fail(Error(ErrorCode::kConfig, "the stack " + stack_ + " has no output Url", "Keep that output in " + body_file_ + ": health and smoke tests ask it.").at(body_file_));
    return url->second;
  }

  const TargetContext context_;
  const AwsPlace place_;
  const std::string stack_;
  const std::string body_file_;        // from the root
  const std::string parameters_file_;
  aws::Bucket bucket_;
  std::unique_ptr<Backend> backend_;
  aws::Stacks stacks_;
  std::string first_failure_;
};

Result<std::unique_ptr<Target>> make(TargetContext context) {
  const auto& settings = context.settings;
  auto place = aws_place(context);
  if (!place) return fail(std::move(place.error()));
  auto stack = settings.text("stack", context.app + "-" + context.environment);
  if (!stack) return fail(std::move(stack.error()));
  std::replace(stack->begin(), stack->end(), '_', '-');
  auto body = settings.text("template", "deploy/cloudformation/service.yml");
  if (!body) return fail(std::move(body.error()));
  auto parameters = settings.text("parameters", "deploy/cloudformation/" + context.environment + ".yml");
  if (!parameters) return fail(std::move(parameters.error()));
  return std::make_unique<CloudFormation>(std::move(context), std::move(*place), std::move(*stack), std::move(*body), std::move(*parameters));
}

}  // namespace

Driver cloudformation_driver() {
  return {"cloudformation", "a stack of AWS, changed by change sets", make};
}

}  // namespace sabir::deploy

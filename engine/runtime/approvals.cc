// Calls that wait for a person's word, and runs that go on once it has come.
#include "engine_state.h"
#include "sabir/base/log.h"

namespace sabir::runtime {
namespace {

constexpr std::chrono::minutes kBetweenLooks{1};

}  // namespace

Result<protocol::Payload> Engine::State::answer_approvals(const std::string& method, const protocol::Payload& params, workers::Caller& caller) {
  auto text = protocol::inflate(params);
  auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!value || !value->is_object()) return fail(ErrorCode::kInvalidArguments, method + " needs an object");
  const auto& object = value->get_object();
  const auto flag = [&](const char* name) {
    const auto* member = object.if_contains(name);
    return member && member->is_bool() && member->get_bool();
  };
  if (method == "approvals.list") {
    auto list = approvals(!flag("all"));
    if (!list) return fail(std::move(list.error()));
    return protocol::Payload{compact_json(json::object{{"approvals", std::move(*list)}}), {}};
  }
  if (method != "approvals.decide") return fail(ErrorCode::kProtocol, "there is no method '" + method + "'");
  const auto* approve = object.if_contains("approve");
  if (!approve || !approve->is_bool()) return fail(ErrorCode::kInvalidArguments, "approvals.decide needs 'approve', true or false");
  std::string who(string_or(object, "by"));
  if (who.empty()) who = caller.context.user.empty() ? caller.address : caller.context.user;
  auto done = decide({std::string(string_or(object, "id")), approve->get_bool(), std::move(who), std::string(string_or(object, "reason"))});
  if (!done) return fail(std::move(done.error()));
  return protocol::Payload{compact_json(*done), {}};
}

Result<json::array> Engine::State::approvals(bool waiting) {
  auto book = journal.get();
  if (!book) return fail(std::move(book.error()));
  auto found = (*book)->approvals(waiting);
  if (!found) return fail(std::move(found.error()));
  json::array list;
  for (const auto& one : *found) list.push_back(journal::to_json(one));
  return list;
}

Result<json::object> Engine::State::decide(const Decision& decision) {
  auto book = journal.get();
  if (!book) return fail(std::move(book.error()));
  auto approval = (*book)->decide(decision.id, decision.approved, decision.who, decision.reason);
  if (!approval) return fail(std::move(approval.error()));
  json::object out{{"approval", journal::to_json(*approval)}};
  auto ran = go_on(approval->run);
  if (!ran) {
    // The word stands, whatever came of the run.
    out["error"] = sabir::to_json(ran.error());
  } else if (*ran) {
    out["run"] = std::move(**ran);
  }
  return out;
}

Result<std::optional<json::object>> Engine::State::go_on(const std::string& run) {
  auto book = journal.get();
  if (!book) return fail(std::move(book.error()));
  auto taken = (*book)->take(run);
  if (!taken) return fail(std::move(taken.error()));
  if (!*taken || (*taken)->approvals.empty()) return std::nullopt;
  const auto& first = (*taken)->approvals.front();
  workers::Caller caller;
  caller.address = "approvals";
  caller.context = first.context;
  caller.deadline = workers::Clock::time_point::max();
  caller.span = own_span();
  RunEvents events;
  events.may_wait = true;
  auto answer = run_assistant(first.assistant, "", first.context.conversation, events, caller, nullptr, {std::nullopt, &**taken, run});
  if (!answer) {
    // What failed before it could go on has no end in the journal yet.
    if (auto now = (*book)->run(run); now && string_or(*now, "status") == "running") {
      auto ended = (*book)->finish_run(run, "failed", redact_json()(compact_json(json::object{{"error", sabir::to_json(answer.error())}})));
      if (!ended) log(LogLevel::kWarning, "the end of a run was not recorded: " + ended.error().message);
    }
    return fail(std::move(answer.error()));
  }
  return std::optional<json::object>(std::move(*answer));
}

void Engine::State::look_for_waiting(std::chrono::milliseconds after) {
  loop.after(after, [this] {
    if (stopping || !listener) return;
    // No journal, no runs.
    std::error_code ec;
    if (std::filesystem::exists(project->state_dir() / "journal.db", ec)) {
      jobs->submit([this] {
        auto book = journal.get();
        auto runs = book ? (*book)->decided_runs() : Result<std::vector<std::string>>(fail(book.error()));
        if (!runs) return log(LogLevel::kWarning, "runs that wait for approvals: " + runs.error().message);
        for (const auto& run : *runs) {
          if (stopping) return;
          if (auto ran = go_on(run); !ran) log(LogLevel::kWarning, "the run " + run + ": " + ran.error().message);
        }
      });
    }
    const auto time = current_project()->approval_time;
    look_for_waiting(std::clamp<std::chrono::milliseconds>(time / 4, std::chrono::seconds(1), kBetweenLooks));
  });
}

Result<json::array> Engine::approvals(bool waiting) { return state_->approvals(waiting); }

Result<json::object> Engine::decide(const Decision& decision) { return state_->decide(decision); }

Result<json::object> Engine::run(const std::string& id) {
  auto book = state_->journal.get();
  if (!book) return fail(std::move(book.error()));
  return (*book)->run(id);
}

}  // namespace sabir::runtime

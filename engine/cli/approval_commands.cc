// sabir approvals list | approve | deny.
#include <chrono>
#include <cstdlib>

#include "command.h"

namespace sabir::cli {
namespace {

struct ApprovalOptions {
  bool all = false;
  std::string id;
  std::string reason;
};

// "in 23 h", "3 min ago".
std::string distance(std::int64_t ms) {
  const bool past = ms < 1000;
  std::int64_t seconds = std::abs(ms) / 1000;
  std::string text = seconds < 120     ? std::to_string(seconds) + " s"
                     : seconds < 7200  ? std::to_string(seconds / 60) + " min"
                     : seconds < 172800 ? std::to_string(seconds / 3600) + " h"
                                        : std::to_string(seconds / 86400) + " days";
  return past ? text + " ago" : "in " + text;
}

void show(const json::object& one) {
  const auto text = [&](const char* name) { return std::string(string_or(one, name)); };
  const std::int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const bool waits = text("state") == "waiting";
  print(styled(text("id"), "1") + "  " + text("address") + " " + compact_json(one.at("arguments")));
  std::string who = "   asked by the assistant " + text("assistant") + " " + distance(one.at("asked_ms").to_number<std::int64_t>() - now);
  if (!text("user").empty()) who += " for " + text("user");
  if (!text("why").empty()) who += "; its rule: " + text("why");
  if (waits) who += "; expires " + distance(one.at("expires_ms").to_number<std::int64_t>() - now);
  print(styled(who, "2"));
  if (!waits) print(styled("   " + text("state") + (text("decided_by").empty() ? "" : " by " + text("decided_by")) + (text("reason").empty() ? "" : ": " + text("reason")), "2"));
}

void list(Globals& globals, const ApprovalOptions& options) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  auto answer = (*session)->ask("approvals.list", {{"all", options.all}});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  const auto& approvals = answer->at("approvals").as_array();
  for (const auto& one : approvals) show(one.as_object());
  if (approvals.empty()) note(options.all ? "No call has ever waited for approval." : "No call waits for approval.");
}

void decide(Globals& globals, const ApprovalOptions& options, bool approve) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  const char* user = std::getenv("USER");
  const std::string by = !globals.session.context.user.empty() ? globals.session.context.user : user && *user ? user : "cli";
  auto answer = (*session)->ask("approvals.decide", {{"id", options.id}, {"approve", approve}, {"reason", options.reason}, {"by", by}}, std::chrono::hours(1));
  if (!answer) return fail_with(globals, answer.error());
  const auto* error = answer->if_contains("error");
  if (globals.json) {
    print_json(*answer);
    if (error) globals.exit_code = 1;
    return;
  }
  const auto& approval = answer->at("approval").as_object();
  note(std::string(approve ? "approved " : "denied ") + std::string(string_or(approval, "address")) + " as " + std::string(string_or(approval, "decided_by", by)));
  if (error && error->is_object()) return fail_with(globals, error_from_json(error->get_object()));
  const auto* run = answer->if_contains("run");
  if (!run) return note("The run still waits for other approvals.");
  if (const auto* waiting = run->as_object().if_contains("waiting")) {
    note("The run went on, and waits again:");
    for (const auto& one : waiting->as_array()) show(one.as_object());
    return;
  }
  // Of an engine elsewhere only who may ask for everything gets it.
  if (!run->as_object().contains("content")) return note("The run went on.");
  print(string_or(run->as_object(), "content"));
}

}  // namespace

void add_approval_commands(Command& app, Globals& globals) {
  auto* const group = app.add_subcommand("approvals", "Calls of assistants that wait for a person's word.");
  group->require_subcommand();
  auto options = std::make_shared<ApprovalOptions>();
  auto* const listing = group->add_subcommand("list", "Those that wait.");
  add_common(*listing, globals);
  listing->add_flag("--all", options->all, "those that are decided or have expired, too");
  listing->callback([&globals, options] { list(globals, *options); });
  for (const bool approve : {true, false}) {
    auto* const deciding = group->add_subcommand(approve ? "approve" : "deny", approve ? "Allow one: it is called, and the run goes on." : "Refuse one: the model is told, and the run goes on.");
    add_common(*deciding, globals);
    deciding->add_option("ID", options->id, "of the approval").required();
    deciding->add_option("--reason", options->reason, "kept, and told to the model when it is no");
    deciding->callback([&globals, options, approve] { decide(globals, *options, approve); });
  }
}

}  // namespace sabir::cli

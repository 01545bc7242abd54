// sabir functions disable | enable | disabled.
#include <cstdlib>
#include <ctime>

#include "command.h"

namespace sabir::cli {
namespace {

struct DisableOptions {
  std::string address;
  std::string reason;
};

std::string moment(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

void change(Globals& globals, const DisableOptions& options, bool disables) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  const char* user = std::getenv("USER");
  const std::string by = !globals.session.context.user.empty() ? globals.session.context.user : user && *user ? user : "cli";
  auto answer = (*session)->ask(disables ? "functions.disable" : "functions.enable", {{"address", options.address}, {"reason", options.reason}, {"by", by}});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  const auto& word = answer->at(disables ? "disabled" : "enabled").as_object();
  const std::string address(string_or(word, "address"));
  print(address + (disables ? " is disabled in " : " may be called again in ") + globals.session.environment);
  if (!disables) return;
  note(std::string((*session)->remote() ? "The running engine takes no more calls of it; those that run finish." : "No engine runs: the next one begins with it disabled.") +
       " `sabir functions enable " + address + "` takes it back.");
}

void list(Globals& globals) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  auto answer = (*session)->ask("functions.disabled", {});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  const auto& all = answer->at("disabled").as_array();
  for (const auto& value : all) {
    const auto& one = value.as_object();
    print(styled(string_or(one, "address"), "1") + "  by " + std::string(string_or(one, "who")) + ", " + moment(one.at("at_ms").to_number<std::int64_t>()) +
          (string_or(one, "reason").empty() ? "" : "  " + std::string(string_or(one, "reason"))));
  }
  if (all.empty()) note("No function is disabled.");
}

}  // namespace

void add_disabling(Command& functions, Globals& globals, const std::shared_ptr<bool>& done) {
  auto options = std::make_shared<DisableOptions>();
  for (const bool disables : {true, false}) {
    auto* const command = functions.add_subcommand(disables ? "disable" : "enable", disables ? "Let a function not be called for now, also in the running engine." : "Let it be called again.");
    add_common(*command, globals);
    command->add_option("ADDRESS", options->address, "the function").required();
    command->add_option("--reason", options->reason, "kept, and told to whoever calls it");
    command->callback([&globals, options, disables, done] {
      *done = true;
      change(globals, *options, disables);
    });
  }
  auto* const listing = functions.add_subcommand("disabled", "Those that may not be called for now: who said so, when and why.");
  add_common(*listing, globals);
  listing->callback([&globals, done] {
    *done = true;
    list(globals);
  });
}

}  // namespace sabir::cli

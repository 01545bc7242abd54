// What the command files share: global options, and how results and errors reach the terminal.
//
// Threads: the main thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command_line.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/completions/check.h"
#include "session.h"

namespace sabir::cli {

struct Globals {
  bool json = false;
  SessionOptions session;
  int exit_code = 0;
  std::vector<std::string> words;  // the command line, as it was given
};

// Adds --json, --project, --env and the caller's context to a command.
void add_common(Command& command, Globals& globals);

// Adds --record, --replay and --replay-functions.
void add_recording(Command& command, Globals& globals);

// Prints the error (with --json as {"error": …} on stdout) and sets the exit code: 2 for kUsage, else 1.
void fail_with(Globals& globals, const Error& error);

void print(std::string_view text);       // stdout, a newline is added
void print_json(const json::value& value);
void note(std::string_view text);        // stderr, a newline is added
std::string dollars(double usd);         // "0.0123": as many places as it takes, to a millionth
// What an option such as --since says, in Unix milliseconds: a date (UTC), or a span before now: "2026-11-01", "36h", "7d".
// Errors: kUsage.
Result<std::int64_t> moment_ms(const std::string& option, const std::string& text);
// With blanks up to `width` bytes, which come first where `right`.
std::string padded(std::string text, std::size_t width, bool right);
// What a budget took from a prompt, on standard error: the `budget` of its rendering.
void note_cuts(const json::object& budget);
bool on_terminal();                      // stdout is one
// Text in a terminal's style when stdout is one and NO_COLOR is unset: "1" bold, "2" dim, "31" red, "32" green, "36" cyan.
std::string styled(std::string_view text, const char* style);

void add_call_commands(Command& app, Globals& globals);       // call, functions
void add_check_command(Command& app, Globals& globals);       // check
void add_prompt_commands(Command& app, Globals& globals);     // prompt list | render | tokens | explain | check | diff
void add_prompt_diff(Command& prompt, Globals& globals);
void add_prompt_explain(Command& prompt, Globals& globals);
void add_prompt_check(Command& prompt, Globals& globals);
Result<completions::CheckReport> check_prompts(runtime::Engine& engine, const std::vector<std::string>& names);
void show_findings(const completions::CheckReport& report);
std::string summary_of(const completions::CheckReport& report);
void add_memory_commands(Command& app, Globals& globals);     // memory put | get | list | delete | append | messages
void add_engine_commands(Command& app, Globals& globals);     // engine run | status | stop, attach, sdk path
void add_serve_commands(Command& app, Globals& globals);      // serve, tokens add | list | revoke
void add_dev_command(Command& app, Globals& globals);         // dev
void add_top_command(Command& app, Globals& globals);         // top
void add_logs_command(Command& app, Globals& globals);        // logs
// functions disable | enable | disabled; one that ran sets `done`.
void add_disabling(Command& functions, Globals& globals, const std::shared_ptr<bool>& done);
void add_adding_command(Command& app, Globals& globals);      // add
void add_project_commands(Command& app, Globals& globals);    // new
void add_test_command(Command& app, Globals& globals);        // test, graph
void add_deploy_commands(Command& app, Globals& globals);     // deploy plan | apply | status | logs | rollback | destroy | diff | bundle
void add_environment_commands(Command& app, Globals& globals);  // setup, doctor
void add_init_command(Command& app, Globals& globals);        // init
void add_conformance_command(Command& app, Globals& globals);
void add_chat_command(Command& app, Globals& globals);        // chat
void add_complete_command(Command& app, Globals& globals);    // complete
void add_approval_commands(Command& app, Globals& globals);   // approvals list | approve | deny
void add_embed_command(Command& app, Globals& globals);       // embed
void add_recording_commands(Command& app, Globals& globals);  // recordings list | show | prune | refresh
void add_model_commands(Command& app, Globals& globals);      // model list | pull | rm | find | use
void add_usage_command(Command& app, Globals& globals);       // usage
void add_trace_command(Command& app, Globals& globals);       // trace
void add_config_commands(Command& app, Globals& globals);     // config show | schema | reference
void add_secret_commands(Command& app, Globals& globals);     // secrets list | get | set | rm
void add_ci_commands(Command& app, Globals& globals);         // ci init | run | hook
void add_parity_command(Command& app, Globals& globals);      // parity
void add_eval_command(Command& app, Globals& globals);        // eval, eval diff
void add_mcp_command(Command& app, Globals& globals);         // mcp
// mcp servers | trust | login | logout | add; `taken` becomes true where one of them has run.
void add_mcp_server_commands(Command& command, Globals& globals, const std::shared_ptr<bool>& taken);

std::string help_page();

}  // namespace sabir::cli

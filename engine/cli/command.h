// What the command files share: global options, and how results and errors reach the terminal.
//
// Threads: the main thread.
#pragma once

#include <string>
#include <string_view>

#include "command_line.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "session.h"

namespace sabir::cli {

struct Globals {
  bool json = false;
  SessionOptions session;
  int exit_code = 0;
};

// Adds --json, --project, --env and the caller's context to a command.
void add_common(Command& command, Globals& globals);

// Prints the error (with --json as {"error": …} on stdout) and sets the exit code: 2 for kUsage, else 1.
void fail_with(Globals& globals, const Error& error);

void print(std::string_view text);       // stdout, a newline is added
void print_json(const json::value& value);
void note(std::string_view text);        // stderr, a newline is added
bool on_terminal();                      // stdout is one
// Text in a terminal's style when stdout is one and NO_COLOR is unset: "1" bold, "2" dim, "31" red, "32" green, "36" cyan.
std::string styled(std::string_view text, const char* style);

void add_call_commands(Command& app, Globals& globals);       // call, functions, check
void add_prompt_commands(Command& app, Globals& globals);     // prompt list | render
void add_memory_commands(Command& app, Globals& globals);     // memory put | get | list | delete | append | messages
void add_engine_commands(Command& app, Globals& globals);     // engine run | status | stop, attach, sdk path
void add_project_commands(Command& app, Globals& globals);    // new, setup, doctor, test, deploy
void add_conformance_command(Command& app, Globals& globals);
void add_chat_commands(Command& app, Globals& globals);       // chat, complete
void add_model_commands(Command& app, Globals& globals);      // model list | pull | rm | find
void add_secret_commands(Command& app, Globals& globals);     // secrets list | get | set | rm

std::string help_page();

}  // namespace sabir::cli

#include "sabir/cli/cli.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "command.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"

namespace sabir::cli {

void add_common(Command& command, Globals& globals) {
  command.add_flag("--json", globals.json, "print JSON alone on standard output");
  command.add_option("-p,--project", globals.session.directory, "the project's folder (default: this one or one above it)");
  command.add_option("-e,--env", globals.session.environment, "development, staging, production, … (default: $SABIR_ENV or development)");
  command.add_option("--user", globals.session.context.user, "the user on whose behalf it happens; memory is scoped by it");
  command.add_option("--tenant", globals.session.context.tenant, "the user's organisation");
}

void print(std::string_view text) {
  std::cout << text << "\n";
  std::cout.flush();
}
void print_json(const json::value& value) { print(on_terminal() ? pretty_json(value) : compact_json(value)); }
void note(std::string_view text) { std::cerr << text << "\n"; }
bool on_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

std::string styled(std::string_view text, const char* style) {
  static const bool plain = !on_terminal() || std::getenv("NO_COLOR") != nullptr;
  if (plain) return std::string(text);
  return std::string("\x1b[") + style + "m" + std::string(text) + "\x1b[0m";
}

void fail_with(Globals& globals, const Error& error) {
  globals.exit_code = error.code == ErrorCode::kUsage ? 2 : 1;
  if (globals.json) {
    print_json(json::object{{"error", to_json(error)}});
    return;
  }
  note("sabir: " + to_text(error));
}

int run(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--version" || first == "-V") {
    print("sabir " SABIR_VERSION);
    return 0;
  }
  if (argc == 1 || first == "--help" || first == "-h" || (first == "help" && argc == 2)) {
    print(help_page());
    return argc == 1 ? 2 : 0;
  }
  ::signal(SIGPIPE, SIG_IGN);
  if (const char* level = std::getenv("SABIR_LOG")) {
    const std::string_view name(level);
    set_log_level(name == "debug" ? LogLevel::kDebug : name == "info" ? LogLevel::kInfo : name == "error" ? LogLevel::kError : LogLevel::kWarning);
  }
  Globals globals;
  if (const char* environment = std::getenv("SABIR_ENV"); environment && *environment) globals.session.environment = environment;
  if (const char* directory = std::getenv("SABIR_PROJECT"); directory && *directory) globals.session.directory = directory;
  Command app("One engine for AI projects written in many languages.", "sabir");
  app.require_subcommand();
  add_call_commands(app, globals);
  add_prompt_commands(app, globals);
  add_memory_commands(app, globals);
  add_engine_commands(app, globals);
  add_project_commands(app, globals);
  add_conformance_command(app, globals);
  add_chat_commands(app, globals);
  add_model_commands(app, globals);
  add_secret_commands(app, globals);
  if (!first.empty() && first.front() != '-') {
    const auto& names = app.subcommand_names();
    if (std::find(names.begin(), names.end(), first) == names.end()) {
      std::string hint = did_you_mean(first, names);
      fail_with(globals, Error(ErrorCode::kUsage, "there is no command '" + std::string(first) + "'",
                               (hint.empty() ? std::string() : hint + " ") + "`sabir --help` lists them all."));
      return 2;
    }
  }
  try {
    const auto help = app.parse(argc, argv);
    if (!help) {
      fail_with(globals, help.error());
      return 2;
    }
    if (*help) print(**help);
  } catch (const std::exception& error) {
    fail_with(globals, Error(ErrorCode::kInternal, error.what(), "This is a defect of Sabir; please report it with the command."));
    return 1;
  }
  return globals.exit_code;
}

}  // namespace sabir::cli

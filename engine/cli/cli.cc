#include "sabir/cli/cli.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>

#include "command.h"
#include "inner_commands.h"
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
std::string dollars(double usd) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6f", usd);
  std::string out(text);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}
Result<std::int64_t> moment_ms(const std::string& option, const std::string& text) {
  std::tm date{};
  if (text.size() == 10) {
    const char* end = ::strptime(text.c_str(), "%Y-%m-%d", &date);
    if (end != nullptr && *end == '\0') return static_cast<std::int64_t>(::timegm(&date)) * 1000;
  }
  if (text.size() >= 2 && text.size() <= 6 && text.find_first_not_of("0123456789") == text.size() - 1) {
    const std::int64_t count = std::atoll(text.c_str());
    const std::int64_t unit = text.back() == 'm' ? 60'000 : text.back() == 'h' ? 3'600'000 : text.back() == 'd' ? 86'400'000 : 0;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    if (unit > 0) return std::chrono::duration_cast<std::chrono::milliseconds>(now).count() - count * unit;
  }
  return fail(ErrorCode::kUsage, option + " '" + text + "' is neither a date nor a span", "Write it like 2026-11-01 (UTC), 36h or 7d.");
}
std::string padded(std::string text, std::size_t width, bool right) {
  const std::string fill(width > text.size() ? width - text.size() : 0, ' ');
  return right ? fill + text : text + fill;
}
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
  if (const auto status = run_inner_command(argc, argv)) return *status;
  if (const char* level = std::getenv("SABIR_LOG")) {
    const std::string_view name(level);
    set_log_level(name == "debug" ? LogLevel::kDebug : name == "info" ? LogLevel::kInfo : name == "error" ? LogLevel::kError : LogLevel::kWarning);
  }
  Globals globals;
  globals.words.assign(argv, argv + argc);
  if (const char* environment = std::getenv("SABIR_ENV"); environment && *environment) globals.session.environment = environment;
  if (const char* directory = std::getenv("SABIR_PROJECT"); directory && *directory) globals.session.directory = directory;
  Command app("One engine for AI projects written in many languages.", "sabir");
  app.require_subcommand();
  add_call_commands(app, globals);
  add_prompt_commands(app, globals);
  add_memory_commands(app, globals);
  add_engine_commands(app, globals);
  add_serve_commands(app, globals);
  add_project_commands(app, globals);
  add_environment_commands(app, globals);
  add_init_command(app, globals);
  add_adding_command(app, globals);
  add_conformance_command(app, globals);
  add_chat_command(app, globals);
  add_complete_command(app, globals);
  add_embed_command(app, globals);
  add_approval_commands(app, globals);
  add_model_commands(app, globals);
  add_usage_command(app, globals);
  add_trace_command(app, globals);
  add_secret_commands(app, globals);
  add_recording_commands(app, globals);
  add_mcp_command(app, globals);
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

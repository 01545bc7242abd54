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
#include "test_command.h"

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

namespace {

// What an engine elsewhere can be asked for, by command, or command and subcommand.
constexpr std::string_view kElsewhere[] = {"call",           "functions",      "chat",     "usage",       "trace",        "top",    "logs", "prompt render", "prompt tokens",
                                           "prompt explain", "approvals list", "approvals approve", "approvals deny", "memory", "attach"};

bool works_elsewhere(std::string_view command, std::string_view next) {
  const std::string both = std::string(command) + " " + std::string(next);
  return std::any_of(std::begin(kElsewhere), std::end(kElsewhere), [&](std::string_view one) { return one == command || one == both; });
}

// The options that stand before the command: --engine URL, --token-from-env NAME, --cacert FILE. Takes them out of `words`.
Result<void> read_engine_options(std::vector<char*>& words, Globals& globals) {
  std::string engine;
  std::string token_name;
  std::string authorities;
  const auto take = [&](std::string_view name, std::string& target) -> Result<bool> {
    const std::string_view word = words[1];
    if (word.starts_with(std::string(name) + "=")) {
      target = word.substr(name.size() + 1);
    } else if (word == name) {
      if (words.size() < 3) return fail(ErrorCode::kUsage, std::string(name) + " needs a value");
      target = words[2];
      words.erase(words.begin() + 1);
    } else {
      return false;
    }
    if (target.empty()) return fail(ErrorCode::kUsage, std::string(name) + " needs a value");
    words.erase(words.begin() + 1);
    return true;
  };
  for (bool more = true; more && words.size() > 1;) {
    more = false;
    for (const auto& [name, target] : {std::pair("--engine", &engine), std::pair("--token-from-env", &token_name), std::pair("--cacert", &authorities)}) {
      if (words.size() < 2) break;
      auto taken = take(name, *target);
      if (!taken) return fail(std::move(taken.error()));
      more = more || *taken;
    }
  }
  const std::string_view command = words.size() > 1 ? words[1] : "";
  const bool can = works_elsewhere(command, words.size() > 2 ? words[2] : "");
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (engine.empty()) {
    if (!token_name.empty() || !authorities.empty()) return fail(ErrorCode::kUsage, "--token-from-env and --cacert are for --engine URL, which is not there");
    // What runs inside of a function asks the engine that called it.
    if (can && variable("SABIR_CALL_SOCKET").empty()) engine = variable("SABIR_ENGINE");
    if (engine.empty()) return {};
  } else if (!can && !command.empty()) {
    return fail(ErrorCode::kUsage, "`sabir " + std::string(command) + "` works on a project of this machine, and not on an engine elsewhere",
                "Behind --engine go call, functions, chat, memory, approvals, usage, trace and prompt render, tokens or explain.");
  }
  if (!token_name.empty() && variable(token_name.c_str()).empty()) return fail(ErrorCode::kUsage, "the environment variable " + token_name + " of --token-from-env is empty");
  globals.session.engine = {engine, variable(token_name.empty() ? "SABIR_TOKEN" : token_name.c_str())};
  // The HTTP client looks there, as curl does.
  if (!authorities.empty()) ::setenv("CURL_CA_BUNDLE", authorities.c_str(), 1);
  return {};
}

}  // namespace

void fail_with(Globals& globals, const Error& error) {
  globals.exit_code = error.code == ErrorCode::kUsage ? 2 : 1;
  if (globals.json) {
    print_json(json::object{{"error", to_json(error)}});
    return;
  }
  note("sabir: " + to_text(error));
}

int run(int argc, char** argv) {
  Globals globals;
  globals.words.assign(argv, argv + argc);
  std::vector<char*> words(argv, argv + argc);
  if (auto read = read_engine_options(words, globals); !read) {
    globals.json = std::find(globals.words.begin(), globals.words.end(), std::string("--json")) != globals.words.end();
    fail_with(globals, read.error());
    return globals.exit_code;
  }
  auto written = test_words({words.begin(), words.end()});
  words.clear();
  for (auto& word : written) words.push_back(word.data());
  argc = static_cast<int>(words.size());
  words.push_back(nullptr);
  argv = words.data();
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
  if (const char* environment = std::getenv("SABIR_ENV"); environment && *environment) globals.session.environment = environment;
  if (const char* directory = std::getenv("SABIR_PROJECT"); directory && *directory) globals.session.directory = directory;
  Command app("One engine for AI projects written in many languages.", "sabir");
  app.require_subcommand();
  add_call_commands(app, globals);
  add_check_command(app, globals);
  add_prompt_commands(app, globals);
  add_memory_commands(app, globals);
  add_engine_commands(app, globals);
  add_serve_commands(app, globals);
  add_dev_command(app, globals);
  add_top_command(app, globals);
  add_logs_command(app, globals);
  add_project_commands(app, globals);
  add_test_command(app, globals);
  add_deploy_commands(app, globals);
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
  add_config_commands(app, globals);
  add_secret_commands(app, globals);
  add_ci_commands(app, globals);
  add_recording_commands(app, globals);
  add_parity_command(app, globals);
  add_eval_command(app, globals);
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
      bool misplaced = false;
      for (std::size_t i = 1; i + 1 < words.size(); ++i) misplaced = misplaced || std::string_view(words[i]).starts_with("--engine");
      const auto& error = help.error();
      fail_with(globals, misplaced ? Error(error.code, error.message, "--engine URL stands before the command: sabir --engine URL " + std::string(first) + " …") : error);
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

// sabir logs.
#include <signal.h>

#include <ctime>
#include <iostream>

#include "command.h"

namespace sabir::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{5000};
constexpr long kBetweenMs = 300;
constexpr int kShown = 200;

struct LogOptions {
  int lines = kShown;
  std::string source;
  bool follows = false;
};

void show(const Globals& globals, const json::object& line, bool follows) {
  if (globals.json && follows) {
    std::cout << compact_json(line) << "\n" << std::flush;
    return;
  }
  const std::time_t seconds = line.at("time_ms").to_number<std::int64_t>() / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char time[16];
  std::strftime(time, sizeof time, "%H:%M:%S", &parts);
  const std::string level(string_or(line, "level"));
  const char* colour = level == "error" ? "31" : level == "warning" ? "33" : "2";
  print(styled(time, "2") + " " + padded(std::string(string_or(line, "source")), 8, false) + " " + (level.empty() ? "" : styled(level, colour) + " ") + std::string(string_or(line, "text")));
}

void logs(Globals& globals, const LogOptions& options) {
  auto session = Session::join(globals.session);
  if (session && !*session) session = fail(ErrorCode::kNotFound, "no engine of this project runs (" + globals.session.environment + ")", "`sabir dev`, `sabir serve` or `sabir engine run` starts one.");
  if (!session) return fail_with(globals, session.error());
  sigset_t signals;
  sigemptyset(&signals);
  if (options.follows) {
    for (const int s : {SIGINT, SIGTERM}) sigaddset(&signals, s);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
  std::int64_t after = 0;
  std::int64_t limit = options.lines;
  while (true) {
    auto answer = (*session)->ask("engine.logs", {{"after", after}, {"limit", limit}}, kPatience);
    if (!answer) return fail_with(globals, answer.error());
    const auto& lines = answer->at("lines").as_array();
    if (after > 0 && answer->at("dropped").to_number<std::int64_t>() > 0) note("… " + std::to_string(answer->at("dropped").to_number<std::int64_t>()) + " lines came too fast");
    json::array wanted;
    for (const auto& line : lines) {
      if (options.source.empty() || string_or(line.as_object(), "source") == options.source) wanted.push_back(line);
    }
    if (globals.json && !options.follows) return print_json({{"lines", std::move(wanted)}});
    for (const auto& line : wanted) show(globals, line.as_object(), options.follows);
    if (!options.follows) return;
    std::cout.flush();
    after = answer->at("last").to_number<std::int64_t>();
    limit = 2000;
    const timespec pause{0, kBetweenMs * 1'000'000};
    if (::sigtimedwait(&signals, nullptr, &pause) > 0) return;
  }
}

}  // namespace

void add_logs_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("logs", "What the running engine and its workers said lately, and calls that failed.");
  auto options = std::make_shared<LogOptions>();
  add_common(*command, globals);
  command->add_option("-n,--lines", options->lines, "how many of the last lines; 200").between(1, 2000);
  command->add_option("--source", options->source, "engine, function (calls that failed), or a language");
  command->add_flag("-f,--follow", options->follows, "go on until Ctrl-C; with --json an object a line");
  command->callback([&globals, options] { logs(globals, *options); });
}

}  // namespace sabir::cli

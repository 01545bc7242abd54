// sabir top.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>

#include "command.h"
#include "sabir/terminal/screen.h"
#include "sabir/terminal/text.h"
#include "top_view.h"

namespace sabir::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using terminal::Line;

constexpr milliseconds kBetween{1000};
constexpr milliseconds kPatience{5000};
constexpr int kWhenPiped = 100;

// The engine that is looked at, whichever way it is reached: it answers one request.
Result<std::unique_ptr<Session>> watched(Globals& globals) {
  auto session = Session::join(globals.session);
  if (!session || *session) return session;
  return fail(ErrorCode::kNotFound, "no engine of this project runs (" + globals.session.environment + ")", "`sabir dev`, `sabir serve` or `sabir engine run` starts one.");
}

std::string plain(const Line& line) {
  std::string out;
  for (const auto& span : line) out += span.text;
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

Result<void> live(Session& session, json::object stats, terminal::Screen& screen, int signals) {
  std::optional<Earlier> earlier;
  auto order = TopOrder::kCalls;
  int scrolled = 0;
  auto asked = Clock::now();
  while (true) {
    const auto size = screen.size();
    auto lines = top_head(stats, size.columns);
    auto body = top_body(stats, earlier, order, size.columns);
    lines.emplace_back();
    const int room = std::max(1, size.rows - static_cast<int>(lines.size()) - 1);
    scrolled = std::clamp(scrolled, 0, std::max(0, static_cast<int>(body.size()) - room));
    for (int i = scrolled; i < static_cast<int>(body.size()) && i < scrolled + room; ++i) lines.push_back(std::move(body[static_cast<std::size_t>(i)]));
    lines.resize(static_cast<std::size_t>(std::max(1, size.rows) - 1));
    lines.push_back({{" q", terminal::Style::kBold}, {" quit  ", terminal::Style::kDim}, {"s", terminal::Style::kBold}, {" order: " + std::string(order_name(order)) + "  ", terminal::Style::kDim},
                     {"↑↓", terminal::Style::kBold}, {" scroll", terminal::Style::kDim}});
    screen.show(lines);
    std::array<pollfd, 3> watched{{{signals, POLLIN, 0}, {screen.descriptor(), POLLIN, 0}, {screen.stray_descriptor(), POLLIN, 0}}};
    const auto wait = std::chrono::duration_cast<milliseconds>(asked + kBetween - Clock::now());
    ::poll(watched.data(), watched.size(), static_cast<int>(std::max<std::int64_t>(0, wait.count())));
    signalfd_siginfo signal{};
    while (::read(signals, &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo == SIGWINCH) screen.resized();
      else if (signal.ssi_signo == SIGTSTP) screen.away([] { ::raise(SIGSTOP); });
      else return {};
    }
    if ((watched[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return {};
    screen.take_stray();
    while (const auto key = screen.key()) {
      using Code = terminal::Key::Code;
      if (key->code == Code::kUp) --scrolled;
      if (key->code == Code::kDown) ++scrolled;
      if (key->code == Code::kPageUp) scrolled -= room;
      if (key->code == Code::kPageDown) scrolled += room;
      if (key->code != Code::kText) continue;
      if (key->text == "q") return {};
      if (key->text == "s") order = order == TopOrder::kCalls ? TopOrder::kSlowest : order == TopOrder::kSlowest ? TopOrder::kErrors : TopOrder::kCalls;
    }
    if (Clock::now() < asked + kBetween) continue;
    const auto now = Clock::now();
    auto answer = session.ask("engine.stats", {}, kPatience);
    if (!answer) return fail(std::move(answer.error()));
    earlier = Earlier{std::move(stats), std::chrono::duration_cast<milliseconds>(now - asked)};
    stats = std::move(*answer);
    asked = now;
  }
}

void top(Globals& globals, bool once) {
  auto session = watched(globals);
  auto stats = session ? (*session)->ask("engine.stats", {}, kPatience) : Result<json::object>(fail(session.error()));
  if (!stats) return fail_with(globals, stats.error());
  if (globals.json) return print_json(*stats);
  if (!once) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}) sigaddset(&signals, s);
    if (auto screen = terminal::Screen::open()) {
      ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
      const int fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
      const auto done = live(**session, std::move(*stats), **screen, fd);
      screen->reset();
      ::close(fd);
      if (!done) fail_with(globals, done.error());
      return;
    }
  }
  const int columns = on_terminal() ? terminal::Size{}.columns : kWhenPiped;
  for (const auto& line : top_head(*stats, columns)) print(plain(line));
  print("");
  for (const auto& line : top_body(*stats, std::nullopt, TopOrder::kCalls, columns)) print(plain(line));
}

}  // namespace

void add_top_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("top", "What the running engine is doing: queues, latency, memory of its workers.");
  auto once = std::make_shared<bool>(false);
  add_common(*command, globals);
  command->add_flag("--once", *once, "as it is now, in plain text, as where standard output is no terminal");
  command->footer("Keys: q quit, s order by calls, slowest or errors, arrows scroll. With --json what engine.stats answers (spec/worker-protocol.md).");
  command->callback([&globals, once] { top(globals, *once); });
}

}  // namespace sabir::cli

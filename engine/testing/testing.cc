#include "sabir/testing/testing.h"

#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "board.h"
#include "child.h"
#include "discover.h"
#include "runners.h"
#include "sabir/project/project.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

constexpr auto kDefaultTimeout = std::chrono::minutes(10);
constexpr auto kRepaint = std::chrono::milliseconds(100);

// SIGINT and SIGTERM end the suites instead of this process, for as long as the object lives.
class Signals {
 public:
  Signals() {
    allow_children();
    struct sigaction action {};
    action.sa_handler = [](int) { stop_children(); };
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
    allow_children();
  }

 private:
  struct sigaction interrupt_ {};
  struct sigaction terminate_ {};
};

// Repaints the board until it goes out of scope.
class Painter {
 public:
  explicit Painter(Board& board) : thread_([this, &board] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kRepaint, [this] { return done_; })) board.tick(Board::Clock::now());
  }) {}
  Painter(const Painter&) = delete;
  Painter& operator=(const Painter&) = delete;
  ~Painter() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed: return "passed";
    case Outcome::kSkipped: return "skipped";
    default: return "failed";
  }
}

int Suite::count(Outcome outcome) const {
  int n = 0;
  for (const auto& one : cases) n += one.outcome == outcome ? 1 : 0;
  return n;
}

int Summary::count(Outcome outcome) const {
  int n = 0;
  for (const auto& suite : suites) n += suite.count(outcome);
  return n;
}

int Summary::failed() const {
  int n = count(Outcome::kFailed);
  for (const auto& suite : suites) n += suite.problem.empty() ? 0 : 1;
  return n;
}

bool Summary::ok() const { return !suites.empty() && failed() == 0 && !interrupted; }

Result<Summary> run(const Options& asked) {
  Options options = asked;
  const auto start = Board::Clock::now();
  auto project = project::load(options.root, "development");
  if (!project) return fail(std::move(project.error()));
  options.root = project->root;
  if (!options.only.empty()) {
    std::error_code error;
    options.only = fs::canonical(options.only, error);
    if (error) return fail(ErrorCode::kNotFound, asked.only.string() + ": no such file or folder");
    if (options.only == options.root) options.only.clear();
  }
  auto found = discover(options.root, options.only, options.languages);
  if (!found) return fail(std::move(found.error()));
  if (found->pytest.empty() && found->rspec.empty() && found->cpp.empty() && found->by_command.empty()) {
    return fail(ErrorCode::kNotFound, "no test files in " + (options.only.empty() ? options.root : options.only).string(),
                "Tests live in functions/<language>/tests: test_*.py, test_*.rb or *_spec.rb, *.cpp; `sabir add function NAME` writes one.");
  }
  std::chrono::milliseconds timeout = kDefaultTimeout;
  if (project->test_timeout_ms > 0) timeout = std::chrono::milliseconds(project->test_timeout_ms);
  if (options.timeout_ms > 0) timeout = std::chrono::milliseconds(options.timeout_ms);
  const fs::path work = options.root / ".sabir" / "build";
  std::error_code error;
  fs::create_directories(work / "reporters", error);
  if (error) return fail(ErrorCode::kIo, work.string() + ": cannot be made: " + error.message());

  Board board(options.output_fd, options.live, start);
  const RunContext context{options, work, timeout, board};
  Summary summary;
  summary.notes = found->notes;
  {
    const Signals signals;
    struct Job {
      std::size_t entry;
      std::function<Suite(std::size_t)> run;
    };
    std::vector<Job> jobs;
    if (!found->pytest.empty()) {
      jobs.push_back({board.add("pytest"), [&](std::size_t entry) { return run_pytest(context, found->pytest, entry); }});
    }
    if (!found->rspec.empty()) {
      jobs.push_back({board.add("rspec"), [&](std::size_t entry) { return run_rspec(context, found->rspec, entry); }});
    }
    if (!found->cpp.empty()) {
      jobs.push_back({board.add("c++"), [&](std::size_t entry) { return run_cpp(context, found->cpp, entry); }});
    }
    for (const auto& language : options.languages) {
      const auto files = found->by_command.find(language.name);
      if (files == found->by_command.end()) continue;
      const std::string runner(string_or(language.tests, "runner"));
      jobs.push_back({board.add(runner.empty() ? language.name : runner),
                      [&context, &language, &files = files->second](std::size_t entry) { return run_command(context, language, files, entry); }});
    }
    summary.suites.resize(jobs.size());
    {
      const Painter painter(board);
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        threads.emplace_back([&, i] {
          summary.suites[i] = jobs[i].run(jobs[i].entry);
          board.finish(jobs[i].entry, summary.suites[i]);
        });
      }
    }
    board.clear();
    summary.interrupted = children_stopped();
  }
  summary.seconds = std::chrono::duration<double>(Board::Clock::now() - start).count();
  board.say(report_text(summary));
  return summary;
}

}  // namespace sabir::testing

#include "sabir/testing/testing.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "board.h"
#include "child.h"
#include "discover.h"
#include "impact.h"
#include "runners.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "schedule.h"
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

bool Summary::ok() const { return (!suites.empty() || unchanged > 0) && failed() == 0 && !interrupted; }

namespace {

// A folder for the engines of one suite, gone with the object.
class Store {
 public:
  Store(const fs::path& work, std::size_t number) : path_(work / ("store-" + std::to_string(::getpid()) + "-" + std::to_string(number))) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    fs::create_directories(path_, ignored);
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Those of runs that were killed.
void remove_old_stores(const fs::path& work) {
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator it(work, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with("store-")) continue;
    const int pid = std::atoi(name.c_str() + 6);
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) old.push_back(it->path());
  }
  for (const auto& path : old) fs::remove_all(path, error);
}

// One suite's test files and how they are run.
struct Plan {
  std::string name;
  std::vector<std::string> files;
  int weight = 1;
  bool can_split = false;
  std::function<Suite(const RunContext& context, const Selection& selection, std::size_t entry)> run;
};

bool is_compiled(const project::Language& language) { return language.compiled() || language.name == "go" || language.name == "java" || language.name == "rust"; }

// Whether pytest is told to make processes of its own.
bool uses_xdist(const fs::path& root) {
  for (const char* name : {"pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"}) {
    auto text = read_file(root / name, std::size_t{1} << 20U);
    if (text && (text->find("-n ") != std::string::npos || text->find("-nauto") != std::string::npos || text->find("--numprocesses") != std::string::npos)) return true;
  }
  return false;
}

constexpr double kWorthSplitting = 4;     // seconds
constexpr std::size_t kFilesWorthSplitting = 40;

std::vector<Plan> plans_of(const Options& options, const Discovery& found) {
  std::vector<Plan> plans;
  if (!found.pytest.empty()) plans.push_back({"pytest", found.pytest, 1, true, run_pytest});
  if (!found.rspec.empty()) plans.push_back({"rspec", found.rspec, 1, false, run_rspec});
  if (!found.cpp.empty()) {
    Plan plan{"c++", {}, 2, false, {}};
    for (const auto& folder : found.cpp) {
      for (const auto& test : folder.wanted) plan.files.push_back(test.lexically_relative(options.root).string());
    }
    plan.run = [&found](const RunContext& context, const Selection& selection, std::size_t entry) {
      auto folders = found.cpp;
      for (auto& folder : folders) {
        std::erase_if(folder.wanted, [&](const fs::path& test) {
          return std::find(selection.files.begin(), selection.files.end(), test.lexically_relative(context.options.root).string()) == selection.files.end();
        });
      }
      std::erase_if(folders, [](const CppFolder& folder) { return folder.wanted.empty(); });
      return run_cpp(context, folders, selection, entry);
    };
    plans.push_back(std::move(plan));
  }
  for (const auto& language : options.languages) {
    const auto files = found.by_command.find(language.name);
    if (files == found.by_command.end()) continue;
    const std::string runner(string_or(language.tests, "runner"));
    plans.push_back({runner.empty() ? language.name : runner, files->second, is_compiled(language) ? 2 : 1, false,
                     [&language](const RunContext& context, const Selection& selection, std::size_t entry) { return run_command(context, language, selection, entry); }});
  }
  for (const auto& native : found.native) {
    plans.push_back({(native.kind == "go" ? "go test " : native.kind == "rust" ? "cargo test " : "maven ") + native.folder, native.files, 2, false,
                     [&native](const RunContext& context, const Selection& selection, std::size_t entry) { return run_native(context, native, selection, entry); }});
    while (plans.back().name.ends_with(' ')) plans.back().name.pop_back();
  }
  for (const auto& extra : options.extra) {
    if (extra.files.empty()) continue;
    plans.push_back({extra.name, extra.files, extra.weight, false, [&extra](const RunContext& context, const Selection& selection, std::size_t) {
                       Suite suite = extra.run(selection.files, context.timeout);
                       if (suite.name.empty()) suite.name = extra.name;
                       suite.files = static_cast<int>(selection.files.size());
                       return suite;
                     }});
  }
  return plans;
}

// What a suite's outcome says of each of its files.
void add_outcomes(const Suite& suite, const std::vector<std::string>& files, std::map<std::string, Impact::Ran>& ran) {
  if (suite.stopped) return;
  const std::set<std::string> own(files.begin(), files.end());
  const bool is_told = std::all_of(suite.cases.begin(), suite.cases.end(), [&](const Case& one) { return own.contains(one.test_file); });
  for (const auto& file : files) {
    Impact::Ran& what = ran[file];
    what.passed = suite.problem.empty();
    for (const auto& one : suite.cases) {
      if (is_told && one.test_file != file) continue;
      what.seconds += one.seconds;
      what.ids.push_back(one.id);
      if (one.outcome != Outcome::kFailed) continue;
      what.failed.push_back(one.id);
      what.passed = false;
    }
    if (!is_told) what.seconds /= static_cast<double>(files.size());
  }
}

// PATH as a choice of files: below it, or it.
Result<void> narrow(Options& options, const Options& asked) {
  if (options.only.empty()) return {};
  std::error_code error;
  options.only = fs::canonical(options.only, error);
  if (error) return fail(ErrorCode::kNotFound, asked.only.string() + ": no such file or folder");
  if (options.only == options.root) options.only.clear();
  return {};
}

bool below(const fs::path& path, const fs::path& folder) {
  return folder.empty() || std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// What holds for all tests alike: with another engine, environment or model the same files may have another outcome.
std::string settings_of(const Options& options) {
  std::string text = "state " + std::to_string(kStateFormat) + "\n" + options.engine_version + "\n" + options.environment_name + "\n";
  for (const char* name : {"SABIR_MODEL", "SABIR_REPLAY_FUNCTIONS", "SABIR_DEPLOYED"}) {
    const auto own = options.environment.find(name);
    const char* set = std::getenv(name);
    text += std::string(name) + "=" + (own != options.environment.end() ? own->second : set != nullptr ? set : "") + "\n";
  }
  return text;
}

}  // namespace

namespace {

// Reports that were written into the project are none of its files, in later runs either.
void leave_out_reports(const fs::path& root, const fs::path& report, Tree& tree) {
  const fs::path kept = root / ".sabir" / "tests" / "reports";
  std::set<std::string> names;
  if (auto text = read_file(kept, std::size_t{1} << 20U)) {
    for (const auto line : split_lines(*text)) {
      if (!trim(line).empty()) names.emplace(trim(line));
    }
  }
  std::error_code error;
  const std::string relative = report.empty() ? "" : fs::weakly_canonical(report, error).lexically_relative(root).string();
  if (!relative.empty() && !relative.starts_with("..") && names.size() < 1000 && names.insert(relative).second) {
    fs::create_directories(kept.parent_path(), error);
    std::string text;
    for (const auto& name : names) text += name + "\n";
    [[maybe_unused]] const auto written = write_file(kept, text);
  }
  std::erase_if(tree.files, [&](const auto& file) { return names.contains(file); });
}

}  // namespace

Result<Summary> run(const Options& asked) {
  Options options = asked;
  const auto start = Board::Clock::now();
  auto project = project::load(options.root, options.environment_name, options.languages);
  if (!project) return fail(std::move(project.error()));
  options.root = project->root;
  if (auto ok = narrow(options, asked); !ok) return fail(std::move(ok.error()));
  auto tree = walk(options.root);
  if (!tree) return fail(std::move(tree.error()));
  leave_out_reports(options.root, options.report, *tree);
  auto found = discover(options.root, *tree, options.languages);
  if (!found) return fail(std::move(found.error()));

  const bool by_commit = !options.since.empty();
  std::set<std::string> changed;
  bool everything = !options.affected && !by_commit;
  std::vector<std::string> gone;
  Summary summary;
  if (by_commit) {
    auto files = changed_since(options.root, options.since);
    if (files) {
      changed = std::move(*files);
      for (const auto& file : changed) {
        if (!std::binary_search(tree->files.begin(), tree->files.end(), file)) gone.push_back(file);
      }
    } else {
      everything = true;
      summary.notes.push_back("Everything is run: " + files.error().message + (files.error().hint.empty() ? "" : " (" + files.error().hint + ")"));
    }
  }
  Impact impact(*project, *tree, *found, settings_of(options), gone);
  // A source without a test in it is no test file, although Rust's tests may stand in any.
  const auto may_have_tests = [&](const std::string& file) {
    return !file.ends_with(".rs") || file.ends_with("_test.rs") || file.find("tests/") != std::string::npos || impact.has_tests(file);
  };
  found->keep(options.root, [&](const std::string& file) { return below(options.root / file, options.only) && may_have_tests(file); });
  for (auto& extra : options.extra) std::erase_if(extra.files, [&](const std::string& file) { return !below(options.root / file, options.only); });
  auto all = found->files(options.root);
  for (const auto& extra : options.extra) all.insert(all.end(), extra.files.begin(), extra.files.end());
  if (all.empty()) {
    return fail(ErrorCode::kNotFound, "no test files in " + (options.only.empty() ? options.root : options.only).string(),
                "Tests live in functions/<language>/tests: test_*.py, test_*.rb or *_spec.rb, *.cpp; `sabir add function NAME` writes one.");
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  const auto before = plans_of(options, *found);
  std::map<std::string, std::size_t> whole;  // by suite: how many files there are
  for (const auto& plan : before) whole[plan.name] = plan.files.size();
  if (!everything) {
    const auto chosen = by_commit ? impact.affected_by(all, changed) : impact.affected(all);
    const std::set<std::string> kept(chosen.begin(), chosen.end());
    summary.unchanged = static_cast<int>(all.size() - kept.size());
    for (const auto& file : options.explain ? chosen : std::vector<std::string>()) summary.reasons.emplace_back(file, by_commit ? impact.reason(file, changed) : impact.reason(file));
    found->keep(options.root, [&](const std::string& file) { return kept.contains(file); });
    for (auto& extra : options.extra) std::erase_if(extra.files, [&](const std::string& file) { return !kept.contains(file); });
  }
  Board board(options.output_fd, options.live, start);
  if (options.explain) {
    for (const auto& file : everything ? all : std::vector<std::string>()) summary.reasons.emplace_back(file, "all tests are run");
    [[maybe_unused]] const auto saved = impact.save();
    return summary;
  }
  if (summary.notes.empty()) summary.notes = found->notes;
  else summary.notes.insert(summary.notes.end(), found->notes.begin(), found->notes.end());

  std::chrono::milliseconds timeout = kDefaultTimeout;
  if (project->test_timeout_ms > 0) timeout = std::chrono::milliseconds(project->test_timeout_ms);
  if (options.timeout_ms > 0) timeout = std::chrono::milliseconds(options.timeout_ms);
  const fs::path work = options.root / ".sabir" / "build";
  const auto plans = plans_of(options, *found);
  if (!plans.empty()) {
    std::error_code error;
    fs::create_directories(work / "reporters", error);
    if (error) return fail(ErrorCode::kIo, work.string() + ": cannot be made: " + error.message());
    const fs::path stores = options.root / ".sabir" / "tests";
    fs::create_directories(stores, error);
    if (error) return fail(ErrorCode::kIo, stores.string() + ": cannot be made: " + error.message());
    remove_old_stores(stores);
    const int processors = options.jobs > 0 ? options.jobs : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    const Signals signals;
    std::vector<std::unique_ptr<Store>> kept;
    std::vector<Job> jobs;
    for (const auto& plan : plans) {
      double seconds = 0;
      for (const auto& file : plan.files) seconds += impact.seconds(file);
      std::vector<std::vector<std::string>> parts{plan.files};
      const bool is_large = seconds >= kWorthSplitting || (seconds == 0 && plan.files.size() >= kFilesWorthSplitting);
      if (plan.can_split && is_large && processors > 1 && plan.files.size() >= 4 && options.test.empty() && !uses_xdist(options.root)) {
        parts = split(plan.files, std::min<std::size_t>(static_cast<std::size_t>(processors), plan.files.size() / 2), [&](const std::string& file) { return impact.seconds(file); });
      }
      for (std::size_t i = 0; i < parts.size(); ++i) {
        Job job;
        job.suite = plan.name;
        job.weight = plan.weight;
        job.seconds = seconds / static_cast<double>(parts.size());
        job.entry = board.add(parts.size() > 1 ? plan.name + " " + std::to_string(i + 1) + "/" + std::to_string(parts.size()) : plan.name);
        job.selection.files = std::move(parts[i]);
        job.selection.whole = parts.size() == 1 && options.only.empty() && plan.files.size() == whole[plan.name];
        job.selection.may_be_empty = !job.selection.whole && std::all_of(job.selection.files.begin(), job.selection.files.end(), [&](const auto& file) { return impact.is_empty(file); });
        if (!options.test.empty()) job.selection.tests = {job.selection.files.front() + (options.test.front() == ':' ? options.test : "::" + options.test)};
        kept.push_back(std::make_unique<Store>(stores, kept.size()));
        const fs::path& store = kept.back()->path();
        job.run = [&, &plan = plan, store](const Selection& selection, int granted, std::size_t entry) {
          const RunContext context{options, work, store, timeout, granted, board};
          return plan.run(context, selection, entry);
        };
        jobs.push_back(std::move(job));
      }
    }
    {
      const Painter painter(board);
      run_jobs(jobs, processors, options.retries, board);
    }
    board.clear();
    summary.interrupted = children_stopped();
    std::map<std::string, Impact::Ran> ran;
    // A test that was asked for alone says nothing of its file.
    for (const auto& job : options.test.empty() ? jobs : std::vector<Job>()) add_outcomes(job.result, job.selection.files, ran);
    for (auto& id : impact.record(ran)) summary.flaky.push_back(id + ": had another outcome the last time, and nothing that it depends on has changed");
    summary.changed_meanwhile = impact.changed_meanwhile();
    summary.suites = merged(std::move(jobs));
  }
  [[maybe_unused]] const auto saved = impact.save();  // what cannot be kept is run once more
  for (auto& suite : summary.suites) {
    if (const auto known = whole.find(suite.name); known != whole.end()) suite.unchanged = static_cast<int>(known->second) - suite.files;
    for (const auto& one : suite.cases) {
      if (one.attempts > 1) summary.flaky.push_back(one.id + ": passed at attempt " + std::to_string(one.attempts));
    }
  }
  summary.seconds = std::chrono::duration<double>(Board::Clock::now() - start).count();
  board.say(report_text(summary));
  return summary;
}

bool wait_for_change(const fs::path& root, std::optional<std::chrono::steady_clock::time_point> until) {
  constexpr auto kLook = std::chrono::milliseconds(300);
  const Signals signals;
  const auto look = [&] {
    std::map<std::string, std::string> out;
    if (auto tree = walk(root)) {
      for (const auto& file : tree->files) out[file] = stamp_of_content(root / file).text;
    }
    return out;
  };
  const auto before = look();
  while (!children_stopped() && (!until || Board::Clock::now() < *until)) {
    std::this_thread::sleep_for(kLook);
    if (look() == before) continue;
    // An editor or a checkout writes several files: until it is quiet.
    for (auto now = look(); !children_stopped();) {
      std::this_thread::sleep_for(kLook / 3);
      auto next = look();
      if (next == now) return true;
      now = std::move(next);
    }
  }
  return false;
}

Result<json::object> dependency_graph(const GraphOptions& options) {
  auto project = project::load(options.root, "test", options.languages);
  if (!project) return fail(std::move(project.error()));
  auto tree = walk(project->root);
  if (!tree) return fail(std::move(tree.error()));
  leave_out_reports(project->root, {}, *tree);
  auto found = discover(project->root, *tree, options.languages);
  if (!found) return fail(std::move(found.error()));
  Impact impact(*project, *tree, *found, "");
  [[maybe_unused]] const auto saved = impact.save();
  const Graph& graph = impact.graph();
  const auto all = found->files(project->root);
  const std::set<std::string> tests(all.begin(), all.end());
  const auto kind_of = [&](const std::string& name) {
    if (name.starts_with('(')) return "group";
    if (tests.contains(name) && (!name.ends_with(".rs") || impact.has_tests(name))) return "test";
    if (name.starts_with("completions/prompt_parts/")) return "part";
    if (name.starts_with("completions/") && language_of(name) == Language::kTemplate) return "prompt";
    for (const auto& source : project->sources) {
      if (source.relative == name) return source.kind == project::SourceKind::kAssistant ? "assistant" : source.kind == project::SourceKind::kMemory ? "memory" : "function";
    }
    return "file";
  };
  std::vector<bool> shown(graph.node_count(), options.node.empty());
  json::object out{{"format", 1}};
  if (!options.node.empty()) {
    // A path, an address, a prompt's or an assistant's name: what a test that names it would depend on.
    std::string wanted = options.node;
    if (wanted.starts_with("./")) wanted = wanted.substr(2);
    auto node = graph.find(wanted);
    if (node == Graph::kNoNode) {
      std::vector<std::string> names;
      for (const auto& source : project->sources) {
        names.push_back(source.module);
        const bool is_it = wanted == source.module || wanted.starts_with(source.module + ".") || wanted == source.language + "/" + source.module ||
                           wanted.starts_with(source.language + "/" + source.module + ".");
        if (is_it && node == Graph::kNoNode) node = graph.find(source.relative);
      }
      for (const char* ending : {"", ".prompt", ".j2", ".txt", ".md"}) {
        for (const char* folder : {"completions/", "completions/prompt_parts/"}) {
          if (node == Graph::kNoNode) node = graph.find(folder + wanted + ending);
        }
      }
      if (node == Graph::kNoNode) {
        names.insert(names.end(), tree->files.begin(), tree->files.end());
        return fail(ErrorCode::kNotFound, "there is no file, function, prompt or assistant '" + options.node + "'", did_you_mean(options.node, names));
      }
    }
    json::array reaches;
    for (const auto other : graph.reaches(node)) {
      shown[other] = true;
      if (other != node && !graph.is_group(other)) reaches.emplace_back(graph.name(other));
    }
    std::vector<bool> goal(graph.node_count());
    goal[node] = true;
    json::array reached_by;
    json::array reaching_tests;
    for (Graph::Node other = 0; other < graph.file_count(); ++other) {
      if (other == node) continue;
      const auto path = graph.path_to(other, goal);
      if (path.empty()) continue;
      for (const auto step : path) shown[step] = true;
      reached_by.emplace_back(graph.name(other));
      if (std::string_view(kind_of(graph.name(other))) == "test") reaching_tests.emplace_back(graph.name(other));
    }
    out["node"] = graph.name(node);
    out["reaches"] = std::move(reaches);
    out["reached_by"] = std::move(reached_by);
    out["tests"] = std::move(reaching_tests);
  }
  json::array nodes;
  json::array edges;
  for (Graph::Node node = 0; node < graph.node_count(); ++node) {
    if (!shown[node]) continue;
    nodes.push_back(json::object{{"name", graph.name(node)}, {"kind", kind_of(graph.name(node))}});
    for (const auto other : graph.edges(node)) {
      if (shown[other]) edges.push_back(json::array{graph.name(node), graph.name(other)});
    }
  }
  out["nodes"] = std::move(nodes);
  out["edges"] = std::move(edges);
  return out;
}

}  // namespace sabir::testing

#include "runners.h"

#include <unistd.h>

#include <atomic>
#include <set>

#include "child.h"
#include "report.h"
#include "reporters.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

// With the language's SDK on its load path.
std::map<std::string, std::string> with_path(const RunContext& context, const char* path_name, const std::string& language, const fs::path& first) {
  auto environment = suite_environment(context, language);
  std::vector<std::string> folders;
  if (!first.empty()) folders.push_back(first.string());
  if (const auto sdk = context.options.sdk_paths.find(language); sdk != context.options.sdk_paths.end()) folders.push_back(sdk->second.string());
  if (const char* inherited = std::getenv(path_name); inherited != nullptr && *inherited != '\0') folders.emplace_back(inherited);
  environment[path_name] = join(folders, ":");
  return environment;
}

// The first interpreter that runs `check` with exit code 0; `found_any` tells whether one could be started at all.
std::optional<std::string> first_that_runs(const fs::path& root, const std::vector<std::string>& candidates,
                                           const std::vector<std::string>& check, bool& found_any) {
  for (const auto& candidate : candidates) {
    // Relative ones are the project's own; posix_spawnp looks the others up on PATH.
    if (candidate.find('/') != std::string::npos && ::access(candidate.c_str(), X_OK) != 0) continue;
    ChildSpec spec;
    spec.argv = {candidate};
    spec.argv.insert(spec.argv.end(), check.begin(), check.end());
    spec.folder = root;
    spec.deadline = Clock::now() + std::chrono::seconds(20);
    const auto end = run_child(spec);
    if (!end) continue;
    found_any = true;
    if (end->exit_code == 0) return candidate;
  }
  return std::nullopt;
}

std::vector<std::string> python_candidates(const fs::path& root) {
  std::vector<std::string> candidates;
  if (const char* active = std::getenv("VIRTUAL_ENV"); active != nullptr && *active != '\0') {
    candidates.push_back((fs::path(active) / "bin/python").string());
  }
  candidates.push_back((root / ".venv/bin/python").string());
  candidates.push_back((root / "venv/bin/python").string());
  candidates.emplace_back("python3");
  candidates.emplace_back("/usr/bin/python3");
  return candidates;
}

// Runs a runner that reports through events, and turns what it says into the suite's verdict.
void run_reported(const RunContext& context, ChildSpec spec, const Selection& selection, std::size_t entry, Suite& suite) {
  EventReader events;
  Tail tail;
  int failed = 0;
  spec.report = true;
  spec.on_output_line = [&](std::string_view line) { tail.line(line); };
  spec.on_report_line = [&](std::string_view line) {
    const std::size_t before = suite.cases.size();
    events.line(line, suite);
    if (suite.cases.size() > before && suite.cases.back().outcome == Outcome::kFailed) ++failed;
    context.board.progress(entry, static_cast<int>(suite.cases.size()), suite.expected, failed);
  };
  const auto end = run_child(spec);
  if (!end) {
    suite.problem = end.error().message;
    suite.hint = end.error().hint;
    return;
  }
  if (end->stopped || end->timed_out) {
    explain_end(context, end->stopped, end->timed_out, suite);
    suite.output = tail.text();
    return;
  }
  if (!events.broken().empty()) {
    const auto& [file, text] = events.broken().front();
    const std::size_t count = events.broken().size();
    suite.problem = file.empty() ? "errors outside of any test"
                                 : count == 1 ? file + " does not load" : std::to_string(count) + " test files do not load";
    for (const auto& [broken_file, broken_text] : events.broken()) {
      if (!broken_text.empty()) suite.output += broken_text + "\n";
    }
    if (suite.output.empty()) suite.output = tail.text();
    return;
  }
  if (suite.cases.empty() && selection.may_be_empty && (end->exit_code == 0 || events.collected())) return;
  if (suite.cases.empty() && (end->exit_code == 0 || events.collected())) {
    suite.problem = std::to_string(suite.files) + (suite.files == 1 ? " test file" : " test files") + ", but no test was collected";
    suite.hint = suite.name == "rspec" ? "Check the pattern in .rspec: --pattern '{functions,assistants,memory}/ruby/tests/**/*.rb'"
                                       : "Check testpaths and python_files in pytest.ini.";
    suite.output = tail.text();
    return;
  }
  if (end->exit_code != 0 && suite.count(Outcome::kFailed) == 0) {
    suite.problem = "ended with exit code " + std::to_string(end->exit_code) + " though no test failed";
    suite.output = tail.text();
  }
}

ChildSpec child(const RunContext& context, std::vector<std::string> argv, std::map<std::string, std::string> environment,
                Clock::time_point deadline) {
  ChildSpec spec;
  spec.argv = std::move(argv);
  spec.folder = context.options.root;
  spec.environment = std::move(environment);
  spec.deadline = deadline;
  return spec;
}

class Stopwatch {
 public:
  explicit Stopwatch(Suite& suite) : suite_(suite) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { suite_.seconds = std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  Suite& suite_;
  Clock::time_point start_ = Clock::now();
};

std::string quote_cmake(const fs::path& path) {
  std::string out = "[==[";
  return out + path.string() + "]==]";
}

// A name as a regular expression that it alone matches.
std::string quoted_pattern(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

constexpr std::size_t kMostNamed = 8;

// What pytest is given where many tests are meant: a file for the reporter, which chooses, and the folders it chooses from. pytest reads a
// folder anew for each name in it, so naming a thousand takes a minute.
class PytestSelection {
 public:
  PytestSelection() = default;
  PytestSelection(const PytestSelection&) = delete;
  PytestSelection& operator=(const PytestSelection&) = delete;
  ~PytestSelection() {
    std::error_code ignored;
    if (!file_.empty()) fs::remove(file_, ignored);
  }

  Result<void> write(const RunContext& context, const Selection& selection) {
    static std::atomic<int> number{0};
    std::set<std::string> files(selection.files.begin(), selection.files.end());
    if (!selection.tests.empty()) files.clear();
    for (const auto& test : selection.tests) files.insert(test.substr(0, test.find("::")));
    // Each by itself: one below another may be where pytest does not go unasked (its norecursedirs).
    for (const auto& one : files) folders_.insert(fs::path(one).has_parent_path() ? fs::path(one).parent_path().generic_string() : ".");
    file_ = context.work / ("selection-" + std::to_string(::getpid()) + "-" + std::to_string(number++) + ".json");
    const json::object text{{"files", json::array(files.begin(), files.end())}, {"tests", json::array(selection.tests.begin(), selection.tests.end())}};
    return write_file(file_, json::serialize(text));
  }
  const fs::path& file() const { return file_; }
  const std::set<std::string>& folders() const { return folders_; }

 private:
  fs::path file_;
  std::set<std::string> folders_;
};

}  // namespace

std::map<std::string, std::string> suite_environment(const RunContext& context, const std::string& language) {
  std::map<std::string, std::string> environment;
  if (!context.options.engine.empty()) environment["SABIR_BIN"] = context.options.engine.string();
  environment["SABIR_PROJECT"] = context.options.root.string();
  environment["SABIR_ENV"] = context.options.environment_name;
  // Replies of the tests' own, as the project's conftest.py and spec_helper.rb choose them too.
  if (std::getenv("SABIR_MODEL") == nullptr) environment["SABIR_MODEL"] = "scripted";
  if (std::getenv("SABIR_STATE_DIR") == nullptr) environment["SABIR_STATE_DIR"] = context.store.string();
  environment["SABIR_TEST_NAME"] = language;
  // Tests ask no engine elsewhere, whatever the developer's shell says; one of a deployment says so itself (SABIR_URL).
  environment["SABIR_ENGINE"] = "";
  for (const auto& [name, value] : context.options.environment) environment[name] = value;
  return environment;
}

void explain_end(const RunContext& context, bool was_stopped, bool was_late, Suite& suite) {
  if (was_stopped) {
    suite.problem = "stopped";
    suite.hint.clear();
    suite.stopped = true;
  } else if (was_late) {
    suite.problem = "not finished after " + std::to_string(context.timeout.count() / 1000) + " s; its processes were ended";
    suite.hint = "Give it longer in sabir.yml: tests: {timeout: 20m}";
  }
}

Suite run_pytest(const RunContext& context, const Selection& selection, std::size_t entry) {
  Suite suite;
  suite.name = "pytest";
  suite.files = static_cast<int>(selection.files.size());
  const Stopwatch watch(suite);
  const auto deadline = Clock::now() + context.timeout;
  bool found_any = false;
  const auto python = first_that_runs(context.options.root, python_candidates(context.options.root), {"-c", "import pytest"}, found_any);
  if (children_stopped()) {
    explain_end(context, true, false, suite);
    return suite;
  }
  if (!python) {
    suite.problem = found_any ? "pytest is not installed for this project's Python" : "no Python interpreter was found";
    suite.hint = found_any ? "Run: sabir setup" : "Debian: apt-get install python3 python3-venv; then: sabir setup";
    return suite;
  }
  const fs::path reporter = context.work / "reporters";
  if (auto ok = write_file(reporter / "sabir_pytest_reporter.py", kPytestReporter); !ok) {
    suite.problem = ok.error().message;
    return suite;
  }
  context.board.phase(entry, "collecting");
  std::vector<std::string> argv = {*python, "-m", "pytest", "-p", "sabir_pytest_reporter", "-q", "--color=no"};
  // The SDK's own fixtures, also where no conftest.py brings them.
  const auto sdk = context.options.sdk_paths.find("python");
  std::error_code ignored;
  if (sdk != context.options.sdk_paths.end() && fs::exists(sdk->second / "sabir" / "testing.py", ignored)) argv.insert(argv.end(), {"-p", "sabir.testing"});
  auto environment = with_path(context, "PYTHONPATH", "python", reporter);
  PytestSelection chosen;
  // A whole run goes by the project's own configuration, as plain pytest does.
  if (!selection.tests.empty() || !selection.whole) {
    const auto& named = selection.tests.empty() ? selection.files : selection.tests;
    if (named.size() <= kMostNamed) {
      argv.insert(argv.end(), named.begin(), named.end());
    } else {
      if (auto ok = chosen.write(context, selection); !ok) {
        suite.problem = ok.error().message;
        return suite;
      }
      environment["SABIR_TEST_SELECTION"] = chosen.file().string();
      argv.insert(argv.end(), chosen.folders().begin(), chosen.folders().end());
    }
  }
  run_reported(context, child(context, std::move(argv), std::move(environment), deadline), selection, entry, suite);
  return suite;
}

Suite run_rspec(const RunContext& context, const Selection& selection, std::size_t entry) {
  Suite suite;
  suite.name = "rspec";
  suite.files = static_cast<int>(selection.files.size());
  const Stopwatch watch(suite);
  const auto deadline = Clock::now() + context.timeout;
  const fs::path& root = context.options.root;
  std::error_code ignored;
  std::vector<std::string> argv = {"rspec"};
  // A bundle that was installed for this project is the one its tests run with.
  if (fs::exists(root / "vendor/bundle", ignored) || fs::exists(root / ".bundle/config", ignored)) {
    argv = {"bundle", "exec", "rspec"};
  }
  const fs::path reporter = context.work / "reporters" / "sabir_rspec_reporter.rb";
  if (auto ok = write_file(reporter, kRspecReporter); !ok) {
    suite.problem = ok.error().message;
    return suite;
  }
  context.board.phase(entry, "collecting");
  for (const char* option : {"--require", reporter.c_str(), "--format", "SabirRspecReporter", "--out", "/dev/null", "--format",
                             "progress", "--no-color"}) {
    argv.emplace_back(option);
  }
  // Named files are loaded whatever the pattern says; a whole run goes by the project's own .rspec, as plain rspec does.
  if (!selection.tests.empty()) argv.insert(argv.end(), selection.tests.begin(), selection.tests.end());
  else if (!selection.whole) argv.insert(argv.end(), selection.files.begin(), selection.files.end());
  bool found_any = false;
  if (!first_that_runs(root, {argv[0]}, {"--version"}, found_any)) {
    if (children_stopped()) {
      explain_end(context, true, false, suite);
      return suite;
    }
    suite.problem = argv[0] + " is not installed";
    suite.hint = "Run: sabir setup (Debian: apt-get install ruby-rspec)";
    return suite;
  }
  run_reported(context, child(context, std::move(argv), with_path(context, "RUBYLIB", "ruby", {}), deadline), selection, entry, suite);
  return suite;
}

Result<std::vector<std::pair<fs::path, std::vector<fs::path>>>> programs_of(const CppFolder& folder) {
  std::vector<std::pair<fs::path, std::vector<fs::path>>> programs;
  for (const auto& test : folder.tests) {
    auto text = read_file(test, std::size_t{16} << 20U);
    if (!text) return fail(std::move(text.error()));
    std::vector<fs::path> linked = folder.sources;
    for (const auto line : split_lines(*text)) {
      auto rest = trim(line);
      if (!rest.starts_with("#")) continue;
      rest = trim(rest.substr(1));
      if (!rest.starts_with("include")) continue;
      const std::size_t open = rest.find('"');
      const std::size_t close = open == std::string_view::npos ? open : rest.find('"', open + 1);
      if (close == std::string_view::npos) continue;
      const fs::path name = fs::path(rest.substr(open + 1, close - open - 1)).filename();
      std::erase_if(linked, [&](const fs::path& source) { return source.filename() == name; });
    }
    programs.emplace_back(test, std::move(linked));
  }
  return programs;
}

std::string cmake_for(const CppFolder& folder, const fs::path& sdk,
                      const std::vector<std::pair<fs::path, std::vector<fs::path>>>& programs) {
  std::string out =
      "# Written by `sabir test`. A CMakeLists.txt of your own in " + folder.relative + " or its tests/ takes its place.\n"
      "cmake_minimum_required(VERSION 3.20)\n"
      "project(sabir_cpp_tests LANGUAGES CXX)\n"
      "set(CMAKE_CXX_STANDARD 20)\n"
      "set(CMAKE_CXX_STANDARD_REQUIRED ON)\n"
      "enable_testing()\n"
      "find_package(GTest REQUIRED)\n"
      "find_package(Threads REQUIRED)\n"
      "include(GoogleTest)\n";
  for (const auto& source : folder.sources) {
    const std::string target = "source_" + fingerprint(source.string());
    out += "add_library(" + target + " OBJECT " + quote_cmake(source) + ")\n";
    if (!sdk.empty()) out += "target_include_directories(" + target + " PRIVATE " + quote_cmake(sdk) + ")\n";
  }
  for (const auto& [test, sources] : programs) {
    const std::string target = "test_" + fingerprint(test.string());
    out += "add_executable(" + target + " " + quote_cmake(test);
    for (const auto& source : sources) out += " $<TARGET_OBJECTS:source_" + fingerprint(source.string()) + ">";
    out += ")\n";
    out += "target_include_directories(" + target + " PRIVATE " + quote_cmake(test.parent_path().parent_path()) +
           (sdk.empty() ? "" : " " + quote_cmake(sdk)) + ")\n";
    out += "target_link_libraries(" + target + " PRIVATE GTest::gmock GTest::gtest_main Threads::Threads)\n";
    out += "gtest_discover_tests(" + target + " TEST_PREFIX " + quote_cmake(test.stem().string() + ".") +
           " WORKING_DIRECTORY " + quote_cmake(test.parent_path()) + " DISCOVERY_TIMEOUT 60)\n";
  }
  return out;
}

Suite run_cpp(const RunContext& context, const std::vector<CppFolder>& folders, const Selection& selection, std::size_t entry) {
  Suite suite;
  suite.name = "c++";
  const Stopwatch watch(suite);
  const auto deadline = Clock::now() + context.timeout;
  const auto environment = suite_environment(context, "cpp");
  const auto sdk = context.options.sdk_paths.find("cpp");
  for (const auto& folder : folders) suite.files += static_cast<int>(folder.wanted.size());

  Tail tail;
  ChildEnd end;
  // Runs one step; false when the suite is over, with the problem told.
  const auto step = [&](std::vector<std::string> argv, const std::string& what) {
    tail = Tail();
    auto spec = child(context, std::move(argv), environment, deadline);
    spec.on_output_line = [&](std::string_view line) { tail.line(line); };
    const auto ended = run_child(spec);
    if (!ended) {
      suite.problem = ended.error().code == ErrorCode::kUnavailable ? "cmake is not installed" : ended.error().message;
      suite.hint = "Debian: apt-get install cmake g++ libgtest-dev";
      return false;
    }
    end = *ended;
    if (end.exit_code == 0) return true;
    suite.problem = what;
    suite.output = tail.text();
    explain_end(context, end.stopped, end.timed_out, suite);
    return false;
  };

  for (const auto& folder : folders) {
    const std::string slot = fingerprint(folder.relative);
    const fs::path build = context.work / "cpp-tests" / slot;
    fs::path source = folder.own_cmake;
    if (source.empty()) {
      source = context.work / "cpp-tests" / (slot + "-source");
      auto programs = programs_of(folder);
      std::error_code error;
      fs::create_directories(source, error);
      const std::string text = programs ? cmake_for(folder, sdk == context.options.sdk_paths.end() ? fs::path() : sdk->second, *programs) : "";
      // Left alone when nothing changed, so that the build has nothing to do.
      const auto before = read_file(source / "CMakeLists.txt");
      Result<void> written;
      if (programs && (!before || *before != text)) written = write_file(source / "CMakeLists.txt", text);
      if (!programs || !written) {
        suite.problem = programs ? written.error().message : programs.error().message;
        return suite;
      }
    }
    context.board.phase(entry, "building");
    std::error_code ignored;
    if (!fs::exists(build / "CMakeCache.txt", ignored)) {
      bool found_any = false;
      std::vector<std::string> configure = {"cmake", "-S", source.string(), "-B", build.string(), "-DCMAKE_BUILD_TYPE=Debug"};
      if (first_that_runs(context.options.root, {"ninja"}, {"--version"}, found_any)) {
        configure.emplace_back("-G");
        configure.emplace_back("Ninja");
      }
      if (!step(std::move(configure), "the tests' CMake project does not configure")) {
        // A failed configuration leaves a cache that would hide a later repair.
        fs::remove_all(build, ignored);
        if (suite.output.find("Could NOT find GTest") != std::string::npos || suite.output.find("GTestConfig.cmake") != std::string::npos) {
          suite.problem = "GoogleTest is not installed";
          suite.hint = "Debian: apt-get install libgtest-dev libgmock-dev";
          suite.output.clear();
        }
        return suite;
      }
    }
    std::vector<std::string> make = {"cmake", "--build", build.string(), "--parallel", std::to_string(std::max(1, context.processors))};
    std::vector<std::string> try_them = {"ctest", "--test-dir", build.string(), "--output-on-failure", "--timeout",
                                         std::to_string(std::max<std::int64_t>(1, context.timeout.count() / 1000))};
    const bool is_part = folder.wanted.size() < folder.tests.size() && folder.own_cmake.empty();
    if (is_part) {
      // The project stays the same, so that nothing is configured anew.
      make.emplace_back("--target");
      for (const auto& test : folder.wanted) make.push_back("test_" + fingerprint(test.string()));
    }
    if (!step(std::move(make), "the tests of " + folder.relative + " do not compile")) return suite;
    std::string pattern;
    if (!selection.tests.empty()) {
      for (const auto& name : selection.tests) pattern += (pattern.empty() ? "^(" : "|") + quoted_pattern(name);
      pattern += ")$";
    } else if (is_part) {
      for (const auto& test : folder.wanted) pattern += (pattern.empty() ? "^(" : "|") + quoted_pattern(test.stem().string() + ".");
      pattern += ")";
    }
    if (!pattern.empty()) try_them.insert(try_them.end(), {"-R", pattern});

    CtestReader reader(context.options.root.string());
    int failed = 0;
    tail = Tail();
    auto spec = child(context, std::move(try_them), environment, deadline);
    spec.on_output_line = [&](std::string_view line) {
      tail.line(line);
      reader.line(line, suite);
      failed = suite.count(Outcome::kFailed);
      context.board.progress(entry, static_cast<int>(suite.cases.size()), 0, failed);
    };
    const std::size_t before = suite.cases.size();
    const auto ended = run_child(spec);
    reader.end(suite);
    if (!ended) {
      suite.problem = ended.error().message;
      return suite;
    }
    if (ended->stopped || ended->timed_out) {
      explain_end(context, ended->stopped, ended->timed_out, suite);
      suite.output = tail.text();
      return suite;
    }
    // Which file a test is of is told by its name's beginning, where the engine wrote the project.
    for (std::size_t at = before; folder.own_cmake.empty() && at < suite.cases.size(); ++at) {
      for (const auto& test : folder.tests) {
        if (suite.cases[at].id.starts_with(test.stem().string() + ".")) suite.cases[at].test_file = test.lexically_relative(context.options.root).string();
      }
    }
    // Another folder may have all of the tests that are asked for.
    if (suite.cases.size() == before && selection.tests.empty()) {
      suite.problem = std::to_string(folder.tests.size()) + " test files in " + folder.relative + "/tests, but no test was collected";
      suite.hint = "Write TEST(Suite, Promise) from GoogleTest in them.";
      suite.output = tail.text();
      return suite;
    }
    if (ended->exit_code != 0 && suite.count(Outcome::kFailed) == 0) {
      suite.problem = "ctest ended with exit code " + std::to_string(ended->exit_code) + " though no test failed";
      suite.output = tail.text();
      return suite;
    }
  }
  return suite;
}

}  // namespace sabir::testing

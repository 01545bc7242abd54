// Tests of a language's own projects outside of the engine's folders: go test, cargo test and Maven, with the reports that each of them
// writes by itself.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "child.h"
#include "report.h"
#include "runners.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostReport = std::size_t{64} << 20U;

std::string joined(const std::string& folder, std::string_view name) { return folder.empty() ? std::string(name) : folder + "/" + std::string(name); }

// "src/lib.rs:12:5" or "a_test.go:12" in `text`, whose file is one of the project's.
void find_place(std::string_view text, const fs::path& root, const std::string& folder, Case& into) {
  for (const auto line : split_lines(text)) {
    for (const std::string_view ending : {".rs:", ".go:", ".java:"}) {
      const std::size_t at = line.find(ending);
      if (at == std::string_view::npos) continue;
      std::size_t begin = at;
      while (begin > 0 && line[begin - 1] != ' ' && line[begin - 1] != '(' && line[begin - 1] != '\t' && line[begin - 1] != '\'') --begin;
      const std::string name(line.substr(begin, at + ending.size() - 1 - begin));
      int number = 0;
      for (std::size_t i = at + ending.size(); i < line.size() && line[i] >= '0' && line[i] <= '9' && number < 10'000'000; ++i) number = number * 10 + (line[i] - '0');
      std::error_code ignored;
      for (const auto& candidate : {joined(folder, name), into.test_file.empty() ? std::string() : (fs::path(into.test_file).parent_path() / fs::path(name).filename()).string()}) {
        if (number == 0 || candidate.empty() || !fs::is_regular_file(root / candidate, ignored)) continue;
        into.file = candidate;
        into.line = number;
        return;
      }
    }
  }
}

// `go test -json`: one event a line.
class GoReader {
 public:
  GoReader(const fs::path& root, const NativeProject& project) : root_(root), project_(project) {
    for (const auto& file : project.files) {
      auto text = read_file(root / file, kMostReport);
      if (!text) continue;
      for (const auto line : split_lines(*text)) {
        if (!line.starts_with("func ")) continue;
        const auto name = line.substr(5, std::min(line.find('('), line.size()) - 5);
        files_[{fs::path(file).parent_path().string(), std::string(name)}] = file;
      }
    }
  }

  void line(std::string_view text, Suite& suite) {
    auto value = parse_json(text);
    if (!value || !value->is_object()) return;
    const auto& event = value->get_object();
    const std::string package(string_or(event, "Package"));
    const std::string test(string_or(event, "Test"));
    const auto action = string_or(event, "Action");
    const std::string key = package + "\n" + test;
    if (action == "output" || action == "build-output") {
      auto& said = output_[action == "build-output" ? std::string(string_or(event, "ImportPath")) + "\n" : key];
      if (said.size() < kMostText) said += string_or(event, "Output");
      return;
    }
    if (action != "pass" && action != "fail" && action != "skip") return;
    if (test.empty()) {
      if (action == "fail" && !failed_.contains(package)) broken_.emplace_back(package, output_[key]);
      return;
    }
    Case one;
    one.id = package + "." + test;
    if (const auto* elapsed = event.if_contains("Elapsed"); elapsed && elapsed->is_number()) one.seconds = std::max(0.0, elapsed->to_number<double>());
    one.outcome = action == "pass" ? Outcome::kPassed : action == "skip" ? Outcome::kSkipped : Outcome::kFailed;
    // A package's folder is the end of its path.
    const std::string function = test.substr(0, test.find('/'));
    for (const auto& [where, file] : files_) {
      if (where.second == function && (where.first == project_.folder || package.ends_with("/" + fs::path(where.first).filename().string()))) one.test_file = file;
    }
    one.file = one.test_file;
    if (one.outcome == Outcome::kFailed) {
      failed_.insert(package);
      one.text = output_[key];
      for (const auto said : split_lines(one.text)) {
        const auto rest = trim(said);
        if (rest.empty() || rest.starts_with("=== ") || rest.starts_with("--- ")) continue;
        one.message = rest;
        break;
      }
      find_place(one.text, root_, project_.folder, one);
    }
    if (suite.cases.size() < kMostCases) suite.cases.push_back(std::move(one));
  }

  void end(Suite& suite) {
    for (const auto& [package, text] : broken_) {
      if (!suite.problem.empty()) suite.problem += "; ";
      suite.problem += package + " does not build or failed outside of a test";
      for (const auto& [key, said] : output_) {
        if (key.starts_with(package)) suite.output += said;
      }
    }
  }

 private:
  const fs::path& root_;
  const NativeProject& project_;
  std::map<std::pair<std::string, std::string>, std::string> files_;  // folder, function -> file
  std::map<std::string, std::string> output_;
  std::set<std::string> failed_;
  std::vector<std::pair<std::string, std::string>> broken_;
};

// What `cargo test` prints: "test shop::adds ... ok", then "---- shop::adds stdout ----" and what a failed one said.
class CargoReader {
 public:
  CargoReader(const fs::path& root, const NativeProject& project) : root_(root), project_(project) {}

  void line(std::string_view text, Suite& suite) {
    if (text.starts_with("     Running ") || text.starts_with("   Doc-tests ")) {
      close(suite);
      auto rest = trim(text.substr(12));
      if (rest.starts_with("unittests ")) rest = rest.substr(10);
      target_ = rest.substr(0, std::min(rest.find(" ("), rest.size()));
      return;
    }
    if (text.starts_with("---- ") && text.ends_with(" stdout ----")) {
      close(suite);
      failing_ = text.substr(5, text.size() - 5 - 12);
      return;
    }
    if (!failing_.empty()) {
      if (text == "failures:" || text.starts_with("test result: ")) return close(suite);
      if (said_.size() < kMostText) said_ += std::string(text) + "\n";
      return;
    }
    if (!text.starts_with("test ")) return;
    const std::size_t dots = text.rfind(" ... ");
    if (dots == std::string_view::npos) return;
    auto name = text.substr(5, dots - 5);
    const auto outcome = text.substr(dots + 5);
    if (name.ends_with(" - should panic")) name.remove_suffix(15);
    Case one;
    one.id = name;
    one.outcome = outcome.starts_with("ok") ? Outcome::kPassed : outcome.starts_with("ignored") ? Outcome::kSkipped : Outcome::kFailed;
    const std::string file = joined(project_.folder, target_);
    if (std::find(project_.files.begin(), project_.files.end(), file) != project_.files.end() && file.find("tests/") != std::string::npos) one.test_file = file;
    one.file = one.test_file;
    if (suite.cases.size() < kMostCases) suite.cases.push_back(std::move(one));
  }

  void close(Suite& suite) {
    for (auto at = suite.cases.rbegin(); !failing_.empty() && at != suite.cases.rend(); ++at) {
      if (at->id != failing_ || at->outcome != Outcome::kFailed || !at->text.empty()) continue;
      at->text = said_;
      // The line after "panicked at src/lib.rs:3:5:" says why.
      const auto lines = split_lines(at->text);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].find("panicked at") == std::string_view::npos) continue;
        at->message = i + 1 < lines.size() ? std::string(trim(lines[i + 1])) : std::string(lines[i]);
        break;
      }
      find_place(at->text, root_, project_.folder, *at);
      break;
    }
    failing_.clear();
    said_.clear();
  }

 private:
  const fs::path& root_;
  const NativeProject& project_;
  std::string target_;
  std::string failing_;
  std::string said_;
};

void read_surefire(const fs::path& root, const NativeProject& project, const std::vector<std::string>& files, fs::file_time_type since, Suite& suite) {
  std::error_code error;
  std::vector<fs::path> reports;
  for (fs::recursive_directory_iterator it(root / project.folder, error), end; !error && it != end; it.increment(error)) {
    if (it.depth() > 6 || it->path().filename() == "node_modules") {
      it.disable_recursion_pending();
      continue;
    }
    const std::string name = it->path().filename().string();
    if (it->path().parent_path().filename() != "surefire-reports" || !name.starts_with("TEST-") || !name.ends_with(".xml")) continue;
    std::error_code ignored;
    if (fs::last_write_time(it->path(), ignored) >= since && !ignored) reports.push_back(it->path());
  }
  std::sort(reports.begin(), reports.end());
  for (const auto& report : reports) {
    auto xml = read_file(report, kMostReport);
    if (xml) {
      if (auto read = read_junit(*xml, root, files, suite); read) continue;
    }
    suite.problem = report.lexically_relative(root).string() + " is no JUnit XML";
  }
  // What is compared and where: the test's own line in the trace.
  for (auto& one : suite.cases) {
    if (one.outcome == Outcome::kFailed && one.line == 0) find_place(one.text, root, project.folder, one);
  }
}

}  // namespace

Suite run_native(const RunContext& context, const NativeProject& project, const Selection& selection, std::size_t entry) {
  Suite suite;
  suite.name = project.kind == "go" ? "go test" : project.kind == "rust" ? "cargo test" : "maven";
  if (!project.folder.empty()) suite.name += " " + project.folder;
  suite.files = static_cast<int>(selection.files.size());
  const auto start = Clock::now();
  const fs::path& root = context.options.root;
  const fs::path folder = root / project.folder;
  ChildSpec spec;
  spec.folder = folder;
  spec.environment = suite_environment(context, project.kind);
  spec.deadline = start + context.timeout;
  std::error_code ignored;
  if (project.kind == "go") {
    spec.argv = {"go", "test", "-json", "-count=1"};
    std::set<std::string> packages;
    for (const auto& file : selection.files) packages.insert("./" + fs::path(file).parent_path().lexically_relative(project.folder.empty() ? "" : project.folder).string());
    if (selection.whole) packages = {"./..."};
    if (project.folder.empty() && !selection.whole) {
      packages.clear();
      for (const auto& file : selection.files) packages.insert("./" + fs::path(file).parent_path().string());
    }
    spec.argv.insert(spec.argv.end(), packages.begin(), packages.end());
  } else if (project.kind == "rust") {
    spec.argv = {"cargo", "test", "--no-fail-fast", "--color=never"};
    spec.environment["RUST_BACKTRACE"] = "0";
  } else {
    const bool wrapper = fs::exists(folder / "mvnw", ignored);
    spec.argv = {wrapper ? (folder / "mvnw").string() : "mvn", "-B", "-q", "-Dstyle.color=never", "test"};
    if (!selection.whole) {
      std::string names;
      for (const auto& file : selection.files) names += (names.empty() ? "" : ",") + fs::path(file).stem().string();
      spec.argv.insert(spec.argv.end(), {"-Dtest=" + names, "-Dsurefire.failIfNoSpecifiedTests=false", "-DfailIfNoTests=false"});
    }
  }
  Tail tail;
  GoReader go(root, project);
  CargoReader cargo(root, project);
  const auto since = fs::file_time_type::clock::now() - std::chrono::seconds(1);
  spec.on_output_line = [&](std::string_view line) {
    tail.line(line);
    if (project.kind == "go") go.line(line, suite);
    else if (project.kind == "rust") cargo.line(line, suite);
    context.board.progress(entry, static_cast<int>(suite.cases.size()), 0, suite.count(Outcome::kFailed));
  };
  context.board.phase(entry, "building");
  const auto end = run_child(spec);
  suite.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (!end) {
    suite.problem = fs::path(spec.argv.front()).filename().string() + " is not installed";
    suite.hint = project.kind == "maven" ? "Debian: apt-get install maven" : project.kind == "go" ? "Debian: apt-get install golang-go" : "Install Rust: rustup.rs, or apt-get install cargo";
    return suite;
  }
  if (project.kind == "go") go.end(suite);
  if (project.kind == "rust") cargo.close(suite);
  if (project.kind == "maven") read_surefire(root, project, project.files, since, suite);
  if (end->stopped || end->timed_out) {
    explain_end(context, end->stopped, end->timed_out, suite);
    suite.output = tail.text();
  } else if (end->exit_code != 0 && suite.count(Outcome::kFailed) == 0 && suite.problem.empty()) {
    suite.problem = "ended with exit code " + std::to_string(end->exit_code) + " though no test failed: it may not compile";
    suite.output = tail.text();
  } else if (suite.cases.empty() && suite.problem.empty() && !selection.may_be_empty && project.kind != "rust") {
    suite.problem = std::to_string(suite.files) + (suite.files == 1 ? " test file" : " test files") + ", but no test was collected";
    suite.output = tail.text();
  }
  return suite;
}

}  // namespace sabir::testing

// Any runner that writes JUnit XML, as a language's `tests:` names it (spec/language.md).
#include <unistd.h>

#include <algorithm>

#include "child.h"
#include "report.h"
#include "runners.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/languages/languages.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostReport = std::size_t{64} << 20U;
constexpr int kNotFound = 127;  // a shell's status for a program that is not there

std::string text_of(const json::object& object, std::string_view key) { return std::string(string_or(object, key)); }

// The first "file:12", "file(12)" or "file, line 12" in `text` whose file is one of `files`: where a failure is.
std::pair<std::string, int> place_in(std::string_view text, const std::vector<std::string>& files) {
  std::pair<std::string, int> best;
  std::size_t first = std::string_view::npos;
  for (const auto& file : files) {
    const std::string name = fs::path(file).filename().string();
    for (std::size_t at = text.find(name); at != std::string_view::npos && at < first; at = text.find(name, at + 1)) {
      std::string_view rest = text.substr(at + name.size());
      if (rest.starts_with(", line ")) rest.remove_prefix(7);
      else if (rest.starts_with("\", line ")) rest.remove_prefix(8);
      else if (rest.starts_with(":") || rest.starts_with("(")) rest.remove_prefix(1);
      else continue;
      int line = 0;
      std::size_t digits = 0;
      while (digits < rest.size() && digits < 7 && rest[digits] >= '0' && rest[digits] <= '9') line = line * 10 + (rest[digits++] - '0');
      if (digits == 0 || line == 0) continue;
      best = {file, line};
      first = at;
      break;
    }
  }
  return best;
}

// Which of the test files a case is of: the report's own word, or else the class that is named as the file is.
std::string file_of(const std::string& told, const std::string& group, const std::vector<std::string>& files) {
  if (std::find(files.begin(), files.end(), told) != files.end()) return told;
  if (files.size() == 1) return files.front();
  const std::size_t dot = group.rfind('.');
  std::string found;
  for (const auto& file : files) {
    const fs::path path(file);
    const std::string stem = path.stem().string();
    const bool is_it = file == group || path.filename() == group || (!group.empty() && (stem == group || (dot != std::string::npos && stem == group.substr(dot + 1))));
    if (!is_it) continue;
    if (!found.empty()) return {};
    found = file;
  }
  return found;
}

}  // namespace

Result<void> read_junit(std::string_view xml, const fs::path& root, const std::vector<std::string>& files, Suite& suite) {
  sb_buf out{};
  const int code = sb_junit_read({xml.data(), xml.size()}, &out);
  const std::string answer(out.data, out.size);
  sb_free(out);
  auto value = parse_json(answer);
  if (!value || !value->is_object()) return fail(ErrorCode::kInternal, "the report could not be read");
  const auto& object = value->get_object();
  if (code != 0) return fail(ErrorCode::kProtocol, text_of(object, "message"));
  const std::string prefix = root.string() + "/";
  for (const auto& item : object.at("cases").as_array()) {
    const auto& told = item.get_object();
    Case one;
    const std::string group = text_of(told, "classname");
    const std::string name = text_of(told, "name");
    one.id = group.empty() || name.starts_with(group) ? name : group + "." + name;
    const auto outcome = string_or(told, "outcome");
    one.outcome = outcome == "failed" ? Outcome::kFailed : outcome == "skipped" ? Outcome::kSkipped : Outcome::kPassed;
    if (const auto* time = told.if_contains("time"); time && time->is_number()) one.seconds = time->to_number<double>();
    one.file = text_of(told, "file");
    if (one.file.starts_with(prefix)) one.file = one.file.substr(prefix.size());
    if (const auto* line = told.if_contains("line"); line && line->is_int64()) one.line = static_cast<int>(line->get_int64());
    one.test_file = file_of(one.file, group, files);
    one.message = text_of(told, "message");
    one.text = text_of(told, "text");
    if (one.outcome == Outcome::kFailed) {
      if (one.message.empty()) {
        const auto lines = split_lines(trim(one.text));
        one.message = lines.empty() ? "" : std::string(lines.front());
      }
      // Where it failed says more than where the test begins.
      if (auto [file, line] = place_in(one.text, files); line > 0) {
        one.file = file;
        one.line = line;
      }
    }
    suite.cases.push_back(std::move(one));
  }
  return {};
}

Suite run_command(const RunContext& context, const project::Language& language, const Selection& selection, std::size_t entry) {
  const auto& files = selection.files;
  Suite suite;
  suite.name = text_of(language.tests, "runner");
  if (suite.name.empty()) suite.name = language.name;
  suite.files = static_cast<int>(files.size());
  const auto start = Clock::now();
  const auto settle = [&](std::string problem, std::string hint = {}, std::string output = {}) {
    suite.problem = std::move(problem);
    suite.hint = std::move(hint);
    suite.output = std::move(output);
    suite.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return std::move(suite);
  };
  std::string hint = text_of(language.tests, "missing_hint");
  if (hint.empty()) hint = language.missing_hint;
  auto interpreter = languages::find_interpreter(language, context.options.root);
  if (!interpreter) return settle(language.name + " is not installed", language.missing_hint);

  const fs::path report = context.work / "reports" / (language.name + "-" + std::to_string(::getpid()) + ".xml");
  std::error_code ignored;
  fs::create_directories(report.parent_path(), ignored);
  fs::remove(report, ignored);
  std::vector<std::string> argv;
  for (const auto& word : language.tests.at("command").as_array()) argv.emplace_back(word.as_string());
  auto values = languages::usual_values(language, context.options.root, *interpreter);
  values["report"] = report.string();
  ChildSpec spec;
  spec.argv = languages::filled(argv, values, {{"files", files}});
  spec.folder = context.options.root;
  spec.environment = suite_environment(context, language.name);
  spec.environment["SABIR_SDK"] = values["sdk"];
  spec.deadline = Clock::now() + context.timeout;
  Tail tail;
  spec.on_output_line = [&](std::string_view line) { tail.line(line); };
  context.board.phase(entry, "running");
  const auto end = run_child(spec);
  if (!end) return settle(suite.name + " is not installed", hint);
  if (end->stopped || end->timed_out) {
    explain_end(context, end->stopped, end->timed_out, suite);
    return settle(suite.problem, suite.hint, tail.text());
  }
  auto xml = read_file(report, kMostReport);
  fs::remove(report, ignored);
  if (!xml) {
    if (end->exit_code == kNotFound) return settle(suite.name + " is not installed", hint, tail.text());
    return settle("ended with exit code " + std::to_string(end->exit_code) + " and wrote no report", "", tail.text());
  }
  if (auto read = read_junit(*xml, context.options.root, files, suite); !read) {
    return settle("its report is no JUnit XML: " + read.error().message, "", tail.text());
  }
  if (suite.cases.empty() && !selection.may_be_empty) {
    return settle(std::to_string(suite.files) + (suite.files == 1 ? " test file" : " test files") + ", but no test was collected", "", tail.text());
  }
  if (end->exit_code != 0 && suite.count(Outcome::kFailed) == 0) {
    return settle("ended with exit code " + std::to_string(end->exit_code) + " though no test failed", "", tail.text());
  }
  suite.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return suite;
}

}  // namespace sabir::testing

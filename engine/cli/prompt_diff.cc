// sabir prompt diff: two prompts, or one prompt and what it was at a commit, rendered with the same variables.
#include <cstdlib>
#include <iostream>

#include "arguments.h"
#include "command.h"
#include "sabir/completions/renderer.h"
#include "sabir/completions/text_diff.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"

extern char** environ;

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::chrono::seconds kGitTimeout{30};
constexpr std::size_t kContext = 3;  // lines that are the same, shown around each difference

struct DiffOptions {
  std::string name;
  std::vector<std::string> words;
  std::string whole;
  std::string since;
};

// A folder that goes with its owner.
struct Temporary {
  fs::path path;
  Temporary() {
    std::string pattern = (fs::temp_directory_path() / "sabir-diff-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path = pattern;
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
};

Result<std::string> git(const fs::path& root, std::vector<std::string> words, const fs::path& index, const std::string& doing) {
  process::SpawnSpec spec;
  spec.argv = {"git", "-C", root.string()};
  spec.argv.insert(spec.argv.end(), words.begin(), words.end());
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("GIT_")) spec.environment.emplace_back(*variable);
  }
  // The user's own index stays as it is.
  spec.environment.push_back("GIT_INDEX_FILE=" + index.string());
  spec.separate_errors = true;
  auto done = process::run(std::move(spec), kGitTimeout);
  if (!done) return fail(std::move(done.error()));
  if (done->timed_out) return fail(ErrorCode::kTimeout, "git took longer than 30 s " + doing);
  if (done->status.code == 0) return std::move(done->output);
  return fail(Error(ErrorCode::kNotFound, "git failed " + doing, "`--since` takes what `git log` shows: a commit, a branch, HEAD~3.").with_detail(done->errors));
}

// The project's completions/ as they were at the commit, below `into`.
Result<void> check_out(const fs::path& root, const std::string& since, const fs::path& into) {
  const fs::path index = into / "index";
  if (since.starts_with("-")) return fail(ErrorCode::kUsage, "'" + since + "' is no commit");
  if (auto commit = git(root, {"rev-parse", "--verify", "--quiet", since + "^{commit}"}, index, "to find the commit '" + since + "'"); !commit) {
    return fail(std::move(commit.error()));
  }
  auto prefix = git(root, {"rev-parse", "--show-prefix"}, index, "to find the project in its repository");
  if (!prefix) return fail(std::move(prefix.error()));
  while (prefix->ends_with('\n')) prefix->pop_back();
  if (auto read = git(root, {"read-tree", "--prefix=completions/", since + ":" + *prefix + "completions"}, index, "to read '" + since + "'"); !read) return fail(std::move(read.error()));
  const std::string folder = "--prefix=" + (into / "tree").string() + "/";
  if (auto out = git(root, {"checkout-index", "--all", "--force", folder}, index, "to write '" + since + "'"); !out) return fail(std::move(out.error()));
  std::error_code ec;
  fs::create_directories(into / "project", ec);
  fs::rename(into / "tree" / "completions", into / "project" / "completions", ec);
  if (ec) return fail(ErrorCode::kNotFound, "there were no completions/ at '" + since + "'");
  return {};
}

void show(const std::vector<completions::DiffLine>& lines) {
  std::size_t shown = 0;  // lines before this one are out
  for (std::size_t at = 0; at < lines.size(); ++at) {
    if (lines[at].kind == ' ') continue;
    const std::size_t from = std::max(shown, at > kContext ? at - kContext : 0);
    if (from > shown) print(styled("…", "2"));
    std::size_t to = at;
    // Up to where more lines than two contexts are the same.
    for (std::size_t same = 0, next = at; next < lines.size() && same <= 2 * kContext; ++next) {
      same = lines[next].kind == ' ' ? same + 1 : 0;
      if (same == 0) to = next;
    }
    const std::size_t end = std::min(to + 1 + kContext, lines.size());
    for (std::size_t line = from; line < end; ++line) {
      const std::string text = lines[line].kind + std::string(lines[line].text);
      print(lines[line].kind == ' ' ? text : styled(text, lines[line].kind == '-' ? "31" : "32"));
    }
    shown = end;
    at = end - 1;
  }
  if (shown < lines.size()) print(styled("…", "2"));
}

void diff(Globals& globals, DiffOptions options) {
  std::string other = options.name;
  if (options.since.empty()) {
    if (options.words.empty() || options.words.front().find('=') != std::string::npos) {
      return fail_with(globals, Error(ErrorCode::kUsage, "two prompts are compared, or one with --since", "sabir prompt diff A B, sabir prompt diff NAME --since HEAD"));
    }
    other = options.words.front();
    options.words.erase(options.words.begin());
  }
  auto variables = read_arguments(options.words, options.whole, {});
  if (!variables) return fail_with(globals, variables.error());
  const auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  const Temporary temporary;
  fs::path before = *root;
  if (!options.since.empty()) {
    if (temporary.path.empty()) return fail_with(globals, Error(ErrorCode::kIo, "no temporary folder can be made"));
    if (auto done = check_out(*root, options.since, temporary.path); !done) return fail_with(globals, done.error());
    before = temporary.path / "project";
  }
  auto first = completions::Renderer(before).render(options.name, *variables);
  if (!first && !options.since.empty()) first.error().message += " (at " + options.since + ")";
  if (!first) return fail_with(globals, first.error());
  auto second = completions::Renderer(*root).render(other, *variables);
  if (!second) return fail_with(globals, second.error());
  const auto lines = completions::diff_lines(first->text, second->text);
  const bool is_same = first->text == second->text;
  if (globals.json) {
    json::array out;
    for (const auto& line : lines) out.push_back({{"in", line.kind == ' ' ? "both" : line.kind == '-' ? "first" : "second"}, {"text", line.text}});
    return print_json({{"same", is_same}, {"first", options.name}, {"since", options.since}, {"second", other}, {"lines", std::move(out)}});
  }
  if (is_same) return note("They render the same text.");
  print(styled("--- " + options.name + (options.since.empty() ? "" : " at " + options.since), "1"));
  print(styled("+++ " + other, "1"));
  show(lines);
}

}  // namespace

void add_prompt_diff(Command& prompt, Globals& globals) {
  auto* const comparing = prompt.add_subcommand("diff", "Show by which lines two rendered prompts differ.");
  auto options = std::make_shared<DiffOptions>();
  add_common(*comparing, globals);
  comparing->add_option("NAME", options->name, "the prompt, as `sabir prompt list` names it").required();
  comparing->add_option("OTHER VARIABLES", options->words, "the other prompt, unless --since is given; then variables as `sabir prompt render` takes them");
  comparing->add_option("--args", options->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  comparing->add_option("--since", options->since, "compare with what the prompt was at this commit");
  comparing->callback([&globals, options] { diff(globals, *options); });
}

}  // namespace sabir::cli

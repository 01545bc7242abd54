#include "impact.h"

#include <algorithm>
#include <charconv>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostScanned = std::size_t{4} << 20U;
constexpr std::size_t kMostRead = std::size_t{64} << 20U;
constexpr std::size_t kMostDepended = 2000;
constexpr std::size_t kMostKeptFailures = 100;
constexpr auto kGitTime = std::chrono::seconds(30);

std::uint64_t number_of(const std::string& hexadecimal) {
  std::uint64_t value = 0;
  std::from_chars(hexadecimal.data(), hexadecimal.data() + hexadecimal.size(), value, 16);
  return value;
}

KnownFile known_file(const fs::path& path, const std::string& relative, std::chrono::system_clock::time_point begun) {
  KnownFile known;
  const Stamp stamp = stamp_of_content(path);
  auto text = read_file(path, kMostRead);
  if (is_settled(stamp, begun)) known.stamp = stamp.numbers;
  if (!text) {
    // Too large, or unreadable: what is seen of it from outside stands for it.
    known.content = number_of(fingerprint(stamp.text));
    return known;
  }
  known.content = number_of(fingerprint_of_content(*text));
  if (text->size() <= kMostScanned) known.refs = scan(relative, *text);
  else if (language_of(relative) != Language::kNone) known.refs = {{RefKind::kEverything, ""}};
  return known;
}

}  // namespace

Impact::Impact(const project::Project& project, const Tree& tree, const Discovery& discovery, const std::string& settings, const std::vector<std::string>& gone)
    : root_(project.root), file_(project.root / ".sabir" / "tests" / "state") {
  mode_ = number_of(fingerprint(settings));
  for (const auto& source : project.sources) {
    Layout::Source one{source.module, source.language, source.relative, source.kind == project::SourceKind::kAssistant, ""};
    if (source.origin && !source.origin->boot.empty()) one.group = source.origin->boot.is_absolute() ? source.origin->boot.lexically_relative(root_).string() : source.origin->boot.string();
    layout_.sources.push_back(std::move(one));
  }
  for (const auto& path : discovery.pytest) layout_.test_language[path] = "python";
  for (const auto& path : discovery.rspec) layout_.test_language[path] = "ruby";
  for (const auto& [language, files] : discovery.by_command) {
    for (const auto& path : files) layout_.test_language[path] = language;
  }
  for (const auto& native : discovery.native) {
    for (const auto& path : native.files) layout_.test_language[path] = native.kind;
  }
  for (const auto& folder : discovery.cpp) {
    for (const auto& test : folder.tests) {
      const std::string relative = test.lexically_relative(root_).string();
      layout_.test_language[relative] = "cpp";
      auto& linked = layout_.linked[relative];
      if (!folder.own_cmake.empty()) linked.push_back(folder.relative);
      for (const auto& source : folder.sources) linked.push_back(source.lexically_relative(root_).string());
    }
  }
  look(tree, gone);
}

void Impact::look(const Tree& tree, const std::vector<std::string>& gone) {
  state_ = load_state(file_);
  gone_ = gone;
  const auto begun = std::chrono::system_clock::now();
  std::vector<FileNode> nodes;
  nodes.reserve(tree.files.size() + gone.size());
  for (const auto& relative : tree.files) {
    const fs::path path = root_ / relative;
    auto known = state_.files.find(relative);
    const bool same = known != state_.files.end() && known->second.stamp != Stamp::Numbers{} && has_stamp_of_content(path, known->second.stamp);
    if (!same) {
      auto fresh = known_file(path, relative, begun);
      is_new_ = is_new_ || known == state_.files.end() || fresh.content != known->second.content || fresh.stamp != known->second.stamp;
      known = state_.files.insert_or_assign(relative, std::move(fresh)).first;
    }
    nodes.push_back({relative, known->second.content, nullptr});
  }
  if (state_.files.size() > tree.files.size()) {
    is_new_ = true;
    const std::set<std::string_view> there(tree.files.begin(), tree.files.end());
    std::erase_if(state_.files, [&](const auto& one) { return !there.contains(one.first); });
  }
  static const std::vector<Ref> kNone;
  for (const auto& path : gone) {
    if (!state_.files.contains(path)) nodes.push_back({path, 0, &kNone});
  }
  // References into the map stay valid once nothing is inserted any more.
  for (auto& node : nodes) {
    if (node.refs == nullptr) node.refs = &state_.files.at(node.path).refs;
  }
  std::sort(nodes.begin(), nodes.end(), [](const FileNode& a, const FileNode& b) { return a.path < b.path; });
  graph_ = std::make_unique<Graph>(std::move(nodes), layout_);
}

std::vector<std::string> Impact::affected(const std::vector<std::string>& tests) const {
  std::vector<std::string> out;
  for (const auto& test : tests) {
    const auto known = state_.tests.find(test);
    const auto node = graph_->find(test);
    if (known == state_.tests.end() || !known->second.passed || node == Graph::kNoNode || !(graph_->closure(node, mode_) == known->second.passing)) out.push_back(test);
  }
  return out;
}

std::vector<std::string> Impact::affected_by(const std::vector<std::string>& tests, const std::set<std::string>& files) const {
  std::vector<bool> changed(graph_->node_count());
  for (const auto& file : files) {
    if (const auto node = graph_->find(file); node != Graph::kNoNode) changed[node] = true;
  }
  std::vector<std::string> out;
  for (const auto& test : tests) {
    const auto node = graph_->find(test);
    if (node == Graph::kNoNode || !graph_->path_to(node, changed).empty()) out.push_back(test);
  }
  return out;
}

std::string Impact::line_of_reason(const std::vector<Graph::Node>& path, const std::string& what) const {
  std::string line = graph_->name(path.back()) + " " + what;
  if (path.size() < 2) return line;
  line += " (";
  for (std::size_t i = 0; i < path.size(); ++i) line += (i == 0 ? "" : " → ") + graph_->name(path[i]);
  return line + ")";
}

std::string Impact::reason(const std::string& test) const {
  const auto known = state_.tests.find(test);
  const auto node = graph_->find(test);
  if (known == state_.tests.end()) return "it has not run yet";
  if (!known->second.passed) return known->second.failed.empty() ? "it has not passed yet" : "it has not passed since it failed";
  if (node == Graph::kNoNode) return "it is not known";
  if (known->second.depended.empty()) return "something of the many files that it depends on has changed";
  const std::map<std::string, std::uint64_t> before(known->second.depended.begin(), known->second.depended.end());
  std::vector<bool> changed(graph_->node_count());
  std::set<std::string> now;
  bool any = false;
  for (const auto other : graph_->reaches(node)) {
    if (graph_->is_group(other)) continue;
    const auto& file = graph_->file(other);
    now.insert(file.path);
    const auto at = before.find(file.path);
    if (at != before.end() && at->second == file.content) continue;
    changed[other] = true;
    any = true;
  }
  if (any) {
    const auto path = graph_->path_to(node, changed);
    return line_of_reason(path, before.contains(graph_->name(path.back())) ? "has changed" : "is new to it");
  }
  for (const auto& [path, content] : before) {
    if (!now.contains(path)) return path + " is no longer what it depends on";
  }
  return "the engine or the settings of the tests are others";
}

std::string Impact::reason(const std::string& test, const std::set<std::string>& files) const {
  std::vector<bool> changed(graph_->node_count());
  for (const auto& file : files) {
    if (const auto node = graph_->find(file); node != Graph::kNoNode) changed[node] = true;
  }
  const auto node = graph_->find(test);
  const auto path = node == Graph::kNoNode ? std::vector<Graph::Node>() : graph_->path_to(node, changed);
  if (path.empty()) return "it is not known";
  return line_of_reason(path, std::find(gone_.begin(), gone_.end(), graph_->name(path.back())) != gone_.end() ? "is gone" : "has changed");
}

bool Impact::is_empty(const std::string& test) const {
  const auto known = state_.tests.find(test);
  return known != state_.tests.end() && known->second.passed && known->second.cases == 0;
}

bool Impact::has_tests(const std::string& rust_file) const {
  const auto known = state_.files.find(rust_file);
  if (known == state_.files.end()) return true;
  return std::any_of(known->second.refs.begin(), known->second.refs.end(), [](const Ref& ref) { return ref.kind == RefKind::kTests || ref.kind == RefKind::kEverything; });
}

double Impact::seconds(const std::string& test) const {
  const auto known = state_.tests.find(test);
  return known == state_.tests.end() ? 0 : known->second.seconds;
}

std::vector<std::string> Impact::record(const std::map<std::string, Ran>& ran) {
  std::vector<std::string> flaky;
  std::vector<std::int8_t> same(graph_->node_count(), -1);  // by node: whether it is still what it was, once that is known
  const auto is_same = [&](Graph::Node node) {
    if (same[node] >= 0) return same[node] == 1;
    const auto& file = graph_->file(node);
    const auto known = state_.files.find(file.path);
    bool fine = known == state_.files.end() || (known->second.stamp != Stamp::Numbers{} && has_stamp_of_content(root_ / file.path, known->second.stamp));
    if (!fine) {
      // Young, or touched while the tests ran: what is in it decides.
      auto text = read_file(root_ / file.path, kMostRead);
      fine = text && number_of(fingerprint_of_content(*text)) == known->second.content;
    }
    same[node] = fine ? 1 : 0;
    return fine;
  };
  for (const auto& [path, what] : ran) {
    const auto node = graph_->find(path);
    if (node == Graph::kNoNode) continue;
    const Closure now = graph_->closure(node, mode_);
    const auto reached = graph_->reaches(node);
    const bool changed = !std::all_of(reached.begin(), reached.end(), [&](Graph::Node other) { return graph_->is_group(other) || is_same(other); });
    KnownTest& test = state_.tests[path];
    if (test.last == now && !changed) {
      const std::set<std::string> failed_before(test.failed.begin(), test.failed.end());
      const std::set<std::string> failed_now(what.failed.begin(), what.failed.end());
      for (const auto& id : what.ids) {
        if (failed_before.contains(id) != failed_now.contains(id) && test.failed.size() < kMostKeptFailures) flaky.push_back(id);
      }
    }
    changed_meanwhile_ = changed_meanwhile_ || changed;
    test.last = changed ? Closure{} : now;
    test.seconds = what.seconds;
    test.cases = static_cast<std::uint32_t>(what.ids.size());
    test.failed = what.failed;
    if (test.failed.size() > kMostKeptFailures) test.failed.resize(kMostKeptFailures);
    is_new_ = true;
    if (!what.passed || changed) {
      test.passed = false;
      continue;
    }
    test.passed = true;
    test.passing = now;
    test.depended.clear();
    if (reached.size() > kMostDepended) continue;
    for (const auto other : reached) {
      if (!graph_->is_group(other)) test.depended.emplace_back(graph_->file(other).path, graph_->file(other).content);
    }
  }
  return flaky;
}

Result<void> Impact::save() {
  if (!is_new_) return {};
  std::erase_if(state_.tests, [&](const auto& one) { return !state_.files.contains(one.first); });
  auto saved = save_state(file_, state_);
  if (saved) is_new_ = false;
  return saved;
}

Result<std::set<std::string>> changed_since(const fs::path& root, const std::string& ref) {
  const auto git = [&](std::vector<std::string> words) -> Result<std::string> {
    process::SpawnSpec how;
    how.argv = {"git", "-C", root.string()};
    how.argv.insert(how.argv.end(), words.begin(), words.end());
    // A hook's GIT_DIR would ask another repository.
    how.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}, {"GIT_OPTIONAL_LOCKS", "0"}});
    how.separate_errors = true;
    auto done = process::run(std::move(how), kGitTime, std::size_t{64} << 20U);
    if (!done) return fail(ErrorCode::kNotFound, "git cannot be asked: " + done.error().message);
    if (done->timed_out) return fail(ErrorCode::kNotFound, "git gave no answer in time");
    if (done->status.code != 0 || done->status.signal != 0) {
      const auto lines = split_lines(trim(done->errors));
      return fail(ErrorCode::kNotFound, lines.empty() ? "git does not know it" : std::string(lines.back()));
    }
    return std::move(done->output);
  };
  if (ref.empty() || ref.starts_with('-')) return fail(ErrorCode::kNotFound, "'" + ref + "' is no name of a commit");
  auto commit = git({"rev-parse", "--verify", "--quiet", ref + "^{commit}"});
  if (!commit) return fail(ErrorCode::kNotFound, "git does not know '" + ref + "' here", "Fetch it, with enough history: git fetch --unshallow, or fetch-depth: 0 of actions/checkout.");
  auto base = git({"merge-base", std::string(trim(*commit)), "HEAD"});
  if (!base) return fail(ErrorCode::kNotFound, "the history that is here does not reach back to where '" + ref + "' was left", "Fetch more of it: git fetch --unshallow, or fetch-depth: 0 of actions/checkout.");
  std::set<std::string> out;
  for (auto& words : {std::vector<std::string>{"diff", "--name-only", "--no-renames", "--relative", "-z", std::string(trim(*base)), "--"},
                      std::vector<std::string>{"ls-files", "--others", "--exclude-standard", "-z"}}) {
    auto names = git(words);
    if (!names) return fail(std::move(names.error()));
    for (std::size_t at = 0; at < names->size();) {
      const std::size_t end = std::min(names->find('\0', at), names->size());
      out.insert(names->substr(at, end - at));
      at = end + 1;
    }
  }
  return out;
}

}  // namespace sabir::testing

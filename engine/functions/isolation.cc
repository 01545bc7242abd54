#include "isolation.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace sabir::functions {
namespace fs = std::filesystem;
namespace {

using Show = process::Sandbox::Show;
using Mount = process::Sandbox::Mount;
constexpr std::size_t kMostEntries = 2000;

constexpr std::string_view kKept[] = {"LANG", "LANGUAGE", "TZ", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", "BUNDLE_PATH", "VIRTUAL_ENV", "JAVA_HOME",
                                      "SABIR_PROJECT", "SABIR_ENV"};

bool is_below(const fs::path& path, const fs::path& folder) { return (path.string() + "/").starts_with(folder.string() + "/"); }

// One folder's entries, each by itself: what is made there later does not show.
template <class Hidden>
Result<void> show_entries(std::vector<Mount>& mounts, const fs::path& folder, const std::set<std::string>& apart, Hidden hidden) {
  mounts.push_back({Show::kEmptyFolder, folder, {}, {}});
  std::error_code ec;
  std::size_t count = 0;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (hidden(name) || apart.contains(name)) continue;
    if (++count > kMostEntries) return fail(ErrorCode::kLimit, folder.string() + " has more than " + std::to_string(kMostEntries) + " entries", "A sandbox shows each by itself; move them into a folder.");
    std::error_code ignored;
    const auto kind = it->symlink_status(ignored).type();
    if (kind == fs::file_type::symlink) {
      mounts.push_back({Show::kLink, it->path(), {}, fs::read_symlink(it->path(), ignored).string()});
    } else if (kind == fs::file_type::directory || kind == fs::file_type::regular) {
      mounts.push_back({Show::kRead, it->path(), {}, {}});
    }
  }
  if (ec) return fail(ErrorCode::kIo, folder.string() + ": cannot read the folder: " + ec.message());
  return {};
}

Error no_grant(const std::string& path, const std::string& why) {
  return Error(ErrorCode::kUnavailable, "a sandbox cannot be granted " + path + ": " + why, "Mend `paths` in sabir.yml's isolation.").at("sabir.yml");
}

}  // namespace

const project::IsolationRule* rule_of(const project::Project& project, const std::string& language, const std::string& module) {
  if (project.isolation.empty()) return nullptr;
  project::SourceFile source;
  source.language = language;
  const std::string prefix = project.root.string() + "/";
  source.relative = module.starts_with(prefix) ? module.substr(prefix.size()) : module;
  return project::isolation_of(project, source);
}

std::vector<std::string> sandbox_environment(const std::vector<std::string>& environment, const project::IsolationRule& rule,
                                             const languages::Visible& visible) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (const auto& entry : environment) {
    const std::string name = entry.substr(0, entry.find('='));
    const bool kept = std::find(std::begin(kKept), std::end(kKept), name) != std::end(kKept) || name.starts_with("LC_");
    if (kept && seen.insert(name).second) out.push_back(entry);
  }
  for (const auto& name : rule.environment) {
    const char* value = std::getenv(name.c_str());
    if (value && seen.insert(name).second) out.push_back(name + "=" + value);
  }
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  if (const auto folder = fs::path(visible.interpreter).parent_path(); !folder.empty() && !process::shown_in_every_sandbox(folder)) path = folder.string() + ":" + path;
  out.insert(out.end(), {"PATH=" + path, "HOME=/tmp", "TMPDIR=/tmp", "PYTHONDONTWRITEBYTECODE=1"});
  return out;
}

Result<process::Sandbox> sandbox_for(const project::Project& project, const std::string& language, const project::IsolationRule& rule,
                                     const languages::Visible& visible, const std::vector<fs::path>& programs) {
  process::Sandbox box;
  box.network = rule.network;
  box.tmp = rule.tmp.value_or(box.tmp);
  box.cores = rule.cores.value_or(0);
  box.processes = rule.processes.value_or(kSandboxProcesses);
  // A runtime sets memory aside that it never uses; what it does use is watched.
  box.data = rule.memory.value_or(kSandboxMemory) * 2 + (512U << 20U);

  const fs::path& root = project.root;
  auto& mounts = box.mounts;
  if (auto ok = show_entries(mounts, root, {"config"}, project::hidden_in_sandbox); !ok) return fail(std::move(ok.error()));
  std::error_code ec;
  if (fs::is_directory(fs::symlink_status(root / "config", ec))) {
    if (auto ok = show_entries(mounts, root / "config", {}, project::hidden_in_sandbox_config); !ok) return fail(std::move(ok.error()));
  }
  for (const auto& path : visible.paths) mounts.push_back({Show::kRead, path, {}, {}});
  for (const auto& path : programs) {
    const bool covered = is_below(path, root) || std::any_of(visible.paths.begin(), visible.paths.end(), [&](const auto& outer) { return is_below(path, outer); });
    if (path.is_absolute() && !covered && !process::shown_in_every_sandbox(path) && fs::exists(path, ec)) mounts.push_back({Show::kRead, path, {}, {}});
  }
  // Code that serves from outside the project.
  for (const auto& source : project.sources) {
    if (source.language == language && !is_below(source.path, root)) mounts.push_back({Show::kRead, source.path.parent_path(), {}, {}});
  }

  std::vector<fs::path> writable;
  for (const bool write : {true, false}) {
    for (const auto& grant : write ? rule.write : rule.read) {
      const bool own = !grant.starts_with('/');
      const fs::path path = own ? root / grant : fs::path(grant);
      // What a function may write it may also replace by a link.
      if (std::any_of(writable.begin(), writable.end(), [&](const auto& outer) { return is_below(path, outer); })) continue;
      for (const auto& other : project.isolation) {
        for (const auto& theirs : other.write) {
          const fs::path outer = theirs.starts_with('/') ? fs::path(theirs) : root / theirs;
          if (path != outer && is_below(path, outer)) return fail(no_grant(grant, "it lies in " + theirs + ", which other functions may write"));
        }
      }
      if (write && own && !fs::exists(path, ec)) fs::create_directories(path, ec);
      const fs::path source = fs::canonical(path, ec);
      if (ec) return fail(no_grant(grant, ec.message()));
      if (own && source != path) return fail(no_grant(grant, "a link leads to " + source.string()));
      if (!own && (is_below(root, source) || is_below(source, root))) return fail(no_grant(grant, "it holds the project, or lies in it"));
      if (const char* home = std::getenv("HOME"); home && is_below(home, source)) return fail(no_grant(grant, "it holds all of " + std::string(home)));
      mounts.push_back({write ? Show::kWrite : Show::kRead, path, own ? fs::path() : source, {}});
      if (write) writable.push_back(path);
    }
  }
  // Outer ones first; of two at one place, the grant comes later and wins.
  std::stable_sort(mounts.begin(), mounts.end(), [](const Mount& a, const Mount& b) {
    return std::distance(a.path.begin(), a.path.end()) < std::distance(b.path.begin(), b.path.end());
  });
  return box;
}

Result<languages::Visible> visible_in_sandbox(const project::Language& lang, const fs::path& root, const std::vector<std::string>& environment) {
  if (auto works = process::sandbox_works(); !works) return fail(std::move(works.error()));
  auto interpreter = languages::find_interpreter(lang, root);
  if (!interpreter) return fail(std::move(interpreter.error()));
  const bool interpreted = std::any_of(lang.launch.begin(), lang.launch.end(), [](const auto& word) { return word.find("{interpreter}") != std::string::npos; });
  if (!interpreted) return languages::Visible{*interpreter, *interpreter, {}};
  return languages::visible_of(lang, root, *interpreter, environment);
}

}  // namespace sabir::functions

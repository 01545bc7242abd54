#include "discover.h"

#include <fnmatch.h>

#include <algorithm>
#include <functional>
#include <set>

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::testing {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostEntries = 200'000;

bool is_skipped_folder(const std::string& name) {
  static const std::set<std::string_view> kSkipped = {"node_modules", "vendor", "venv", "build", "dist", "target", "__pycache__"};
  return name.starts_with('.') || kSkipped.contains(name);
}

bool is_cpp(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".cpp" || extension == ".cc" || extension == ".cxx";
}

bool is_below(std::string_view path, std::string_view folder) { return folder.empty() || (path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/')); }

// pytest, rspec and ctest are read closer than JUnit XML allows; other languages bring a command.
bool has_own_command(const project::Language& language) {
  const auto runner = string_or(language.tests, "runner");
  return language.tests.contains("command") && runner != "pytest" && runner != "rspec" && runner != "ctest";
}

class Walk {
 public:
  explicit Walk(const fs::path& root) : root_(root) {}

  Result<Tree> run() {
    if (auto ok = visit(root_, "", 0); !ok) return fail(std::move(ok.error()));
    std::sort(tree_.files.begin(), tree_.files.end());
    return std::move(tree_);
  }

 private:
  Result<void> visit(const fs::path& folder, const std::string& prefix, int depth) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (++entries_ > kMostEntries) {
        return fail(ErrorCode::kLimit, "the project holds over 200,000 files", "Keep what is generated in build/ or in a folder whose name begins with a dot.");
      }
      const std::string name = it->path().filename().string();
      std::error_code ignored;
      const auto kind = it->symlink_status(ignored).type();
      if (kind == fs::file_type::directory) {
        if (!is_skipped_folder(name) && depth < 32) {
          if (auto ok = visit(it->path(), prefix + name + "/", depth + 1); !ok) return ok;
        }
        continue;
      }
      if (name.starts_with('.') && depth > 0 && !name.ends_with(".py")) continue;
      if (kind == fs::file_type::regular || (kind == fs::file_type::symlink && fs::is_regular_file(it->path(), ignored))) tree_.files.push_back(prefix + name);
    }
    // A folder that was removed while it was read has no files.
    if (error && error != std::errc::no_such_file_or_directory) return fail(ErrorCode::kIo, folder.string() + ": cannot read the folder: " + error.message());
    return {};
  }

  const fs::path& root_;
  Tree tree_;
  std::size_t entries_ = 0;
};

class Search {
 public:
  Search(const fs::path& root, const Tree& tree, const std::vector<project::Language>& languages) : root_(root), tree_(tree), languages_(languages) {
    for (const auto& file : tree.files) there_.insert(file);
  }

  Discovery run() {
    const auto testpaths = read_testpaths(root_);
    for (const auto& relative : tree_.files) {
      const fs::path path(relative);
      const std::string name = path.filename().string();
      const std::string stem = path.stem().string();
      const bool named_as_test = stem.starts_with("test_") || stem.ends_with("_test");
      bool served = false;
      for (const auto& language : languages_) {
        if (!serves(language, relative, name)) continue;
        found_.by_command[language.name].push_back(relative);
        served = true;
      }
      const auto extension = path.extension();
      if (extension == ".py" && named_as_test) {
        const bool is_looked_at = testpaths.empty() || std::any_of(testpaths.begin(), testpaths.end(), [&](const auto& folder) { return is_below(relative, folder); });
        if (is_looked_at) found_.pytest.push_back(relative);
      } else if (extension == ".rb" && (named_as_test || stem.ends_with("_spec"))) {
        found_.rspec.push_back(relative);
      } else if (!served) {
        add_native(relative, extension.string(), stem);
      }
    }
    for (const char* kind : {"functions", "assistants", "memory"}) {
      add_cpp(std::string(kind) + "/cpp");
      note_unserved(kind);
    }
    return std::move(found_);
  }

 private:
  // Whether the language's test command runs this file.
  static bool serves(const project::Language& language, const std::string& relative, const std::string& name) {
    const auto* const command = language.tests.if_contains("command");
    const auto* const pattern = language.tests.if_contains("pattern");
    if (!has_own_command(language) || !command || !pattern) return false;
    const auto in = [&](std::string_view folder) { return relative.starts_with(folder) && std::string_view(relative).substr(folder.size()).starts_with(language.name + "/"); };
    if (!in("functions/") && !in("assistants/") && !in("memory/") && !relative.starts_with("tests/integration/")) return false;
    const auto matches = [&](const json::value& glob) { return glob.is_string() && ::fnmatch(glob.get_string().c_str(), name.c_str(), 0) == 0; };
    if (!pattern->is_array()) return matches(*pattern);
    return std::any_of(pattern->get_array().begin(), pattern->get_array().end(), matches);
  }

  // Tests where a language's own tools have them, in code that `sources` names or that stands beside the project's folders.
  void add_native(const std::string& relative, const std::string& extension, const std::string& stem) {
    for (const char* kind : {"functions/", "assistants/", "memory/"}) {
      if (relative.starts_with(kind)) return;
    }
    if (extension == ".go" && stem.ends_with("_test")) {
      add_to_project("go", "go.mod", relative);
    } else if (extension == ".java" && relative.find("src/test/java/") != std::string::npos && (stem.ends_with("Test") || stem.ends_with("Tests") || stem.starts_with("Test"))) {
      add_to_project("maven", "pom.xml", relative);
    } else if (extension == ".rs") {
      add_to_project("rust", "Cargo.toml", relative);
    }
  }

  void add_to_project(const std::string& kind, const std::string& manifest, const std::string& relative) {
    std::string folder = fs::path(relative).parent_path().string();
    while (!there_.contains(folder.empty() ? manifest : folder + "/" + manifest)) {
      if (folder.empty()) return;
      folder = fs::path(folder).parent_path().string();
    }
    for (auto& one : found_.native) {
      if (one.kind == kind && one.folder == folder) {
        one.files.push_back(relative);
        return;
      }
    }
    found_.native.push_back({kind, folder, {relative}});
  }

  std::vector<fs::path> cpp_files(const std::string& folder) const {
    std::vector<fs::path> files;
    const std::string prefix = folder + "/";
    for (auto at = std::lower_bound(tree_.files.begin(), tree_.files.end(), prefix); at != tree_.files.end() && at->starts_with(prefix); ++at) {
      const std::string name = at->substr(prefix.size());
      if (name.find('/') == std::string::npos && is_cpp(*at) && !name.starts_with('_')) files.push_back(root_ / *at);
    }
    return files;
  }

  void add_cpp(const std::string& folder) {
    CppFolder found;
    found.relative = folder;
    found.tests = cpp_files(folder + "/tests");
    if (found.tests.empty()) return;
    found.wanted = found.tests;
    found.sources = cpp_files(folder);
    std::erase_if(found.sources, [](const fs::path& path) {
      const std::string stem = path.stem().string();
      return stem.starts_with("test_") || stem.ends_with("_test");
    });
    for (const auto& place : {folder + "/tests", folder}) {
      if (found.own_cmake.empty() && there_.contains(place + "/CMakeLists.txt")) found.own_cmake = root_ / place;
    }
    found_.cpp.push_back(std::move(found));
  }

  void note_unserved(const std::string& kind) {
    std::set<std::string> notes;
    const std::string prefix = kind + "/";
    for (auto at = std::lower_bound(tree_.files.begin(), tree_.files.end(), prefix); at != tree_.files.end() && at->starts_with(prefix); ++at) {
      const std::size_t slash = at->find('/', prefix.size());
      if (slash == std::string::npos || !std::string_view(*at).substr(slash).starts_with("/tests/")) continue;
      const std::string language = at->substr(prefix.size(), slash - prefix.size());
      if (language == "python" || language == "ruby" || language == "cpp") continue;
      if (std::any_of(languages_.begin(), languages_.end(), [&](const auto& l) { return l.name == language && has_own_command(l); })) continue;
      notes.insert(at->substr(0, slash) + "/tests: no runner for " + language + " tests; not run");
    }
    found_.notes.insert(found_.notes.end(), notes.begin(), notes.end());
  }

  const fs::path& root_;
  const Tree& tree_;
  const std::vector<project::Language>& languages_;
  std::set<std::string> there_;
  Discovery found_;
};

}  // namespace

Result<Tree> walk(const fs::path& root) { return Walk(root).run(); }

Result<Discovery> discover(const fs::path& root, const Tree& tree, const std::vector<project::Language>& languages) {
  return Search(root, tree, languages).run();
}

std::vector<std::string> Discovery::files(const fs::path& root) const {
  std::set<std::string> all(pytest.begin(), pytest.end());
  all.insert(rspec.begin(), rspec.end());
  for (const auto& folder : cpp) {
    for (const auto& test : folder.wanted) all.insert(test.lexically_relative(root).string());
  }
  for (const auto& [language, list] : by_command) all.insert(list.begin(), list.end());
  for (const auto& one : native) all.insert(one.files.begin(), one.files.end());
  return {all.begin(), all.end()};
}

void Discovery::keep(const fs::path& root, const std::function<bool(const std::string&)>& is_kept) {
  const auto filter = [&](std::vector<std::string>& list) { std::erase_if(list, [&](const auto& file) { return !is_kept(file); }); };
  filter(pytest);
  filter(rspec);
  for (auto& folder : cpp) std::erase_if(folder.wanted, [&](const auto& path) { return !is_kept(path.lexically_relative(root).string()); });
  std::erase_if(cpp, [](const auto& folder) { return folder.wanted.empty(); });
  for (auto& [language, list] : by_command) filter(list);
  std::erase_if(by_command, [](const auto& one) { return one.second.empty(); });
  for (auto& one : native) filter(one.files);
  std::erase_if(native, [](const auto& one) { return one.files.empty(); });
}

std::vector<std::string> read_testpaths(const fs::path& root) {
  // The first file that has pytest's section is pytest's configuration.
  for (const auto& [name, section] : {std::pair("pytest.ini", "[pytest]"), std::pair(".pytest.ini", "[pytest]"), std::pair("pyproject.toml", "[tool.pytest.ini_options]"),
                                      std::pair("tox.ini", "[pytest]"), std::pair("setup.cfg", "[tool:pytest]")}) {
    auto text = read_file(root / name, std::size_t{1} << 20U);
    if (!text) continue;
    bool in_section = false;
    bool is_it = std::string_view(name).ends_with("pytest.ini");
    bool in_paths = false;
    std::vector<std::string> out;
    for (const auto line : split_lines(*text)) {
      const auto rest = trim(line);
      if (rest.starts_with('[') && !in_paths) {
        in_section = rest == section;
        is_it = is_it || in_section;
        continue;
      }
      if (!in_section || rest.starts_with('#') || rest.starts_with(';')) continue;
      std::string_view words = rest;
      const bool continues = in_paths && !line.empty() && (line.front() == ' ' || line.front() == '\t' || line.front() == ']');
      if (!continues) {
        in_paths = rest.starts_with("testpaths") && rest.find('=') != std::string_view::npos;
        if (!in_paths) continue;
        words = rest.substr(rest.find('=') + 1);
      }
      while (!words.empty()) {
        const std::size_t begin = words.find_first_not_of(" \t\"',[]");
        if (begin == std::string_view::npos) break;
        const std::size_t end = std::min(words.find_first_of(" \t\"',[]", begin), words.size());
        std::string folder(words.substr(begin, end - begin));
        while (folder.starts_with("./")) folder = folder.substr(2);
        while (folder.ends_with('/')) folder.pop_back();
        // pytest takes patterns, too; where there is one, every file may be meant.
        if (folder.find_first_of("*?") != std::string::npos || folder == ".") return {};
        if (!folder.empty()) out.push_back(std::move(folder));
        words = words.substr(end);
      }
    }
    if (is_it) return out;
  }
  return {};
}

}  // namespace sabir::testing

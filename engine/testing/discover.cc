#include "discover.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

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

bool below(const fs::path& path, const fs::path& folder) {
  return folder.empty() || std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// pytest, rspec and ctest are read closer than JUnit XML allows; other languages bring a command.
bool has_own_command(const project::Language& language) {
  const auto runner = string_or(language.tests, "runner");
  return language.tests.contains("command") && runner != "pytest" && runner != "rspec" && runner != "ctest";
}

class Search {
 public:
  Search(const fs::path& root, const fs::path& only, const std::vector<project::Language>& languages)
      : root_(root), only_(only), languages_(languages) {}

  Result<Discovery> run() {
    if (auto ok = visit(root_, 0); !ok) return fail(std::move(ok.error()));
    for (const char* kind : {"functions", "assistants", "memory"}) {
      add_cpp(root_ / kind / "cpp");
      note_unserved(root_ / kind);
    }
    for (auto& [language, files] : found_.by_command) std::sort(files.begin(), files.end());
    std::sort(found_.pytest.begin(), found_.pytest.end());
    std::sort(found_.rspec.begin(), found_.rspec.end());
    return std::move(found_);
  }

 private:
  Result<void> visit(const fs::path& folder, int depth) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (++entries_ > kMostEntries) {
        return fail(ErrorCode::kLimit, "the project holds over 200,000 files", "Name the folder to test: sabir test PATH");
      }
      const fs::path& path = it->path();
      const std::string name = path.filename().string();
      std::error_code ignored;
      if (fs::is_directory(it->symlink_status(ignored))) {
        if (!is_skipped_folder(name) && depth < 32) {
          if (auto ok = visit(path, depth + 1); !ok) return ok;
        }
        continue;
      }
      if (!fs::is_regular_file(path, ignored) || !below(path, only_)) continue;
      const std::string stem = path.stem().string();
      const std::string relative = path.lexically_relative(root_).string();
      const bool named_as_test = stem.starts_with("test_") || stem.ends_with("_test");
      for (const auto& language : languages_) {
        if (serves(language, relative, name)) found_.by_command[language.name].push_back(relative);
      }
      if (path.extension() == ".py" && named_as_test) found_.pytest.push_back(relative);
      if (path.extension() == ".rb" && (named_as_test || stem.ends_with("_spec"))) found_.rspec.push_back(relative);
    }
    if (error) return fail(ErrorCode::kIo, folder.string() + ": cannot read the folder: " + error.message());
    return {};
  }

  // Whether the language's test command runs this file.
  static bool serves(const project::Language& language, const std::string& relative, const std::string& name) {
    const auto* const command = language.tests.if_contains("command");
    const auto* const pattern = language.tests.if_contains("pattern");
    if (!has_own_command(language) || !command || !pattern) return false;
    const bool there = relative.starts_with("functions/" + language.name + "/") || relative.starts_with("assistants/" + language.name + "/") ||
                       relative.starts_with("memory/" + language.name + "/") || relative.starts_with("tests/integration/");
    if (!there) return false;
    const auto matches = [&](const json::value& glob) { return glob.is_string() && ::fnmatch(glob.get_string().c_str(), name.c_str(), 0) == 0; };
    if (!pattern->is_array()) return matches(*pattern);
    return std::any_of(pattern->get_array().begin(), pattern->get_array().end(), matches);
  }

  static std::vector<fs::path> cpp_files(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      const std::string name = it->path().filename().string();
      if (fs::is_regular_file(it->path(), ignored) && is_cpp(it->path()) && !name.starts_with('.') && !name.starts_with('_')) {
        files.push_back(it->path());
      }
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  void add_cpp(const fs::path& folder) {
    CppFolder found;
    found.relative = folder.lexically_relative(root_).string();
    found.tests = cpp_files(folder / "tests");
    std::erase_if(found.tests, [&](const fs::path& path) { return !below(path, only_); });
    if (found.tests.empty()) return;
    found.sources = cpp_files(folder);
    std::erase_if(found.sources, [](const fs::path& path) {
      const std::string stem = path.stem().string();
      return stem.starts_with("test_") || stem.ends_with("_test");
    });
    std::error_code ignored;
    for (const fs::path& place : {folder / "tests", folder}) {
      if (found.own_cmake.empty() && fs::is_regular_file(place / "CMakeLists.txt", ignored)) found.own_cmake = place;
    }
    found_.cpp.push_back(std::move(found));
  }

  void note_unserved(const fs::path& kind) {
    std::vector<std::string> notes;
    std::error_code error;
    for (fs::directory_iterator it(kind, error), end; !error && it != end; it.increment(error)) {
      const std::string language = it->path().filename().string();
      std::error_code ignored;
      if (language == "python" || language == "ruby" || language == "cpp" || language.starts_with('.')) continue;
      if (std::any_of(languages_.begin(), languages_.end(), [&](const auto& l) { return l.name == language && has_own_command(l); })) continue;
      const fs::path tests = it->path() / "tests";
      if (!fs::is_directory(tests, ignored) || fs::is_empty(tests, ignored) || !below(tests, only_)) continue;
      notes.push_back(tests.lexically_relative(root_).string() + ": no runner for " + language + " tests; not run");
    }
    std::sort(notes.begin(), notes.end());
    found_.notes.insert(found_.notes.end(), notes.begin(), notes.end());
  }

  const fs::path& root_;
  const fs::path& only_;
  const std::vector<project::Language>& languages_;
  Discovery found_;
  std::size_t entries_ = 0;
};

}  // namespace

Result<Discovery> discover(const fs::path& root, const fs::path& only, const std::vector<project::Language>& languages) {
  return Search(root, only, languages).run();
}

}  // namespace sabir::testing

#include <algorithm>
#include <set>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostSources = 10'000;
constexpr std::size_t kMostEntries = 200'000;
constexpr int kMostDepth = 8;
constexpr int kMostOriginDepth = 16;

bool is_hidden(std::string_view name) { return name.starts_with('.') || name.starts_with('_'); }

// Folders inside a language's folder that hold no callable sources.
bool is_skipped_folder(std::string_view name) {
  static const std::set<std::string_view> kSkipped = {"tests", "test", "spec", "node_modules", "vendor", "venv", "build", "target"};
  return is_hidden(name) || kSkipped.contains(name);
}

bool is_test_file(std::string_view stem) {
  return stem.starts_with("test_") || stem.ends_with("_test") || stem.ends_with("_spec") || stem == "conftest";
}

class Walk {
 public:
  Walk(Project& project, const std::vector<Language>& languages) : project_(project), languages_(languages) {}

  Result<void> run() {
    for (const auto kind : {SourceKind::kFunction, SourceKind::kAssistant, SourceKind::kMemory}) {
      const fs::path folder = project_.root / folder_of(kind);
      std::error_code error;
      project_.inputs.add(folder, fs::exists(fs::symlink_status(folder, error)));
      if (!fs::is_directory(folder, error) || !stays_inside(folder)) continue;
      auto entries = list(folder);
      if (!entries) return fail(std::move(entries.error()));
      for (const auto& path : *entries) {
        if (auto ok = visit_top(kind, path); !ok) return ok;
      }
    }
    for (const auto& source : project_.sources) files_seen_.insert(source.path);
    for (const auto& origin : project_.origins) {
      if (auto ok = visit_origin(origin); !ok) return ok;
    }
    for (const auto& source : project_.sources) project_.inputs.contents.insert(source.path);
    std::sort(project_.sources.begin(), project_.sources.end(),
              [](const SourceFile& a, const SourceFile& b) { return a.relative < b.relative; });
    return {};
  }

 private:
  std::string relative(const fs::path& path) const {
    return contains(project_.root, path) ? path.lexically_relative(project_.root).string() : path.string();
  }

  // Sorted, so that warnings and sources come in one order on every machine.
  Result<std::vector<fs::path>> list(const fs::path& folder) {
    std::vector<fs::path> paths;
    project_.inputs.contents.insert(folder);
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (++entries_ > kMostEntries) {
        return fail(Error(ErrorCode::kLimit, "the project's source folders hold over 200,000 entries",
                          "Move data out of functions/, assistants/ and memory/.")
                        .at(relative(folder)));
      }
      paths.push_back(it->path());
    }
    if (error) return fail(Error(ErrorCode::kIo, "cannot read the folder: " + error.message()).at(relative(folder)));
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  static bool contains(const fs::path& folder, const fs::path& path) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
  }

  // Follows links; false, with a warning, when one leads out of the project or nowhere.
  bool stays_inside(const fs::path& path) {
    std::error_code error;
    if (!fs::is_symlink(path, error)) return true;
    project_.inputs.places.insert(path);
    const fs::path real = fs::canonical(path, error);
    if (error) {
      project_.warnings.push_back(relative(path) + ": a link that leads nowhere; ignored");
      return false;
    }
    if (contains(real, path)) {
      project_.warnings.push_back(relative(path) + ": a link to a folder that contains it; ignored");
      return false;
    }
    if (contains(project_.root, real) || (!origin_folder_.empty() && contains(origin_folder_, real))) return true;
    project_.warnings.push_back(relative(path) + ": a link that leaves the project; ignored");
    return false;
  }

  Result<void> visit_top(SourceKind kind, const fs::path& path) {
    const std::string name = path.filename().string();
    std::error_code error;
    if (is_hidden(name) || name == "tests" || !stays_inside(path)) return {};
    if (!fs::is_directory(path, error)) {
      warn_misplaced(kind, path);
      return {};
    }
    const Language* language = find(name);
    if (language == nullptr && !languages_.empty()) {
      project_.unsupported.push_back({name, relative(path)});
      return {};
    }
    return visit(kind, name, language, path, "", 0);
  }

  const Language* find(std::string_view name) const {
    for (const auto& language : languages_) {
      if (language.name == name) return &language;
    }
    return nullptr;
  }

  void warn_misplaced(SourceKind kind, const fs::path& path) {
    const std::string extension = path.extension().string();
    for (const auto& language : languages_) {
      if (std::find(language.extensions.begin(), language.extensions.end(), extension) == language.extensions.end()) continue;
      project_.warnings.push_back(relative(path) + ": not in a language's folder; move it to " +
                                  std::string(folder_of(kind)) + "/" + language.name + "/");
      return;
    }
  }

  Result<void> visit(SourceKind kind, const std::string& name, const Language* language, const fs::path& folder,
                     const std::string& prefix, int depth) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (error || !folders_seen_.insert(real).second) return {};
    if (depth > kMostDepth) {
      project_.warnings.push_back(relative(folder) + ": nested deeper than 8 folders; ignored");
      return {};
    }
    auto entries = list(folder);
    if (!entries) return fail(std::move(entries.error()));
    for (const auto& path : *entries) {
      const std::string file = path.filename().string();
      if (find_invalid_utf8(file) != std::string::npos) {
        project_.warnings.push_back(relative(folder) + ": a file name that is not UTF-8; ignored");
        continue;
      }
      if (is_hidden(file) || !stays_inside(path)) continue;
      if (fs::is_directory(path, error)) {
        if (is_skipped_folder(file)) continue;
        if (auto ok = visit(kind, name, language, path, prefix + to_snake_case(file) + ".", depth + 1); !ok) return ok;
        continue;
      }
      if (!fs::is_regular_file(path, error) || is_test_file(path.stem().string())) continue;
      if (language != nullptr) {
        const auto& extensions = language->extensions;
        if (std::find(extensions.begin(), extensions.end(), path.extension().string()) == extensions.end()) continue;
      }
      if (project_.sources.size() >= kMostSources) {
        return fail(Error(ErrorCode::kLimit, "the project has over 10,000 source files",
                          "Move files that are not functions, assistants or memory elsewhere.")
                        .at(relative(folder)));
      }
      project_.sources.push_back({kind, name, prefix + to_snake_case(path.stem().string()), path, relative(path)});
    }
    return {};
  }

  // Existing code. A file is served once, by the entry that names it first.
  Result<void> visit_origin(const std::shared_ptr<const Origin>& origin) {
    std::error_code error;
    if (origin->path.empty()) return {};  // a package that is not installed
    const Language* const language = find(origin->language);
    std::vector<std::string> extensions;
    if (language) {
      extensions = language->extensions;
      extensions.insert(extensions.end(), language->headers.begin(), language->headers.end());
    }
    const std::size_t before = project_.sources.size();
    if (!fs::is_directory(origin->path, error)) {
      add(origin, language, origin->path, "");
    } else {
      origin_folder_ = origin->path;
      folders_seen_.clear();
      if (auto ok = descend(origin, language, extensions, origin->path, 0); !ok) return ok;
    }
    if (project_.sources.size() == before) {
      project_.warnings.push_back("sabir.yml:" + std::to_string(origin->line) + ": the source " + origin->relative + " has no file to serve" +
                                  (origin->include.empty() ? "" : " that `include` names"));
    }
    return {};
  }

  Result<void> descend(const std::shared_ptr<const Origin>& origin, const Language* language, const std::vector<std::string>& extensions,
                       const fs::path& folder, int depth) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (error || !folders_seen_.insert(real).second) return {};
    if (depth > kMostOriginDepth) {
      project_.warnings.push_back(relative(folder) + ": nested deeper than 16 folders; ignored");
      return {};
    }
    auto entries = list(folder);
    if (!entries) return fail(std::move(entries.error()));
    for (const auto& path : *entries) {
      const std::string file = path.filename().string();
      if (find_invalid_utf8(file) != std::string::npos || file.front() == '.' || !stays_inside(path)) continue;
      if (fs::is_directory(path, error)) {
        if (is_skipped_folder(file)) continue;
        if (auto ok = descend(origin, language, extensions, path, depth + 1); !ok) return ok;
        continue;
      }
      const std::string below = path.lexically_relative(origin->path).string();
      const bool named = std::any_of(origin->include.begin(), origin->include.end(), [&](const auto& glob) { return path_matches(glob, below); });
      if (!fs::is_regular_file(path, error) || (!origin->include.empty() && !named)) continue;
      if (!named && (is_test_file(path.stem().string()) || (is_hidden(file) && path.stem() != "__init__"))) continue;
      if (language && std::find(extensions.begin(), extensions.end(), path.extension().string()) == extensions.end()) continue;
      if (project_.sources.size() >= kMostSources) {
        return fail(Error(ErrorCode::kLimit, "the project has over 10,000 source files", "Say in sabir.yml which ones `include` names.").at(relative(folder)));
      }
      add(origin, language, path, below);
    }
    return {};
  }

  void add(const std::shared_ptr<const Origin>& origin, const Language* language, const fs::path& path, const std::string& below) {
    if (!files_seen_.insert(path).second) return;
    // billing/invoice.rb is billing.invoice; a package's own file is the package.
    fs::path named = below.empty() ? path.filename() : fs::path(below);
    named = named.stem() == "__init__" || (language && language->module_is_folder) ? named.parent_path() : named.parent_path() / named.stem();
    std::string module = origin->prefix;
    for (const auto& part : named) {
      if (!part.empty()) module += (module.empty() ? "" : ".") + to_snake_case(part.string());
    }
    if (module.empty()) module = to_snake_case((below.empty() ? path.parent_path() : origin->path).filename().string());
    project_.sources.push_back({SourceKind::kFunction, origin->language, module, path, relative(path), origin});
  }

  Project& project_;
  const std::vector<Language>& languages_;
  std::set<fs::path> folders_seen_;
  std::set<fs::path> files_seen_;  // sources so far
  fs::path origin_folder_;         // whose files links may lead to
  std::size_t entries_ = 0;
};

}  // namespace

Result<void> walk_tree(Project& project, const std::vector<Language>& languages) { return Walk(project, languages).run(); }

}  // namespace sabir::project

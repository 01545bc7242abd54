// sabir.yml's `sources`: existing code that is served where it stands.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostOrigins = 200;
constexpr std::size_t kMostDeepStars = 4;  // each may be tried at every depth
constexpr std::size_t kMostPathFiles = 200;  // *.pth files of one packages folder

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool is_inside(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// The folders that a glob of language.yml names now: "$VIRTUAL_ENV/lib/python*/site-packages".
std::vector<fs::path> folders_of_glob(std::string glob, const fs::path& root, Inputs& inputs) {
  if (glob.starts_with("$") || glob.starts_with("~/")) {
    const std::size_t slash = std::min(glob.find('/'), glob.size());
    const char* const value = std::getenv(glob.front() == '~' ? "HOME" : glob.substr(1, slash - 1).c_str());
    if (!value || !*value) return {};
    glob = value + glob.substr(slash);
  }
  std::vector<fs::path> found{fs::path(glob).is_absolute() ? fs::path("/") : root};
  for (const auto& part : fs::path(glob).relative_path()) {
    std::vector<fs::path> next;
    for (const auto& folder : found) {
      std::error_code error;
      if (part.string().find_first_of("*?") == std::string::npos) {
        inputs.places.insert(folder / part);
        if (fs::is_directory(folder / part, error)) next.push_back(folder / part);
        continue;
      }
      inputs.contents.insert(folder);
      for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        std::error_code ignored;
        if (!path_matches(part.string(), it->path().filename().string())) continue;
        inputs.places.insert(it->path());
        if (it->is_directory(ignored)) next.push_back(it->path());
      }
    }
    std::sort(next.rbegin(), next.rend());
    found = std::move(next);
  }
  return found;
}

// `name` in a folder of packages: there, or in a folder that one of its *.pth files names (an editable installation).
fs::path package_in(const fs::path& folder, const std::string& name, Inputs& inputs) {
  std::error_code error;
  inputs.places.insert(folder / name);
  if (fs::is_directory(folder / name, error)) return folder / name;
  inputs.contents.insert(folder);
  std::size_t seen = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end && seen < kMostPathFiles; it.increment(error)) {
    if (it->path().extension() != ".pth") continue;
    ++seen;
    inputs.contents.insert(it->path());
    std::ifstream file(it->path());
    int lines = 0;
    for (std::string line; lines < 100 && std::getline(file, line); ++lines) {
      std::error_code ignored;
      if (!line.starts_with('/')) continue;
      inputs.places.insert(fs::path(line) / name);
      if (fs::is_directory(fs::path(line) / name, ignored)) return fs::path(line) / name;
    }
  }
  return {};
}

class Reader {
 public:
  Reader(const Shape& shape, const std::vector<Language>& languages, Project& project)
      : shape_(shape), languages_(languages), project_(project) {}

  Result<void> entry(const json::value& value, const std::string& at) {
    if (!value.is_object()) {
      return fail(shape_.wrong(at, "an entry of sources must be a mapping, not " + kind_of(value), "Write {path: app/services, language: ruby}."));
    }
    const auto& object = value.get_object();
    Origin origin;
    origin.line = position_of(shape_.positions, at).first;
    const Language* language = nullptr;
    if (auto ok = read_language(object, at, origin, language); !ok) return ok;
    if (auto ok = read_place(object, at, language, origin); !ok) return ok;
    if (auto ok = read_lists(object, at, origin); !ok) return ok;
    if (auto ok = read_boot(object, at, language, origin); !ok) return ok;
    if (auto ok = read_library(object, at, language, origin); !ok) return ok;
    origin.pool = origin.language;
    if (!origin.boot.empty()) origin.pool += ":" + shown(origin.boot);
    if (!origin.pass.empty()) origin.pool += (origin.boot.empty() ? ":+" : "+") + join(origin.pass, "+");
    project_.origins.push_back(std::make_shared<const Origin>(std::move(origin)));
    return {};
  }

 private:
  std::string shown(const fs::path& path) const {
    if (path == project_.root) return ".";
    return is_inside(project_.root, path) ? path.lexically_relative(project_.root).string() : path.string();
  }

  Result<void> read_language(const json::object& object, const std::string& at, Origin& origin, const Language*& language) const {
    const auto* value = object.if_contains("language");
    if (!value) return fail(shape_.wrong(at, "an entry of sources needs 'language'", "For instance language: ruby."));
    auto text = shape_.text(*value, at + "/language");
    if (!text) return fail(std::move(text.error()));
    origin.language = std::move(*text);
    std::vector<std::string> names;
    for (const auto& one : languages_) {
      names.push_back(one.name);
      if (one.name == origin.language) language = &one;
    }
    if (language || languages_.empty()) return {};
    std::string hint = did_you_mean(origin.language, names);
    if (hint.empty()) hint = "This engine serves " + join(names, ", ") + ".";
    return fail(shape_.wrong(at + "/language", "no language called '" + origin.language + "'", hint));
  }

  // An existing file or folder: below the project, or elsewhere by its absolute path where only this user or root may
  // write, since what lies there is run.
  Result<fs::path> place(const json::value& value, const std::string& at) const {
    auto text = shape_.text(value, at);
    if (!text) return fail(std::move(text.error()));
    const fs::path given(*text);
    project_.inputs.places.insert(given.is_absolute() ? given : project_.root / given);
    std::error_code error;
    const fs::path path = fs::canonical(given.is_absolute() ? given : project_.root / given, error);
    if (error) return fail(shape_.wrong(at, *text + ": no such file or folder"));
    if (is_inside(project_.root, path)) return path;
    if (!given.is_absolute()) {
      return fail(shape_.wrong(at, *text + " leaves the project", "Code elsewhere is named by its absolute path: " + path.string() + "."));
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || (info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & S_IWOTH) != 0) {
      return fail(shape_.wrong(at, path.string() + " is not yours alone: another user can write there", "Code that is run must belong to you or to root."));
    }
    return path;
  }

  Result<void> read_place(const json::object& object, const std::string& at, const Language* language, Origin& origin) const {
    const auto* path = object.if_contains("path");
    const auto* package = object.if_contains("package");
    if ((path == nullptr) == (package == nullptr)) {
      return fail(shape_.wrong(at, "an entry of sources needs one of 'path' and 'package'", "For instance path: app/services."));
    }
    if (path) {
      auto found = place(*path, at + "/path");
      if (!found) return fail(std::move(found.error()));
      origin.path = std::move(*found);
    } else {
      auto name = shape_.text(*package, at + "/package");
      if (!name) return fail(std::move(name.error()));
      if (language && language->packages.empty()) {
        return fail(shape_.wrong(at + "/package", "packages of " + language->name + " are named by their path", "Write path instead of package."));
      }
      std::string below = *name;
      if (below.find("..") != std::string::npos || below.front() == '/') return fail(shape_.wrong(at + "/package", "'" + below + "' is no package's name"));
      std::replace(below.begin(), below.end(), '.', '/');
      if (language) {
        for (const auto& glob : language->packages) {
          for (const auto& folder : folders_of_glob(glob, project_.root, project_.inputs)) {
            if (origin.path.empty()) origin.path = package_in(folder, below, project_.inputs);
          }
        }
      }
      if (origin.path.empty()) {
        return not_installed(*name, at + "/package", origin);
      }
      origin.prefix = *name;
    }
    origin.relative = shown(origin.path);
    return {};
  }

  // The rest of the project goes on without it.
  Result<void> not_installed(const std::string& name, const std::string& at, Origin& origin) const {
    const auto [line, column] = position_of(shape_.positions, at);
    project_.warnings.push_back("sabir.yml:" + std::to_string(line) + ":" + std::to_string(column) + ": the package '" + name +
                                "' is not installed for " + origin.language + "; run `sabir setup`, or give its `path`");
    origin.relative = name;
    return {};
  }

  Result<void> read_lists(const json::object& object, const std::string& at, Origin& origin) const {
    for (const auto& [key, target] : {std::pair("include", &origin.include), std::pair("expose", &origin.expose)}) {
      const auto* value = object.if_contains(key);
      if (!value) continue;
      auto texts = shape_.texts(*value, at + "/" + key);
      if (!texts) return fail(std::move(texts.error()));
      *target = std::move(*texts);
    }
    for (std::size_t i = 0; i < origin.include.size(); ++i) {
      std::size_t deep = 0;
      for (std::size_t found = origin.include[i].find("**"); found != std::string::npos; found = origin.include[i].find("**", found + 2)) ++deep;
      if (deep > kMostDeepStars) return fail(shape_.wrong(at + "/include/" + std::to_string(i), "a glob with more than four `**`"));
    }
    if (const auto* prefix = object.if_contains("prefix")) {
      auto text = shape_.text(*prefix, at + "/prefix");
      if (!text) return fail(std::move(text.error()));
      const bool plain = std::all_of(text->begin(), text->end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
      if (!plain || text->front() == '.' || text->back() == '.' || text->find("..") != std::string::npos) {
        return fail(shape_.wrong(at + "/prefix", "prefix must be of lower-case letters, digits and '_', with dots between, not " + kind_of(*prefix)));
      }
      origin.prefix = std::move(*text);
    }
    const auto* env = object.if_contains("env");
    if (!env) return {};
    if (!env->is_object()) return fail(shape_.wrong(at + "/env", "env must be a mapping, not " + kind_of(*env), "Write env: {pass: [DATABASE_URL]}."));
    const auto* pass = env->get_object().if_contains("pass");
    if (!pass) return {};
    auto names = shape_.texts(*pass, at + "/env/pass");
    if (!names) return fail(std::move(names.error()));
    for (std::size_t i = 0; i < names->size(); ++i) {
      if (is_variable_name((*names)[i])) continue;
      return fail(shape_.wrong(at + "/env/pass/" + std::to_string(i), "'" + (*names)[i] + "' is no variable's name"));
    }
    origin.pass = std::move(*names);
    std::sort(origin.pass.begin(), origin.pass.end());
    return {};
  }

  Result<void> read_boot(const json::object& object, const std::string& at, const Language* language, Origin& origin) const {
    const auto* boot = object.if_contains("boot");
    if (!boot) return {};
    auto found = place(*boot, at + "/boot");
    if (!found) return fail(std::move(found.error()));
    std::error_code error;
    if (!fs::is_regular_file(*found, error)) return fail(shape_.wrong(at + "/boot", "boot must name a file, not a folder"));
    if (language && language->boot.empty() && !language->loads_boot) {
      return fail(shape_.wrong(at + "/boot", language->name + " has no boot files", "Leave `boot` out."));
    }
    origin.boot = std::move(*found);
    return {};
  }

  Result<void> read_library(const json::object& object, const std::string& at, const Language* language, Origin& origin) const {
    const auto* library = object.if_contains("library");
    if (!library) return {};
    auto target = shape_.text(*library, at + "/library");
    if (!target) return fail(std::move(target.error()));
    if (language && language->link_library.empty()) {
      return fail(shape_.wrong(at + "/library", language->name + " links no libraries", "Leave `library` out."));
    }
    origin.library = std::move(*target);
    // The outermost project up to the project's root: what its build configures.
    std::error_code error;
    for (fs::path folder = fs::is_directory(origin.path, error) ? origin.path : origin.path.parent_path();; folder = folder.parent_path()) {
      project_.inputs.places.insert(folder / "CMakeLists.txt");
      if (fs::is_regular_file(folder / "CMakeLists.txt", error)) origin.library_folder = folder;
      if (folder == project_.root || folder == folder.parent_path()) break;
    }
    if (origin.library_folder.empty()) {
      return fail(shape_.wrong(at + "/library", "no CMakeLists.txt beside " + origin.relative + " or above it"));
    }
    return {};
  }

  const Shape& shape_;
  const std::vector<Language>& languages_;
  Project& project_;
};

}  // namespace

Result<void> read_sources(const json::value& value, const Shape& shape, const std::vector<Language>& languages, Project& project) {
  if (!value.is_array()) {
    return fail(shape.wrong("/sources", "sources must be a list, not " + kind_of(value), "Write sources: [{path: app/services, language: ruby}]."));
  }
  if (value.get_array().size() > kMostOrigins) return fail(shape.wrong("/sources", "sources has more than 200 entries"));
  Reader reader(shape, languages, project);
  for (std::size_t i = 0; i < value.get_array().size(); ++i) {
    if (auto ok = reader.entry(value.get_array()[i], "/sources/" + std::to_string(i)); !ok) return ok;
  }
  return {};
}

bool name_matches(std::string_view pattern, std::string_view name) {
  // The usual two-pointer walk: on a mismatch the last star takes one character more.
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t mark = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

namespace {
bool part_matches(std::string_view glob, std::string_view name) {
  std::size_t g = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t mark = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      mark = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g;
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}
}  // namespace

bool path_matches(std::string_view glob, std::string_view path) {
  const std::size_t end = std::min(glob.find('/'), glob.size());
  const std::string_view first = glob.substr(0, end);
  const std::string_view rest = end == glob.size() ? std::string_view() : glob.substr(end + 1);
  if (first == "**") {
    // Bounded: a path has few parts.
    if (rest.empty()) return true;
    for (std::size_t at = 0;; ++at) {
      if (path_matches(rest, path.substr(at))) return true;
      at = path.find('/', at);
      if (at == std::string_view::npos) return false;
    }
  }
  const std::size_t slash = std::min(path.find('/'), path.size());
  if (!part_matches(first, path.substr(0, slash))) return false;
  if (end == glob.size() || slash == path.size()) return end == glob.size() && slash == path.size();
  return path_matches(rest, path.substr(slash + 1));
}

}  // namespace sabir::project

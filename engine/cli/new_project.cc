#include "new_project.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "filled_template.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLongestName = 100;
constexpr std::size_t kLargestFile = std::size_t{1} << 20U;
constexpr int kFormat = 1;

struct TemplateFile {
  std::string from;
  std::string to;
  bool rendered = false;
  std::vector<std::string> languages;  // written when all of these are chosen
};

struct Manifest {
  std::vector<std::string> languages;
  std::map<std::string, std::string> aliases;
  std::vector<TemplateFile> files;
};

std::string system_error_text(int number) { return std::strerror(number); }

Error io_error(const std::string& what, const fs::path& path, int number) {
  if (number == ENOSPC || number == EDQUOT) {
    return Error(ErrorCode::kStorageFull, what + " " + path.string() + ": " + system_error_text(number),
                 "Free some space on that disk, then try again; nothing was left behind.");
  }
  return Error(ErrorCode::kIo, what + " " + path.string() + ": " + system_error_text(number),
               number == EACCES || number == EROFS ? "Choose a folder that you may write to." : "");
}

// ---- manifest ------------------------------------------------------------------------------------------------------

std::unexpected<Error> broken(const std::string& what) {
  return fail(Error(ErrorCode::kConfig, "the project template is broken: " + what,
                    "The engine's own files are damaged; install it again.")
                  .at("template.yml"));
}

// A path that stays inside the folder it is joined to.
bool is_inside(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  const fs::path parts(path);
  return std::none_of(parts.begin(), parts.end(), [](const fs::path& part) { return part == ".." || part == "." || part.empty(); });
}

Result<std::vector<std::string>> texts(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const auto* value = object.if_contains(key);
  if (value == nullptr) return out;
  if (!value->is_array()) return broken("'" + std::string(key) + "' is not a list");
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) return broken("'" + std::string(key) + "' holds something that is not text");
    out.emplace_back(item.get_string());
  }
  return out;
}

Result<Manifest> read_manifest(const fs::path& path) {
  auto value = project::read_yaml(path);
  if (!value) return fail(std::move(value.error()));
  if (!value->is_object()) return broken("not a mapping");
  const auto& root = value->get_object();
  const auto* format = root.if_contains("format");
  if (format == nullptr || !format->is_int64()) return broken("no format number");
  if (format->get_int64() != kFormat) {
    return broken("its format is " + std::to_string(format->get_int64()) + ", this engine reads " + std::to_string(kFormat));
  }
  Manifest manifest;
  auto languages = texts(root, "languages");
  if (!languages) return fail(std::move(languages.error()));
  manifest.languages = std::move(*languages);
  if (manifest.languages.empty()) return broken("no languages");
  if (const auto* aliases = root.if_contains("aliases"); aliases != nullptr && aliases->is_object()) {
    for (const auto& member : aliases->get_object()) {
      if (!member.value().is_string()) return broken("an alias is not text");
      manifest.aliases.emplace(std::string(member.key()), std::string(member.value().get_string()));
    }
  }
  const auto* files = root.if_contains("files");
  if (files == nullptr || !files->is_array()) return broken("no list of files");
  for (const auto& item : files->get_array()) {
    TemplateFile file;
    if (item.is_string()) {
      file.from = item.get_string();
    } else if (item.is_object()) {
      const auto& object = item.get_object();
      file.from = string_or(object, "from");
      file.to = string_or(object, "to");
      const auto* render = object.if_contains("render");
      file.rendered = render != nullptr && render->is_bool() && render->get_bool();
      auto needed = texts(object, "languages");
      if (!needed) return fail(std::move(needed.error()));
      file.languages = std::move(*needed);
    }
    if (file.to.empty()) file.to = file.from;
    if (!is_inside(file.from) || !is_inside(file.to)) return broken("the file '" + file.from + "' has no usable path");
    for (const auto& language : file.languages) {
      if (std::find(manifest.languages.begin(), manifest.languages.end(), language) == manifest.languages.end()) {
        return broken("'" + file.from + "' needs the unknown language '" + language + "'");
      }
    }
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

// ---- what the caller asked for -------------------------------------------------------------------------------------

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// The nearest name that would do, for the hint.
std::string usable_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_name_character(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  while (!out.empty() && (out.front() == '.' || out.front() == '-')) out.erase(out.begin());
  while (!out.empty() && (out.back() == '_' || out.back() == '.')) out.pop_back();
  out.resize(std::min(out.size(), kLongestName));
  return out.empty() ? "ai_project" : out;
}

Result<void> check_name(const std::string& name) {
  std::string wrong;
  if (name.empty()) {
    wrong = "the path has no folder name";
  } else if (name.size() > kLongestName) {
    wrong = "the name '" + name.substr(0, 20) + "…' is longer than " + std::to_string(kLongestName) + " characters";
  } else if (name.front() == '.' || name.front() == '-') {
    wrong = "the name '" + name + "' begins with '" + name.front() + "'";
  } else if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    wrong = "the name '" + name + "' has characters that a project's name cannot have";
  }
  if (wrong.empty()) return {};
  return fail(ErrorCode::kUsage, wrong, "Use letters, digits, '_', '-' and '.', for instance " + usable_name(name) + ".");
}

Result<std::vector<std::string>> choose_languages(const std::vector<std::string>& asked, const Manifest& manifest) {
  if (asked.empty()) return manifest.languages;
  std::vector<std::string> known = manifest.languages;
  for (const auto& [alias, language] : manifest.aliases) known.push_back(alias);
  std::vector<std::string> chosen;
  for (const auto& word : asked) {
    std::string name(trim(word));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (const auto alias = manifest.aliases.find(name); alias != manifest.aliases.end()) name = alias->second;
    if (std::find(manifest.languages.begin(), manifest.languages.end(), name) == manifest.languages.end()) {
      std::string hint = did_you_mean(name, known);
      if (!hint.empty()) hint += ' ';
      hint += "New projects can have " + join(manifest.languages, ", ") + ".";
      return fail(ErrorCode::kUsage, name.empty() ? "a language in --languages is empty" : "no language called '" + name + "'", hint);
    }
    if (std::find(chosen.begin(), chosen.end(), name) == chosen.end()) chosen.push_back(std::move(name));
  }
  return chosen;
}

// ---- writing -------------------------------------------------------------------------------------------------------

// Where the project goes, and what stands there now.
struct Target {
  fs::path root;              // absolute, links resolved
  bool exists = false;        // as an empty folder
  bool keeps_folder = false;  // cannot be replaced by a rename: it is the current folder, a mount, or its parent is read-only
};

Result<Target> look_at(const fs::path& path) {
  Target target;
  std::error_code error;
  fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  const auto status = fs::symlink_status(absolute, error);
  if (!fs::exists(status)) {
    target.root = fs::weakly_canonical(absolute, error);
    if (error) target.root = absolute;
    return target;
  }
  target.root = fs::canonical(absolute, error);
  if (error) {
    return fail(ErrorCode::kExists, path.string() + " is a link that leads nowhere", "Choose a path that does not exist yet.");
  }
  if (!fs::is_directory(target.root, error)) {
    return fail(ErrorCode::kExists, path.string() + " exists and is not a folder", "Choose a path that does not exist yet.");
  }
  const bool empty = fs::is_empty(target.root, error);
  if (error) return fail(io_error("cannot read", path, error.value()));
  if (!empty) {
    return fail(ErrorCode::kExists, path.string() + " is not empty",
                "Choose a new path or an empty folder; sabir new never writes over files.");
  }
  target.exists = true;
  const fs::path here = fs::current_path(error);
  struct stat own{};
  struct stat above{};
  const fs::path parent = target.root.parent_path();
  const bool is_mount = ::stat(target.root.c_str(), &own) != 0 || ::stat(parent.c_str(), &above) != 0 || own.st_dev != above.st_dev;
  target.keeps_folder = (!error && here == target.root) || is_mount || ::access(parent.c_str(), W_OK) != 0;
  return target;
}

// The folder that is filled before the project appears; removed with all in it unless keep() was called, and so are the
// parents it had to make.
class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
    if (kept_) return;
    for (auto it = parents_.rbegin(); it != parents_.rend(); ++it) fs::remove(*it, ignored);
  }

  Result<void> open(const Target& target) {
    const fs::path parent = target.keeps_folder ? target.root : target.root.parent_path();
    if (auto ok = make_parents(parent); !ok) return ok;
    const fs::path folder = parent / ("." + target.root.filename().string().substr(0, 40) + ".sabir-new-" + new_id());
    // Not mkdtemp: the folder becomes the project's, with the permissions that any new folder of the user has.
    if (::mkdir(folder.c_str(), 0777) != 0) return fail(io_error("cannot make a folder in", parent, errno));
    folder_ = folder;
    return {};
  }

  const fs::path& folder() const { return folder_; }
  void keep() { kept_ = true; }

 private:
  Result<void> make_parents(const fs::path& parent) {
    std::vector<fs::path> missing;
    std::error_code error;
    for (fs::path at = parent; !at.empty() && !fs::exists(at, error) && at != at.parent_path(); at = at.parent_path()) {
      missing.push_back(at);
    }
    for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
      if (::mkdir(it->c_str(), 0777) != 0) {
        if (errno == EEXIST) continue;
        return fail(io_error("cannot make the folder", *it, errno));
      }
      parents_.push_back(*it);
    }
    return {};
  }

  fs::path folder_;
  std::vector<fs::path> parents_;
  bool kept_ = false;
};

Result<void> write_one(const fs::path& source, const fs::path& target, const TemplateFile& file, FilledTemplates& templates) {
  auto text = read_file(source / file.from, kLargestFile);
  if (!text) return fail(std::move(text.error()));
  if (file.rendered) {
    auto rendered = templates.render(file.from, *text);
    if (!rendered) return fail(std::move(rendered.error()));
    *text = std::move(*rendered);
  }
  const fs::path to = target / file.to;
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return fail(io_error("cannot make the folder", to.parent_path(), error.value()));
  return write_file(to, *text);
}

// Moves what is staged into place. The folder that stays gets sabir.yml last: without it nothing takes it for a project.
Result<void> move_into_place(const Staging& staging, const Target& target) {
  if (!target.keeps_folder) {
    if (::rename(staging.folder().c_str(), target.root.c_str()) == 0) return {};
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
      return fail(ErrorCode::kExists, target.root.string() + " is not empty: something was written there meanwhile",
                  "Choose a new path or an empty folder; sabir new never writes over files.");
    }
    return fail(io_error("cannot make", target.root, errno));
  }
  std::error_code error;
  std::vector<fs::path> names;
  for (fs::directory_iterator it(staging.folder(), error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  std::partition(names.begin(), names.end(), [](const fs::path& name) { return name != "sabir.yml"; });
  std::vector<fs::path> moved;
  for (const auto& name : names) {
    std::optional<Error> wrong;
    if (fs::exists(fs::symlink_status(target.root / name, error))) {
      wrong = Error(ErrorCode::kExists, (target.root / name).string() + " was written meanwhile", "Choose an empty folder.");
    } else if (::rename((staging.folder() / name).c_str(), (target.root / name).c_str()) != 0) {
      wrong = io_error("cannot write", target.root / name, errno);
    }
    if (wrong) {
      for (const auto& back : moved) ::rename((target.root / back).c_str(), (staging.folder() / back).c_str());
      return fail(std::move(*wrong));
    }
    moved.push_back(name);
  }
  return {};
}

}  // namespace

Result<NewProjectReport> new_project(const NewProjectOptions& options) {
  if (options.path.empty()) return fail(ErrorCode::kUsage, "no path for the new project", "Write: sabir new ai_project");
  const fs::path source = options.templates_dir / "project";
  auto manifest = read_manifest(source / "template.yml");
  if (!manifest) return fail(std::move(manifest.error()));
  auto languages = choose_languages(options.languages, *manifest);
  if (!languages) return fail(std::move(languages.error()));
  auto target = look_at(options.path);
  if (!target) return fail(std::move(target.error()));

  NewProjectReport report;
  report.root = target->root;
  report.name = target->root.filename().string();
  report.languages = std::move(*languages);
  if (auto ok = check_name(report.name); !ok) return fail(std::move(ok.error()));

  json::object context{{"name", report.name}, {"version", options.engine_version}};
  json::array chosen;
  for (const auto& language : report.languages) chosen.emplace_back(language);
  context["languages"] = std::move(chosen);
  for (const auto& language : manifest->languages) {
    context[language] = std::find(report.languages.begin(), report.languages.end(), language) != report.languages.end();
  }
  fill_for_ci(context, report.languages);
  FilledTemplates templates(std::move(context));

  Staging staging;
  if (auto ok = staging.open(*target); !ok) return fail(std::move(ok.error()));
  for (const auto& file : manifest->files) {
    const bool wanted = std::all_of(file.languages.begin(), file.languages.end(), [&](const std::string& language) {
      return std::find(report.languages.begin(), report.languages.end(), language) != report.languages.end();
    });
    if (!wanted) continue;
    if (auto ok = write_one(source, staging.folder(), file, templates); !ok) return fail(std::move(ok.error()));
    report.files.push_back(file.to);
  }
  if (auto ok = move_into_place(staging, *target); !ok) return fail(std::move(ok.error()));
  staging.keep();
  return report;
}

}  // namespace sabir::cli

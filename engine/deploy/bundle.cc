#include "sabir/deploy/bundle.h"

#include <sys/stat.h>

#include <algorithm>

#include "digest.h"
#include "ignore.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/process/spawn.h"
#include "sabir/secrets/scan.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 100'000;
constexpr std::uint64_t kMostBytes = std::uint64_t{2} << 30U;
constexpr std::size_t kMostFile = std::size_t{256} << 20U;
constexpr std::size_t kMostShown = 10;

bool is_secret_file(std::string_view name) {
  // The encrypted file is made to be handed on; secrets.example.json has placeholders.
  return name == "secrets.json" || name == ".env" || (name.starts_with(".env.") && name != ".env.example") || name.ends_with(".pem") || name.ends_with(".key") || name == "terraform.tfvars" ||
         name.ends_with(".auto.tfvars");
}

bool is_left_out(const std::string& path) {
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const std::string_view part = std::string_view(path).substr(at, end - at);
    if (part == ".git" || part == ".sabir" || part == ".venv" || part == "node_modules" || part == "__pycache__" || part == ".pytest_cache" || part == ".mypy_cache" || part == ".ruff_cache" || part == ".terraform" || part.find(".tfstate") != std::string_view::npos) return true;
    at = end + 1;
  }
  return path == kManifest || is_secret_file(std::string_view(path).substr(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1));
}

Result<std::vector<std::string>> asked_of_git(const fs::path& root) {
  if (process::find_program("git").empty()) return fail(ErrorCode::kUnavailable, "git is not installed");
  process::SpawnSpec spec;
  spec.argv = {"git", "-C", root.string(), "ls-files", "-z", "--cached", "--others", "--exclude-standard"};
  spec.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}});
  spec.separate_errors = true;
  auto listed = process::run(std::move(spec), std::chrono::seconds(60), std::size_t{64} << 20U);
  if (!listed) return fail(std::move(listed.error()));
  if (listed->timed_out || listed->status.code != 0) return fail(ErrorCode::kUnavailable, "no repository");
  std::vector<std::string> out;
  for (std::string_view rest = listed->output; !rest.empty();) {
    const auto end = std::min(rest.find('\0'), rest.size());
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  // A project that the repository around it ignores as a whole has no files there.
  if (out.empty()) return fail(ErrorCode::kUnavailable, "not in the repository");
  return out;
}

std::vector<std::string> walked(const fs::path& root, const fs::path& start, const Ignore& ignore) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::recursive_directory_iterator it(start, fs::directory_options::skip_permission_denied, ec), end; !ec && it != end; it.increment(ec)) {
    const auto path = it->path().lexically_relative(root).generic_string();
    const bool folder = it->is_directory(ec) && !it->is_symlink(ec);
    if (ignore.matches(path, folder) || is_left_out(path)) {
      if (folder) it.disable_recursion_pending();
      continue;
    }
    if (!folder) out.push_back(path);
    if (out.size() > kMostFiles) break;
  }
  return out;
}

Result<json::object> archive(int (*action)(sb_str, sb_buf*), const json::object& request) {
  const std::string text = json::serialize(request);
  sb_buf out{};
  const int code = action({text.data(), text.size()}, &out);
  std::string answer(reinterpret_cast<const char*>(out.data), out.size);
  sb_free(out);
  auto value = parse_json(answer);
  if (!value) return fail(std::move(value.error()));
  if (code != 0) return fail(ErrorCode::kInvalidArguments, std::string(string_or(value->get_object(), "message")));
  return std::move(value->get_object());
}

json::object to_json(const BundleFile& file) {
  json::object out{{"path", file.path}, {"sha256", file.sha256}, {"bytes", file.bytes}, {"executable", file.executable}};
  if (!file.link.empty()) out["link"] = file.link;
  return out;
}

// Whether a link stays in the project.
bool stays_inside(const std::string& path, const fs::path& target) {
  if (target.is_absolute()) return false;
  const auto there = (fs::path(path).parent_path() / target).lexically_normal();
  return !there.empty() && *there.begin() != "..";
}

std::string shown(const std::vector<secrets::ScanFinding>& found) {
  std::string out;
  for (std::size_t i = 0; i < found.size() && i < kMostShown; ++i) out += (i == 0 ? "" : "\n  ") + found[i].file + ":" + std::to_string(found[i].line) + ": " + found[i].what;
  if (found.size() > kMostShown) out += "\n  and " + std::to_string(found.size() - kMostShown) + " more";
  return out;
}

}  // namespace

Result<std::vector<std::string>> files_to_deploy(const fs::path& root) {
  std::vector<std::string> files;
  auto listed = asked_of_git(root);
  const auto text = read_file(root / ".gitignore", std::size_t{1} << 20U);
  const Ignore ignore(text && !listed ? *text : std::string());
  if (!listed) listed = walked(root, root, ignore);
  std::error_code ec;
  for (auto& file : *listed) {
    if (is_left_out(file)) continue;
    const auto status = fs::symlink_status(root / file, ec);
    if (fs::is_regular_file(status) || fs::is_symlink(status)) {
      files.push_back(std::move(file));
    } else if (fs::is_directory(status)) {
      // A repository inside of this one.
      for (auto& inner : walked(root, root / file, ignore)) files.push_back(std::move(inner));
    }
  }
  if (files.size() > kMostFiles) return fail(ErrorCode::kLimit, "more than " + std::to_string(kMostFiles) + " files would be deployed", "Leave what is no source out by .gitignore.");
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

Result<Bundle> make_bundle(const BundleOptions& options) {
  auto files = files_to_deploy(options.root);
  if (!files) return fail(std::move(files.error()));
  Bundle out;
  out.project = options.project;
  out.engine_version = SABIR_VERSION;
  out.languages = options.languages;
  std::sort(out.languages.begin(), out.languages.end());
  auto engine = sha256_of_file(options.engine);
  if (!engine) return fail(std::move(engine.error()));
  out.engine_hash = std::move(*engine);
  const secrets::Scanner scanner(options.secrets);
  std::vector<secrets::ScanFinding> found;
  json::array entries;
  std::uint64_t total = 0;
  for (const auto& path : *files) {
    const fs::path file = options.root / path;
    BundleFile one;
    one.path = path;
    struct stat info {};
    if (::lstat(file.c_str(), &info) != 0) continue;
    if (S_ISLNK(info.st_mode)) {
      std::error_code ec;
      one.link = fs::read_symlink(file, ec).string();
      if (ec || !stays_inside(path, one.link)) continue;  // nor does the engine follow it
      entries.push_back(json::object{{"path", path}, {"link", one.link}});
      out.files.push_back(std::move(one));
      continue;
    }
    auto bytes = read_file(file, kMostFile);
    if (!bytes) return fail(std::move(bytes.error()));
    scanner.text(*bytes, 1, [&](int line, const std::string& what, const std::string& beginning) { found.push_back({path, line, "", what, beginning}); });
    one.sha256 = sha256(*bytes);
    one.bytes = bytes->size();
    one.executable = (info.st_mode & 0111U) != 0;
    total += one.bytes;
    if (total > kMostBytes) return fail(ErrorCode::kLimit, "the project has more than 2 GiB of files to deploy", "Leave what is no source out by .gitignore.");
    entries.push_back(json::object{{"path", path}, {"source", file.string()}, {"executable", one.executable}});
    out.files.push_back(std::move(one));
  }
  if (!found.empty()) {
    return fail(Error(ErrorCode::kNotGranted, "the bundle would carry secrets:\n  " + shown(found),
                      "Take them out of the files (sabir secrets set keeps them where they belong). A line that says not-a-secret is left alone.")
                    .at(found.front().file, found.front().line));
  }
  json::array listed;
  for (const auto& file : out.files) listed.push_back(to_json(file));
  json::array languages;
  for (const auto& one : out.languages) languages.push_back(json::value(one));
  const json::object manifest{{"format", kBundleFormat}, {"project", out.project}, {"engine", json::object{{"version", out.engine_version}, {"sha256", out.engine_hash}}}, {"languages", std::move(languages)}, {"files", std::move(listed)}};
  entries.insert(entries.begin(), json::object{{"path", kManifest}, {"text", pretty_json(manifest) + "\n"}, {"executable", false}});
  std::error_code ec;
  fs::create_directories(options.output.parent_path(), ec);
  const fs::path part = options.output.string() + ".part";
  auto written = archive(sb_archive_write, {{"out", part.string()}, {"entries", std::move(entries)}});
  if (!written) {
    fs::remove(part, ec);
    return fail(ErrorCode::kIo, "the bundle cannot be written: " + written.error().message);
  }
  fs::rename(part, options.output, ec);
  if (ec) return fail(ErrorCode::kIo, options.output.string() + ": " + ec.message());
  out.hash = string_or(*written, "sha256");
  out.bytes = written->at("bytes").to_number<std::uint64_t>();
  out.file = options.output;
  return out;
}

Result<Bundle> read_bundle(const fs::path& file) {
  auto member = archive(sb_archive_member, {{"archive", file.string()}, {"member", kManifest}});
  if (!member) return fail(ErrorCode::kInvalidArguments, file.string() + " is no bundle: " + member.error().message, "`sabir deploy bundle` makes one.");
  auto value = parse_json(string_or(*member, "text"));
  const auto* object = value ? value->if_object() : nullptr;
  const auto* format = object ? object->if_contains("format") : nullptr;
  if (!format || !format->is_int64()) return fail(ErrorCode::kInvalidArguments, file.string() + " is no bundle: its manifest cannot be read");
  if (format->get_int64() > kBundleFormat) return fail(ErrorCode::kStoreNewer, file.string() + " was made by a newer Sabir");
  Bundle out;
  out.file = file;
  out.project = string_or(*object, "project");
  if (const auto* engine = object->if_contains("engine"); engine && engine->is_object()) {
    out.engine_version = string_or(engine->get_object(), "version");
    out.engine_hash = string_or(engine->get_object(), "sha256");
  }
  if (const auto* languages = object->if_contains("languages"); languages && languages->is_array()) {
    for (const auto& one : languages->get_array()) {
      if (one.is_string()) out.languages.emplace_back(one.get_string());
    }
  }
  if (const auto* files = object->if_contains("files"); files && files->is_array()) {
    for (const auto& one : files->get_array()) {
      if (!one.is_object()) continue;
      const auto& about = one.get_object();
      const auto* bytes = about.if_contains("bytes");
      const auto* executable = about.if_contains("executable");
      out.files.push_back({std::string(string_or(about, "path")), std::string(string_or(about, "sha256")), bytes && bytes->is_int64() ? static_cast<std::uint64_t>(bytes->get_int64()) : 0,
                           executable && executable->is_bool() && executable->get_bool(), std::string(string_or(about, "link"))});
    }
  }
  return out;
}

Result<void> unpack_bundle(const fs::path& file, const std::string& hash, const fs::path& folder) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(ErrorCode::kIo, folder.string() + ": " + ec.message());
  auto done = archive(sb_archive_unpack, {{"archive", file.string()}, {"folder", folder.string()}, {"most_bytes", kMostBytes + (std::uint64_t{256} << 20U)}, {"most_files", kMostFiles + 1}});
  if (!done) return fail(ErrorCode::kInvalidArguments, file.string() + " cannot be unpacked: " + done.error().message);
  if (string_or(*done, "sha256") != hash) return fail(ErrorCode::kConflict, file.string() + " is not what it should be: its contents have another hash than " + hash.substr(0, 12), "Deploy anew, so that it is made again.");
  return {};
}

}  // namespace sabir::deploy

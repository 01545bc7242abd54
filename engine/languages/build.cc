#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"

namespace sabir::languages {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kFormat = 1;  // of the file that keeps what the last build said
constexpr std::chrono::minutes kBuildTime{5};
constexpr std::size_t kMostAnswer = std::size_t{16} << 20U;
constexpr std::size_t kMostDepends = 20'000;  // files that are looked at, those below folders included
constexpr std::chrono::hours kKept{24};

// One build of a folder at a time, whichever process asks. The lock ends with the process that holds it.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& folder, const std::atomic<bool>& stopping) {
    FolderLock lock;
    const std::string file = (folder / "lock").string();
    lock.fd_ = process::Fd(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (!lock.fd_) return fail(ErrorCode::kIo, file + ": cannot be opened");
    const auto deadline = Clock::now() + kBuildTime;
    while (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (stopping) return fail(ErrorCode::kCancelled, "the engine stopped while another one built");
      if (Clock::now() > deadline) return fail(ErrorCode::kTimeout, "another engine has been building in " + folder.string() + " for five minutes");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return lock;
  }

 private:
  process::Fd fd_;
};

std::string stamp(const fs::path& file) {
  std::error_code ignored;
  return std::to_string(fs::file_size(file, ignored)) + "-" + std::to_string(fs::last_write_time(file, ignored).time_since_epoch().count());
}

// Size and time of each file that the last build named, those below a folder included; "" for one that is gone.
std::string stamps_of(const std::vector<std::string>& depends, const fs::path& root) {
  std::string all;
  std::size_t seen = 0;
  for (const auto& name : depends) {
    const fs::path path = fs::path(name).is_absolute() ? fs::path(name) : root / name;
    std::error_code error;
    if (fs::is_directory(path, error)) {
      std::vector<std::string> lines;
      for (fs::recursive_directory_iterator it(path, error), end; !error && it != end && seen < kMostDepends; it.increment(error)) {
        std::error_code ignored;
        if (!it->is_regular_file(ignored)) continue;
        ++seen;
        lines.push_back(it->path().string() + " " + stamp(it->path()));
      }
      std::sort(lines.begin(), lines.end());
      all += name + "/\n" + join(lines, "\n") + "\n";
    } else {
      all += name + " " + (fs::exists(path, error) ? stamp(path) : "") + "\n";
    }
  }
  return fingerprint(all);
}

std::vector<std::string> texts_of(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const auto* list = object.if_contains(key);
  if (!list || !list->is_array()) return out;
  for (const auto& item : list->get_array()) {
    if (item.is_string()) out.emplace_back(item.get_string());
  }
  return out;
}

int number_or_zero(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() && value->get_int64() > 0 && value->get_int64() < 100'000'000 ? static_cast<int>(value->get_int64()) : 0;
}

// The files that did not compile, as errors; `root` makes their places relative.
std::map<std::string, Error> broken_of(const json::object& answer, const std::vector<project::SourceFile>& sources, const fs::path& root) {
  std::map<std::string, Error> out;
  const auto* list = answer.if_contains("broken");
  if (!list || !list->is_array()) return out;
  for (const auto& item : list->get_array()) {
    if (!item.is_object()) continue;
    const auto& object = item.get_object();
    const auto source = std::find_if(sources.begin(), sources.end(), [&](const auto& s) { return s.relative == string_or(object, "path"); });
    if (source == sources.end()) continue;
    std::string file(string_or(object, "file"));
    if (file.empty()) file = source->relative;
    if (const std::string prefix = root.string() + "/"; file.starts_with(prefix)) file = file.substr(prefix.size());
    out.emplace(source->path.string(), Error(ErrorCode::kBuildFailed, source->relative + " does not compile: " + std::string(string_or(object, "message")),
                                             "The functions of other files still work.")
                                           .at(file, number_or_zero(object, "line"), number_or_zero(object, "column"))
                                           .with_detail(std::string(string_or(object, "detail"))));
  }
  return out;
}

// Programs that no engine of this project has looked at for a day.
void drop_old(const fs::path& folder, const fs::path& current) {
  std::error_code error;
  const auto oldest = fs::file_time_type::clock::now() - kKept;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->path().filename().string().starts_with("program-") || it->path() == current) continue;
    if (fs::last_write_time(it->path(), ignored) < oldest && !ignored) fs::remove_all(it->path(), ignored);
  }
}

}  // namespace

Result<Built> build(const project::Language& language, const fs::path& root, const std::vector<project::SourceFile>& sources,
                    const fs::path& cache, const std::atomic<bool>& stopping) {
  auto interpreter = find_interpreter(language, root);
  if (!interpreter) return fail(std::move(interpreter.error()));
  const fs::path folder = cache / language.name / fingerprint(root.string());
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::kIo, folder.string() + ": cannot create: " + error.message());
  auto lock = FolderLock::take(folder, stopping);
  if (!lock) return fail(std::move(lock.error()));

  std::string about = fingerprint_of_folder(language.resources) + " " + *interpreter + " " + stamp(*interpreter) + "\n";
  json::array files;
  for (const auto& source : sources) {
    auto text = read_file(source.path);
    if (!text) continue;  // gone since the tree was read
    about += source.path.string() + ":" + fingerprint(*text) + "-" + std::to_string(text->size()) + "\n";
    files.push_back(json::object{{"kind", source.kind == project::SourceKind::kFunction ? "function" : source.kind == project::SourceKind::kAssistant ? "assistant" : "memory"},
                                 {"module", source.module}, {"path", source.relative}, {"absolute", source.path.string()}});
  }
  const std::string key = fingerprint(about);
  const fs::path kept = folder / "built.json";
  if (auto text = read_file(kept, kMostAnswer)) {
    auto value = parse_json(*text);
    if (value && value->is_object()) {
      const auto& object = value->get_object();
      const auto* format = object.if_contains("format");
      const fs::path program = folder / std::string(string_or(object, "program"));
      if (format && *format == kFormat && string_or(object, "key") == key && fs::exists(program, error) &&
          string_or(object, "stamps") == stamps_of(texts_of(object, "depends"), root)) {
        std::error_code ignored;
        fs::last_write_time(program, fs::file_time_type::clock::now(), ignored);
        return Built{program, broken_of(object, sources, root)};
      }
    }
  }

  const std::string what = "the build program of " + language.name;
  const fs::path beside = folder / "program.new";
  fs::remove_all(beside, error);
  process::SpawnSpec spec;
  spec.argv = filled(language.builder, usual_values(language, root, *interpreter));
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
  spec.directory = root;
  spec.input = compact_json(json::object{{"version", 1}, {"project", root.string()}, {"interpreter", *interpreter},
                                         {"resources", language.resources.string()}, {"sdk", (language.resources / language.sdk).string()},
                                         {"folder", folder.string()}, {"program", beside.string()}, {"files", std::move(files)}});
  spec.separate_errors = true;
  auto run = process::run(std::move(spec), kBuildTime, kMostAnswer, &stopping);
  if (!run) return fail(std::move(run.error()));
  if (stopping) return fail(ErrorCode::kCancelled, "the engine stopped while it built the " + language.name + " functions");
  if (run->timed_out) return fail(Error(ErrorCode::kBuildFailed, what + " took over five minutes").with_detail(run->errors));
  if (run->status.code != 0) {
    const auto lines = split_lines(trim(run->errors));
    return fail(Error(ErrorCode::kBuildFailed, "the " + language.name + " functions cannot be built: " +
                          (lines.empty() ? what + " " + run->status.text() : std::string(lines.back())))
                    .with_detail(run->errors));
  }
  auto answer = parse_json(run->output);
  if (!answer || !answer->is_object()) {
    return fail(Error(ErrorCode::kProtocol, what + " must answer one JSON object on standard output (spec/build.md)")
                    .with_detail(run->output.substr(0, 2000) + run->errors.substr(0, 2000)));
  }
  if (!fs::exists(beside, error)) return fail(ErrorCode::kProtocol, what + " ended well, but made no program at the place it was given");

  auto& told = answer->get_object();
  const auto depends = texts_of(told, "depends");
  const std::string stamps = stamps_of(depends, root);
  const fs::path program = folder / ("program-" + fingerprint(key + stamps));
  if (fs::exists(program, error)) {
    // Built before from the same: the kept one may be running.
    fs::remove_all(beside, error);
  } else {
    fs::rename(beside, program, error);
    if (error) return fail(ErrorCode::kIo, program.string() + ": cannot write: " + error.message());
  }
  std::error_code ignored;
  fs::last_write_time(program, fs::file_time_type::clock::now(), ignored);
  drop_old(folder, program);
  json::array names;
  for (const auto& name : depends) names.push_back(json::value(name));
  json::object keep{{"format", kFormat}, {"key", key}, {"program", program.filename().string()}, {"depends", std::move(names)}, {"stamps", stamps}};
  if (const auto* broken = told.if_contains("broken")) keep["broken"] = *broken;
  // Where it cannot be kept, the program is built again next time.
  (void)write_file(kept, compact_json(keep));
  return Built{program, broken_of(told, sources, root)};
}

}  // namespace sabir::languages

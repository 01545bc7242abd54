#include "sabir/secrets/secrets.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"

extern char** environ;

namespace sabir::secrets {
namespace {

constexpr std::string_view kShown = "config/secrets.json";
constexpr std::size_t kMostFileBytes = std::size_t{1} << 20U;
constexpr std::chrono::seconds kGitTimeout{3};

using Values = std::map<std::string, std::string, std::less<>>;

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  timespec modified{};
  timespec changed{};
  bool operator==(const Identity& o) const {
    return device == o.device && inode == o.inode && size == o.size && modified.tv_sec == o.modified.tv_sec &&
           modified.tv_nsec == o.modified.tv_nsec && changed.tv_sec == o.changed.tv_sec && changed.tv_nsec == o.changed.tv_nsec;
  }
};

Identity identity_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim, info.st_ctim};
}

Error config_error(std::string message, std::string hint) {
  return Error(ErrorCode::kConfig, std::move(message), std::move(hint)).at(std::string(kShown));
}

// The index of the repository that holds `root`, or "" outside any.
std::filesystem::path git_index(std::filesystem::path root) {
  std::error_code ec;
  root = std::filesystem::absolute(root, ec);
  while (true) {
    const auto git = root / ".git";
    if (std::filesystem::is_directory(git, ec)) return git / "index";
    if (std::filesystem::exists(git, ec)) return git;  // a worktree's pointer file
    if (root == root.root_path() || root.empty()) return {};
    root = root.parent_path();
  }
}

// Whether git has config/secrets.json in its index. Without git, or when it gives no answer in time, false.
bool tracked_by_git(const std::filesystem::path& root) {
  std::vector<std::string> words = {"git", "-C", root.string(), "ls-files", "--error-unmatch", "--", std::string(kShown)};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // A GIT_DIR of the caller (a hook, say) would ask another repository.
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("GIT_")) environment.push_back(*entry);
  }
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {0, 1, 2}) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, "git", &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + kGitTimeout;
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) return false;
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      log(LogLevel::kWarning, "git has not said in time whether config/secrets.json is tracked");
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Result<Values> parse_values(std::string_view text) {
  if (trim(text).empty()) return Values{};
  auto value = parse_json(text);
  if (!value) {
    Error error = config_error(std::string(kShown) + ": " + value.error().message,
                               "The file is one JSON object: {\"openai_api_key\": \"…\"}");
    error.line = value.error().line;
    error.column = value.error().column;
    return fail(std::move(error));
  }
  if (!value->is_object()) {
    return fail(config_error(std::string(kShown) + ": not a JSON object",
                             "The file is one JSON object: {\"openai_api_key\": \"…\"}"));
  }
  Values values;
  for (const auto& member : value->get_object()) {
    if (!member.value().is_string()) {
      return fail(config_error(std::string(kShown) + ": the value of '" + std::string(member.key()) + "' is not a string",
                               "Put the value between double quotes."));
    }
    values[std::string(member.key())] = std::string(member.value().get_string());
  }
  return values;
}

}  // namespace

std::string_view source_name(Source source) {
  switch (source) {
    case Source::kEnvironment:
      return "environment";
    case Source::kFile:
      return kShown;
    case Source::kNone:
      break;
  }
  return "missing";
}

bool is_secret_name(std::string_view name) {
  if (name.empty() || name.size() > 100 || name.front() < 'a' || name.front() > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

std::string variable_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

bool is_placeholder(std::string_view value) {
  value = trim(value);
  return value.starts_with("YOUR_") || value.starts_with("<your") || value.starts_with("<YOUR");
}

struct Secrets::State {
  std::filesystem::path root;
  std::filesystem::path file;
  mutable std::mutex mutex;
  // What was read last, and of which state of the file and of git's index.
  mutable Identity seen;
  mutable Identity seen_index;
  mutable Values values;
  mutable bool loaded = false;

  Result<const Values*> load(Redactor& redactor) const;
};

// REQUIRES: `mutex` is held.
Result<const Values*> Secrets::State::load(Redactor& redactor) const {
  const auto forget = [&] {
    values.clear();
    loaded = false;
    return &values;
  };
  // Opened first and examined through the descriptor, so that what is checked is what is read.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    const int number = errno;
    forget();
    if (number == ENOENT || number == ENOTDIR) return &values;
    if (number == ELOOP) {
      return fail(config_error(std::string(kShown) + ": is a symbolic link", "Put a regular file there."));
    }
    if (number == EACCES) {
      return fail(config_error(std::string(kShown) + ": may not be read by this user",
                               "Run: sudo chown \"$USER\" " + std::string(kShown)));
    }
    return fail(config_error(std::string(kShown) + ": cannot be opened", "Put a regular file there."));
  }
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    ::close(fd);
    forget();
    return fail(config_error(std::string(kShown) + ": is not a regular file", "Put a regular file there."));
  }
  if ((info.st_mode & 0077U) != 0) {
    ::close(fd);
    forget();
    return fail(config_error(std::string(kShown) + ": other users of this machine can read or write it",
                             "Run: chmod 600 " + std::string(kShown)));
  }
  const auto index = git_index(root);
  Identity index_now;
  if (struct stat index_info {}; !index.empty() && ::stat(index.c_str(), &index_info) == 0) {
    index_now = identity_of(index_info);
  }
  if (loaded && identity_of(info) == seen && index_now == seen_index) {
    ::close(fd);
    return &values;
  }
  forget();
  if (!index.empty() && tracked_by_git(root)) {
    ::close(fd);
    return fail(config_error(std::string(kShown) + ": is tracked by git, so its values leave this machine with the code",
                             "Run: git rm --cached " + std::string(kShown) + " && echo " + std::string(kShown) +
                                 " >> .gitignore; then change the keys that were committed."));
  }
  std::string text;
  char buffer[16384];
  while (text.size() <= kMostFileBytes) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(fd);
  if (text.size() > kMostFileBytes) {
    return fail(config_error(std::string(kShown) + ": larger than " + std::to_string(kMostFileBytes) + " bytes", ""));
  }
  auto parsed = parse_values(text);
  if (!parsed) return fail(std::move(parsed.error()));
  values = std::move(*parsed);
  seen = identity_of(info);
  seen_index = index_now;
  loaded = true;
  for (const auto& [name, value] : values) {
    if (!is_placeholder(value)) redactor.add(name, value);
  }
  return &values;
}

Secrets::Secrets(std::filesystem::path root) : state_(std::make_unique<State>()), redactor_(std::make_shared<Redactor>()) {
  state_->file = root / "config" / "secrets.json";
  state_->root = std::move(root);
}

Secrets::~Secrets() = default;

Result<std::string> Secrets::resolve(const std::string& name) const {
  if (!is_secret_name(name)) {
    return fail(ErrorCode::kInvalidArguments, "'" + name + "' is not a secret's name",
                "Names are lower-case letters, digits and _, as in openai_api_key.");
  }
  const std::string variable = variable_name(name);
  if (const char* value = std::getenv(variable.c_str()); value != nullptr && *value != '\0' && !is_placeholder(value)) {
    redactor_->add(name, value);
    return std::string(value);
  }
  const std::lock_guard lock(state_->mutex);
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  const auto found = (*values)->find(name);
  if (found != (*values)->end() && !trim(found->second).empty() && !is_placeholder(found->second)) return found->second;
  const bool placeholder = found != (*values)->end();
  return fail(ErrorCode::kSecretMissing,
              "the secret '" + name + "' is not set" +
                  (placeholder ? ": " + std::string(kShown) + " holds a placeholder for it" : std::string{}),
              "Set the environment variable " + variable + ", or store it in config/secrets.json: sabir secrets set " + name);
}

Result<std::vector<SecretInfo>> Secrets::list(const std::vector<std::string>& also) const {
  const std::lock_guard lock(state_->mutex);
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  std::map<std::string, Source> names;
  for (const auto& [name, value] : **values) {
    names[name] = trim(value).empty() || is_placeholder(value) ? Source::kNone : Source::kFile;
  }
  for (const auto& name : also) names.emplace(name, Source::kNone);
  std::vector<SecretInfo> out;
  for (auto& [name, source] : names) {
    const char* value = std::getenv(variable_name(name).c_str());
    if (value != nullptr && *value != '\0' && !is_placeholder(value)) source = Source::kEnvironment;
    out.push_back({name, source});
  }
  return out;
}

namespace {

// One writer at a time, across processes too: the lock is on the folder, so that it leaves no file behind.
class WriteLock {
 public:
  explicit WriteLock(const std::filesystem::path& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  ~WriteLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  int fd_;
};

Result<void> write_values(const std::filesystem::path& file, const Values& values) {
  json::object object;
  for (const auto& [name, value] : values) object[name] = value;
  return write_file(file, pretty_json(object) + "\n", 0600);
}

}  // namespace

Result<void> Secrets::set(const std::string& name, std::string_view value) {
  if (!is_secret_name(name)) {
    return fail(ErrorCode::kInvalidArguments, "'" + name + "' is not a secret's name",
                "Names are lower-case letters, digits and _, as in openai_api_key.");
  }
  if (trim(value).empty() || value.size() > 65536 || find_invalid_utf8(value) != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArguments,
                "the value for the secret '" + name + "' is empty, not UTF-8, or larger than 65536 bytes",
                "Give it on standard input: printf %s \"$KEY\" | sabir secrets set " + name);
  }
  const std::lock_guard lock(state_->mutex);
  std::error_code ec;
  std::filesystem::create_directories(state_->file.parent_path(), ec);
  const WriteLock only_writer(state_->file.parent_path());
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  Values changed = **values;
  changed[name] = std::string(value);
  redactor_->add(name, value);
  return write_values(state_->file, changed);
}

Result<bool> Secrets::remove(const std::string& name) {
  const std::lock_guard lock(state_->mutex);
  std::error_code ec;
  if (!std::filesystem::exists(state_->file, ec)) return false;
  const WriteLock only_writer(state_->file.parent_path());
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  Values changed = **values;
  if (changed.erase(name) == 0) return false;
  if (auto written = write_values(state_->file, changed); !written) return fail(written.error());
  return true;
}

void Secrets::install_redactor() const {
  {
    const std::lock_guard lock(state_->mutex);
    (void)state_->load(*redactor_);
  }
  set_log_redactor([redactor = redactor_](std::string_view text) { return redactor->redact(text); });
}

}  // namespace sabir::secrets

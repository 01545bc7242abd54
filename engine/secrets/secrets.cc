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
#include <optional>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "place.h"

extern char** environ;

namespace sabir::secrets {
namespace {

constexpr std::string_view kShown = "config/secrets.json";
constexpr std::size_t kMostFileBytes = std::size_t{1} << 20U;
constexpr std::chrono::seconds kGitTimeout{3};
constexpr std::chrono::hours kStale{24};
constexpr std::chrono::seconds kWaitsKnown{1};
constexpr std::chrono::seconds kAway{5};  // after a machine could not be asked, until it is tried again: not once for each secret
using Clock = std::chrono::steady_clock;

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

}  // namespace

Result<Values> parse_values(std::string_view text, const std::string& file) {
  constexpr const char* kHint = "The file is one JSON object: {\"openai_api_key\": \"…\"}";
  if (trim(text).empty()) return Values{};
  auto value = parse_json(text);
  if (!value) return fail(Error(ErrorCode::kConfig, file + ": " + value.error().message, kHint).at(file, value.error().line, value.error().column));
  if (!value->is_object()) return fail(Error(ErrorCode::kConfig, file + ": not a JSON object", kHint).at(file));
  Values values;
  for (const auto& member : value->get_object()) {
    if (!member.value().is_string()) {
      return fail(Error(ErrorCode::kConfig, file + ": the value of '" + std::string(member.key()) + "' is not a string", "Put the value between double quotes.").at(file));
    }
    values[std::string(member.key())] = std::string(member.value().get_string());
  }
  return values;
}

std::string values_text(const Values& values) {
  json::object object;
  for (const auto& [name, value] : values) object[name] = value;
  return pretty_json(object) + "\n";
}

bool is_secret_name(std::string_view name) {
  if (name.empty() || name.size() > 100 || name.front() < 'a' || name.front() > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

std::size_t find_reference(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find("${secret:", from); at != std::string_view::npos; at = text.find("${secret:", at + 1)) {
    if (at == 0 || text[at - 1] != '$') return at;
  }
  return std::string_view::npos;
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

  Settings settings;
  // Those of `settings.order` but the environment and the file, which are read here; by their names in it.
  std::vector<std::pair<std::string, std::unique_ptr<Place>>> places;
  // What a place has said, with when it was asked or the stamp of what it was read from.
  struct Known {
    std::optional<std::string> value;
    Clock::time_point asked;
    std::string stamp;
  };
  mutable std::mutex known_mutex;
  mutable std::map<std::pair<const Place*, std::string>, Known> known;
  mutable bool waits = false;                // as may_wait() said last
  mutable Clock::time_point waits_until{};   // that long it holds
  mutable std::map<const Place*, std::pair<Clock::time_point, Error>> away;  // the last failure of each that could not be asked

  Result<const Values*> load(Redactor& redactor) const;
  Result<std::optional<std::string>> ask(Place& place, const std::string& name) const;
  Place* place(std::string_view kind) const {
    for (const auto& [own, one] : places) {
      if (own == kind) return one.get();
    }
    return nullptr;
  }
  // The place of that kind, or where `usual` says; null = the file, or no such place.
  Place* chosen(const std::string& kind, const std::string& usual) const {
    if (!kind.empty()) return place(kind);
    for (const auto& [own, one] : places) {
      if (one->name() == usual) return one.get();
    }
    return nullptr;
  }
  bool asks(std::string_view kind) const { return std::find(settings.order.begin(), settings.order.end(), kind) != settings.order.end(); }
};

Result<std::optional<std::string>> Secrets::State::ask(Place& place, const std::string& name) const {
  const std::pair key(&place, name);
  const auto now = Clock::now();
  const std::string stamp = place.stamp();
  std::optional<Known> before;
  {
    const std::lock_guard lock(known_mutex);
    if (const auto found = known.find(key); found != known.end()) before = found->second;
  }
  if (before && (place.is_remote() ? now - before->asked < settings.refresh : before->stamp == stamp)) return before->value;
  auto value = [&]() -> Result<std::optional<std::string>> {
    {
      const std::lock_guard lock(known_mutex);
      if (const auto last = away.find(&place); last != away.end() && now - last->second.first < kAway) return fail(last->second.second);
    }
    auto said = place.get(name);
    if (!said && place.is_remote() && (said.error().code == ErrorCode::kUnavailable || said.error().code == ErrorCode::kTimeout)) {
      const std::lock_guard lock(known_mutex);
      away.insert_or_assign(&place, std::pair(Clock::now(), said.error()));
    }
    return said;
  }();
  if (!value) {
    // A machine that cannot be reached for a while takes nothing away.
    if (before && place.is_remote() && before->value && now - before->asked < kStale && value.error().code != ErrorCode::kNotGranted) {
      log(LogLevel::kWarning, "the secret '" + name + "' could not be asked for again, and stays what it was: " + value.error().message);
      return before->value;
    }
    return fail(std::move(value.error()));
  }
  const std::lock_guard lock(known_mutex);
  known[key] = {*value, now, stamp};
  return value;
}

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
  const bool is_seen = ::fstat(fd, &info) == 0;
  if (!is_seen || !S_ISREG(info.st_mode)) {
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
  auto parsed = parse_values(text, std::string(kShown));
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

Secrets::Secrets(std::filesystem::path root, Settings settings) : state_(std::make_unique<State>()), redactor_(std::make_shared<Redactor>()) {
  state_->file = root / "config" / "secrets.json";
  // A deployed release has no such file of its own: whoever starts it says where its environment's is.
  if (const char* elsewhere = std::getenv("SABIR_SECRETS_FILE"); elsewhere && *elsewhere == '/') state_->file = elsewhere;
  state_->settings = std::move(settings);
  for (const auto& kind : state_->settings.order) {
    if (kind == "age") state_->places.emplace_back(kind, make_age_place(root, state_->settings.age));
    if (kind == "aws") state_->places.emplace_back(kind, make_aws_place(state_->settings));
    if (kind == "vault") state_->places.emplace_back(kind, make_vault_place(state_->settings));
  }
  state_->root = std::move(root);
}

Secrets::~Secrets() = default;

const Settings& Secrets::settings() const { return state_->settings; }

bool Secrets::may_wait() const {
  const std::lock_guard lock(state_->known_mutex);
  const auto now = Clock::now();
  if (now >= state_->waits_until) {
    std::error_code ec;
    state_->waits = std::any_of(state_->places.begin(), state_->places.end(), [&](const auto& one) {
      return one.second->is_remote() || std::filesystem::exists(state_->root / one.second->name(), ec);
    });
    state_->waits_until = now + kWaitsKnown;
  }
  return state_->waits;
}

void Secrets::refresh() const {
  const std::lock_guard lock(state_->known_mutex);
  state_->known.clear();
  state_->away.clear();
}

Result<std::string> Secrets::fill_in(std::string_view text) const {
  std::string out;
  const auto literal = [&](std::string_view part) {
    for (std::size_t at = 0; at < part.size(); ++at) {
      if (part.substr(at).starts_with("$${secret:")) ++at;
      out += part[at];
    }
  };
  std::size_t at = 0;
  for (std::size_t begin = find_reference(text); begin != std::string_view::npos; begin = find_reference(text, at)) {
    const std::size_t end = text.find('}', begin);
    if (end == std::string_view::npos) break;
    auto value = resolve(std::string(text.substr(begin + 9, end - begin - 9)));
    if (!value) return value;
    literal(text.substr(at, begin - at));
    out += *value;
    at = end + 1;
  }
  literal(text.substr(at));
  return out;
}

Result<std::string> Secrets::resolve(const std::string& name) const {
  if (!is_secret_name(name)) {
    return fail(ErrorCode::kInvalidArguments, "'" + name + "' is not a secret's name",
                "Names are lower-case letters, digits and _, as in openai_api_key.");
  }
  const std::string variable = variable_name(name);
  std::string placeholder;
  for (const auto& kind : state_->settings.order) {
    std::optional<std::string> value;
    std::string where;
    if (kind == "environment") {
      if (const char* text = std::getenv(variable.c_str()); text != nullptr && *text != '\0') value = text;
    } else if (kind == "file") {
      where = kShown;
      const std::lock_guard lock(state_->mutex);
      const auto values = state_->load(*redactor_);
      if (!values) return fail(values.error());
      if (const auto found = (*values)->find(name); found != (*values)->end()) value = found->second;
    } else if (auto* const place = state_->place(kind)) {
      where = place->name();
      auto said = state_->ask(*place, name);
      if (!said) return fail(std::move(said.error()));
      value = std::move(*said);
    }
    if (!value || trim(*value).empty()) continue;
    if (is_placeholder(*value)) {
      if (placeholder.empty()) placeholder = where;
      continue;
    }
    redactor_->add(name, *value);
    return std::move(*value);
  }
  return fail(ErrorCode::kSecretMissing, "the secret '" + name + "' is not set" + (placeholder.empty() ? std::string{} : ": " + placeholder + " holds a placeholder for it"),
              "Set the environment variable " + variable + ", or store it in " + written_to() + ": sabir secrets set " + name +
                  (state_->settings.environment == "development" ? "" : " --env " + state_->settings.environment));
}

Result<std::vector<SecretInfo>> Secrets::list(const std::vector<std::string>& also) const {
  std::map<std::string, std::string> names;
  for (const auto& name : also) names.emplace(name, "missing");
  const auto is_set = [](const std::string& value) { return !trim(value).empty() && !is_placeholder(value); };
  std::map<std::string, std::string> found;
  const auto take = [&](const std::string& name, const std::string& where) {
    names.emplace(name, "missing");
    found.emplace(name, where);
  };
  std::vector<std::string> of_environment;
  for (const auto& kind : state_->settings.order) {
    if (kind == "environment") {
      // Any name that another place or the caller knows; it wins where it stands first.
      for (const auto& other : state_->settings.order) {
        if (other == "environment") break;
        of_environment.push_back(other);
      }
    } else if (kind == "file") {
      const std::lock_guard lock(state_->mutex);
      const auto values = state_->load(*redactor_);
      if (!values) return fail(values.error());
      for (const auto& [name, value] : **values) {
        if (is_set(value)) take(name, std::string(kShown));
        else names.emplace(name, "missing");
      }
    } else if (auto* const place = state_->place(kind)) {
      auto there = place->names();
      if (!there) return fail(std::move(there.error()));
      for (const auto& name : *there) take(name, place->name());
    }
  }
  std::vector<SecretInfo> out;
  for (const auto& [name, nowhere] : names) {
    SecretInfo info{name, nowhere};
    if (const auto at = found.find(name); at != found.end()) info.source = at->second;
    const char* value = std::getenv(variable_name(name).c_str());
    const bool first = of_environment.empty() || info.source == "missing";
    if (state_->asks("environment") && first && value != nullptr && is_set(value)) info.source = "environment";
    out.push_back(std::move(info));
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> Secrets::values() const {
  std::vector<std::pair<std::string, std::string>> out;
  if (state_->asks("file")) {
    const std::lock_guard lock(state_->mutex);
    const auto values = state_->load(*redactor_);
    if (!values) return fail(values.error());
    for (const auto& [name, value] : **values) {
      if (!trim(value).empty() && !is_placeholder(value)) out.emplace_back(name, value);
    }
  }
  for (const auto& [kind, place] : state_->places) {
    auto names = place->names();
    if (!names) return fail(std::move(names.error()));
    for (const auto& name : *names) {
      auto value = state_->ask(*place, name);
      if (!value) return fail(std::move(value.error()));
      if (*value && !trim(**value).empty()) {
        redactor_->add(name, **value);
        out.emplace_back(name, **value);
      }
    }
  }
  return out;
}

std::string Secrets::written_to(const std::string& place) const {
  const auto& s = *state_;
  if (const auto* chosen = s.place(place)) return chosen->name();
  if (!place.empty()) return std::string(kShown);
  for (auto one = s.places.rbegin(); one != s.places.rend(); ++one) {
    if (one->second->is_remote()) return one->second->name();
  }
  std::error_code ec;
  if (auto* const age = s.place("age"); age && (!s.asks("file") || std::filesystem::exists(s.root / age->name(), ec))) return age->name();
  return std::string(kShown);
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

}  // namespace

namespace {
Error no_place(const std::string& place) {
  return Error(ErrorCode::kInvalidArguments, "'" + place + "' is none of this environment's places for secrets", "Add it to `order` in config/secrets_config.yml; places are file, age, aws and vault.");
}
}  // namespace

Result<void> Secrets::set(const std::string& name, std::string_view value, const std::string& place) {
  if (!is_secret_name(name)) {
    return fail(ErrorCode::kInvalidArguments, "'" + name + "' is not a secret's name",
                "Names are lower-case letters, digits and _, as in openai_api_key.");
  }
  if (trim(value).empty() || value.size() > 65536 || find_invalid_utf8(value) != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArguments,
                "the value for the secret '" + name + "' is empty, not UTF-8, or larger than 65536 bytes",
                "Give it on standard input: printf %s \"$KEY\" | sabir secrets set " + name);
  }
  redactor_->add(name, value);
  const std::lock_guard lock(state_->mutex);
  std::error_code ec;
  std::filesystem::create_directories(state_->file.parent_path(), ec);
  const WriteLock only_writer(state_->file.parent_path());
  if (auto* const other = state_->chosen(place, written_to())) {
    auto done = other->set(name, std::string(value));
    if (done) refresh();
    return done;
  }
  if (!place.empty() && place != "file") return fail(no_place(place));
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  Values changed = **values;
  changed[name] = std::string(value);
  return write_file(state_->file, values_text(changed), 0600);
}

Result<bool> Secrets::remove(const std::string& name, const std::string& place) {
  const std::lock_guard lock(state_->mutex);
  std::error_code ec;
  std::filesystem::create_directories(state_->file.parent_path(), ec);
  const WriteLock only_writer(state_->file.parent_path());
  if (auto* const other = state_->chosen(place, written_to())) {
    auto done = other->remove(name);
    if (done) refresh();
    return done;
  }
  if (!place.empty() && place != "file") return fail(no_place(place));
  if (!std::filesystem::exists(state_->file, ec)) return false;
  const auto values = state_->load(*redactor_);
  if (!values) return fail(values.error());
  Values changed = **values;
  if (changed.erase(name) == 0) return false;
  if (auto written = write_file(state_->file, values_text(changed), 0600); !written) return fail(written.error());
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

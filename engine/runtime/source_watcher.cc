#include "source_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

#include "sabir/base/log.h"

namespace sabir::runtime {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostFolders = 4096;
constexpr int kDeepest = 32;
constexpr std::chrono::milliseconds kQuiet{20};    // without another event
constexpr std::chrono::milliseconds kLongest{120}; // after the first event, whatever comes
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;

bool is_ignored(const std::string& name) {
  static const std::set<std::string_view> kFolders = {"__pycache__", "node_modules", "vendor", "target", "venv", "tests"};
  return name.empty() || name.front() == '.' || name.front() == '#' || name.back() == '~' || name.ends_with(".pyc") || name.ends_with(".swp") ||
         name.ends_with(".tmp") || kFolders.contains(name);
}

}  // namespace

Result<std::unique_ptr<SourceWatcher>> SourceWatcher::start(net::Loop& loop, fs::path root, std::function<void(std::set<std::string>)> changed) {
  process::Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return fail(ErrorCode::kUnavailable, "saved files are not noticed: the system gives no more inotify instances");
  return std::unique_ptr<SourceWatcher>(new SourceWatcher(loop, std::move(root), std::move(changed), std::move(fd)));
}

SourceWatcher::SourceWatcher(net::Loop& loop, fs::path root, std::function<void(std::set<std::string>)> changed, process::Fd fd)
    : loop_(loop), root_(std::move(root)), changed_(std::move(changed)), fd_(std::move(fd)) {
  watch_folder(root_);
  for (const char* folder : {"functions", "assistants", "memory", "config", "languages"}) watch_tree(root_ / folder, 0);
  listen();
}

SourceWatcher::~SourceWatcher() {
  loop_.unwatch(watch_);
  loop_.cancel(timer_);
}

void SourceWatcher::watch(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (trees_.insert(path).second) watch_tree(path, 0);
  } else if (files_.insert(path).second) {
    watch_folder(path.parent_path());
  }
}

// What happens in a folder that is watched for some of its files alone is of no interest beyond these.
bool SourceWatcher::concerns(const fs::path& folder, const std::string& name) const {
  static const std::set<std::string_view> kOwn = {"functions", "assistants", "memory", "config", "languages"};
  const fs::path path = folder / name;
  if (files_.contains(path)) return true;
  for (const auto& tree : trees_) {
    if (std::mismatch(tree.begin(), tree.end(), path.begin(), path.end()).first == tree.end()) return true;
  }
  const auto relative = path.lexically_relative(root_);
  return folder == root_ ? (name.starts_with("sabir.") && name.ends_with(".yml")) || kOwn.contains(name) : !relative.empty() && kOwn.contains(relative.begin()->string());
}

void SourceWatcher::watch_folder(const fs::path& folder) {
  if (folders_.size() >= kMostFolders) return;
  const int id = ::inotify_add_watch(fd_.get(), folder.c_str(), kEvents);
  if (id >= 0) {
    folders_[id] = folder;
  } else if (errno == ENOSPC) {
    log(LogLevel::kWarning, "changes below " + folder.string() + " are not noticed: the system's limit of inotify watches is reached");
  }
}

void SourceWatcher::watch_tree(const fs::path& folder, int depth) {
  std::error_code error;
  if (depth > kDeepest || !fs::is_directory(fs::symlink_status(folder, error))) return;
  watch_folder(folder);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_ignored(it->path().filename().string())) watch_tree(it->path(), depth + 1);
  }
}

void SourceWatcher::listen() {
  watch_ = loop_.when_readable(fd_.get(), [this] {
    read_events();
    listen();
  });
}

void SourceWatcher::read_events() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  while (true) {
    const auto size = ::read(fd_.get(), buffer.data(), buffer.size());
    if (size <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof(inotify_event) + event->len;
      if (event->mask & IN_Q_OVERFLOW) {
        everything_ = true;
        arm();
        continue;
      }
      if (event->mask & IN_IGNORED) {
        folders_.erase(event->wd);
        continue;
      }
      const auto folder = folders_.find(event->wd);
      if (folder == folders_.end() || event->len == 0) continue;
      const std::string name(event->name);
      if (is_ignored(name)) continue;
      const fs::path path = folder->second / name;
      if (!concerns(folder->second, name)) continue;
      if (event->mask & IN_ISDIR) {
        // Files may have come with it before it was watched.
        if (event->mask & (IN_CREATE | IN_MOVED_TO)) watch_tree(path, 0);
      } else if (event->mask & IN_CREATE) {
        continue;  // its text comes with IN_CLOSE_WRITE
      }
      if (pending_.empty() && !everything_) first_ = Clock::now();
      const auto relative = path.lexically_relative(root_);
      pending_.insert(relative.empty() || *relative.begin() == ".." ? path.string() : relative.string());
      arm();
    }
  }
}

void SourceWatcher::arm() {
  loop_.cancel(timer_);
  const auto until = std::min(Clock::now() + kQuiet, first_ + kLongest);
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  timer_ = loop_.after(std::max(std::chrono::milliseconds(1), wait), [this] {
    timer_ = 0;
    auto paths = std::move(pending_);
    pending_.clear();
    if (std::exchange(everything_, false)) paths.clear();
    changed_(std::move(paths));
  });
}

}  // namespace sabir::runtime

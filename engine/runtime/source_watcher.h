// SourceWatcher: tells that files of a project were saved, soon after and once for many. Linux's inotify.
//
// Threads: the loop's.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "sabir/base/error.h"
#include "sabir/net/loop.h"
#include "sabir/process/spawn.h"

namespace sabir::runtime {

class SourceWatcher {
 public:
  // `changed` gets paths from the project's root; an empty set means that anything may have changed.
  // Errors: kUnavailable when the system gives no watches.
  static Result<std::unique_ptr<SourceWatcher>> start(net::Loop& loop, std::filesystem::path root,
                                                      std::function<void(std::set<std::string>)> changed);
  ~SourceWatcher();
  // A folder and what lies below it, or one file, besides the project's own folders. Paths outside the root are told absolute.
  void watch(const std::filesystem::path& path);

 private:
  SourceWatcher(net::Loop& loop, std::filesystem::path root, std::function<void(std::set<std::string>)> changed, process::Fd fd);
  void watch_tree(const std::filesystem::path& folder, int depth);
  bool concerns(const std::filesystem::path& folder, const std::string& name) const;
  void watch_folder(const std::filesystem::path& folder);
  void listen();
  void read_events();
  void arm();

  net::Loop& loop_;
  const std::filesystem::path root_;
  const std::function<void(std::set<std::string>)> changed_;
  process::Fd fd_;
  std::map<int, std::filesystem::path> folders_;
  std::set<std::filesystem::path> trees_;  // asked for by watch()
  std::set<std::filesystem::path> files_;
  std::set<std::string> pending_;
  bool everything_ = false;
  std::chrono::steady_clock::time_point first_;  // of what is pending
  net::Loop::WatchId watch_ = 0;
  net::Loop::TimerId timer_ = 0;
};

}  // namespace sabir::runtime

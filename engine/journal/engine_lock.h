// EngineLock: says which engines are alive, by a lock on a file that the kernel drops when the process dies. Works
// between containers that share a folder but not their process numbers.
//
// Threads: any. Lifetime: the engine counts as alive as long as its EngineLock lives.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sabir/base/error.h"

namespace sabir::journal {

class EngineLock {
 public:
  // Errors: kStorage, kStorageFull.
  static Result<std::unique_ptr<EngineLock>> take(const std::filesystem::path& folder, const std::string& engine);
  EngineLock(const EngineLock&) = delete;
  EngineLock& operator=(const EngineLock&) = delete;
  ~EngineLock();

  static bool is_alive(const std::filesystem::path& folder, const std::string& engine);
  // Removes a dead engine's file.
  static void forget(const std::filesystem::path& folder, const std::string& engine);

 private:
  EngineLock(int fd, std::filesystem::path file) : fd_(fd), file_(std::move(file)) {}
  int fd_;
  std::filesystem::path file_;
};

}  // namespace sabir::journal

// FileLock: several engines of one test run add to the same file. Private to the room.
//
// Threads: one at a time. Lifetime: the lock ends with the object, and with the process.
#pragma once

#include <cstdint>
#include <filesystem>

namespace sabir::recordings {

class FileLock {
 public:
  // Waits ten seconds at most; then goes on without.
  explicit FileLock(const std::filesystem::path& path);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  int fd_ = -1;
};

// When a file was written last, in Unix time; 0 where there is none.
std::int64_t changed_ms(const std::filesystem::path& path);

}  // namespace sabir::recordings

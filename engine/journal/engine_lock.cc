#include "engine_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sabir::journal {
namespace {
std::filesystem::path lock_file(const std::filesystem::path& folder, const std::string& engine) {
  return folder / (engine + ".lock");
}
}  // namespace

Result<std::unique_ptr<EngineLock>> EngineLock::take(const std::filesystem::path& folder, const std::string& engine) {
  const auto file = lock_file(folder, engine);
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
      if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return std::unique_ptr<EngineLock>(new EngineLock(fd, file));
      ::close(fd);
    }
  }
  const int number = errno;
  if (number == ENOSPC || number == EDQUOT) {
    return fail(ErrorCode::kStorageFull, "cannot write " + file.string() + ": the disk is full",
                "Free some space and try again.");
  }
  return fail(ErrorCode::kStorage, "cannot lock " + file.string() + ": " + std::strerror(number),
              "Check that you may write to its folder.");
}

EngineLock::~EngineLock() {
  ::unlink(file_.c_str());
  ::close(fd_);
}

bool EngineLock::is_alive(const std::filesystem::path& folder, const std::string& engine) {
  const int fd = ::open(lock_file(folder, engine).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

void EngineLock::forget(const std::filesystem::path& folder, const std::string& engine) {
  ::unlink(lock_file(folder, engine).c_str());
}

}  // namespace sabir::journal

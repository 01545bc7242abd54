#include "sabir/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sabir/base/ids.h"

namespace sabir {
namespace {
Error io_error(const std::filesystem::path& path, const char* what) {
  const int number = errno;
  if (number == ENOENT) return Error(ErrorCode::kNotFound, path.string() + ": no such file");
  if (number == ENOSPC || number == EDQUOT) {
    return Error(ErrorCode::kStorageFull, path.string() + ": the disk is full", "Free some space and try again.");
  }
  return Error(ErrorCode::kIo, path.string() + ": cannot " + what + ": " + std::strerror(number));
}
}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t most) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(io_error(path, "read"));
  std::string bytes;
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    bytes.reserve(std::min(static_cast<std::size_t>(info.st_size), most));
  }
  char buffer[65536];
  while (true) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      auto error = io_error(path, "read");
      ::close(fd);
      return fail(std::move(error));
    }
    if (n == 0) break;
    bytes.append(buffer, static_cast<std::size_t>(n));
    if (bytes.size() > most) {
      ::close(fd);
      return fail(ErrorCode::kLimit, path.string() + ": larger than " + std::to_string(most) + " bytes");
    }
  }
  ::close(fd);
  return bytes;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view bytes, int mode) {
  const std::filesystem::path beside = path.string() + "." + new_id() + ".tmp";
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode));
  if (fd < 0) return fail(io_error(path, "write"));
  ::fchmod(fd, static_cast<mode_t>(mode));
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      auto error = io_error(path, "write");
      ::close(fd);
      ::unlink(beside.c_str());
      return fail(std::move(error));
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::close(fd) != 0 || ::rename(beside.c_str(), path.c_str()) != 0) {
    auto error = io_error(path, "write");
    ::unlink(beside.c_str());
    return fail(std::move(error));
  }
  return {};
}

}  // namespace sabir

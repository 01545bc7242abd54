#include "digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sabir/bridge/bridge.h"
#include "sabir/process/spawn.h"

namespace sabir::deploy {
namespace {

std::string finish(sb_sha256* state) {
  char out[64];
  sb_sha256_finish(state, out);
  return {out, sizeof out};
}

}  // namespace

std::string sha256(std::string_view bytes) {
  auto* const state = sb_sha256_new();
  sb_sha256_update(state, {bytes.data(), bytes.size()});
  return finish(state);
}

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  const process::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, path.string() + ": " + std::strerror(errno));
  auto* const state = sb_sha256_new();
  std::string buffer(std::size_t{1} << 18U, '\0');
  while (true) {
    const auto n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int number = errno;
      (void)finish(state);
      return fail(ErrorCode::kIo, path.string() + ": " + std::strerror(number));
    }
    if (n == 0) return finish(state);
    sb_sha256_update(state, {buffer.data(), static_cast<std::size_t>(n)});
  }
}

}  // namespace sabir::deploy

#include "log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "sabir/process/spawn.h"

namespace sabir::deploy {
namespace {

constexpr off_t kMostTail = off_t{4} << 20U;
constexpr std::size_t kMostLine = 65536;
constexpr std::chrono::milliseconds kLook{150};

}  // namespace

Result<void> tail(const std::filesystem::path& file, const LogOptions& options, const Say& say) {
  process::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && !options.follow) return fail(ErrorCode::kNotFound, "there is no log yet: " + file.string() + " is not there");
  off_t at = 0;
  std::string line;
  std::array<char, 65536> buffer{};
  const auto read_on = [&](const Say& take) {
    while (true) {
      const auto n = ::pread(fd.get(), buffer.data(), buffer.size(), at);
      if (n <= 0) return;
      at += n;
      for (ssize_t i = 0; i < n; ++i) {
        const char c = buffer[static_cast<std::size_t>(i)];
        if (c != '\n' && line.size() < kMostLine) {
          line += c;
          continue;
        }
        take(line);
        line.clear();
      }
    }
  };
  if (fd) {
    struct stat info {};
    if (::fstat(fd.get(), &info) == 0) at = std::max<off_t>(info.st_size - kMostTail, 0);
    const bool cut = at > 0;
    std::vector<std::string> last;
    read_on([&](std::string_view one) { last.emplace_back(one); });
    if (cut && !last.empty()) last.erase(last.begin());
    const auto most = static_cast<std::size_t>(std::max(options.lines, 0));
    for (std::size_t i = last.size() > most ? last.size() - most : 0; i < last.size(); ++i) say(last[i]);
  }
  while (options.follow && !(options.stop && options.stop())) {
    std::this_thread::sleep_for(kLook);
    if (!fd) {
      fd = process::Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
      continue;
    }
    struct stat info {};
    if (::fstat(fd.get(), &info) == 0 && info.st_size < at) at = 0;
    read_on(say);
  }
  if (!line.empty()) say(line);
  return {};
}

}  // namespace sabir::deploy

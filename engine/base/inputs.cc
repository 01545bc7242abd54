#include "sabir/base/inputs.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>

namespace sabir {
namespace {

// The kernel's clock for files moves every 1 to 10 ms.
constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kCoarseTick{3};  // FAT counts in steps of two seconds

std::chrono::nanoseconds since_1970(const timespec& time) { return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec); }

Stamp::Numbers numbers_of(const struct stat& info) {
  return {static_cast<std::int64_t>(info.st_size), since_1970(info.st_mtim).count(), since_1970(info.st_ctim).count(),
          static_cast<std::int64_t>(info.st_ino), static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_mode)};
}

bool is_absent(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

Stamp stamp_of_content(const std::filesystem::path& path) {
  struct stat info {};
  Stamp out;
  if (::stat(path.c_str(), &info) != 0) {
    if (is_absent(errno)) out.text = "-";
    return out;
  }
  const auto written = since_1970(info.st_mtim);
  const auto changed = since_1970(info.st_ctim);
  out.changed = std::max(written, changed);
  out.coarse = info.st_mtim.tv_nsec == 0 && info.st_ctim.tv_nsec == 0;
  out.numbers = numbers_of(info);
  std::array<char, out.numbers.size() * 21> text{};  // of 64 bits each
  char* end = text.data();
  for (const std::int64_t number : out.numbers) {
    if (end != text.data()) *end++ = ' ';
    end = std::to_chars(end, text.data() + text.size(), number).ptr;
  }
  out.text.assign(text.data(), end);
  return out;
}

bool has_stamp_of_content(const std::filesystem::path& path, const Stamp::Numbers& numbers) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && numbers_of(info) == numbers;
}

Stamp stamp_of_place(const std::filesystem::path& path) {
  struct stat info {};
  Stamp out;
  if (::stat(path.c_str(), &info) != 0) {
    if (is_absent(errno)) out.text = "-";
    return out;
  }
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  // Of the link itself: what stands below a folder does not count.
  if (struct stat own {}; ::lstat(path.c_str(), &own) == 0) out.changed = since_1970(own.st_ctim);
  if (real) out.text = std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " " + real.get();
  return out;
}

bool is_settled(const Stamp& stamp, std::chrono::system_clock::time_point begun) {
  const auto tick = stamp.coarse ? std::chrono::duration_cast<std::chrono::milliseconds>(kCoarseTick) : kTick;
  return !stamp.text.empty() && stamp.changed + tick < begun.time_since_epoch();
}

}  // namespace sabir

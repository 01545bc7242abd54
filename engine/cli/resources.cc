#include "resources.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"

asm(".section .rodata\n"
    ".balign 16\n"
    "sabir_pack_begin: .incbin \"" SABIR_RESOURCES "\"\n"
    "sabir_pack_end: .byte 0\n"
    ".previous\n");
extern "C" {
extern const char sabir_pack_begin[] __attribute__((visibility("hidden")));
extern const char sabir_pack_end[] __attribute__((visibility("hidden")));
}

namespace sabir::cli {
namespace fs = std::filesystem;
namespace {

Result<void> unpack(std::string_view pack, const fs::path& folder) {
  pack.remove_prefix(pack.find('\n') + 1);
  while (!pack.empty()) {
    const std::size_t end = pack.find('\n');
    const std::string head(pack.substr(0, end));
    const std::size_t last = head.rfind(' ');
    const std::size_t middle = head.rfind(' ', last - 1);
    const std::size_t bytes = std::stoull(head.substr(last + 1));
    const int mode = std::stoi(head.substr(middle + 1, last - middle - 1), nullptr, 8);
    const fs::path file = folder / head.substr(0, middle);
    std::error_code ec;
    fs::create_directories(file.parent_path(), ec);
    if (ec) return fail(ErrorCode::kIo, file.parent_path().string() + ": cannot create: " + ec.message());
    if (auto written = write_file(file, pack.substr(end + 1, bytes), mode); !written) return written;
    pack.remove_prefix(end + 1 + bytes);
  }
  return {};
}

}  // namespace

fs::path cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') return fs::path(cache) / "sabir";
  if (const char* home = std::getenv("HOME"); home && *home == '/') return fs::path(home) / ".cache" / "sabir";
  return fs::path("/tmp") / ("sabir-cache-" + std::to_string(::getuid()));
}

Result<fs::path> resources() {
  if (const char* other = std::getenv("SABIR_RESOURCES"); other && *other) return fs::path(other);
  const std::string_view pack(sabir_pack_begin, static_cast<std::size_t>(sabir_pack_end - sabir_pack_begin));
  // "SABIR-PACK 1 <16 digits>"
  const std::string key(pack.substr(13, 16));
  const fs::path parent = cache_dir();
  const fs::path folder = parent / (std::string(SABIR_VERSION) + "-" + key);
  if (fs::exists(folder / ".complete")) return folder;
  std::error_code ec;
  fs::create_directories(parent, ec);
  const fs::path beside = parent / ("." + new_id());
  fs::create_directories(beside, ec);
  if (ec) {
    return fail(ErrorCode::kIo, beside.string() + ": cannot create: " + ec.message(),
                "The engine unpacks its language workers there; set XDG_CACHE_HOME to a folder that can be written.");
  }
  auto unpacked = unpack(pack, beside);
  if (unpacked) unpacked = write_file(beside / ".complete", "");
  if (!unpacked) {
    fs::remove_all(beside, ec);
    return fail(std::move(unpacked.error()));
  }
  fs::rename(beside, folder, ec);
  if (ec) {
    // Another process was first.
    std::error_code ignored;
    fs::remove_all(beside, ignored);
    if (!fs::exists(folder / ".complete")) return fail(ErrorCode::kIo, folder.string() + ": cannot create: " + ec.message());
  }
  return folder;
}

}  // namespace sabir::cli

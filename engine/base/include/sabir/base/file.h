// Whole files, written so that a reader sees the old content or the new, never half.
//
// Threads: any.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

namespace sabir {

// Errors: kNotFound, kIo, kLimit when the file is larger than `most` bytes.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t most = std::size_t{64} << 20U);

// Writes beside the target and renames. `mode` is the permission of the new file. Errors: kIo, kStorageFull.
Result<void> write_file(const std::filesystem::path& path, std::string_view bytes, int mode = 0644);

}  // namespace sabir

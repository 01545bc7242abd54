// SHA-256 of texts and files. Private to the room.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

namespace sabir::deploy {

// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
// Errors: kNotFound, kIo.
Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace sabir::deploy

// Files of NAME=value lines, as .env files are.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::secrets {

// Lines `NAME=value` with or without `export`; values bare (up to blank and #), in single quotes as they stand, or in double quotes with
// \n, \t, \\, \" and \$, over several lines where the quote goes on. Errors: kInvalidArguments at `file`'s line.
Result<std::vector<std::pair<std::string, std::string>>> parse_dotenv(std::string_view text, const std::string& file);

// The other way round: what parse_dotenv() and a shell read as `value`.
std::string dotenv_line(std::string_view name, std::string_view value);

}  // namespace sabir::secrets

// Base64 with the alphabet of URLs and without padding (RFC 4648, 5).
//
// Threads: pure function.
#pragma once

#include <string>
#include <string_view>

namespace sabir::mcp {

std::string url_base64(std::string_view bytes);

}  // namespace sabir::mcp

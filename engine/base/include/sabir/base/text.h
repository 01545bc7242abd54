// Text helpers that three or more rooms share.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir {

// "LookupOrder", "lookupOrder", "lookup-order" -> "lookup_order"; "HTTPServer2" -> "http_server2".
std::string to_snake_case(std::string_view name);

// Up to `most` of `candidates` within a third of the word's length in edits, nearest first.
std::vector<std::string> nearest_names(std::string_view word, const std::vector<std::string>& candidates,
                                       std::size_t most = 3);

// "Did you mean a, b or c?", or "" when there is none.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// Lower-case hexadecimal FNV-1a (64 bit), for cache keys and file names; not for security.
std::string fingerprint(std::string_view bytes);

// The same for what is long: eight bytes at a time. Of use on one machine alone, as is what is kept by it.
std::string fingerprint_of_content(std::string_view bytes);

std::vector<std::string_view> split_lines(std::string_view text);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// First offending byte offset, or npos when `text` is valid UTF-8 (no surrogates, no overlong forms).
std::size_t find_invalid_utf8(std::string_view text);

// How many bytes at the beginning of `text`, counted in eights, stand for themselves in a JSON string: ASCII without quotes,
// backslashes and control characters.
std::size_t plain_json_bytes(std::string_view text);

std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);

}  // namespace sabir

// Random identifiers.
//
// Threads: any.
#pragma once

#include <string>

namespace sabir {

// 26 characters of Crockford base32: 48 bits of Unix milliseconds, then 80 random bits; later ids sort later.
// The layout is ULID's (https://github.com/ulid/spec).
std::string new_id();

}  // namespace sabir

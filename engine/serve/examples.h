// Examples made from JSON Schemas.
//
// Threads: pure functions.
#pragma once

#include <optional>

#include "sabir/base/json.h"

namespace sabir::serve {

// A value that fits `schema`, as far as one can be made of it; nothing where it would not fit.
std::optional<json::value> example_of(const json::object& schema);

}  // namespace sabir::serve

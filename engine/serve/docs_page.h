// The page at /docs: an OpenAPI document as plain HTML that needs nothing else, neither scripts nor a network.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "sabir/base/json.h"

namespace sabir::serve {

std::string docs_page(const json::object& document);

}  // namespace sabir::serve

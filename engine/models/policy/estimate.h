// How many tokens a request will take, before anybody has counted: four bytes for each.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "sabir/models/model.h"

namespace sabir::models {

std::int64_t prompt_tokens(const Request& request);
std::int64_t prompt_tokens(const EmbedRequest& request);
// What max_tokens (by any of its names) allows; nothing when it says nothing.
std::optional<std::int64_t> answer_tokens(const json::object& parameters);

}  // namespace sabir::models

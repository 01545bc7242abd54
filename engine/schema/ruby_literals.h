// Ruby's literals: syntax -> JSON.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <vector>

#include "syntax.h"
#include "types.h"

namespace sabir::schema {

// The value of a literal expression; symbols are strings; `.freeze` is looked through. `heredocs` are the bodies of the
// file's heredocs in order of their beginnings.
struct Heredocs {
  std::vector<Node> beginnings;
  std::vector<Node> bodies;
};
Heredocs heredocs_of(const Node& root, std::size_t node_count_bound);
std::optional<json::value> ruby_literal(const Node& node, const Heredocs& heredocs, int depth = 0);

}  // namespace sabir::schema

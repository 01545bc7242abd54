// QuickCheck: says yes to JSON that surely fits a schema, in one pass over the text, and leaves every other answer to the
// full validator. Most schemas of functions are of the few keywords it knows, and most arguments fit.
//
// Threads: immutable.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::schema {

class QuickCheck {
 public:
  // nullopt when the schema has a keyword whose meaning is not known here, or is no valid schema.
  static std::optional<QuickCheck> compile(const json::object& schema);

  // true: `text` is well-formed JSON in UTF-8 and fits. false: unknown.
  bool accepts(std::string_view text) const;
  // The same for an object, with the members that it has: a bit each, in the order of `properties`.
  std::optional<std::uint64_t> members(std::string_view text) const;

 private:
  struct Property {
    std::string name;
    int node = -1;
    bool required = false;
  };
  struct Node {
    std::uint8_t types = 0xff;          // bits of kNull … kObject
    std::vector<Property> properties;   // at most 64
    std::uint64_t required = 0;         // bits of properties
    bool closed = false;                // no other members
    int extra = -1;                     // schema of other members
    int items = -1;
    std::int64_t least = std::numeric_limits<std::int64_t>::min();  // of a number
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::vector<std::string> choices;   // strings of an enum; empty = any
    std::vector<int> any_of;
  };
  class Reader;

  int add(const json::value& schema, int depth);

  std::vector<Node> nodes_;
};

}  // namespace sabir::schema

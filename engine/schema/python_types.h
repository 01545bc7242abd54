// Python's literals and type hints: text -> JSON and JSON Schema.
//
// Threads: PythonTypes is filled once, then read.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "syntax.h"
#include "types.h"

namespace sabir::schema {

// The value of a literal expression; nothing when it is not one, or not one that JSON carries.
std::optional<json::value> python_literal(const Node& node, int depth = 0);

// One string token with its prefix and quotes; nothing for bytes, f-strings and \N{…}.
std::optional<std::string> python_string(std::string_view token);

class PythonTypes {
 public:
  // Learns the classes and aliases of a module.
  explicit PythonTypes(const Node& module);
  // `hint` as the source writes it.
  TypeSchema resolve(std::string_view hint) const;

 private:
  class Parser;
  TypeSchema of_class(const Node& definition, std::set<std::string>& open) const;
  std::map<std::string, Node, std::less<>> classes_;
  std::map<std::string, std::string, std::less<>> aliases_;  // name -> type text
};

}  // namespace sabir::schema

// Error: what every part of the SDK throws.
//
// Threads: plain values.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "sabir/context.hpp"

namespace sabir {

// What the engine, or a function it called, answered. what() is the whole in one line.
class Error : public std::runtime_error {
 public:
  Error(std::string type_name, const std::string& text, std::string next = {}, nlohmann::json particulars = nlohmann::json::object())
      : std::runtime_error(next.empty() ? text : text + " (" + next + ")"),
        type(std::move(type_name)), message(text), hint(std::move(next)), data(std::move(particulars)) {}

  std::string type;     // in snake_case, as docs/errors.md lists them: "unknown_function", "timeout", …
  std::string message;  // what failed, on which input
  std::string hint;     // what to do next; may be empty
  nlohmann::json data;  // particulars
};

}  // namespace sabir

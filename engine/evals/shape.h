// Typed reading of the values of a YAML file of tests/, with errors at the value's own place. Private to the room.
//
// Threads: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sabir/project/project.h"

namespace sabir::evals {

// "a list", "the number 3", "text 'x'": what a value is, for errors.
std::string kind_of(const json::value& value);

struct Shape {
  std::string file;              // as errors show it
  project::Positions positions;
  int line = 0;                  // of values that stand in one line of a table; 0 = by their positions

  Error wrong(const std::string& pointer, std::string message, std::string hint = {}) const;
  Result<void> only(const json::object& object, const std::vector<std::string>& known, const std::string& pointer) const;
  // What `object` has under `key`; absent ones are nothing. `pointer` is the object's own.
  Result<std::optional<std::string>> text(const json::object& object, const char* key, const std::string& pointer) const;
  Result<std::optional<double>> number(const json::object& object, const char* key, const std::string& pointer, double least, double most) const;
  Result<std::optional<std::int64_t>> whole(const json::object& object, const char* key, const std::string& pointer, std::int64_t least, std::int64_t most) const;
  Result<std::optional<std::int64_t>> duration_ms(const json::object& object, const char* key, const std::string& pointer) const;
  Result<std::optional<json::object>> mapping(const json::object& object, const char* key, const std::string& pointer) const;
  // A text, or a list of texts.
  Result<std::vector<std::string>> texts(const json::object& object, const char* key, const std::string& pointer) const;
  std::pair<int, int> at(const std::string& pointer) const;
};

// A member's own pointer.
std::string below(const std::string& pointer, std::string_view key);

}  // namespace sabir::evals

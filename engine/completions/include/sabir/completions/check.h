// Check: what is wrong with a project's prompts, found without rendering them.
//
// Threads: pure values and functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::completions {

// An error is what fails when the prompt is rendered, or what has no effect as it is written. A warning may be meant. A note says what
// cannot be known before rendering.
enum class Severity { kError, kWarning, kNote };
std::string_view to_text(Severity severity);

struct Finding {
  Severity severity = Severity::kError;
  std::string code;  // "undefined", "unused", "unreachable", …: docs/prompts.md lists them
  std::string message;
  std::string hint;
  std::string file;  // relative to the project
  int line = 0;
  int column = 0;
  std::vector<std::string> prompts;  // in which it was found
};

struct CheckOptions {
  std::vector<std::string> names;                  // of prompts; empty = all, and whether each part is used
  std::optional<std::vector<std::string>> models;  // the project's aliases; none: they are not to be had
};

struct CheckReport {
  std::size_t prompts = 0;
  std::size_t parts = 0;           // 0 where prompts were named
  std::vector<Finding> findings;  // by file, line and column
  std::size_t count(Severity severity) const;
};
json::object to_json(const CheckReport& report);

}  // namespace sabir::completions

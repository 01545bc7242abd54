// Scan: finds secrets where none may be: their values, plain and encoded, and what looks like a key of a well-known service.
//
// Threads: Scanner's methods are const and may run side by side; scan_project() blocks for programs (git) and files.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::secrets {

struct ScanFinding {
  std::string file;
  int line = 0;
  std::string commit;  // "" = in the working tree
  std::string what;    // "the secret openai_api_key", "a key of OpenAI"
  std::string shown;   // of a key that is no known secret: its beginning, for finding it; never a secret's value
};

class Scanner {
 public:
  // Values shorter than Redactor::kLeastBytes are left out: they stand in ordinary words.
  explicit Scanner(const std::vector<std::pair<std::string, std::string>>& values);

  // Calls `found` for each in `text`, whose lines are counted from `first_line`. A line that says "not-a-secret" is left out.
  void text(std::string_view text, int first_line, const std::function<void(int line, const std::string& what, const std::string& shown)>& found) const;

 private:
  struct Pattern {
    std::string text;
    std::string what;
  };
  std::vector<Pattern> patterns_;  // longest first
};

struct ScanReport {
  std::vector<ScanFinding> findings;  // at most 1,000
  std::size_t files = 0;
  std::size_t commits = 0;
  bool has_history = false;           // there is a git repository, and it was read
  std::string left_out;               // what could not be looked at, in words; "" = nothing
};

// The project's files, those that git ignores left out, and with `history` every line that any commit has added. Files over 8 MiB and
// binary ones are left out. Errors: kIo, kTimeout.
Result<ScanReport> scan_project(const std::filesystem::path& root, const Scanner& scanner, bool history);

}  // namespace sabir::secrets

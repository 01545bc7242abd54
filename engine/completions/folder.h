// Folder: the files under completions/, found by name and never outside of it.
//
// Threads: any; reads the disk on every call.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/completions/renderer.h"

namespace sabir::completions {

class Folder {
 public:
  explicit Folder(const std::filesystem::path& project_root) : base_(project_root / "completions") {}

  struct Found {
    std::filesystem::path path;   // without links
    std::filesystem::path asked;  // as the name leads there
    std::string name;  // below completions/, with extension: "support/refund.prompt"
    std::string file;  // as errors show it: "completions/support/refund.prompt"
    std::vector<std::filesystem::path> passed_over;  // what would have been found before, were it there
  };
  // "support/refund", "support/refund.prompt", "prompt_parts/part1.txt" or, for parts, "part1". With `for_include` a
  // short name means a part first. Errors: kNotFound with the nearest names, kTemplate for a name that leads outside.
  Result<Found> find(std::string_view name, bool for_include) const;

  // Sorted by name.
  Result<std::vector<PromptInfo>> list() const;

 private:
  std::optional<std::filesystem::path> inside(const std::filesystem::path& path) const;
  std::filesystem::path base_;
};

}  // namespace sabir::completions

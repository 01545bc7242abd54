// The sources of languages whose syntax the engine does not read itself: their `describe` program is asked, once for all
// files that have changed since its last answer. No file is run for it.
//
// Threads: the programs of several languages run side by side, each waited for by a thread of its own. What was told is kept
// in <project>/.sabir/described/<language>.json.
#pragma once

#include <cstddef>
#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/inputs.h"
#include "sabir/project/project.h"
#include "sabir/schema/function_schema.h"

namespace sabir::functions {

constexpr std::size_t kMostSource = std::size_t{16} << 20U;

// What the programs say.
struct Told {
  // By the source's relative path; sources of languages with a grammar are absent. An error is kUnavailable where the program
  // or its interpreter is missing, kLoadFailed where it could not read the file.
  std::map<std::string, Result<schema::Description>> files;
  Inputs inputs;         // beside the sources
  bool settled = true;   // false: asked again, a program might say something else
};

// Size and time of a file, from the project's root unless `name` is absolute, as answers are kept with; "" = there is none.
std::string file_stamp(const std::filesystem::path& root, std::string_view name);

// Begins with the construction; take() or the destructor waits.
class Describing {
 public:
  // `project` and `languages` have to outlive it.
  Describing(const project::Project& project, const std::vector<project::Language>& languages);
  Told take();

 private:
  std::vector<std::future<Told>> running_;
};

}  // namespace sabir::functions

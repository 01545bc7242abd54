// Which test files a project has, and which runner each belongs to.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/project/project.h"

namespace sabir::testing {

struct CppFolder {
  std::string relative;                          // "functions/cpp"
  std::vector<std::filesystem::path> sources;    // absolute
  std::vector<std::filesystem::path> tests;      // absolute
  std::filesystem::path own_cmake;               // folder of the user's CMakeLists.txt; empty = the engine writes one
};

struct Discovery {
  std::vector<std::string> pytest;   // relative to the root, sorted
  std::vector<std::string> rspec;
  std::vector<CppFolder> cpp;
  std::map<std::string, std::vector<std::string>> by_command;  // language -> test files, relative, sorted
  std::vector<std::string> notes;
};

// `only` limits the tests to those below it; empty = all. Errors: kLimit, kIo.
Result<Discovery> discover(const std::filesystem::path& root, const std::filesystem::path& only,
                           const std::vector<project::Language>& languages = {});

}  // namespace sabir::testing

// Which test files a project has, and which runner each belongs to.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/project/project.h"

namespace sabir::testing {

// The project's files, but for what is installed, built or hidden; hidden ones of the root itself count.
struct Tree {
  std::vector<std::string> files;  // from the root, sorted
};
// Errors: kLimit above 200,000 files, kIo.
Result<Tree> walk(const std::filesystem::path& root);

struct CppFolder {
  std::string relative;                          // "functions/cpp"
  std::vector<std::filesystem::path> sources;    // absolute
  std::vector<std::filesystem::path> tests;      // absolute, all there are
  std::vector<std::filesystem::path> wanted;     // those of them that are to run
  std::filesystem::path own_cmake;               // folder of the user's CMakeLists.txt; empty = the engine writes one
};

// A project of a language's own tools outside of the engine's folders: a Go module, a crate, a Maven project.
struct NativeProject {
  std::string kind;                 // "go", "rust", "maven"
  std::string folder;               // from the root; "" = the root itself
  std::vector<std::string> files;   // its test files, from the root, sorted
};

struct Discovery {
  std::vector<std::string> pytest;   // relative to the root, sorted
  std::vector<std::string> rspec;
  std::vector<CppFolder> cpp;
  std::map<std::string, std::vector<std::string>> by_command;  // language -> test files, relative, sorted
  std::vector<NativeProject> native;
  std::vector<std::string> notes;

  bool empty() const { return pytest.empty() && rspec.empty() && cpp.empty() && by_command.empty() && native.empty(); }
  // All of them, sorted.
  std::vector<std::string> files(const std::filesystem::path& root) const;
  // Leaves what `keep` says; suites without any are gone.
  void keep(const std::filesystem::path& root, const std::function<bool(const std::string& relative)>& is_kept);
};

// Errors: kLimit.
Result<Discovery> discover(const std::filesystem::path& root, const Tree& tree, const std::vector<project::Language>& languages = {});

// Where plain pytest looks for tests: `testpaths` of its configuration; empty = everywhere.
std::vector<std::string> read_testpaths(const std::filesystem::path& root);

}  // namespace sabir::testing

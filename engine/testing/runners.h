// The runners: pytest, rspec and ctest, and any that a language names. Each takes its test files to a filled-in Suite; whatever goes wrong ends as the suite's problem.
//
// Threads: each run_… blocks and may run beside the others.
#pragma once

#include <chrono>

#include "board.h"
#include "discover.h"
#include "sabir/testing/testing.h"

namespace sabir::testing {

struct RunContext {
  const Options& options;
  std::filesystem::path work;   // .sabir/build: reporters and C++ builds
  std::filesystem::path store;  // a folder for this suite's engines, thrown away after it
  std::chrono::milliseconds timeout;
  int processors = 2;           // that a build may use
  Board& board;
};

// What of a suite is run.
struct Selection {
  std::vector<std::string> files;  // from the root
  std::vector<std::string> tests;  // of them, these alone (Case::rerun); empty = all
  bool whole = true;               // these are all that there are: the runner may go by its own configuration
  bool may_be_empty = false;       // these files are known to have no tests
};

Suite run_pytest(const RunContext& context, const Selection& selection, std::size_t entry);
Suite run_rspec(const RunContext& context, const Selection& selection, std::size_t entry);
Suite run_cpp(const RunContext& context, const std::vector<CppFolder>& folders, const Selection& selection, std::size_t entry);
Suite run_command(const RunContext& context, const project::Language& language, const Selection& selection, std::size_t entry);
Suite run_native(const RunContext& context, const NativeProject& project, const Selection& selection, std::size_t entry);

// What every suite sees: a store, secrets and models of the tests' own.
std::map<std::string, std::string> suite_environment(const RunContext& context, const std::string& language);
// The end of a runner that did not end by itself.
void explain_end(const RunContext& context, bool was_stopped, bool was_late, Suite& suite);

// Test program and the sources it is linked with: those of the folder that it does not #include itself. Errors: kIo, kLimit.
Result<std::vector<std::pair<std::filesystem::path, std::vector<std::filesystem::path>>>> programs_of(const CppFolder& folder);

// The CMake project that builds these programs; `sdk` is where sabir/sabir.hpp lies.
std::string cmake_for(const CppFolder& folder, const std::filesystem::path& sdk,
                      const std::vector<std::pair<std::filesystem::path, std::vector<std::filesystem::path>>>& programs);

}  // namespace sabir::testing

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
  std::chrono::milliseconds timeout;
  Board& board;
};

Suite run_pytest(const RunContext& context, const std::vector<std::string>& files, std::size_t entry);
Suite run_rspec(const RunContext& context, const std::vector<std::string>& files, std::size_t entry);
Suite run_cpp(const RunContext& context, const std::vector<CppFolder>& folders, std::size_t entry);

Suite run_command(const RunContext& context, const project::Language& language, const std::vector<std::string>& files, std::size_t entry);

// Adds the cases of a JUnit XML report; `files` are the suite's test files, by which a failure's line is found in its text.
// Errors: kProtocol when it is no such report.
Result<void> read_junit(std::string_view xml, const std::filesystem::path& root, const std::vector<std::string>& files, Suite& suite);

// The CMakeLists.txt the engine writes for `folder`; pure.
std::string cmake_for(const CppFolder& folder, const std::filesystem::path& sdk,
                      const std::vector<std::pair<std::filesystem::path, std::vector<std::filesystem::path>>>& programs);
// For each test, the sources linked beside it: all but those the test includes itself. Errors: kIo.
Result<std::vector<std::pair<std::filesystem::path, std::vector<std::filesystem::path>>>> programs_of(const CppFolder& folder);

}  // namespace sabir::testing

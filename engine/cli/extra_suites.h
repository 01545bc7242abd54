// The evals and parity groups of a project as suites of `sabir test`.
//
// Threads: plain functions; the suites run where testing::run() says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sabir/testing/testing.h"

namespace sabir::cli {

// One for each of tests/evals/ and tests/parity/ that has files. Each runs as a command of its own, `engine`, which has an engine and an
// environment of its own.
std::vector<testing::ExtraSuite> extra_suites(const std::filesystem::path& root, const std::filesystem::path& engine, const std::string& environment);

}  // namespace sabir::cli

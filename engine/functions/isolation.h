// What sabir.yml's `isolation` comes to for one worker. Private to the room.
//
// Threads: plain functions; sandbox_for and visible_in_sandbox look at the disk.
#pragma once

#include <string>
#include <vector>

#include "sabir/languages/languages.h"
#include "sabir/process/sandbox.h"
#include "sabir/project/project.h"

namespace sabir::functions {

inline constexpr std::uint64_t kSandboxMemory = 512U << 20U;
inline constexpr int kSandboxProcesses = 128;

// sabir.yml's rule for a source by its absolute path; null where there is none.
const project::IsolationRule* rule_of(const project::Project& project, const std::string& language, const std::string& module);

// The variables of `environment` ("NAME=value") that a sandboxed worker gets, and what it gets besides.
std::vector<std::string> sandbox_environment(const std::vector<std::string>& environment, const project::IsolationRule& rule,
                                             const languages::Visible& visible);

// The project as a sandbox shows it: read-only, without what is hidden or secret, with the rule's grants. `programs` are files
// and folders that the worker itself consists of.
// Errors: kUnavailable for a grant that is not there, leads out of the project or holds the project; kIo; kLimit.
Result<process::Sandbox> sandbox_for(const project::Project& project, const std::string& language, const project::IsolationRule& rule,
                                     const languages::Visible& visible, const std::vector<std::filesystem::path>& programs);

// What a sandbox shows of a language's interpreter. Blocks. Errors: kUnavailable, with what changes it.
Result<languages::Visible> visible_in_sandbox(const project::Language& language, const std::filesystem::path& root,
                                              const std::vector<std::string>& environment);

}  // namespace sabir::functions

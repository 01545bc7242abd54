// Commands that programs give and people do not: the worker of languages that the engine speaks for, the reader of bash,
// what bash functions ask the engine by, and the supervisor of deployed engines. They skip the command line's own machinery, since a shell function starts one for
// every request.
//
// Threads: the main thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sabir::cli {

// The exit status, if argv names one of them: exec-worker, describe-shell, from-shell, deploy-supervisor.
std::optional<int> run_inner_command(int argc, char** argv);

// What the functions of languages/shell/sdk/sabir.sh do; `words` is the verb and its arguments.
int from_shell(std::vector<std::string> words);

}  // namespace sabir::cli

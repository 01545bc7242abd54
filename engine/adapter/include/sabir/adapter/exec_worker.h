// ExecWorker: the worker of a language whose interpreter cannot speak the worker protocol itself (`adapter: exec` in its
// language.yml, spec/exec-adapter.md). The engine's own program, started as that worker, speaks for it: each call is one
// process of the interpreter, which gets its arguments as words and answers by standard output and exit status.
//
// Threads: run_exec_worker() blocks and owns its thread. Processes: a call's whole tree ends with the call, and with the worker.
#pragma once

#include <filesystem>
#include <string>

namespace sabir::adapter {

// Serves the connection that SABIR_FD names until it ends; the status to exit with. `folder` is the language's, with its
// language.yml; `debug`: calls run on this process's terminal, with the argv that `call_debug` names.
int run_exec_worker(const std::filesystem::path& folder, const std::string& interpreter, bool debug);

// The describe program of bash (spec/describe.md): reads the files that standard input names, has `interpreter -n` judge
// their syntax, and writes the answer to standard output. Never runs a file. The status to exit with.
int run_describe_shell(const std::string& interpreter);

}  // namespace sabir::adapter

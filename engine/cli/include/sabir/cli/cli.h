// The command line: words for the terminal around the engine.
//
// Threads: call run() once, on the main thread.
#pragma once

namespace sabir::cli {

// Exit codes: 0 success, 1 the thing asked for failed, 2 wrong usage.
int run(int argc, char** argv);

}  // namespace sabir::cli

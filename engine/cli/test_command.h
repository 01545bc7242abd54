// sabir test, graph: the command line's words.
//
// Threads: the main thread.
#pragma once

#include <string>
#include <vector>

namespace sabir::cli {

// `sabir test` with --affected=REF, and with --record and --replay that name no place, as other commands' lines are written.
std::vector<std::string> test_words(std::vector<std::string> words);

}  // namespace sabir::cli

// What sabir parity and sabir eval come to, in the terms of `sabir test`: one suite of cases, which makes JUnit's XML too.
//
// Threads: plain functions.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "sabir/evals/verdict.h"
#include "sabir/testing/testing.h"

namespace sabir::cli {

testing::Suite suite_of(const std::string& name, const std::vector<evals::Verdict>& verdicts, double seconds);

// Writes the suite to `path`. Errors: kIo.
Result<void> write_junit(const std::string& path, testing::Suite suite);

// Becomes true with Ctrl-C, from now on; a second one ends the process.
std::shared_ptr<std::atomic<bool>> cancelled_by_interrupt();

// A variable of this process's environment, and as it was afterwards. Nobody else may read the environment meanwhile.
class SetVariable {
 public:
  // Does nothing where `value` is "".
  SetVariable(const char* name, const std::string& value);
  SetVariable(const SetVariable&) = delete;
  SetVariable& operator=(const SetVariable&) = delete;
  ~SetVariable();

 private:
  const char* name_ = nullptr;
  std::optional<std::string> was_;
};

// What is asked of them.
struct ParityWords {
  std::vector<std::string> names;   // addresses; empty = all groups
  int runs = 100;
  std::int64_t seed = 1;
};
struct EvalWords {
  std::vector<std::string> names;   // files, or names below tests/evals; empty = all
  std::string only_case;
  bool live = false;
  bool yes = false;                 // money may be spent without a question
  std::optional<double> most_usd;
};

}  // namespace sabir::cli

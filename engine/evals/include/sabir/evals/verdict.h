// Verdict: what became of one thing that was looked at: a parity group, or a case of an eval. Reports and test summaries are made
// of these.
//
// Threads: plain values.
#pragma once

#include <string>
#include <string_view>

namespace sabir::evals {

enum class Outcome {
  kPassed,
  kFailed,   // it ran, and is not as it has to be
  kError,    // it could not be judged: a model that does not answer, a function that cannot be called
  kSkipped,  // on purpose; the message says why
};
std::string_view outcome_name(Outcome outcome);

struct Verdict {
  std::string name;      // "stats.mean", "helper: mean"
  Outcome outcome = Outcome::kPassed;
  std::string message;   // one paragraph: why it is not kPassed
  std::string text;      // the whole of what a person needs, lines; may be empty
  std::string file;      // from the project's root
  int line = 0;          // 1-based; 0 = unknown
  int column = 0;
  double seconds = 0;
};

}  // namespace sabir::evals

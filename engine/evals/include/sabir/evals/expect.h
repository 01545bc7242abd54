// Whether an answer is as an eval expects it.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sabir/evals/eval_file.h"
#include "sabir/models/model.h"

namespace sabir::evals {

struct CallSeen {
  std::string address;          // "python/stats.mean"
  json::object arguments;
  std::string outcome;          // JSON of its value or error
  bool ok = true;
};

// What came of one case once.
struct Observed {
  std::string answer;
  std::vector<CallSeen> calls;  // in the order in which the model asked for them
  int steps = 0;                // questions to models, the judge's not counted
  models::Usage usage;
  std::optional<double> usd;    // nothing: of some call nobody knows the price
  double ms = 0;
  bool live = false;            // false: from a recording, where the time says nothing
};

struct Failure {
  std::string what;             // "contains: 'ete-a-paris' is not in the answer"
  std::string got;              // may be empty
  Place place;
};

// All but the judge. Errors of regular expressions and schemas were found when the eval was read.
std::vector<Failure> check(const Expect& expect, const Observed& observed);

// Whether a value fits: a mapping of nothing but `any`, `equals`, `contains`, `regex`, `schema`, `min`, `max` is a matcher, whose all parts have
// to hold; in another mapping each member has to fit, and the value may have others; anything else has to be the same.
bool fits(const json::value& wanted, const json::value& got);
// Nothing where it can be used; else why a matcher in it cannot.
std::optional<std::string> problem_of(const json::value& wanted);

// "stats.mean" and "python/stats.mean" name "python/stats.mean"; `*` is any text.
bool names_function(const std::string& pattern, const std::string& address);

// Whether a regular expression is found in a text. Errors: kConfig when it is none.
Result<bool> found(const std::string& pattern, const std::string& text);

// What the judge is asked, and what it says: {"score": 0..1, "reason"}.
json::array judge_messages(const JudgeRule& rule, const EvalCase& one, const Observed& observed);
json::object judge_schema();
struct Judgement {
  double score = 0;
  std::string reason;
};
// Errors: kModel when it is none.
Result<Judgement> parse_judgement(std::string_view text);

}  // namespace sabir::evals

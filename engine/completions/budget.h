// A prompt's budget: which of its parts are shortened and left out, in which order, until it has no more tokens than it may.
//
// Threads: a Fitting belongs to one rendering.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/completions/renderer.h"
#include "sabir/completions/tokens.h"
#include "sabir/project/project.h"

namespace sabir::completions {

enum class Shorten { kNot, kEnd, kStart, kSentences };

struct PartRule {
  std::string name;
  int priority = 50;  // 1 goes first
  Shorten shorten = Shorten::kNot;
  std::size_t min_tokens = 0;  // of what a shortened part has at least
};

struct Budget {
  std::size_t tokens = 0;
  std::vector<PartRule> parts;  // the least important first; of the same priority the one that is written first
};

// Errors: kTemplate with file, line and column.
Result<void> check_budget(const json::object& front_matter, const std::string& file, const project::Positions& positions);
// REQUIRES: the front matter passed check_budget(). None where it has no budget.
std::optional<Budget> budget_of(const json::object& front_matter);

// One pass is one rendering: part() answers for each part as it is written, reduce() decides on the next pass.
class Fitting {
 public:
  // `mark` begins the mark of a heading in a part's text; `mark_size` is the whole of it.
  Fitting(const Budget& budget, const Tokens& tokens, std::string mark, std::size_t mark_size);

  void begin_pass();
  // The bytes of `text` that are kept.
  std::pair<std::size_t, std::size_t> part(std::string_view name, std::string_view text);
  // False when nothing is left that could be shortened or left out.
  bool reduce(std::size_t over);
  std::vector<PartCut> cuts() const;

 private:
  struct State {
    PartRule rule;
    std::size_t whole = 0;        // tokens before anything was cut
    std::size_t kept = 0;         // in the last pass
    std::size_t most = 0;         // that are kept, once it is cut
    std::size_t seen = 0;         // in this pass, before what comes next
    int cuts = 0;
    bool is_cut = false;
    bool is_dropped = false;
  };
  std::pair<std::size_t, std::size_t> kept_range(State& state, std::string_view text) const;
  // `places`, if any, become where the marks stood in what is left.
  std::string without_marks(std::string_view text, std::vector<std::size_t>* places = nullptr) const;

  std::vector<State> states_;
  const Tokens& tokens_;
  std::string mark_;
  std::size_t mark_size_;
};

}  // namespace sabir::completions

#include "budget.h"

#include <algorithm>
#include <array>

#include "sabir/base/text.h"

namespace sabir::completions {
namespace {

constexpr std::array<std::string_view, 4> kShorten = {"none", "end", "start", "sentences"};
constexpr std::size_t kMostParts = 100;
constexpr std::int64_t kMostTokens = 100'000'000;
// A part that was shortened this often goes down to its least at once.
constexpr int kMostCuts = 3;

Result<void> whole_number(const json::object& object, std::string_view key, std::int64_t least, std::int64_t most, const std::string& file,
                          const project::Positions& positions, const std::string& pointer) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || (value->is_int64() && value->get_int64() >= least && value->get_int64() <= most)) return {};
  const auto [line, column] = project::position_of(positions, pointer + "/" + std::string(key));
  return fail(Error(ErrorCode::kTemplate, "'" + std::string(key) + "' must be a whole number from " + std::to_string(least) + " to " + std::to_string(most))
                  .at(file, line, column));
}

Result<void> check_part(const json::object& part, const std::string& file, const project::Positions& positions, const std::string& pointer) {
  auto known = project::refuse_unknown_keys(part, {"priority", "shorten", "min_tokens"}, file, positions, pointer);
  if (!known) {
    known.error().code = ErrorCode::kTemplate;
    return known;
  }
  if (auto ok = whole_number(part, "priority", 1, 100, file, positions, pointer); !ok) return ok;
  if (auto ok = whole_number(part, "min_tokens", 0, kMostTokens, file, positions, pointer); !ok) return ok;
  const auto* shorten = part.if_contains("shorten");
  const std::string_view how = shorten == nullptr ? "none" : shorten->is_string() ? std::string_view(shorten->get_string()) : "";
  if (std::find(kShorten.begin(), kShorten.end(), how) == kShorten.end()) {
    const auto [line, column] = project::position_of(positions, pointer + "/shorten");
    return fail(Error(ErrorCode::kTemplate, "'shorten' must be none, end, start or sentences").at(file, line, column));
  }
  if (part.contains("min_tokens") && how == "none") {
    const auto [line, column] = project::position_of(positions, pointer + "/min_tokens");
    return fail(Error(ErrorCode::kTemplate, "'min_tokens' needs 'shorten': a part that is not shortened is left out whole").at(file, line, column));
  }
  return {};
}

std::int64_t number_or(const json::object& object, std::string_view key, std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

// The last place up to `most` where a sentence or a line of `text` ends.
std::size_t sentence_end(std::string_view text, std::size_t most) {
  static constexpr std::array<std::string_view, 3> kWide = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f"};  // 。！？
  if (most >= text.size()) return text.size();
  for (std::size_t at = most; at > 0; --at) {
    const char c = text[at - 1];
    if (c == '\n') return at;
    const bool is_followed = at == text.size() || text[at] == ' ' || text[at] == '\n' || text[at] == '\t';
    if ((c == '.' || c == '!' || c == '?') && is_followed) return at;
    if (at >= 3 && std::find(kWide.begin(), kWide.end(), text.substr(at - 3, 3)) != kWide.end()) return at;
  }
  return 0;
}

}  // namespace

Result<void> check_budget(const json::object& front_matter, const std::string& file, const project::Positions& positions) {
  if (const auto* budget = front_matter.if_contains("budget")) {
    const auto& object = budget->get_object();
    auto known = project::refuse_unknown_keys(object, {"tokens"}, file, positions, "/budget");
    if (!known) {
      known.error().code = ErrorCode::kTemplate;
      return known;
    }
    if (auto ok = whole_number(object, "tokens", 1, kMostTokens, file, positions, "/budget"); !ok) return ok;
    if (!object.contains("tokens")) {
      const auto [line, column] = project::position_of(positions, "/budget");
      return fail(Error(ErrorCode::kTemplate, "'budget' needs 'tokens'", "Write for instance `budget: {tokens: 4000}`.").at(file, line, column));
    }
  }
  const auto* parts = front_matter.if_contains("parts");
  if (parts == nullptr) return {};
  if (parts->get_object().size() > kMostParts) return fail(Error(ErrorCode::kTemplate, "more than " + std::to_string(kMostParts) + " parts").at(file, 1));
  for (const auto& part : parts->get_object()) {
    const std::string pointer = "/parts/" + std::string(part.key());
    if (!part.value().is_object()) {
      const auto [line, column] = project::position_of(positions, pointer);
      return fail(Error(ErrorCode::kTemplate, "a part must be a mapping of names to values", "Write for instance `" + std::string(part.key()) + ": {priority: 20}`.")
                      .at(file, line, column));
    }
    if (auto ok = check_part(part.value().get_object(), file, positions, pointer); !ok) return ok;
  }
  return {};
}

std::optional<Budget> budget_of(const json::object& front_matter) {
  const auto* given = front_matter.if_contains("budget");
  if (given == nullptr) return std::nullopt;
  Budget budget;
  budget.tokens = static_cast<std::size_t>(number_or(given->get_object(), "tokens", 0));
  if (const auto* parts = front_matter.if_contains("parts")) {
    for (const auto& part : parts->get_object()) {
      const auto& object = part.value().get_object();
      PartRule rule;
      rule.name = part.key();
      rule.priority = static_cast<int>(number_or(object, "priority", rule.priority));
      rule.min_tokens = static_cast<std::size_t>(number_or(object, "min_tokens", 0));
      const auto how = std::find(kShorten.begin(), kShorten.end(), string_or(object, "shorten", "none")) - kShorten.begin();
      rule.shorten = static_cast<Shorten>(how);
      budget.parts.push_back(std::move(rule));
    }
  }
  std::stable_sort(budget.parts.begin(), budget.parts.end(), [](const auto& a, const auto& b) { return a.priority < b.priority; });
  return budget;
}

Fitting::Fitting(const Budget& budget, const Tokens& tokens, std::string mark, std::size_t mark_size)
    : tokens_(tokens), mark_(std::move(mark)), mark_size_(mark_size) {
  for (const auto& rule : budget.parts) {
    State state;
    state.rule = rule;
    states_.push_back(std::move(state));
  }
}

void Fitting::begin_pass() {
  for (auto& state : states_) {
    state.seen = 0;
    state.kept = 0;
  }
}

std::pair<std::size_t, std::size_t> Fitting::part(std::string_view name, std::string_view text) {
  const auto state = std::find_if(states_.begin(), states_.end(), [&](const State& one) { return one.rule.name == name; });
  if (state == states_.end()) return {0, text.size()};
  if (state->is_dropped) return {0, 0};
  return kept_range(*state, text);
}

// Headings' marks are no text: tokens are those of what stands between them, and no cut goes through one.
std::pair<std::size_t, std::size_t> Fitting::kept_range(State& state, std::string_view text) const {
  std::vector<std::size_t> marks;
  const std::string plain = without_marks(text, &marks);
  const auto ends = tokens_.ends(plain);
  const auto in_text = [&](std::size_t at) {
    return at + mark_size_ * static_cast<std::size_t>(std::lower_bound(marks.begin(), marks.end(), at) - marks.begin());
  };
  const std::size_t before = state.seen;
  state.seen += ends.size();
  if (!state.is_cut) {
    state.whole = state.seen;
    state.kept = state.seen;
    return {0, text.size()};
  }
  std::size_t from = 0;
  std::size_t to = text.size();
  if (state.rule.shorten == Shorten::kStart) {
    const std::size_t skip = state.whole > state.most ? state.whole - state.most : 0;
    if (skip > before && !ends.empty()) {
      std::size_t at = ends[std::min(skip - before, ends.size()) - 1];
      while (at < plain.size() && is_continuation(plain[at])) ++at;
      from = in_text(at);
      // What a message loses its heading of would belong to the message before it.
      if (!marks.empty()) from = std::min(text.find(mark_, from), text.size());
    }
  } else if (const std::size_t left = state.most > before ? state.most - before : 0; left < ends.size()) {
    std::size_t at = left == 0 ? 0 : ends[left - 1];
    while (at > 0 && is_continuation(plain[at])) --at;
    to = in_text(at);
    if (state.rule.shorten == Shorten::kSentences) to = sentence_end(text, to);
  }
  state.kept += tokens_.count(without_marks(text.substr(from, to - from)));
  return {from, to};
}

std::string Fitting::without_marks(std::string_view text, std::vector<std::size_t>* places) const {
  std::string plain;
  for (std::size_t at = text.find(mark_); at != std::string_view::npos; at = text.find(mark_)) {
    plain += text.substr(0, at);
    if (places != nullptr) places->push_back(plain.size());
    text.remove_prefix(std::min(at + mark_size_, text.size()));
  }
  plain += text;
  return plain;
}

bool Fitting::reduce(std::size_t over) {
  for (auto& state : states_) {
    if (state.is_dropped || state.whole == 0) continue;
    const std::size_t least = state.rule.min_tokens;
    const bool can_shorten = state.rule.shorten != Shorten::kNot && state.kept > least;
    if (!can_shorten) {
      state.is_dropped = true;
      return true;
    }
    state.is_cut = true;
    state.most = state.kept > over && ++state.cuts <= kMostCuts ? std::max(least, state.kept - over) : least;
    // What is shortened to nothing is left out.
    state.is_dropped = state.most == 0;
    return true;
  }
  return false;
}

std::vector<PartCut> Fitting::cuts() const {
  std::vector<PartCut> cuts;
  for (const auto& state : states_) {
    if (!state.is_dropped && !state.is_cut) continue;
    cuts.push_back({state.rule.name, state.is_dropped || state.kept == 0, state.whole, state.is_dropped ? 0 : state.kept});
  }
  return cuts;
}

}  // namespace sabir::completions

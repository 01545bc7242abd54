// Comparisons of what is asked with what is recorded.
#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/recordings/player.h"

namespace sabir::recordings {
namespace {

constexpr std::size_t kMostLines = 1500;   // compared on each side
constexpr std::size_t kMostShown = 24;     // changed lines
constexpr std::size_t kMostWidth = 110;    // of a line, in bytes

std::size_t back_to_character(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U) --at;
  return std::min(at, text.size());
}

// `text` from a little before `at`, cut to kMostWidth.
std::string window(std::string_view text, std::size_t at) {
  std::size_t from = text.size() > kMostWidth && at > kMostWidth / 3 ? at - kMostWidth / 3 : 0;
  from = back_to_character(text, from);
  const std::size_t to = back_to_character(text, std::min(text.size(), from + kMostWidth));
  return (from > 0 ? "…" : "") + std::string(text.substr(from, to - from)) + (to < text.size() ? "…" : "");
}

}  // namespace

std::string difference(const std::vector<std::string>& recorded, const std::vector<std::string>& asked) {
  const std::size_t rows = std::min(recorded.size(), kMostLines);
  const std::size_t columns = std::min(asked.size(), kMostLines);
  // Longest common subsequence from each place on.
  std::vector<std::uint16_t> longest((rows + 1) * (columns + 1), 0);
  const auto at = [&](std::size_t i, std::size_t j) -> std::uint16_t& { return longest[i * (columns + 1) + j]; };
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      at(i, j) = recorded[i] == asked[j] ? static_cast<std::uint16_t>(at(i + 1, j + 1) + 1) : std::max(at(i + 1, j), at(i, j + 1));
    }
  }
  std::vector<std::string> out;
  std::size_t left_out = (recorded.size() - rows) + (asked.size() - columns);
  const auto say = [&](char sign, const std::string& line, std::size_t from) {
    if (out.size() < kMostShown) {
      out.push_back(std::string(1, sign) + " " + window(line, from));
    } else {
      ++left_out;
    }
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && recorded[i] == asked[j]) {
      ++i;
      ++j;
      continue;
    }
    // A run of changed lines; the first of each side are set against one another.
    std::vector<const std::string*> gone;
    std::vector<const std::string*> come;
    while ((i < rows || j < columns) && !(i < rows && j < columns && recorded[i] == asked[j])) {
      if (j == columns || (i < rows && at(i + 1, j) >= at(i, j + 1))) {
        gone.push_back(&recorded[i++]);
      } else {
        come.push_back(&asked[j++]);
      }
    }
    for (std::size_t n = 0; n < std::max(gone.size(), come.size()); ++n) {
      std::size_t from = 0;
      if (n < gone.size() && n < come.size()) {
        const auto [a, b] = std::mismatch(gone[n]->begin(), gone[n]->end(), come[n]->begin(), come[n]->end());
        from = static_cast<std::size_t>(a - gone[n]->begin());
      }
      if (n < gone.size()) say('-', *gone[n], from);
      if (n < come.size()) say('+', *come[n], from);
    }
  }
  if (left_out > 0) out.push_back("… and " + std::to_string(left_out) + " lines more");
  return join(out, "\n");
}

bool is_stale(const Entry& entry, const json::object& ask, const std::vector<PromptUse>& prompts) {
  if (entry.kind != Kind::kModel || prompts.empty() || prompts.size() != entry.prompts.size()) return false;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].name != entry.prompts[i].name || prompts[i].variables != entry.prompts[i].variables) return false;
  }
  const auto without_prompts = [](json::object whole, const std::vector<PromptUse>& uses) {
    json::array rest;
    if (auto* messages = whole.if_contains("messages"); messages && messages->is_array()) {
      auto& list = messages->get_array();
      for (std::size_t i = 0; i < list.size(); ++i) {
        const bool prompt = std::any_of(uses.begin(), uses.end(), [&](const PromptUse& use) { return use.message == i; });
        if (!prompt) rest.push_back(std::move(list[i]));
      }
    }
    whole["messages"] = std::move(rest);
    return canonical_json(std::move(whole));
  };
  return without_prompts(entry.ask, entry.prompts) == without_prompts(ask, prompts);
}

}  // namespace sabir::recordings

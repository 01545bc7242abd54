#include "blanks.h"

#include "sabir/base/text.h"

namespace sabir::deploy {

std::vector<Blank> blanks_in(std::string_view text) {
  std::vector<Blank> out;
  int number = 0;
  for (const auto raw : split_lines(text)) {
    ++number;
    const auto line = trim(raw);
    const auto at = line.find_first_of("=:");
    if (line.empty() || line.front() == '#' || line.starts_with("//") || at == std::string_view::npos) continue;
    const auto name = trim(line.substr(0, at));
    if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != std::string_view::npos) continue;
    auto value = trim(line.substr(at + 1));
    const auto comment = value.find('#');
    std::string_view hint;
    if (comment != std::string_view::npos) {
      hint = trim(value.substr(comment + 1));
      value = trim(value.substr(0, comment));
    }
    // An empty text that nobody calls a blank may be meant.
    if (!hint.starts_with("blank") || (value != "\"\"" && value != "''" && value != "[]")) continue;
    hint = trim(hint.substr(5));
    if (hint.starts_with(':')) hint = trim(hint.substr(1));
    out.push_back({std::string(name), std::string(hint), number});
  }
  return out;
}

Result<void> refuse_blanks(std::string_view text, const std::string& file) {
  const auto blanks = blanks_in(text);
  if (blanks.empty()) return {};
  std::vector<std::string> names;
  for (const auto& one : blanks) names.push_back(one.name);
  const auto& first = blanks.front();
  std::string hint = first.name + (first.hint.empty() ? " has to be filled in." : ": " + first.hint);
  return fail(Error(ErrorCode::kConfig, (blanks.size() == 1 ? "a blank is left open: " : std::to_string(blanks.size()) + " blanks are left open: ") + join(names, ", "), std::move(hint)).at(file, first.line));
}

}  // namespace sabir::deploy

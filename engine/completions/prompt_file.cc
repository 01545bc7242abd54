#include "prompt_file.h"

#include <array>

#include "budget.h"
#include "granted_calls.h"
#include "sabir/base/text.h"

namespace sabir::completions {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "user", "assistant", "developer", "tool"};
constexpr std::size_t kMostFrontMatter = 65'536;
// Private-use characters: they cannot be typed by accident and survive every text filter.
constexpr std::string_view kOpen = "\xee\x80\x80";
constexpr std::string_view kClose = "\xee\x80\x81";

// The word of a line `== word ==`, or "".
std::string_view heading_word(std::string_view line) {
  line = trim(line);
  if (line.size() < 7 || !line.starts_with("== ") || !line.ends_with(" ==")) return {};
  const std::string_view word = trim(line.substr(2, line.size() - 4));
  for (const char c : word) {
    if (c < 'a' || c > 'z') return {};
  }
  return word;
}

int role_index(std::string_view word) {
  for (std::size_t i = 0; i < kRoles.size(); ++i) {
    if (kRoles[i] == word) return static_cast<int>(i);
  }
  return -1;
}

Result<void> expect_object(const json::object& object, std::string_view key, const std::string& file,
                           const project::Positions& positions, const std::string& pointer) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_object()) return {};
  const auto [line, column] = project::position_of(positions, pointer + "/" + std::string(key));
  return fail(Error(ErrorCode::kTemplate, "'" + std::string(key) + "' must be a mapping of names to values")
                  .at(file, line, column));
}

Result<void> check_front_matter(const json::object& front, const std::string& file,
                                const project::Positions& positions) {
  const auto known = [&](const json::object& object, const std::vector<std::string>& keys,
                         const std::string& pointer) -> Result<void> {
    auto ok = project::refuse_unknown_keys(object, keys, file, positions, pointer);
    if (!ok) ok.error().code = ErrorCode::kTemplate;
    return ok;
  };
  if (auto ok = known(front, {"description", "model", "parameters", "input", "output", "budget", "parts", "functions", "calls", "secrets"}, ""); !ok) return ok;
  for (const std::string_view key : {"parameters", "input", "output", "budget", "parts"}) {
    if (auto ok = expect_object(front, key, file, positions, ""); !ok) return ok;
  }
  for (const std::string_view key : {"description", "model"}) {
    const auto* value = front.if_contains(key);
    if (value == nullptr || value->is_string()) continue;
    const auto [line, column] = project::position_of(positions, "/" + std::string(key));
    return fail(Error(ErrorCode::kTemplate, "'" + std::string(key) + "' must be text").at(file, line, column));
  }
  if (const auto* input = front.if_contains("input")) {
    if (auto ok = known(input->get_object(), {"defaults", "schema"}, "/input"); !ok) return ok;
    for (const std::string_view key : {"defaults", "schema"}) {
      if (auto ok = expect_object(input->get_object(), key, file, positions, "/input"); !ok) return ok;
    }
  }
  if (const auto* output = front.if_contains("output")) {
    if (auto ok = known(output->get_object(), {"schema"}, "/output"); !ok) return ok;
    if (auto ok = expect_object(output->get_object(), "schema", file, positions, "/output"); !ok) return ok;
  }
  if (auto ok = check_functions(front, file, positions); !ok) return ok;
  if (auto ok = check_secrets(front, file, positions); !ok) return ok;
  return check_budget(front, file, positions);
}

}  // namespace

Result<std::string> clean_text(std::string_view text, const std::string& file) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  if (const std::size_t bad = find_invalid_utf8(out); bad != std::string::npos) {
    int line = 1;
    for (std::size_t i = 0; i < bad; ++i) line += out[i] == '\n' ? 1 : 0;
    return fail(Error(ErrorCode::kTemplate, "not UTF-8 text", "Save the file as UTF-8.").at(file, line));
  }
  return out;
}

Result<PromptFile> parse_prompt(std::string_view raw, const std::string& file) {
  auto cleaned = clean_text(raw, file);
  if (!cleaned) return fail(std::move(cleaned.error()));
  const std::string_view text = *cleaned;
  PromptFile prompt;
  const auto is_fence = [](std::string_view line) { return line.starts_with("---") && trim(line) == "---"; };
  const std::size_t first_end = text.find('\n');
  if (!is_fence(text.substr(0, first_end))) {
    prompt.body = std::move(*cleaned);
    return prompt;
  }
  std::size_t at = first_end == std::string_view::npos ? text.size() : first_end + 1;
  const std::size_t start = at;
  int lines = 1;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    ++lines;
    if (is_fence(text.substr(at, end - at))) {
      const std::string_view yaml = text.substr(start, at - start);
      if (yaml.size() > kMostFrontMatter) {
        return fail(Error(ErrorCode::kTemplate, "the front matter is larger than 64 KiB").at(file, 1));
      }
      project::Positions positions;
      // The empty line stands for the fence, so that positions are those of the file.
      auto value = project::parse_yaml("\n" + std::string(yaml), file, &positions);
      if (!value) {
        value.error().code = ErrorCode::kTemplate;
        return fail(std::move(value.error()));
      }
      if (value->is_object()) {
        prompt.front_matter = std::move(value->get_object());
      } else if (!value->is_null()) {
        return fail(Error(ErrorCode::kTemplate, "the front matter must be `name: value` lines",
                          "Write for instance `model: local`.")
                        .at(file, 2));
      }
      if (auto ok = check_front_matter(prompt.front_matter, file, positions); !ok) return fail(std::move(ok.error()));
      prompt.positions = std::move(positions);
      prompt.body = std::string(text.substr(std::min(end + 1, text.size())));
      prompt.lines_before = lines;
      return prompt;
    }
    at = end + 1;
  }
  return fail(Error(ErrorCode::kTemplate, "the front matter has no end", "Close it with a line `---`.").at(file, 1));
}

Result<std::string> RoleMarks::mark(std::string_view body, const std::string& file, int lines_before) const {
  std::string out;
  out.reserve(body.size());
  int line_number = lines_before;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::string_view line = body.substr(at, end - at);
    ++line_number;
    const std::string_view word = heading_word(line);
    const int role = word.empty() ? -1 : role_index(word);
    if (role >= 0) {
      out += opening();
      out += static_cast<char>('0' + role);
      out += kClose;
    } else {
      const std::vector<std::string> roles(kRoles.begin(), kRoles.end());
      if (!word.empty() && !nearest_names(word, roles).empty()) {
        return fail(Error(ErrorCode::kTemplate, "there is no role '" + std::string(word) + "'",
                          did_you_mean(word, roles) + " Roles are " + join(roles, ", ") + ".")
                        .at(file, line_number));
      }
      out += line;
    }
    if (end < body.size()) out += '\n';
    at = end + 1;
  }
  return out;
}

std::string RoleMarks::opening() const { return std::string(kOpen) + secret_; }

RoleMarks::Split RoleMarks::split(std::string_view rendered) const {
  Split split;
  split.text.reserve(rendered.size());
  const std::string open = opening();
  std::string_view role;
  const std::size_t whole = rendered.size();
  const auto close_message = [&](std::string_view content) {
    const std::string_view trimmed = trim(content);
    const std::size_t start = split.text.size() + static_cast<std::size_t>(trimmed.data() - content.data());
    split.text += content;
    if (role.empty()) {
      split.text_before = !trimmed.empty();
    } else if (!trimmed.empty()) {
      auto& message = split.messages.emplace_back(json::object_kind).get_object();
      message.reserve(2);
      message.emplace("role", role);
      message.emplace("content", trimmed);
      split.starts.push_back(start);
    }
  };
  while (true) {
    const std::size_t at = rendered.find(open);
    const std::size_t index = at + open.size();
    if (at == std::string_view::npos || index >= rendered.size()) break;
    close_message(rendered.substr(0, at));
    const auto number = static_cast<std::size_t>(rendered[index] - '0');
    role = number < kRoles.size() ? kRoles[number] : kRoles[1];
    const std::size_t from = split.text.size();
    split.text += "== " + std::string(role) + " ==";
    split.headings.push_back({whole - rendered.size() + at, from, split.text.size()});
    rendered.remove_prefix(std::min(index + 1 + kClose.size(), rendered.size()));
  }
  close_message(rendered);
  return split;
}

}  // namespace sabir::completions

#include "folder.h"

#include <algorithm>
#include <array>
#include <set>

#include "sabir/base/text.h"

namespace sabir::completions {
namespace {

constexpr std::array<std::string_view, 4> kExtensions = {".prompt", ".j2", ".md", ".txt"};
constexpr std::string_view kParts = "prompt_parts";
constexpr std::size_t kMostFiles = 10'000;

bool is_template(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end() &&
         path.filename() != "README.md";
}

bool leads_outside(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return true;
  }
  for (const auto& part : std::filesystem::path(name)) {
    if (part == "..") return true;
  }
  return false;
}

}  // namespace

// The file itself, wherever links lead, when that is below completions/.
std::optional<std::filesystem::path> Folder::inside(const std::filesystem::path& path) const {
  std::error_code ec;
  const auto real_base = std::filesystem::canonical(base_, ec);
  if (ec) return std::nullopt;
  const auto real = std::filesystem::canonical(path, ec);
  if (ec) return std::nullopt;
  const auto [base_end, unused] = std::mismatch(real_base.begin(), real_base.end(), real.begin(), real.end());
  if (base_end != real_base.end()) return std::nullopt;
  return real;
}

Result<Folder::Found> Folder::find(std::string_view asked, bool for_include) const {
  std::string_view name = asked;
  if (name.starts_with("completions/")) name.remove_prefix(12);
  const auto outside = [&] {
    return fail(ErrorCode::kTemplate, "'" + std::string(asked) + "' is not inside completions/",
                "Templates may use files below completions/ only; copy the text there.");
  };
  if (leads_outside(name) || name.size() > 512) return outside();

  std::vector<std::string> candidates;
  const auto add = [&](const std::string& stem) {
    candidates.push_back(stem);
    for (const auto extension : kExtensions) candidates.push_back(stem + std::string(extension));
  };
  const std::string own(name);
  const std::string part = std::string(kParts) + "/" + own;
  const bool part_first = for_include && own.find('/') == std::string::npos;
  add(part_first ? part : own);
  add(part_first ? own : part);
  std::vector<std::filesystem::path> passed_over;
  for (const auto& candidate : candidates) {
    const auto path = base_ / candidate;
    std::error_code ec;
    if (!is_template(path)) continue;
    if (!std::filesystem::is_regular_file(path, ec)) {
      passed_over.push_back(path);
      continue;
    }
    const auto real = inside(path);
    if (!real) return outside();
    const std::string normal = std::filesystem::path(candidate).lexically_normal().generic_string();
    return Found{*real, path, normal, "completions/" + normal, std::move(passed_over)};
  }

  std::vector<std::string> names;
  if (auto all = list(); all) {
    for (const auto& info : *all) {
      names.push_back(info.name);
      if (info.is_part) names.push_back(std::filesystem::path(info.name).filename().string());
    }
  }
  std::string hint = did_you_mean(own, names);
  if (hint.empty()) {
    hint = names.empty() ? "Put a template at completions/" + own + ".prompt."
                         : "`sabir prompt list` shows what there is.";
  }
  return fail(ErrorCode::kNotFound, "there is no " + std::string(for_include ? "part or template" : "template") +
                                        " '" + std::string(asked) + "' in completions/",
              std::move(hint));
}

Result<std::vector<PromptInfo>> Folder::list() const {
  std::vector<PromptInfo> prompts;
  std::error_code ec;
  auto at = std::filesystem::recursive_directory_iterator(
      base_, std::filesystem::directory_options::skip_permission_denied, ec);
  for (; !ec && at != std::filesystem::recursive_directory_iterator(); at.increment(ec)) {
    const auto& path = at->path();
    const std::string file_name = path.filename().string();
    std::error_code ignored;
    if (at->is_directory(ignored) && (file_name.starts_with(".") || file_name.starts_with("__") || file_name == "tests")) {
      at.disable_recursion_pending();
      continue;
    }
    if (file_name.starts_with(".") || !is_template(path) || !at->is_regular_file(ignored) || !inside(path)) continue;
    const auto relative = path.lexically_relative(base_);
    PromptInfo info;
    info.name = (relative.parent_path() / relative.stem()).generic_string();
    info.file = "completions/" + relative.generic_string();
    info.is_part = *relative.begin() == kParts;
    prompts.push_back(std::move(info));
    if (prompts.size() > kMostFiles) {
      return fail(ErrorCode::kLimit, "completions/ holds more than " + std::to_string(kMostFiles) + " templates");
    }
  }
  // Among files that differ in their extension only, the first extension has the short name.
  const auto rank = [](const PromptInfo& info) {
    const std::string extension = std::filesystem::path(info.file).extension().string();
    return std::find(kExtensions.begin(), kExtensions.end(), extension) - kExtensions.begin();
  };
  std::sort(prompts.begin(), prompts.end(), [&](const PromptInfo& a, const PromptInfo& b) {
    return std::pair(std::string_view(a.name), rank(a)) < std::pair(std::string_view(b.name), rank(b));
  });
  std::set<std::string> taken;
  for (auto& info : prompts) {
    if (!taken.insert(info.name).second) info.name = info.file.substr(12);
  }
  return prompts;
}

}  // namespace sabir::completions

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"

namespace sabir::languages {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kAnswerTime{20};
constexpr std::size_t kMostPaths = 64;

bool is_below(const fs::path& path, const fs::path& folder) {
  const std::string text = path.string() + "/";
  const std::string outer = folder.string() + "/";
  return text.starts_with(outer);
}

// /opt/x/bin/x -> /opt/x; the program itself where that would be a whole home or tree.
fs::path installation_of(const fs::path& program) {
  const fs::path folder = program.parent_path();
  if (folder.filename() != "bin" && folder.filename() != "shims") return program;
  const fs::path prefix = folder.parent_path();
  const char* home = std::getenv("HOME");
  const bool whole = std::distance(prefix.begin(), prefix.end()) < 3 || (home && prefix == fs::path(home)) || prefix.filename() == ".local";
  return whole ? program : prefix;
}

}  // namespace

Result<Visible> visible_of(const project::Language& language, const fs::path& root, const std::string& interpreter,
                           const std::vector<std::string>& environment) {
  Visible out{interpreter, interpreter, {}};
  std::vector<fs::path> found;
  if (language.visible.empty()) {
    // Every link on the way to the program is needed as well.
    fs::path at = interpreter;
    std::error_code ec;
    for (int i = 0; i < 8; ++i) {
      found.push_back(installation_of(at));
      if (!fs::is_symlink(at, ec)) break;
      const fs::path next = fs::read_symlink(at, ec);
      at = (next.is_absolute() ? next : at.parent_path() / next).lexically_normal();
    }
  } else {
    process::SpawnSpec spec;
    spec.argv = filled(language.visible, usual_values(language, root, interpreter));
    spec.environment = environment;
    spec.directory = root;
    spec.separate_errors = true;
    auto result = process::run(std::move(spec), kAnswerTime, 65536);
    if (!result) return fail(std::move(result.error()));
    const auto lines = split_lines(result->output);
    if (result->timed_out || result->status.code != 0 || lines.empty() || trim(lines.front()).empty()) {
      return fail(ErrorCode::kUnavailable, "what a sandbox has to show of " + interpreter + " could not be found out",
                  "`" + join(language.visible, " ") + "` " + (result->timed_out ? std::string("took too long") : result->status.text()) + ": " +
                      std::string(trim(result->errors).substr(0, 500)));
    }
    out.interpreter = trim(lines.front());
    for (const auto& line : lines) {
      if (const std::string text(trim(line)); text.starts_with('/')) found.emplace_back(text);
    }
  }
  const char* home = std::getenv("HOME");
  for (const auto& path : found) {
    std::error_code ec;
    const fs::path plain = path.lexically_normal();
    const bool much = plain == "/" || is_below(root, plain) || (home && is_below(home, plain));
    if (much || process::shown_in_every_sandbox(plain) || is_below(plain, root) || !fs::exists(plain, ec)) continue;
    const bool covered = std::any_of(out.paths.begin(), out.paths.end(), [&](const auto& other) { return is_below(plain, other); });
    if (covered) continue;
    std::erase_if(out.paths, [&](const auto& other) { return is_below(other, plain); });
    if (out.paths.size() < kMostPaths) out.paths.push_back(plain);
  }
  return out;
}

}  // namespace sabir::languages

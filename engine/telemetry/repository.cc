#include "repository.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/process/spawn.h"

namespace sabir::telemetry {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::milliseconds kMost{2000};

bool in_repository(const fs::path& root) {
  std::error_code error;
  for (fs::path at = root;; at = at.parent_path()) {
    if (fs::exists(at / ".git", error)) return true;
    if (at == at.parent_path()) return false;
  }
}

}  // namespace

std::optional<Revision> parse_revision(std::string_view text) {
  constexpr std::string_view kCommit = "# branch.oid ";
  Revision out;
  for (const auto line : split_lines(text)) {
    if (line.starts_with(kCommit)) {
      out.commit = line.substr(kCommit.size());
    } else if (!line.empty() && !line.starts_with("#")) {
      out.dirty = true;
    }
  }
  const bool digits = out.commit.size() >= 40 && out.commit.find_first_not_of("0123456789abcdef") == std::string::npos;
  return digits ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<Revision> revision_of(const fs::path& root) {
  if (!in_repository(root)) return std::nullopt;
  process::SpawnSpec spec;
  // Neither the user's index is refreshed nor a program of the repository's run.
  spec.argv = {"git", "-C", root.string(), "-c", "core.fsmonitor=false", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."};
  spec.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}, {"LC_ALL", "C"}});
  spec.separate_errors = true;
  const auto done = process::run(std::move(spec), kMost, std::size_t{1} << 20U);
  if (!done || done->timed_out || done->status.code != 0) return std::nullopt;
  return parse_revision(done->output);
}

}  // namespace sabir::telemetry

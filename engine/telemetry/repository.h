// What of the project's git repository a run was made from. Private to the room.
//
// Threads: any; runs git and waits for it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sabir::telemetry {

struct Revision {
  std::string commit;
  bool dirty = false;  // a file of the project that git knows is not as it was committed
};

// Nothing outside of a repository, without git, and when it takes longer than two seconds.
std::optional<Revision> revision_of(const std::filesystem::path& root);

// Of what `git status --porcelain=v2 --branch` prints.
std::optional<Revision> parse_revision(std::string_view text);

}  // namespace sabir::telemetry

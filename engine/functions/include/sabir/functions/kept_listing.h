// The answer to functions.list as it was last given by an engine of the project, kept in
// <project>/.sabir/described/<environment>.listing with a stamp of everything that it was made from. As long as the stamps
// hold, no engine has to be opened to give it again.
//
// Threads: pure functions. Processes: written beside and renamed; the last one wins.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sabir/functions/registry.h"
#include "sabir/project/project.h"

namespace sabir::functions {

struct Listing {
  std::string json;                   // the result object, on one line
  std::vector<std::string> warnings;  // of the project, which opening an engine writes to the log
};

// Where a listing is from, besides the project's own files.
struct ListingPlace {
  std::filesystem::path root;
  std::string environment;
  std::filesystem::path resources;  // EngineOptions::resources
};

// Nothing where none is kept, or something changed, or it cannot be told whether it did.
std::optional<Listing> kept_listing(const ListingPlace& place);

// Keeps what an engine that began to read at `begun` answered, unless something that it read is so young that a later change
// might not show, or asking again might give another answer. Where it cannot be kept, an engine is opened next time.
void keep_listing(const ListingPlace& place, const project::Project& project, const Registry& registry, const Listing& listing,
                  std::chrono::system_clock::time_point begun);

}  // namespace sabir::functions

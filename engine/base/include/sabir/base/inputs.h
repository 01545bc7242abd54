// Inputs: the files, folders and names that a result was made from, and stamps by which it is seen later, without reading
// them, that none of them changed.
//
// Threads: plain values and functions.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

namespace sabir {

struct Inputs {
  std::set<std::filesystem::path> contents;  // files that were read, folders that were listed
  std::set<std::filesystem::path> missing;   // names where nothing was
  std::set<std::filesystem::path> places;    // of which it counts alone what they are, where links lead, and whose they are

  // What was read, or was not there.
  void add(std::filesystem::path path, bool found) { (found ? contents : missing).insert(std::move(path)); }
  void add(const Inputs& more) {
    contents.insert(more.contents.begin(), more.contents.end());
    missing.insert(more.missing.begin(), more.missing.end());
    places.insert(more.places.begin(), more.places.end());
  }
};

struct Stamp {
  using Numbers = std::array<std::int64_t, 6>;
  Numbers numbers{};                     // of a content, as in `text`; 0 where nothing is
  std::string text;                      // equal as long as nothing changed; "-" where nothing is; "" = it cannot be told
  std::chrono::nanoseconds changed{0};   // when it last did, since 1970, as far as the file system knows
  bool coarse = false;                   // it counts in seconds
};

// Of what is read there: size, times, inode, kind and permissions of what a link leads to.
Stamp stamp_of_content(const std::filesystem::path& path);
// Whether stamp_of_content() would have these now, which is told without writing them. False where nothing is.
bool has_stamp_of_content(const std::filesystem::path& path, const Stamp::Numbers& numbers);
// Of what there is: its kind, permissions and owner, and the path without links.
Stamp stamp_of_place(const std::filesystem::path& path);

// Whether a stamp that is taken after `begun` holds for what was read from then on: what changed shortly before may change
// again within the same tick of the file system's clock, and has the same stamp then.
bool is_settled(const Stamp& stamp, std::chrono::system_clock::time_point begun);

}  // namespace sabir

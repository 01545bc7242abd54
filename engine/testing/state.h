// State: what is kept of a project's tests below .sabir/tests between runs: each file's stamp, hash and references, and of each test file
// what it depended on when it last passed.
//
// Threads: plain values. Processes: written beside and renamed; the last one wins, which costs a test that is run once more.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph.h"
#include "sabir/base/error.h"
#include "sabir/base/inputs.h"

namespace sabir::testing {

inline constexpr std::uint32_t kStateFormat = 1;

struct KnownFile {
  Stamp::Numbers stamp{};   // all 0: it may have changed since without showing
  std::uint64_t content = 0;
  std::vector<Ref> refs;
};

struct KnownTest {
  bool passed = false;      // ever, with `passing`
  Closure passing;          // of its last pass
  Closure last;             // of its last run
  double seconds = 0;       // of its cases, the last time
  std::uint32_t cases = 0;
  std::vector<std::string> failed;  // ids, of its last run; at most 100
  // What it depended on when it passed, to tell later what has changed; nothing where that was too much.
  std::vector<std::pair<std::string, std::uint64_t>> depended;
};

struct State {
  std::unordered_map<std::string, KnownFile> files;
  std::unordered_map<std::string, KnownTest> tests;
};

// Errors: kStoreNewer for a newer format; kConfig where it is none or cut off.
Result<State> parse_state(std::string_view bytes);
std::string to_bytes(const State& state);

// An empty one where there is none, or none that can be read: then everything is run.
State load_state(const std::filesystem::path& file);
Result<void> save_state(const std::filesystem::path& file, const State& state);

}  // namespace sabir::testing

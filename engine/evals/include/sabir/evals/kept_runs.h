// Runs of evals that are kept below .sabir/evals/, one file each, and what differs between two of them.
//
// Threads: any; keep() writes a file and removes the oldest.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::evals {

inline constexpr int kRunFormat = 1;
inline constexpr std::size_t kMostRunsKept = 50;

struct KeptCase {
  std::string eval;
  std::string id;
  std::string outcome;
  std::vector<std::string> answers;   // of each sample
  std::string why;                    // its first failure or error
  std::optional<double> usd;          // of all samples together
  std::int64_t tokens = 0;
  double ms = 0;                      // of a sample, on average
};

struct KeptRun {
  std::string id;                     // later ones sort later
  std::string at;                     // "2026-11-28 05:21:10" in UTC
  bool live = false;
  std::vector<KeptCase> cases;
};

// `evals` are to_json() of each result. Gives the run's id. Errors: kIo, kStorageFull.
Result<std::string> keep(const std::filesystem::path& root, const json::array& evals, bool live);
// The ids of those that are kept, the newest last.
std::vector<std::string> kept_runs(const std::filesystem::path& root);
// By an id or its beginning, or by how many runs ago: "-1" is the last. Errors: kNotFound, kConfig, kStoreNewer.
Result<KeptRun> read_kept(const std::filesystem::path& root, const std::string& which);
// Errors: kConfig, kStoreNewer.
Result<KeptRun> parse_kept_run(std::string_view text, const std::string& file);

struct CaseChange {
  std::string eval;
  std::string id;
  std::string before;                 // outcome; "" = it was not there
  std::string after;
  std::string why;                    // it fails now
  std::vector<std::string> answer;    // lines with - and +; empty: the first sample's answer is the same
  std::optional<double> usd;          // more or less
  std::int64_t tokens = 0;
  double ms = 0;
};
struct RunDifference {
  KeptRun before;
  KeptRun after;
  std::vector<CaseChange> changes;    // cases whose outcome or answer is another, or that are in one run alone
  std::size_t same = 0;
  std::optional<double> usd;          // of all cases that are in both
  std::int64_t tokens = 0;
  double ms = 0;
};
RunDifference difference_of(KeptRun before, KeptRun after);
json::object to_json(const RunDifference& difference);

}  // namespace sabir::evals

// Player: answers from a recording, each entry once, in order where the same was asked several times. What it has no answer for
// is an error with the difference to the nearest entry, and is kept in a ReplayReport, from which `sabir recordings refresh` asks anew.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "sabir/recordings/recording.h"
#include "sabir/recordings/scrub.h"

namespace sabir::recordings {

// What so many tokens of a model cost; nothing where no price is known.
using Price = std::function<std::optional<double>(const std::string& model, const models::Usage& usage)>;

// What was asked for and is not recorded.
struct Miss {
  std::optional<std::size_t> stale;    // the entry that an edited prompt made useless
  std::optional<std::size_t> nearest;  // the entry that differs least
  std::string what;                    // one line: "model openai", "function ruby/text.words"
  std::string difference;              // lines with - and +
  json::object ask;                    // of a model; empty for a function
  json::object request;                // the same to be asked again: {"messages", "tools", "parameters", "output_schema"}, or {"texts", "parameters"}
  std::vector<PromptUse> prompts;
  models::Usage cost;                  // what asking anew takes, by the recorded usage
  std::optional<double> money;
};

// What the last replay of one recording came to.
struct ReplayReport {
  std::string recording;            // path from the project's root, or absolute
  std::string name;                 // the recording's own
  std::string content;              // fingerprint of the recording's text
  bool functions = false;           // functions were replayed too
  std::set<std::size_t> used;       // entries that answered
  std::vector<Miss> missed;
};
json::object to_json(const ReplayReport& report);
// Bounded as a recording is. Errors: kConfig, kStoreNewer.
Result<ReplayReport> parse_replay_report(std::string_view text, const std::string& file);

class Player {
 public:
  struct Options {
    std::string shown;              // what errors call the file
    std::filesystem::path report;   // where the report goes; "" = nowhere
    std::filesystem::path lock;
    std::int64_t since_ms = 0;      // a report changed since then is added to
    bool functions = false;
    std::string absent;             // why there is nothing to answer from; "" = there is a recording
    Price price;
  };
  // `text` is the recording's own.
  Player(Recording recording, std::string_view text, Options options, Scrubber scrubber);

  // Errors: kRecordingMissing, kRecordingStale; the recorded error is an entry like any other.
  // `again` is what refresh asks with: the request as it came.
  Result<const Entry*> model(const json::object& ask, const std::vector<PromptUse>& prompts, json::object again);
  Result<const Entry*> function(const std::string& address, bool stream, std::string_view arguments);

  const Recording& recording() const { return recording_; }
  ReplayReport report() const;
  // Writes the report. Errors: kIo, kStorageFull.
  Result<void> flush();

 private:
  std::optional<std::size_t> next(const std::string& key);
  std::optional<std::size_t> nearest(Kind kind, const std::string& address, const std::vector<std::string>& lines) const;

  const Recording recording_;
  const Options options_;
  const Scrubber scrubber_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_key_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> taken_;  // of a key
  std::set<std::size_t> stale_;  // entries that a miss has been laid to
  ReplayReport report_;
};

// The difference as a person reads it: changed lines with - (recorded) and + (asked), long lines cut to where they differ.
std::string difference(const std::vector<std::string>& recorded, const std::vector<std::string>& asked);

// Whether `ask` differs from `entry` in nothing but the text of its prompts.
bool is_stale(const Entry& entry, const json::object& ask, const std::vector<PromptUse>& prompts);

}  // namespace sabir::recordings

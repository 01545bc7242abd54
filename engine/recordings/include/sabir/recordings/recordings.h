// Recordings: what an engine records or replays, in one file or in a folder with a file for each test.
//
// Threads: any. Lifetimes: flush() before the engine ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "sabir/recordings/player.h"
#include "sabir/recordings/prompts.h"
#include "sabir/recordings/recorder.h"

namespace sabir::recordings {

inline constexpr const char* kFolder = "tests/recordings";
inline constexpr const char* kEvalFolder = "tests/evals/recordings";  // those of evals

enum class Mode { kOff, kRecord, kReplay };

struct Choice {
  Mode mode = Mode::kOff;
  std::filesystem::path path;   // a file (.json), or a folder with a file for each name
  bool functions = false;       // replay: functions too, so that no worker starts
  bool where_present = false;   // replay: what has no recording runs as ever
  std::int64_t since_ms = 0;    // Unix time from which on files are this run's own: several engines of one test run add to them
  std::string name;             // of what is recorded, until use() says otherwise
};

// SABIR_RECORD, SABIR_REPLAY, SABIR_REPLAY_FUNCTIONS, SABIR_RECORDING_SINCE, SABIR_REPLAY_WHERE_PRESENT; the name from
// SABIR_TEST_NAME or pytest's own variable. Relative paths are the project's. Errors: kUsage when both are set.
Result<Choice> choice_from_environment(const std::filesystem::path& root);

// A word of a command line as a path: a name alone is a file of tests/recordings/; else relative to the current folder.
std::filesystem::path recording_path(const std::string& word, const std::filesystem::path& root);
bool is_folder(const std::filesystem::path& path);
// The file of a test or run in a folder: its name with what a file system minds replaced.
std::string file_name(const std::string& name);
// Where the report of a recording's last replay is kept.
std::filesystem::path report_file(const std::filesystem::path& root, const std::filesystem::path& recording);
// The report when it was written since then, in Unix time.
std::optional<ReplayReport> report_since(const std::filesystem::path& report, std::int64_t since_ms);
// As people write it: from the project's root where it lies below.
std::string shown_path(const std::filesystem::path& path, const std::filesystem::path& root);

class Recordings {
 public:
  // `changed` is called when there is something to flush. `price` may be null.
  Recordings(Choice choice, std::filesystem::path root, std::string override_alias, std::shared_ptr<const secrets::Redactor> redactor,
             std::function<void()> changed, Price price = {});

  bool recording() const { return choice_.mode == Mode::kRecord; }
  bool replays_functions() const { return choice_.mode == Mode::kReplay && choice_.functions; }
  // From now on a file of this name, when the choice is a folder.
  void use(const std::string& name);
  // Null when this does not record.
  std::shared_ptr<Recorder> recorder();
  // Null when this does not replay, or nothing is there and need not be. Errors: kRecordingMissing; kConfig, kStoreNewer, kIo.
  Result<std::shared_ptr<Player>> player();
  const std::shared_ptr<Prompts>& prompts() const { return prompts_; }
  // What has been asked under the present name so far: recorded, or answered from the recording.
  std::vector<Entry> so_far();
  // What has been asked under it and was not there, whatever became of the error.
  std::vector<Miss> missed();
  // A fingerprint of what a prompt was given.
  std::string fingerprint_of(const json::object& variables) const;
  // Writes what is new; with `last`, all. Errors go to the log.
  void flush(bool last);

 private:
  std::filesystem::path file() const;

  const Choice choice_;
  const std::filesystem::path root_;
  const std::string override_alias_;
  const Scrubber scrubber_;
  const std::function<void()> changed_;
  const Price price_;
  const std::shared_ptr<Prompts> prompts_ = std::make_shared<Prompts>();
  mutable std::mutex mutex_;
  std::string name_;
  std::map<std::filesystem::path, std::shared_ptr<Recorder>> recorders_;
  std::map<std::filesystem::path, std::shared_ptr<Player>> players_;
};

}  // namespace sabir::recordings

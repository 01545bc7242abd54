#include "sabir/recordings/recordings.h"

#include <algorithm>
#include <cstdlib>

#include "file_lock.h"
#include "sabir/base/file.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"

namespace sabir::recordings {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostNameBytes = 120;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path without_trailing_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.filename().empty() ? normal.parent_path() : normal;
}

}  // namespace

Result<Choice> choice_from_environment(const fs::path& root) {
  Choice choice;
  const std::string record = variable("SABIR_RECORD");
  const std::string replay = variable("SABIR_REPLAY");
  if (!record.empty() && !replay.empty()) {
    return fail(ErrorCode::kUsage, "SABIR_RECORD and SABIR_REPLAY are both set", "Unset one of them.");
  }
  choice.mode = !record.empty() ? Mode::kRecord : !replay.empty() ? Mode::kReplay : Mode::kOff;
  choice.path = root / (record.empty() ? replay : record);
  choice.functions = !variable("SABIR_REPLAY_FUNCTIONS").empty() && variable("SABIR_REPLAY_FUNCTIONS") != "0";
  choice.where_present = !variable("SABIR_REPLAY_WHERE_PRESENT").empty();
  choice.since_ms = std::max<std::int64_t>(0, std::atoll(variable("SABIR_RECORDING_SINCE").c_str()));
  choice.name = variable("PYTEST_CURRENT_TEST");
  // "tests/test_a.py::test_b (call)"
  if (const auto blank = choice.name.rfind(" ("); blank != std::string::npos) choice.name.resize(blank);
  if (choice.name.empty()) choice.name = variable("SABIR_TEST_NAME");
  return choice;
}

bool is_folder(const fs::path& path) {
  std::error_code ec;
  return fs::is_directory(path, ec) || path.extension() != ".json";
}

fs::path recording_path(const std::string& word, const fs::path& root) {
  std::error_code ec;
  if (word.find('/') == std::string::npos && !fs::is_directory(word, ec)) {
    return root / kFolder / (word.ends_with(".json") ? word : word + ".json");
  }
  return without_trailing_slash(fs::absolute(word, ec));
}

std::string file_name(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
                      (static_cast<unsigned char>(c) & 0x80U) != 0;
    if (kept) out += c;
    else if (!out.empty() && out.back() != '-') out += '-';
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  out.erase(0, std::min(out.find_first_not_of(".-"), out.size()));
  if (out.size() > kMostNameBytes) {
    std::size_t end = kMostNameBytes - 17;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0U) == 0x80U) --end;
    out = out.substr(0, end) + "-" + fingerprint(name);
  }
  return (out.empty() ? "run" : out) + ".json";
}

fs::path report_file(const fs::path& root, const fs::path& recording) {
  return root / ".sabir" / "replays" / (fingerprint(recording.lexically_normal().string()) + ".json");
}

std::optional<ReplayReport> report_since(const fs::path& report, std::int64_t since_ms) {
  if (changed_ms(report) < since_ms) return std::nullopt;
  auto text = read_file(report, kMostBytes);
  auto read = text ? parse_replay_report(*text, report.string()) : Result<ReplayReport>(fail(text.error()));
  if (!read) return std::nullopt;
  return std::move(*read);
}

std::string shown_path(const fs::path& path, const fs::path& root) {
  const auto relative = path.lexically_relative(root);
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}

Recordings::Recordings(Choice choice, fs::path root, std::string override_alias, std::shared_ptr<const secrets::Redactor> redactor, std::function<void()> changed,
                       Price price)
    : choice_(std::move(choice)),
      root_(std::move(root)),
      override_alias_(std::move(override_alias)),
      scrubber_(std::move(redactor)),
      changed_(std::move(changed)),
      price_(std::move(price)),
      name_(choice_.name) {}

void Recordings::use(const std::string& name) {
  const std::lock_guard hold(mutex_);
  name_ = name;
}

// REQUIRES: mutex_ is held.
fs::path Recordings::file() const { return is_folder(choice_.path) ? choice_.path / file_name(name_) : choice_.path; }

std::shared_ptr<Recorder> Recordings::recorder() {
  if (choice_.mode != Mode::kRecord) return nullptr;
  const std::lock_guard hold(mutex_);
  auto& recorder = recorders_[file()];
  if (!recorder) {
    Recorder::Options options;
    options.file = file();
    options.name = name_;
    options.override_alias = override_alias_;
    options.since_ms = choice_.since_ms;
    options.lock = root_ / ".sabir" / "recordings.lock";
    options.changed = changed_;
    recorder = std::make_shared<Recorder>(std::move(options), scrubber_);
  }
  return recorder;
}

Result<std::shared_ptr<Player>> Recordings::player() {
  if (choice_.mode != Mode::kReplay) return nullptr;
  const std::lock_guard hold(mutex_);
  const fs::path path = file();
  if (const auto known = players_.find(path); known != players_.end()) return known->second;
  const std::string shown = shown_path(path, root_);
  auto text = read_file(path, kMostBytes);
  Player::Options options;
  Recording recording;
  if (!text && text.error().code == ErrorCode::kNotFound) {
    if (choice_.where_present) return nullptr;
    options.absent = "there is no recording " + shown + (name_.empty() ? "" : " of " + name_);
    if (!is_folder(choice_.path)) return fail(ErrorCode::kRecordingMissing, options.absent, "Record it: the same command with --record in place of --replay.");
    // In a folder each question is missed, and told of.
    text = std::string();
    recording.name = scrubber_.text(name_);
  } else if (!text) {
    return fail(std::move(text.error()));
  } else {
    auto read = parse_recording(*text, shown);
    if (!read) return fail(std::move(read.error()));
    recording = std::move(*read);
  }
  options.shown = shown;
  options.report = report_file(root_, path);
  options.lock = root_ / ".sabir" / "recordings.lock";
  options.since_ms = choice_.since_ms;
  options.functions = choice_.functions;
  options.price = price_;
  auto player = std::make_shared<Player>(std::move(recording), *text, std::move(options), scrubber_);
  players_.emplace(path, player);
  return player;
}

std::vector<Entry> Recordings::so_far() {
  if (const auto recording_now = recorder()) return recording_now->recording().entries;
  const auto replaying = player();
  std::vector<Entry> out;
  if (!replaying || !*replaying) return out;
  for (const auto i : (*replaying)->report().used) out.push_back((*replaying)->recording().entries[i]);
  return out;
}

std::vector<Miss> Recordings::missed() {
  const auto replaying = player();
  return replaying && *replaying ? (*replaying)->report().missed : std::vector<Miss>();
}

std::string Recordings::fingerprint_of(const json::object& variables) const { return fingerprint(canonical_json(scrubber_.object(variables))); }

void Recordings::flush(bool last) {
  std::vector<std::shared_ptr<Recorder>> recorders;
  std::vector<std::shared_ptr<Player>> players;
  {
    const std::lock_guard hold(mutex_);
    for (const auto& [path, recorder] : recorders_) recorders.push_back(recorder);
    if (last) {
      for (const auto& [path, player] : players_) players.push_back(player);
    }
  }
  const auto tell = [](const Result<void>& written) {
    if (!written) log(LogLevel::kError, "a recording was not written: " + to_text(written.error()));
  };
  for (const auto& recorder : recorders) tell(recorder->flush(last));
  for (const auto& player : players) tell(player->flush());
}

}  // namespace sabir::recordings

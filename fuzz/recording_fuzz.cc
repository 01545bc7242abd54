// Recordings and the reports of their replays: any text ends in a recording that reads back from its own text as the same, or in an
// error with words and a place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/recordings/player.h"
#include "sabir/recordings/recording.h"

using namespace sabir;
using namespace sabir::recordings;

namespace {

void check_error(const Error& error) {
  if (error.message.empty() || error.file.empty()) std::abort();
  if (error.code != ErrorCode::kConfig && error.code != ErrorCode::kStoreNewer) std::abort();
}

void check_recording(std::string_view text) {
  const auto recording = parse_recording(text, "fuzz.json");
  if (!recording) return check_error(recording.error());
  const std::string written = to_text(*recording);
  const auto again = parse_recording(written, "fuzz.json");
  if (!again || to_text(*again) != written || again->entries.size() != recording->entries.size()) std::abort();
  for (std::size_t i = 0; i < recording->entries.size(); ++i) {
    const Entry& a = recording->entries[i];
    const Entry& b = again->entries[i];
    if (key_of(a) != key_of(b) || a.value != b.value || a.pieces != b.pieces || a.reply.content != b.reply.content) std::abort();
  }
  // Each entry answers what it was recorded for, once.
  Player player(*recording, text, {.shown = "fuzz.json"}, Scrubber(nullptr));
  for (const auto& entry : recording->entries) {
    const auto found = entry.kind == Kind::kModel ? player.model(entry.ask, entry.prompts, {}) : player.function(entry.address, entry.stream, entry.arguments);
    if (!found || key_of(**found) != key_of(entry)) std::abort();
  }
  if (!recording->entries.empty() && recording->entries.front().kind == Kind::kModel) {
    json::object other = recording->entries.front().ask;
    other["alias"] = "another";
    const auto missed = player.model(other, recording->entries.front().prompts, {});
    if (!missed && missed.error().message.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_recording(text);
  const auto report = parse_replay_report(text, "replay.json");
  if (!report) {
    check_error(report.error());
  } else if (!parse_replay_report(pretty_json(to_json(*report)), "replay.json")) {
    std::abort();
  }
  if (const auto use = parse_json(text); use && !use->is_object() && prompt_use(*use)) std::abort();
  return 0;
}

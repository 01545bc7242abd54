#include "log_ring.h"

#include <algorithm>
#include <chrono>

#include "sabir/base/text.h"

namespace sabir::runtime {

void LogRing::push(std::string_view source, std::string_view level, std::string_view text) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string kept(text.substr(0, kMostBytes));
  // What a worker prints may be anything, and a text may have been cut within a character.
  for (std::size_t at = find_invalid_utf8(kept); at != std::string::npos; at = find_invalid_utf8(kept)) kept[at] = '?';
  const std::lock_guard hold(mutex_);
  lines_.push_back({now, std::string(source), std::string(level), std::move(kept)});
  if (lines_.size() > kMost) lines_.pop_front();
  ++last_;
}

json::object LogRing::read(std::uint64_t after, std::size_t limit) const {
  const std::lock_guard hold(mutex_);
  after = std::min(after, last_);
  const std::uint64_t asked = last_ - after;
  const std::size_t count = std::min({static_cast<std::size_t>(asked), lines_.size(), limit});
  json::array out;
  for (std::size_t i = lines_.size() - count; i < lines_.size(); ++i) {
    const auto& line = lines_[i];
    json::object one{{"number", last_ - (lines_.size() - 1 - i)}, {"time_ms", line.time_ms}, {"source", line.source}, {"text", line.text}};
    if (!line.level.empty()) one["level"] = line.level;
    out.push_back(std::move(one));
  }
  return {{"lines", std::move(out)}, {"last", last_}, {"dropped", asked - count}};
}

}  // namespace sabir::runtime

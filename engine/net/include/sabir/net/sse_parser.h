// SseParser: server-sent events (HTML standard, "Parsing an event stream") as a state machine without I/O.
//
// Threads: one at a time. Bytes may be cut anywhere, also inside a line end or a UTF-8 sequence.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::net {

struct SseEvent {
  std::string type = "message";
  std::string data;  // data lines joined by \n
  std::string id;    // last id seen so far

  bool operator==(const SseEvent&) const = default;
};

class SseParser {
 public:
  static constexpr std::size_t kMostEventBytes = std::size_t{16} << 20U;

  explicit SseParser(std::size_t most_event_bytes = kMostEventBytes) : most_(most_event_bytes) {}

  // The events completed by `bytes`, in order. Errors: kLimit when one line or one event passes the bound; the parser
  // stays in error then.
  Result<std::vector<SseEvent>> feed(std::string_view bytes);

  // The stream has ended: an event whose blank line is missing. The standard drops it; servers that end a stream right
  // after the last data line are common enough that it is given out here.
  std::optional<SseEvent> finish();

  // The last id seen, of events without data too, and the pause in milliseconds that the server wants before another try.
  const std::string& last_id() const { return id_; }
  std::optional<int> retry_ms() const { return retry_ms_; }

 private:
  void take_line(std::string_view line, std::vector<SseEvent>& out);
  void dispatch(std::vector<SseEvent>& out);

  std::size_t most_;
  std::string line_;
  std::string type_;
  std::string data_;
  std::string id_;
  std::optional<int> retry_ms_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  bool broken_ = false;
};

}  // namespace sabir::net

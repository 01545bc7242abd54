#include "sabir/net/sse_parser.h"

namespace sabir::net {

void SseParser::dispatch(std::vector<SseEvent>& out) {
  if (has_data_) {
    data_.pop_back();  // the \n after the last line
    SseEvent event;
    if (!type_.empty()) event.type = std::move(type_);
    event.data = std::move(data_);
    event.id = id_;
    out.push_back(std::move(event));
  }
  type_.clear();
  data_.clear();
  has_data_ = false;
}

void SseParser::take_line(std::string_view line, std::vector<SseEvent>& out) {
  if (line.empty()) {
    dispatch(out);
    return;
  }
  if (line.front() == ':') return;  // comment, often a keep-alive
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "data") {
    data_.append(value);
    data_ += '\n';
    has_data_ = true;
  } else if (field == "event") {
    type_ = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  } else if (field == "retry" && !value.empty() && value.size() < 9 && value.find_first_not_of("0123456789") == std::string_view::npos) {
    retry_ms_ = std::stoi(std::string(value));
  }
}

Result<std::vector<SseEvent>> SseParser::feed(std::string_view bytes) {
  std::vector<SseEvent> out;
  const auto too_long = [&] {
    broken_ = true;
    return fail(ErrorCode::kLimit, "event stream: one event is larger than " + std::to_string(most_) + " bytes");
  };
  if (broken_) return too_long();
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + data_.size() > most_) return too_long();
    line_.append(part);
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    std::string line = std::move(line_);
    line_.clear();
    if (at_start_) {
      at_start_ = false;
      if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    }
    take_line(line, out);
  }
  return out;
}

std::optional<SseEvent> SseParser::finish() {
  std::vector<SseEvent> out;
  if (broken_) return std::nullopt;
  if (!line_.empty()) take_line(std::string(std::move(line_)), out);
  line_.clear();
  dispatch(out);
  if (out.empty()) return std::nullopt;
  return std::move(out.front());
}

}  // namespace sabir::net

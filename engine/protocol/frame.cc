#include "sabir/protocol/frame.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sabir::protocol {
void FrameReader::append(std::string_view bytes) { buffer_.append(bytes.substr(large_ ? take(bytes) : 0)); }

// Memory for a part is asked for when its turn comes, and touched as its bytes come.
void FrameReader::begin_part() {
  for (part_filled_ = 0; part_ < lengths_.size(); ++part_) {
    std::string& part = part_ == 0 ? parts_.json : parts_.blobs.emplace_back();
    part.resize_and_overwrite(lengths_[part_], [size = lengths_[part_]](char*, std::size_t) { return size; });
    if (lengths_[part_] > 0) return;
  }
}

std::span<char> FrameReader::room() {
  if (!large_ || part_ == lengths_.size()) return {};
  std::string& part = part_ == 0 ? parts_.json : parts_.blobs.back();
  return std::span(part).subspan(part_filled_);
}

void FrameReader::filled(std::size_t count) {
  part_filled_ += count;
  if (part_filled_ < lengths_[part_]) return;
  ++part_;
  begin_part();
}

// How many bytes found their place.
std::size_t FrameReader::take(std::string_view bytes) {
  std::size_t taken = 0;
  for (auto to = room(); !to.empty() && taken < bytes.size(); to = room()) {
    const std::size_t count = std::min(to.size(), bytes.size() - taken);
    std::copy_n(bytes.data() + taken, count, to.data());
    filled(count);
    taken += count;
  }
  return taken;
}

Result<bool> FrameReader::read_head() {
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  const std::size_t end = rest.find('\n', head_scanned_);
  if (end == std::string_view::npos) {
    head_scanned_ = rest.size();
    if (rest.size() > limits_.head) {
      return fail(ErrorCode::kProtocol, "frame head longer than " + std::to_string(limits_.head) + " bytes");
    }
    // A head that is wrong already need not be waited for.
    for (const char c : rest.substr(0, 32)) {
      if ((c < '0' || c > '9') && c != ' ') return fail(ErrorCode::kProtocol, "frame head holds a byte that is no digit");
    }
    return false;
  }
  if (end > limits_.head) {
    return fail(ErrorCode::kProtocol, "frame head longer than " + std::to_string(limits_.head) + " bytes");
  }
  std::vector<std::size_t> lengths;
  std::size_t total = 0;
  const char* at = rest.data();
  const char* const stop = rest.data() + end;
  while (true) {
    std::size_t length = 0;
    if (at == stop || *at < '0' || *at > '9' || (*at == '0' && at + 1 != stop && at[1] != ' ')) {
      return fail(ErrorCode::kProtocol, "malformed frame head");
    }
    const auto [next, ec] = std::from_chars(at, stop, length);
    if (ec != std::errc() || length > limits_.frame || total > limits_.frame - length) {
      return fail(ErrorCode::kProtocol, "frame larger than " + std::to_string(limits_.frame) + " bytes");
    }
    total += length;
    lengths.push_back(length);
    if (lengths.size() > limits_.blobs + 1) {
      return fail(ErrorCode::kProtocol, "frame with more than " + std::to_string(limits_.blobs) + " blobs");
    }
    at = next;
    if (at == stop) break;
    if (*at != ' ') return fail(ErrorCode::kProtocol, "malformed frame head");
    ++at;
  }
  lengths_ = std::move(lengths);
  begin_ += end + 1;
  head_scanned_ = 0;
  return true;
}

Result<std::optional<Frame>> FrameReader::next() {
  if (broken_) return fail(*broken_);
  if (lengths_.empty()) {
    auto head = read_head();
    if (!head) {
      broken_ = head.error();
      return fail(std::move(head.error()));
    }
    if (!*head) return std::optional<Frame>();
  }
  if (large_) {
    if (part_ < lengths_.size()) return std::optional<Frame>();
    large_ = false;
    lengths_.clear();
    return std::optional<Frame>(std::exchange(parts_, {}));
  }
  std::size_t need = 0;
  for (const std::size_t length : lengths_) need += length;
  if (buffer_.size() - begin_ < need) {
    if (need < limits_.gathered) return std::optional<Frame>();
    large_ = true;
    part_ = 0;
    begin_part();
    take(std::string_view(buffer_).substr(begin_));
    buffer_.clear();
    begin_ = 0;
    return std::optional<Frame>();
  }
  Frame frame;
  frame.json.assign(buffer_, begin_, lengths_.front());
  std::size_t at = begin_ + lengths_.front();
  frame.blobs.reserve(lengths_.size() - 1);
  for (std::size_t i = 1; i < lengths_.size(); ++i) {
    frame.blobs.emplace_back(buffer_, at, lengths_[i]);
    at += lengths_[i];
  }
  begin_ = at;
  lengths_.clear();
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
    // A rare large frame does not keep its memory.
    if (buffer_.capacity() > (std::size_t{1} << 20U)) buffer_.shrink_to_fit();
  } else if (begin_ > (std::size_t{1} << 16U) && begin_ > buffer_.size() / 2) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return std::optional<Frame>(std::move(frame));
}

void append_head(std::string& out, std::size_t json_size, const std::vector<std::string_view>& blobs) {
  char number[24];
  const auto put = [&](std::size_t value) {
    const auto [end, ec] = std::to_chars(number, number + sizeof number, value);
    out.append(number, end);
  };
  put(json_size);
  for (const auto& blob : blobs) {
    out += ' ';
    put(blob.size());
  }
  out += '\n';
}

void append_frame(std::string& out, std::string_view json, const std::vector<std::string_view>& blobs) {
  append_head(out, json.size(), blobs);
  out += json;
  for (const auto& blob : blobs) out += blob;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& blobs) { return {blobs.begin(), blobs.end()}; }

}  // namespace sabir::protocol

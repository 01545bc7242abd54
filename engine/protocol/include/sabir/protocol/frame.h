// Frames of the worker protocol (spec/worker-protocol.md §2): a head line with lengths, one JSON text, blobs. A state
// machine over bytes; it does no I/O.
//
// Threads: one at a time per reader.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::protocol {

struct FrameLimits {
  std::size_t frame = std::size_t{64} << 20U;  // bytes of JSON and blobs together
  std::size_t blobs = 1024;
  std::size_t head = 16384;  // bytes of the head line without its newline
  std::size_t gathered = 65536;  // bytes of a frame that is gathered in one buffer first
};

struct Frame {
  std::string json;
  std::vector<std::string> blobs;
};

class FrameReader {
 public:
  explicit FrameReader(FrameLimits limits = {}) : limits_(limits) {}

  void append(std::string_view bytes);

  // Where the next bytes of the stream may be put instead, of which filled() then tells how many came: the rest of a part of a
  // large frame. Empty when there is no such part.
  std::span<char> room();
  void filled(std::size_t count);

  // The next whole frame; nullopt when more bytes are needed. After kProtocol the stream is unusable: every further
  // call gives the same error.
  Result<std::optional<Frame>> next();

  std::size_t buffered() const { return buffer_.size() - begin_; }

 private:
  Result<bool> read_head();
  void begin_part();
  std::size_t take(std::string_view bytes);

  FrameLimits limits_;
  std::string buffer_;
  std::size_t begin_ = 0;              // first unread byte of buffer_
  std::vector<std::size_t> lengths_;   // of the frame being read; empty before its head
  std::size_t head_scanned_ = 0;       // bytes of the head already searched for the newline
  std::optional<Error> broken_;
  // Of a frame too large for buffer_, whose bytes go to their places as they come.
  bool large_ = false;
  Frame parts_;
  std::size_t part_ = 0;               // of lengths_, the one that is being filled
  std::size_t part_filled_ = 0;
};

// Appends a frame's head to `out`: its JSON text of `json_size` bytes and the blobs follow.
void append_head(std::string& out, std::size_t json_size, const std::vector<std::string_view>& blobs);

// Appends one frame to `out`.
void append_frame(std::string& out, std::string_view json, const std::vector<std::string_view>& blobs = {});

// The same bytes, not copied; they have to outlive what is returned.
std::vector<std::string_view> views_of(const std::vector<std::string>& blobs);

}  // namespace sabir::protocol

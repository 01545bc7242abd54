// Frames of the worker protocol (spec/worker-protocol.md §2): a head line with lengths, one JSON text, blobs. A state
// machine over bytes; it does no I/O.
//
// Threads: one at a time per reader.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::protocol {

struct FrameLimits {
  std::size_t frame = std::size_t{64} << 20U;  // bytes of JSON and blobs together
  std::size_t blobs = 1024;
  std::size_t head = 16384;  // bytes of the head line without its newline
};

struct Frame {
  std::string json;
  std::vector<std::string> blobs;
};

class FrameReader {
 public:
  explicit FrameReader(FrameLimits limits = {}) : limits_(limits) {}

  void append(std::string_view bytes) { buffer_.append(bytes); }

  // The next whole frame; nullopt when more bytes are needed. After kProtocol the stream is unusable: every further
  // call gives the same error.
  Result<std::optional<Frame>> next();

  std::size_t buffered() const { return buffer_.size() - begin_; }

 private:
  Result<bool> read_head();

  FrameLimits limits_;
  std::string buffer_;
  std::size_t begin_ = 0;              // first unread byte of buffer_
  std::vector<std::size_t> lengths_;   // of the frame being read; empty before its head
  std::size_t head_scanned_ = 0;       // bytes of the head already searched for the newline
  std::optional<Error> broken_;
};

// Appends one frame to `out`.
void append_frame(std::string& out, std::string_view json, const std::vector<std::string>& blobs = {});

}  // namespace sabir::protocol

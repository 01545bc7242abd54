// Framing: whatever the bytes and however they are cut, the frames are the same, and bad heads are refused.
#include <cstdint>
#include <cstdlib>

#include "sabir/protocol/frame.h"

namespace {
using sabir::protocol::Frame;
using sabir::protocol::FrameReader;

// Every frame in order; nullopt at the end stands for a refusal.
std::vector<Frame> read_all(std::string_view bytes, std::size_t step, bool& refused) {
  FrameReader reader({.frame = 1U << 16U, .blobs = 8, .head = 64});
  std::vector<Frame> frames;
  refused = false;
  for (std::size_t at = 0; at < bytes.size() && !refused; at += step) {
    reader.append(bytes.substr(at, step));
    while (true) {
      auto frame = reader.next();
      refused = !frame;
      if (refused || !*frame) break;
      frames.push_back(std::move(**frame));
    }
  }
  return frames;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  bool whole_refused = false;
  bool cut_refused = false;
  const auto whole = read_all(bytes, bytes.size() + 1, whole_refused);
  const auto cut = read_all(bytes, 1, cut_refused);
  if (whole.size() != cut.size()) std::abort();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].json != cut[i].json || whole[i].blobs != cut[i].blobs) std::abort();
    std::string again;
    sabir::protocol::append_frame(again, whole[i].json, whole[i].blobs);
    bool refused = false;
    const auto back = read_all(again, again.size(), refused);
    if (refused || back.size() != 1 || back[0].json != whole[i].json || back[0].blobs != whole[i].blobs) std::abort();
  }
  return 0;
}

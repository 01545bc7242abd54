// Frames of the worker protocol: any bytes, cut anywhere, give the same frames and the same refusal as in one piece, and
// what is written is read back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/protocol/frame.h"

namespace {

struct Read {
  std::vector<sabir::protocol::Frame> frames;
  bool refused = false;
};

void drain(sabir::protocol::FrameReader& reader, Read& read) {
  while (!read.refused) {
    auto frame = reader.next();
    if (!frame) {
      read.refused = true;
    } else if (!*frame) {
      return;
    } else {
      read.frames.push_back(std::move(**frame));
    }
  }
}

bool same(const Read& a, const Read& b) {
  if (a.refused != b.refused || a.frames.size() != b.frames.size()) return false;
  for (std::size_t i = 0; i < a.frames.size(); ++i) {
    if (a.frames[i].json != b.frames[i].json || a.frames[i].blobs != b.frames[i].blobs) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t step = data[0] % 31U + 1U;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const sabir::protocol::FrameLimits limits{.frame = 1024, .blobs = 8, .head = 64};
  sabir::protocol::FrameReader whole_reader(limits);
  Read whole;
  whole_reader.append(bytes);
  drain(whole_reader, whole);
  sabir::protocol::FrameReader cut_reader(limits);
  Read cut;
  for (std::size_t i = 0; i < bytes.size(); i += step) {
    cut_reader.append(bytes.substr(i, step));
    drain(cut_reader, cut);
  }
  if (!same(whole, cut)) std::abort();
  // Nothing gathered, and written to its place where the reader says so.
  auto at_once = limits;
  at_once.gathered = 1;
  sabir::protocol::FrameReader placing_reader(at_once);
  Read placed;
  for (std::size_t i = 0; i < bytes.size() && !placed.refused;) {
    auto part = bytes.substr(i, step);
    i += part.size();
    if (const auto room = placing_reader.room(); !room.empty()) {
      const std::size_t count = std::min(room.size(), part.size());
      std::copy_n(part.data(), count, room.data());
      placing_reader.filled(count);
      part.remove_prefix(count);
    }
    placing_reader.append(part);
    drain(placing_reader, placed);
  }
  if (!same(whole, placed)) std::abort();
  std::string again;
  for (const auto& frame : whole.frames) {
    std::size_t total = frame.json.size();
    for (const auto& blob : frame.blobs) total += blob.size();
    if (total > limits.frame || frame.blobs.size() > limits.blobs) std::abort();
    sabir::protocol::append_frame(again, frame.json, sabir::protocol::views_of(frame.blobs));
  }
  // What was accepted is the input's own beginning: heads have one spelling only.
  if (bytes.substr(0, again.size()) != again) std::abort();
  return 0;
}

// Payload: one JSON value whose large strings and byte sequences travel beside it (spec/worker-protocol.md §6).
//
// Threads: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::protocol {

inline constexpr std::size_t kBlobThreshold = 65536;  // bytes; shorter strings stay in the JSON

struct Blob {
  std::string at;    // JSON Pointer into the value, "" = the value itself; the place holds null
  bool bytes = false;  // else UTF-8 text
  std::string data;
};

struct Payload {
  std::string json = "null";
  std::vector<Blob> blobs;
};

// One JSON text with the blobs in their places: text as a string, bytes as base64. Errors: kProtocol when a pointer
// names no null or text is not UTF-8.
Result<std::string> inflate(const Payload& payload);

// The same with "" at each blob's place; for checks that look at kinds only.
Result<std::string> outline(const Payload& payload);

// Moves strings of kBlobThreshold bytes or more out. REQUIRES: `json` is valid.
Payload deflate(std::string json);

// The envelope's list for a frame: ["blobs":[…]] with `prefix` before each pointer; "" when there are none.
std::string blob_list(const std::vector<Blob>& blobs, std::string_view prefix);

// Reads an envelope's list against the frame's blobs and keeps those under `prefix`, their pointers shortened by it.
// Errors: kInvalidArguments (MUST-23).
Result<std::vector<Blob>> read_blob_list(std::string_view raw_list, std::vector<std::string> blobs, std::string_view prefix);

}  // namespace sabir::protocol

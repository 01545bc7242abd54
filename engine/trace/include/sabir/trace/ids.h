// Ids of traces and spans, and the header that carries them from one program to the next, `traceparent` of W3C Trace Context
// (https://www.w3.org/TR/trace-context/).
//
// Threads: any; plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sabir::trace {

// All zero = none.
struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const TraceId&) const = default;
  explicit operator bool() const { return high != 0 || low != 0; }
};
using SpanId = std::uint64_t;  // 0 = none

// Which span something belongs to.
struct SpanContext {
  TraceId trace;
  SpanId span = 0;
  bool sampled = true;   // whoever began the trace wants it exported
  bool remote = false;   // the span is another program's
  explicit operator bool() const { return static_cast<bool>(trace); }
};

// Random, never zero.
TraceId new_trace_id();
SpanId new_span_id();

// 32 and 16 lower-case digits.
std::string hex(const TraceId& id);
std::string hex(SpanId id);

// Nothing for what is no traceparent. The answer is remote.
std::optional<SpanContext> parse_traceparent(std::string_view text);
std::string traceparent(const SpanContext& context);

}  // namespace sabir::trace

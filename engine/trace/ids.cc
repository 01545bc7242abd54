#include "sabir/trace/ids.h"

#include <sys/random.h>

#include <array>
#include <random>

namespace sabir::trace {
namespace {

// Ids need to differ, not to be secret: one seed from the kernel for each thread.
std::uint64_t random_number() {
  thread_local std::mt19937_64 engine = [] {
    std::array<std::uint32_t, 8> seed{};
    while (::getrandom(seed.data(), sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    }
    std::seed_seq sequence(seed.begin(), seed.end());
    return std::mt19937_64(sequence);
  }();
  return engine();
}

void append_hex(std::string& out, std::uint64_t number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(number >> static_cast<unsigned>(shift)) & 15U];
}

// `text` as lower-case hexadecimal digits, at most 16.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = (value << 4U) | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

}  // namespace

TraceId new_trace_id() {
  TraceId id{random_number(), random_number()};
  if (!id) id.low = 1;
  return id;
}

SpanId new_span_id() {
  const SpanId id = random_number();
  return id != 0 ? id : 1;
}

std::string hex(const TraceId& id) {
  std::string out;
  append_hex(out, id.high);
  append_hex(out, id.low);
  return out;
}

std::string hex(SpanId id) {
  std::string out;
  append_hex(out, id);
  return out;
}

std::optional<SpanContext> parse_traceparent(std::string_view text) {
  constexpr std::size_t kLength = 55;  // of version 00; later ones may append "-…"
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = number(text.substr(0, 2));
  const auto high = number(text.substr(3, 16));
  const auto low = number(text.substr(19, 16));
  const auto span = number(text.substr(36, 16));
  const auto flags = number(text.substr(53, 2));
  if (!version || !high || !low || !span || !flags || *version == 0xff || *span == 0) return std::nullopt;
  if (text.size() > kLength && (*version == 0 || text[kLength] != '-')) return std::nullopt;
  const SpanContext out{{*high, *low}, *span, (*flags & 1U) != 0, true};
  return out ? std::optional(out) : std::nullopt;
}

std::string traceparent(const SpanContext& context) { return "00-" + hex(context.trace) + "-" + hex(context.span) + (context.sampled ? "-01" : "-00"); }

}  // namespace sabir::trace

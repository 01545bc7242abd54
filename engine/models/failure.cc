#include "failure.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sabir/base/text.h"

namespace sabir::models {
namespace {

constexpr std::size_t kMostPartial = std::size_t{64} << 10U;

constexpr std::array<std::pair<Reason, std::string_view>, 11> kNames = {{
    {Reason::kOther, "other"},
    {Reason::kUnreachable, "unreachable"},
    {Reason::kTls, "tls"},
    {Reason::kUnavailable, "unavailable"},
    {Reason::kTimeout, "timeout"},
    {Reason::kRateLimited, "rate_limited"},
    {Reason::kQuota, "quota"},
    {Reason::kServerFault, "server_fault"},
    {Reason::kContextOverflow, "context_overflow"},
    {Reason::kCircuitOpen, "circuit_open"},
    {Reason::kBusy, "busy"},
}};

json::object data_of(const Error& error) {
  if (error.data.empty()) return {};
  auto value = parse_json(error.data);
  return value && value->is_object() ? std::move(value->get_object()) : json::object{};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::int64_t number(const json::object& object, std::string_view key, std::int64_t otherwise) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
}

// Whole characters only.
std::string_view front_of(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  return text.substr(0, most);
}

}  // namespace

std::string_view reason_name(Reason reason) {
  for (const auto& [known, name] : kNames) {
    if (known == reason) return name;
  }
  return "other";
}

bool tells_of_overflow(std::string_view message, std::string_view code) {
  if (code == "context_length_exceeded" || code == "exceed_context_size_error" || code == "context_overflow") return true;
  const std::string text = lower(message);
  static constexpr std::array<std::string_view, 10> kWords = {
      "maximum context length",               // OpenAI, vLLM
      "context_length_exceeded",              // gateways that keep only the words
      "exceeds the context window",           // OpenAI's Responses
      "prompt is too long",                   // Anthropic
      "exceed context limit",                 // Anthropic: input and max_tokens together
      "exceeds the available context size",   // llama.cpp
      "exceed the available context size",    // llama.cpp, older
      "the model's context holds",            // the local worker
      "context length exceeded",
      "context the overflows",                // LM Studio
  };
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view words) { return text.find(words) != std::string::npos; });
}

Failure Failure::of(const Error& error) {
  Failure failure;
  const json::object data = data_of(error);
  failure.status = static_cast<int>(number(data, "status", 0));
  if (const auto ms = number(data, "retry_after_ms", -1); ms >= 0) failure.pause = std::chrono::milliseconds(ms);
  const auto written = string_or(data, "reason");
  for (const auto& [known, name] : kNames) {
    if (!written.empty() && name == written) {
      failure.reason = known;
      return failure;
    }
  }
  switch (error.code) {
    case ErrorCode::kModelUnreachable: failure.reason = Reason::kUnreachable; break;
    case ErrorCode::kUnavailable: failure.reason = Reason::kUnavailable; break;
    case ErrorCode::kTimeout: failure.reason = Reason::kTimeout; break;
    case ErrorCode::kBusy: failure.reason = Reason::kBusy; break;
    case ErrorCode::kModel:
      if (tells_of_overflow(error.message, string_or(data, "provider_code"))) {
        failure.reason = Reason::kContextOverflow;
      } else if (failure.status == 429) {
        failure.reason = Reason::kRateLimited;
      } else if (failure.status == 408 || failure.status == 409 || failure.status >= 500) {
        failure.reason = Reason::kServerFault;
      }
      break;
    default: break;
  }
  return failure;
}

void add_data(Error& error, std::string_view key, json::value value) {
  json::object data = data_of(error);
  data[key] = std::move(value);
  error.data = json::serialize(data);
}

void add_failure(Error& error, const Failure& failure) {
  json::object data = data_of(error);
  data["reason"] = reason_name(failure.reason);
  if (failure.status != 0) data["status"] = failure.status;
  if (failure.pause) data["retry_after_ms"] = failure.pause->count();
  error.data = json::serialize(data);
}

void add_partial(Error& error, std::string_view text, std::string_view reasoning) {
  if (text.empty() && reasoning.empty()) return;
  json::object data = data_of(error);
  // What broke off inside a character, or is no text at all, must not spoil the data.
  const auto keep = [&](const char* key, std::string_view whole) {
    if (whole.empty()) return;
    std::string_view kept = front_of(whole, kMostPartial);
    if (const auto bad = find_invalid_utf8(kept); bad != std::string_view::npos) kept = kept.substr(0, bad);
    data[key] = kept;
    if (kept.size() < whole.size()) data[std::string(key) + "_bytes"] = whole.size();
  };
  keep("partial", text);
  keep("partial_reasoning", reasoning);
  error.data = json::serialize(data);
}

}  // namespace sabir::models

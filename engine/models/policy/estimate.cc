#include "policy/estimate.h"

#include <algorithm>

namespace sabir::models {
namespace {

std::int64_t text_bytes(const json::value& value) {
  if (value.is_string()) {
    // A picture's bytes are no tokens.
    return value.get_string().starts_with("data:") ? 4000 : static_cast<std::int64_t>(value.get_string().size());
  }
  std::int64_t bytes = 4;
  if (value.is_array()) {
    for (const auto& item : value.get_array()) bytes += text_bytes(item);
  } else if (value.is_object()) {
    for (const auto& member : value.get_object()) bytes += static_cast<std::int64_t>(member.key().size()) + text_bytes(member.value());
  }
  return bytes;
}

}  // namespace

std::int64_t prompt_tokens(const Request& request) {
  std::int64_t tokens = 1;
  for (const auto& message : request.messages) tokens += text_bytes(message) / 4;
  for (const auto& tool : request.tools) tokens += text_bytes(tool) / 4;
  return tokens;
}

std::int64_t prompt_tokens(const EmbedRequest& request) {
  std::int64_t tokens = 1;
  for (const auto& text : request.texts) tokens += static_cast<std::int64_t>(text.size()) / 4 + 1;
  return tokens;
}

std::optional<std::int64_t> answer_tokens(const json::object& parameters) {
  for (const char* key : {"max_tokens", "max_completion_tokens", "max_output_tokens"}) {
    const auto* most = parameters.if_contains(key);
    if (most != nullptr && most->is_int64() && most->get_int64() > 0) return std::min<std::int64_t>(most->get_int64(), 1'000'000'000);
  }
  return std::nullopt;
}

}  // namespace sabir::models

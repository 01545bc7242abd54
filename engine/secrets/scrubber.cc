#include "sabir/secrets/scrubber.h"

#include "sabir/base/text.h"

namespace sabir::secrets {
namespace {
constexpr int kMostNested = 4;  // JSON inside of a text inside of JSON …
}

std::string Scrubber::text_in(std::string_view text, int depth) const {
  if (!redactor_) return std::string(text);
  const auto start = trim(text);
  if (depth < kMostNested && !start.empty() && (start.front() == '{' || start.front() == '[' || start.front() == '"')) {
    if (auto inner = parse_json(start); inner && value_in(*inner, depth + 1)) return redactor_->redact(compact_json(*inner));
  }
  return redactor_->redact(text);
}

bool Scrubber::value_in(json::value& value, int depth) const {
  if (!redactor_) return false;
  if (const auto* text = value.if_string()) {
    std::string clean = text_in(std::string_view(*text), depth);
    if (clean == std::string_view(*text)) return false;
    value = std::move(clean);
    return true;
  }
  bool changed = false;
  if (auto* list = value.if_array()) {
    for (auto& item : *list) changed = value_in(item, depth) || changed;
    return changed;
  }
  if (auto* object = value.if_object()) {
    json::object clean;
    for (auto& member : *object) {
      changed = value_in(member.value(), depth) || changed;
      std::string key = redactor_->redact(member.key());
      changed = changed || key != member.key();
      clean[key] = std::move(member.value());
    }
    *object = std::move(clean);
    return changed;
  }
  if (value.is_number()) {
    const std::string digits = compact_json(value);
    std::string clean = redactor_->redact(digits);
    if (clean == digits) return false;
    value = std::move(clean);
    return true;
  }
  return false;
}

std::string Scrubber::json_text(std::string text) const {
  auto parsed = parse_json(text);
  if (!parsed) return text_in(text, 0);
  return value(*parsed) ? compact_json(*parsed) : std::move(text);
}

json::object Scrubber::object(json::object object) const {
  json::value whole(std::move(object));
  value(whole);
  return std::move(whole.get_object());
}

}  // namespace sabir::secrets

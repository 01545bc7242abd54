#include "cleaner.h"

#include "sabir/base/text.h"

namespace sabir::telemetry {
namespace {

constexpr std::size_t kMostWord = 4096;  // bytes

std::string utf8(std::string text) {
  std::size_t at = find_invalid_utf8(text);
  if (at == std::string::npos) return text;
  std::string out;
  std::string_view rest = text;
  for (; at != std::string_view::npos; at = find_invalid_utf8(rest)) {
    out += rest.substr(0, at);
    out += "\xEF\xBF\xBD";
    rest.remove_prefix(at + 1);
  }
  out += rest;
  return out;
}

// Without a character at its end that is not there in full.
std::string_view whole_characters(std::string_view text) {
  const std::size_t at = find_invalid_utf8(text);
  return at != std::string_view::npos && text.size() - at < 4 ? text.substr(0, at) : text;
}

}  // namespace

std::string Cleaner::text(std::string_view text) const { return utf8(scrubber_.text(text)); }

std::string Cleaner::begun(std::string_view kept, std::size_t whole) const {
  if (kept.size() >= whole) return text(kept);
  return text(redactor_->without_begun(whole_characters(kept))) + "… [the first of " + std::to_string(whole) + " bytes]";
}

std::string Cleaner::word(std::string_view text) const { return begun(text.substr(0, kMostWord), text.size()); }

void Cleaner::value(trace::Value& value) const {
  if (auto* one = std::get_if<std::string>(&value)) {
    *one = word(*one);
  } else if (auto* list = std::get_if<std::vector<std::string>>(&value)) {
    for (auto& each : *list) each = word(each);
  }
}

void Cleaner::clean(trace::Span& span) {
  if (span.subject) {
    auto& known = subjects_[span.subject];
    if (!known) {
      auto subject = std::make_shared<trace::Subject>(*span.subject);
      subject->name = word(subject->name);
      for (auto& one : subject->attributes) value(one.value);
      known = std::move(subject);
    }
    span.subject = known;
  }
  if (!span.name.empty()) span.name = word(span.name);
  if (!span.message.empty()) span.message = begun(span.message, span.message.size() < trace::kMostCallText ? span.message.size() : span.message.size() + 1);
  if (span.who) {
    span.who = std::make_unique<CallContext>(CallContext{word(span.who->user), word(span.who->tenant), word(span.who->conversation), word(span.who->run)});
  }
  for (auto& one : span.attributes) value(one.value);
  for (auto& event : span.events) {
    for (auto& one : event.attributes) value(one.value);
  }
  for (auto& one : span.texts) one.text = begun(one.text, one.whole);
}

}  // namespace sabir::telemetry

#include "sabir/trace/span.h"

#include <algorithm>

#include "sabir/base/task_slots.h"

namespace sabir::trace {
namespace {

const Scope* innermost() { return static_cast<const Scope*>(task_slots().scope); }

json::value json_of(const Value& value) {
  return std::visit([](const auto& one) -> json::value { return json::value_from(one); }, value);
}

}  // namespace

void Span::event(std::string_view event_name, std::vector<Attribute> with) {
  if (events.size() >= kMostEvents) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  events.push_back({event_name, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), std::move(with)});
}

void Span::set(std::string_view key, Value value) {
  const auto known = std::find_if(attributes.begin(), attributes.end(), [&](const auto& one) { return one.key == key; });
  if (known == attributes.end()) return add(key, std::move(value));
  known->value = std::move(value);
}

void Span::text(std::string_view key, std::string_view content, std::size_t most) {
  if (keeps_text && !content.empty()) texts.push_back({key, std::string(content.substr(0, most)), content.size()});
}

void Span::fail(const Error& with) {
  error = error_code_name(with.code);
  if (keeps_text) message = with.message.substr(0, kMostCallText);
}

json::object attributes_json(const Span& span) {
  json::object out;
  if (span.subject) {
    for (const auto& one : span.subject->attributes) out[one.key] = json_of(one.value);
  }
  for (const auto& one : span.attributes) out[one.key] = json_of(one.value);
  return out;
}

json::array events_json(const Span& span) {
  json::array out;
  for (const auto& event : span.events) {
    json::object attributes;
    for (const auto& one : event.attributes) attributes[one.key] = json_of(one.value);
    out.push_back({{"name", event.name}, {"at_us", (event.at_ns - span.begun_ns) / 1000}, {"attributes", std::move(attributes)}});
  }
  return out;
}

Scope::Scope(const SpanContext& context, Span* span) : context_(context), span_(span), before_(task_slots().scope) { task_slots().scope = this; }
Scope::~Scope() { task_slots().scope = before_; }

SpanContext current() {
  const auto* const scope = innermost();
  return scope != nullptr ? scope->context_ : SpanContext{};
}
Span* current_span() {
  const auto* const scope = innermost();
  return scope != nullptr ? scope->span_ : nullptr;
}

}  // namespace sabir::trace

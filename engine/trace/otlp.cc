#include "sabir/trace/otlp.h"

#include <charconv>

#include "sabir/base/text.h"

namespace sabir::trace {
namespace {

json::object any_value(const Value& value) {
  struct Visitor {
    json::object operator()(bool one) const { return {{"boolValue", one}}; }
    // 64 bits travel as a text.
    json::object operator()(std::int64_t one) const { return {{"intValue", std::to_string(one)}}; }
    json::object operator()(double one) const { return {{"doubleValue", one}}; }
    json::object operator()(const std::string& one) const { return {{"stringValue", one}}; }
    json::object operator()(const std::vector<std::string>& list) const {
      json::array values;
      for (const auto& one : list) values.push_back(json::object{{"stringValue", one}});
      return {{"arrayValue", {{"values", std::move(values)}}}};
    }
  };
  return std::visit(Visitor{}, value);
}

void append(json::array& out, const std::vector<Attribute>& attributes) {
  for (const auto& one : attributes) out.push_back({{"key", one.key}, {"value", any_value(one.value)}});
}

json::object encode(const Span& span) {
  json::array attributes;
  if (span.subject) append(attributes, span.subject->attributes);
  append(attributes, span.attributes);
  json::object out{{"traceId", hex(span.context.trace)},
                   {"spanId", hex(span.context.span)},
                   {"name", span.shown_name()},
                   {"kind", static_cast<int>(span.kind)},
                   {"startTimeUnixNano", std::to_string(span.begun_ns)},
                   {"endTimeUnixNano", std::to_string(span.ended_ns)},
                   {"attributes", std::move(attributes)}};
  if (span.parent != 0) out["parentSpanId"] = hex(span.parent);
  if (!span.events.empty()) {
    json::array events;
    for (const auto& event : span.events) {
      json::array with;
      append(with, event.attributes);
      events.push_back({{"timeUnixNano", std::to_string(event.at_ns)}, {"name", event.name}, {"attributes", std::move(with)}});
    }
    out["events"] = std::move(events);
  }
  // What went well is left unset, as instrumentations are asked to.
  if (!span.error.empty()) out["status"] = {{"code", 2}, {"message", span.message}};
  return out;
}

}  // namespace

std::string export_request(const Resource& resource, const std::vector<std::shared_ptr<const Span>>& spans) {
  json::array attributes;
  for (const auto& [key, value] : resource) attributes.push_back({{"key", key}, {"value", {{"stringValue", value}}}});
  json::array encoded;
  encoded.reserve(spans.size());
  for (const auto& span : spans) encoded.push_back(encode(*span));
  json::object scope_spans{{"scope", {{"name", "sabir"}, {"version", SABIR_VERSION}}}, {"spans", std::move(encoded)}};
  json::object resource_spans{{"resource", {{"attributes", std::move(attributes)}}}};
  resource_spans["scopeSpans"] = json::array(1, json::value(std::move(scope_spans)));
  json::object request;
  request["resourceSpans"] = json::array(1, json::value(std::move(resource_spans)));
  return json::serialize(request);
}

Result<ExportAnswer> parse_export_response(std::string_view text) {
  if (trim(text).empty()) return ExportAnswer{};
  const auto value = parse_json(text);
  if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, "the answer is no JSON object");
  ExportAnswer out;
  const auto* partial = value->get_object().if_contains("partialSuccess");
  if (!partial || !partial->is_object()) return out;
  const auto& object = partial->get_object();
  out.message = string_or(object, "errorMessage");
  if (const auto* rejected = object.if_contains("rejectedSpans")) {
    if (rejected->is_int64()) {
      out.rejected = rejected->get_int64();
    } else if (rejected->is_string()) {
      const auto& digits = rejected->get_string();
      std::from_chars(digits.data(), digits.data() + digits.size(), out.rejected);
    }
  }
  return out;
}

}  // namespace sabir::trace

#include "sabir/functions/call_span.h"

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::functions {
namespace {

// Blobs follow the JSON, each after its place, as far as there is room: what is cut is cut at the end alone.
void keep(trace::Span& span, std::string_view key, const protocol::Payload& payload) {
  if (payload.blobs.empty()) return span.text(key, payload.json, trace::kMostCallText);
  if (!span.keeps_text) return;
  std::string text = payload.json.substr(0, trace::kMostCallText);
  std::size_t whole = payload.json.size();
  for (const auto& blob : payload.blobs) {
    const std::string head = "\n" + blob.at + (blob.bytes ? " (bytes)" : "") + ": ";
    whole += head.size() + blob.data.size();
    if (text.size() >= trace::kMostCallText) continue;
    text += head;
    if (!blob.bytes) text.append(blob.data, 0, trace::kMostCallText);
  }
  span.texts.push_back({key, text.substr(0, trace::kMostCallText), whole});
}

}  // namespace

std::shared_ptr<const trace::Subject> subject_of(const project::SourceFile& source, const workers::Callee& callee, int line, std::string_view effect) {
  auto subject = std::make_shared<trace::Subject>();
  subject->name = source.language + "/" + callee.address;
  const auto add = [&](std::string_view key, trace::Value value) { subject->attributes.push_back({key, std::move(value)}); };
  add("sabir.function.address", subject->name);
  add("sabir.function.language", source.language);
  add("sabir.function.effect", std::string(effect));
  add("code.function.name", callee.receiver.empty() ? callee.function : callee.receiver + "." + callee.function);
  add("code.file.path", source.relative);
  if (line > 0) add("code.line.number", std::int64_t{line});
  if (const auto text = read_file(source.path)) add("sabir.function.hash", fingerprint(*text));
  return subject;
}

std::shared_ptr<trace::Span> begin_call(trace::Tracer& tracer, std::shared_ptr<const trace::Subject> subject, const CallRequest& request, Clock::time_point now) {
  auto span = tracer.begin(request.span, now);
  span->subject = std::move(subject);
  if (!span->subject) span->name = request.address;
  if (!request.tool.empty()) {
    span->operation = "execute_tool";
    span->name = "execute_tool " + request.tool;
    span->add("gen_ai.operation.name", std::string(span->operation));
    span->add("gen_ai.tool.name", request.tool);
    span->add("gen_ai.tool.type", std::string("function"));
    span->add_if("gen_ai.tool.call.id", request.tool_call);
  }
  if (span->root && request.context != CallContext{}) span->who = std::make_unique<CallContext>(request.context);
  if (span->keeps_text) keep(*span, request.tool.empty() ? "sabir.function.arguments" : "gen_ai.tool.call.arguments", request.arguments);
  return span;
}

void end_call(trace::Tracer& tracer, std::shared_ptr<trace::Span> span, const Result<protocol::Payload>& outcome, Clock::time_point now) {
  if (!outcome) {
    span->fail(outcome.error());
  } else if (span->keeps_text) {
    keep(*span, span->operation == trace::kCall ? "sabir.function.result" : "gen_ai.tool.call.result", *outcome);
  }
  tracer.end(std::move(span), now);
}

}  // namespace sabir::functions

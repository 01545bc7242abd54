#include "sabir/recordings/scrub.h"

#include "sabir/base/text.h"

namespace sabir::recordings {

Entry Scrubber::entry(Entry entry) const {
  if (!redactor_) return entry;
  entry.caller = text(entry.caller);
  if (entry.error) entry.error = object(std::move(*entry.error));
  entry.ask = object(std::move(entry.ask));
  const auto* messages = entry.ask.if_contains("messages");
  for (auto& use : entry.prompts) {
    use.name = text(use.name);
    // A fingerprint of the secret's text would tell something of it, and differ where the secret does.
    if (!messages || !messages->is_array() || use.message >= messages->get_array().size()) continue;
    const auto& message = messages->get_array()[use.message];
    if (message.is_object()) use.text = fingerprint(trim(string_or(message.get_object(), "content")));
  }
  for (auto* part : {&entry.reply.content, &entry.reply.finish_reason, &entry.reply.model, &entry.reply.provider}) *part = text(*part);
  for (auto& call : entry.reply.tool_calls) {
    call.id = text(call.id);
    call.name = text(call.name);
    call.arguments_json = text(call.arguments_json);
  }
  // A secret may lie across pieces.
  std::string whole;
  for (const auto& piece : entry.pieces) whole += piece;
  if (std::string clean = text(whole); clean != whole) entry.pieces = {std::move(clean)};
  entry.address = text(entry.address);
  entry.arguments = json_text(std::move(entry.arguments));
  entry.value = json_text(std::move(entry.value));
  for (auto& pointer : entry.bytes) pointer = text(pointer);
  for (auto& chunk : entry.chunks) chunk = json_text(std::move(chunk));
  return entry;
}

}  // namespace sabir::recordings

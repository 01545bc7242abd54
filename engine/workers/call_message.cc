#include "call_message.h"

#include <algorithm>
#include <charconv>

#include "sabir/base/json.h"

namespace sabir::workers {

namespace {

void append_number(std::string& out, std::int64_t number) {
  char digits[24];
  const auto [end, ec] = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end);
}

void append_context(std::string& out, const CallContext& context) {
  out += "{\"user\":";
  protocol::append_quoted(out, context.user);
  out += ",\"tenant\":";
  protocol::append_quoted(out, context.tenant);
  out += ",\"conversation\":";
  protocol::append_quoted(out, context.conversation);
  out += ",\"run\":";
  protocol::append_quoted(out, context.run);
  out += '}';
}

}  // namespace

std::shared_ptr<const Callee> Callee::shared(Callee callee) {
  callee.named = "\"module\":" + protocol::quote(callee.module) + ",\"receiver\":" + protocol::quote(callee.receiver) +
                 ",\"function\":" + protocol::quote(callee.function);
  return std::make_shared<const Callee>(std::move(callee));
}

std::string context_json(const CallContext& context) {
  std::string out;
  append_context(out, context);
  return out;
}

// What differs from call to call comes first, then the arguments, then what is the same for each call of a function: a worker
// need not parse that again (spec/worker-protocol.md).
void append_call_params(std::string& out, const CallSpec& spec, Clock::time_point now) {
  const Callee& callee = *spec.callee;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(spec.deadline - now).count();
  out += "{\"deadline_ms\":";
  append_number(out, std::max<std::int64_t>(0, left));
  if (!spec.idempotency_key.empty()) {
    out += ",\"idempotency_key\":";
    protocol::append_quoted(out, spec.idempotency_key);
  }
  out += ",\"context\":";
  append_context(out, spec.context);
  out += ",\"arguments\":";
  out += spec.arguments.json;
  out += ',';
  out += callee.named;
  if (!spec.binding.empty()) {
    out += ',';
    out += spec.binding;
  }
  out += ",\"context_parameter\":";
  protocol::append_quoted(out, callee.context_parameter);
  out += ",\"depth\":";
  append_number(out, spec.depth);
  if (!spec.arguments.blobs.empty()) out += protocol::blob_list(spec.arguments.blobs, "/arguments");
  out += '}';
}

std::vector<std::string_view> blob_bytes(const protocol::Payload& payload) {
  std::vector<std::string_view> out;
  out.reserve(payload.blobs.size());
  for (const auto& blob : payload.blobs) out.push_back(blob.data);
  return out;
}

Result<protocol::Payload> value_of(const Incoming& incoming) {
  auto members = protocol::raw_members(incoming.body);
  if (!members) return fail(ErrorCode::kProtocol, "the worker's answer is no object");
  const auto value = protocol::find_member(*members, "value");
  if (!value) return fail(ErrorCode::kProtocol, "the worker's answer has no value");
  auto blobs = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(incoming.blobs), "/value");
  if (!blobs) return fail(ErrorCode::kProtocol, blobs.error().message);
  return protocol::Payload{std::string(*value), std::move(*blobs)};
}

std::string with_id(std::string_view id, std::string_view members) {
  std::string out = "{\"id\":" + std::string(id);
  if (members.size() > 2) out += ",";
  return out + std::string(members.substr(1));
}

std::optional<std::int64_t> number_member(std::string_view object, std::string_view key) {
  const auto members = protocol::raw_members(object);
  if (!members) return std::nullopt;
  const auto text = protocol::find_member(*members, key);
  std::int64_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (ec != std::errc()) return std::nullopt;
  return value;
}

}  // namespace sabir::workers

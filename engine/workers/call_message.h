// What goes to a worker for a call, and what comes back (spec/worker-protocol.md §5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/protocol/raw_json.h"
#include "sabir/workers/peer.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

// Appends the params of `call`, a JSON object; its deadline is what is left of it at `now`.
void append_call_params(std::string& out, const CallSpec& spec, Clock::time_point now);

// The blobs of a value, in their order on the wire; not copied.
std::vector<std::string_view> blob_bytes(const protocol::Payload& payload);

// The "value" member of an answer or a chunk, with its blobs; kProtocol when there is none.
Result<protocol::Payload> value_of(const Incoming& incoming);

// {"id":ID, …members}; `members` is a JSON object.
std::string with_id(std::string_view id, std::string_view members);

// The integer member `key` of a JSON object; none when it is missing or no integer.
std::optional<std::int64_t> number_member(std::string_view object, std::string_view key);

}  // namespace sabir::workers

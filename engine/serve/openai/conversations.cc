#include "openai/conversations.h"

#include <algorithm>
#include <set>

namespace sabir::serve::openai {
namespace {

constexpr const char* kNamespace = "sabir.responses";
constexpr std::chrono::hours kKeepResponses{24 * 30};
constexpr std::chrono::hours kKeepHidden{24};
constexpr std::size_t kMostTurns = 1000;
constexpr int kMostWaiting = 8;
constexpr std::chrono::seconds kStoreTime{30};

json::array array_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->get_array() : json::array();
}

std::unexpected<Error> not_found(const std::string& id) {
  return fail(Error(ErrorCode::kNotFound, "there is no response '" + id + "'", "It may belong to somebody else, have been sent with store: false, or be older than 30 days.")
                  .with_data(R"({"param":"previous_response_id"})"));
}

}  // namespace

Result<void> Conversations::put(const CallContext& who, const std::string& key, const json::value& value, std::chrono::hours keep) {
  const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(keep).count();
  auto done = engine_.request("memory.put", {compact_json(json::object{{"namespace", kNamespace}, {"key", key}, {"value", value}, {"ttl_ms", ttl}}), {}}, who, kStoreTime);
  if (!done) return fail(std::move(done.error()));
  return {};
}

Result<std::optional<json::value>> Conversations::get(const CallContext& who, const std::string& key) {
  auto found = engine_.request("memory.get", {compact_json(json::object{{"namespace", kNamespace}, {"key", key}}), {}}, who, kStoreTime);
  if (!found) return fail(std::move(found.error()));
  auto text = protocol::inflate(*found);
  auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!value) return fail(std::move(value.error()));
  const auto* object = value->if_object();
  const auto* is_there = object ? object->if_contains("found") : nullptr;
  if (!is_there || !is_there->is_bool() || !is_there->get_bool()) return std::nullopt;
  return std::optional<json::value>(object->at("value"));
}

Result<void> Conversations::keep(const CallContext& who, const std::string& id, const Kept& kept) {
  return put(who, id,
             json::object{{"format", 1}, {"previous", kept.previous}, {"root", kept.root}, {"asked", kept.asked}, {"said", kept.said}, {"response", kept.response}},
             kKeepResponses);
}

Result<Conversations::Kept> Conversations::find(const CallContext& who, const std::string& id) {
  if (!id.starts_with("resp_") || id.size() > 100) return not_found(id);
  auto value = get(who, id);
  if (!value) return fail(std::move(value.error()));
  if (!*value || !(*value)->is_object()) return not_found(id);
  const auto& object = (*value)->get_object();
  Kept kept;
  kept.previous = string_or(object, "previous");
  kept.root = string_or(object, "root");
  kept.asked = array_of(object, "asked");
  kept.said = array_of(object, "said");
  if (const auto* response = object.if_contains("response"); response && response->is_object()) kept.response = response->get_object();
  return kept;
}

Result<void> Conversations::remove(const CallContext& who, const std::string& id) {
  if (auto found = find(who, id); !found) return fail(std::move(found.error()));
  auto done = engine_.request("memory.delete", {compact_json(json::object{{"namespace", kNamespace}, {"key", id}}), {}}, who, kStoreTime);
  if (!done) return fail(std::move(done.error()));
  return {};
}

Result<json::array> Conversations::history(const CallContext& who, const std::string& id) {
  std::vector<Kept> turns;
  std::set<std::string> seen;
  for (std::string next = id; !next.empty() && seen.insert(next).second;) {
    if (turns.size() >= kMostTurns) return fail(ErrorCode::kLimit, "the conversation has more than 1000 turns", "Begin a new one.");
    auto turn = find(who, next);
    if (!turn) return fail(std::move(turn.error()));
    next = turn->previous;
    turns.push_back(std::move(*turn));
  }
  json::array messages;
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    for (auto* list : {&turn->asked, &turn->said}) {
      for (auto& message : *list) messages.push_back(std::move(message));
    }
  }
  return messages;
}

Result<std::string> Conversations::last_of(const CallContext& who, const std::string& conversation) {
  auto value = get(who, "conversation " + conversation);
  if (!value) return fail(std::move(value.error()));
  return *value && (*value)->is_string() ? std::string((*value)->get_string()) : std::string();
}

Result<void> Conversations::set_last(const CallContext& who, const std::string& conversation, const std::string& id) {
  return put(who, "conversation " + conversation, json::value(id), kKeepResponses);
}

Result<void> Conversations::hide(const CallContext& who, const std::string& call_id, const json::array& messages) {
  return put(who, "call " + call_id, messages, kKeepHidden);
}

Result<json::array> Conversations::restored(const CallContext& who, json::array messages) {
  json::array out;
  for (auto& message : messages) {
    const auto* calls = message.is_object() ? message.get_object().if_contains("tool_calls") : nullptr;
    if (calls && calls->is_array() && !calls->get_array().empty()) {
      auto hidden = get(who, "call " + std::string(string_or(calls->get_array().front().as_object(), "id")));
      if (!hidden) return fail(std::move(hidden.error()));
      if (*hidden && (*hidden)->is_array()) {
        for (auto& one : (*hidden)->get_array()) out.push_back(std::move(one));
      }
    }
    out.push_back(std::move(message));
  }
  return out;
}

Turns::Held& Turns::Held::operator=(Held&& other) noexcept {
  if (turns_) turns_->leave(key_);
  turns_ = std::exchange(other.turns_, nullptr);
  key_ = std::move(other.key_);
  return *this;
}

Turns::Held::~Held() {
  if (turns_) turns_->leave(key_);
}

Result<Turns::Held> Turns::take(const std::string& key, std::chrono::steady_clock::time_point deadline, const std::function<bool()>& cancelled) {
  if (key.empty()) return Held();
  std::unique_lock hold(mutex_);
  Seat& seat = seats_[key];
  if (seat.taken) {
    if (seat.waiting >= kMostWaiting) return fail(ErrorCode::kBusy, "this conversation has eight turns waiting already", "Send one message after the other.");
    ++seat.waiting;
    Error error(ErrorCode::kTimeout, "the conversation's turn before this one has not ended in time");
    while (seat.taken) {
      if (cancelled()) error = Error(ErrorCode::kCancelled, "the client left");
      if (error.code == ErrorCode::kCancelled || std::chrono::steady_clock::now() >= deadline) {
        --seat.waiting;
        return fail(std::move(error));
      }
      changed_.wait_until(hold, std::min(deadline, std::chrono::steady_clock::now() + std::chrono::milliseconds(200)));
    }
    --seat.waiting;
  }
  seat.taken = true;
  return Held(this, key);
}

void Turns::leave(const std::string& key) {
  {
    const std::lock_guard hold(mutex_);
    const auto found = seats_.find(key);
    if (found == seats_.end()) return;
    found->second.taken = false;
    if (found->second.waiting == 0) seats_.erase(found);
  }
  changed_.notify_all();
}

}  // namespace sabir::serve::openai

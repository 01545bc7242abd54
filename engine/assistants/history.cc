#include "history.h"

#include <set>

namespace sabir::assistants {
namespace {

std::string_view role_of(const json::object& message) { return string_or(message, "role"); }

bool has_tool_calls(const json::object& message) {
  const auto* calls = message.if_contains("tool_calls");
  return calls != nullptr && calls->is_array() && !calls->get_array().empty();
}

std::set<std::string> call_ids(const json::object& message) {
  std::set<std::string> ids;
  for (const auto& call : message.at("tool_calls").get_array()) {
    if (call.is_object()) ids.emplace(string_or(call.get_object(), "id"));
  }
  return ids;
}

}  // namespace

json::array trimmed_history(json::array messages, std::size_t most_bytes) {
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (const auto& message : messages) {
    sizes.push_back(compact_json(message).size());
    total += sizes.back();
  }
  if (total <= most_bytes) return messages;
  // What the system says stays; the rest is kept from a user's message on, so that no call is apart from its results.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (role_of(messages[i].as_object()) == "system") kept += sizes[i];
  }
  std::size_t first = messages.size();
  std::size_t last_question = messages.size();
  for (std::size_t i = messages.size(); i-- > 0;) {
    const auto role = role_of(messages[i].as_object());
    if (role == "system") continue;
    kept += sizes[i];
    if (role != "user") continue;
    if (last_question == messages.size()) last_question = i;
    if (kept > most_bytes) break;
    first = i;
  }
  // The last question stays whatever its size: the model's own limit tells about that.
  first = std::min(first, last_question);
  json::array out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i >= first || role_of(messages[i].as_object()) == "system") out.push_back(std::move(messages[i]));
  }
  return out;
}

json::array usable_history(const std::vector<memory::Message>& log, std::size_t most_bytes) {
  std::vector<json::object> messages;
  std::vector<std::size_t> sizes;
  for (const auto& entry : log) {
    auto parsed = parse_json(entry.message_json);
    if (!parsed || !parsed->is_object()) continue;
    messages.push_back(std::move(parsed->get_object()));
    sizes.push_back(entry.message_json.size());
  }

  struct Kept {
    json::object message;
    std::size_t bytes;
  };
  std::vector<Kept> kept;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string_view role = role_of(messages[i]);
    if (role == "user") {
      const bool both_text = !kept.empty() && role_of(kept.back().message) == "user" &&
                             messages[i].contains("content") && messages[i].at("content").is_string() &&
                             kept.back().message.contains("content") && kept.back().message.at("content").is_string();
      if (both_text) {
        auto& text = kept.back().message.at("content").get_string();
        text += "\n\n";
        text += messages[i].at("content").get_string();
        kept.back().bytes += sizes[i];
      } else {
        kept.push_back({std::move(messages[i]), sizes[i]});
      }
    } else if (role == "assistant") {
      if (kept.empty()) continue;
      if (!has_tool_calls(messages[i])) {
        kept.push_back({std::move(messages[i]), sizes[i]});
        continue;
      }
      std::set<std::string> open = call_ids(messages[i]);
      std::size_t last = i;
      while (last + 1 < messages.size() && role_of(messages[last + 1]) == "tool") {
        ++last;
        open.erase(std::string(string_or(messages[last], "tool_call_id")));
      }
      if (open.empty()) {
        const std::set<std::string> asked = call_ids(messages[i]);
        kept.push_back({std::move(messages[i]), sizes[i]});
        for (std::size_t k = i + 1; k <= last; ++k) {
          if (asked.contains(std::string(string_or(messages[k], "tool_call_id")))) {
            kept.push_back({std::move(messages[k]), sizes[k]});
          }
        }
      }
      i = last;
    }
  }

  // A cut may fall before a user's message only.
  std::size_t total = 0;
  std::size_t first = kept.size();
  for (std::size_t i = kept.size(); i-- > 0;) {
    total += kept[i].bytes;
    if (total > most_bytes) break;
    if (role_of(kept[i].message) == "user") first = i;
  }
  json::array history;
  for (std::size_t i = first; i < kept.size(); ++i) history.push_back(std::move(kept[i].message));
  return history;
}

}  // namespace sabir::assistants

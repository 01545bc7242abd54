#include "plan_json.h"

#include <algorithm>
#include <string>
#include <vector>

namespace sabir::deploy {
namespace {

constexpr std::size_t kMostValue = 100;
constexpr std::size_t kMostLines = 30;

const json::object& inner(const json::object& object, std::string_view key) {
  static const json::object none;
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? value->get_object() : none;
}

const json::array& list(const json::object& object, std::string_view key) {
  static const json::array none;
  const auto* value = object.if_contains(key);
  return value && value->is_array() ? value->get_array() : none;
}

// Whether anything below is marked.
bool is_marked(const json::value* mark) {
  if (!mark) return false;
  if (mark->is_bool()) return mark->get_bool();
  if (mark->is_object()) return std::any_of(mark->get_object().begin(), mark->get_object().end(), [](const auto& one) { return is_marked(&one.value()); });
  if (mark->is_array()) return std::any_of(mark->get_array().begin(), mark->get_array().end(), [](const auto& one) { return is_marked(&one); });
  return false;
}

std::string shown(const json::value* value, bool sensitive, bool unknown) {
  if (sensitive) return "(sensitive)";
  if (unknown) return "(known after apply)";
  if (!value || value->is_null()) return "nothing";
  std::string text = compact_json(*value);
  if (text.size() > kMostValue) {
    std::size_t end = kMostValue;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end) + "…";
  }
  return text;
}

const json::value* below(const json::value* value, std::string_view key) { return value && value->is_object() ? value->get_object().if_contains(key) : nullptr; }

// One line for each attribute that changes; of mappings, for each member.
void add_details(const std::string& name, const json::value* before, const json::value* after, const json::value* unknown, const json::value* secret_before, const json::value* secret_after, int depth,
                 std::vector<std::string>& out) {
  const bool secret = (secret_before && secret_before->is_bool() && secret_before->get_bool()) || (secret_after && secret_after->is_bool() && secret_after->get_bool());
  if (!secret && depth < 3 && before && after && before->is_object() && after->is_object()) {
    for (const auto& [key, value] : after->get_object()) {
      add_details(name.empty() ? std::string(key) : name + "." + std::string(key), below(before, key), &value, below(unknown, key), below(secret_before, key), below(secret_after, key), depth + 1, out);
    }
    return;
  }
  if (before && after && *before == *after) return;
  const bool hidden = is_marked(secret_before) || is_marked(secret_after);
  out.push_back(name + ": " + shown(before, hidden, false) + " -> " + shown(after, hidden, is_marked(unknown)));
}

std::string details(const json::object& change) {
  // What is made or goes away is told by its name.
  if (inner(change, "before").empty() || inner(change, "after").empty()) return "";
  std::vector<std::string> lines;
  add_details("", change.if_contains("before"), change.if_contains("after"), change.if_contains("after_unknown"), change.if_contains("before_sensitive"), change.if_contains("after_sensitive"), 0, lines);
  std::string out;
  for (std::size_t i = 0; i < lines.size() && i < kMostLines; ++i) out += (i == 0 ? "" : "\n") + lines[i];
  if (lines.size() > kMostLines) out += "\nand " + std::to_string(lines.size() - kMostLines) + " more";
  return out;
}

}  // namespace

TargetPlan read_plan(const json::object& plan) {
  TargetPlan out;
  for (const auto& one : list(plan, "resource_changes")) {
    if (!one.is_object()) continue;
    const auto& object = one.get_object();
    const auto& change = inner(object, "change");
    std::vector<std::string> actions;
    for (const auto& action : list(change, "actions")) {
      if (action.is_string()) actions.emplace_back(action.get_string());
    }
    if (actions.empty() || actions.front() == "no-op") continue;
    ChangeKind kind = ChangeKind::kUpdate;
    if (actions.size() > 1) kind = ChangeKind::kReplace;
    else if (actions.front() == "create") kind = ChangeKind::kCreate;
    else if (actions.front() == "delete" || actions.front() == "forget") kind = ChangeKind::kDelete;
    else if (actions.front() == "read") kind = ChangeKind::kRead;
    out.changes.push_back({kind, std::string(string_or(object, "address")), details(change)});
  }
  for (const auto& one : list(plan, "resource_drift")) {
    if (!one.is_object()) continue;
    const auto text = details(inner(one.get_object(), "change"));
    out.drift.push_back(std::string(string_or(one.get_object(), "address")) + (text.empty() ? " is gone" : ": " + text));
  }
  const auto& told = inner(inner(inner(plan, "planned_values"), "outputs"), "drift");
  for (const auto& line : list(told, "value")) {
    if (line.is_string()) out.drift.emplace_back(line.get_string());
  }
  return out;
}

}  // namespace sabir::deploy

#include "plan_json.h"

#include <algorithm>

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
  if (text.size() > kMostValue) text = text.substr(0, kMostValue) + "…";
  return text;
}

std::string details(const json::object& change) {
  const auto& before = inner(change, "before");
  const auto& after = inner(change, "after");
  const auto& unknown = inner(change, "after_unknown");
  std::string out;
  std::size_t lines = 0;
  for (const auto& [key, value] : after) {
    const auto* old = before.if_contains(key);
    if (before.empty() || (old && *old == value) || ++lines > kMostLines) continue;
    const bool hidden = is_marked(inner(change, "before_sensitive").if_contains(key)) || is_marked(inner(change, "after_sensitive").if_contains(key));
    out += (out.empty() ? "" : "\n") + std::string(key) + ": " + shown(old, hidden, false) + " -> " + shown(&value, hidden, is_marked(unknown.if_contains(key)));
  }
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

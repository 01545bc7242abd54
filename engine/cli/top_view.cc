#include "top_view.h"

#include <algorithm>
#include <map>

#include "dev_events.h"
#include "sabir/terminal/text.h"

namespace sabir::cli {
namespace {

using terminal::fitted;
using terminal::Line;
using terminal::Style;
using terminal::width_of;

std::string text_of(const json::object& object, std::string_view name) { return terminal::harmless(string_or(object, name)); }

double number_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_number() ? value->to_number<double>() : 0;
}

std::int64_t whole_of(const json::object& object, std::string_view name) { return static_cast<std::int64_t>(number_of(object, name)); }

const json::array& list_of(const json::object& object, std::string_view name) {
  static const json::array kNone;
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->get_array() : kNone;
}

struct Column {
  const char* title;
  bool right = true;
  int importance = 0;  // those with the highest number go first where there is no room
  std::vector<std::string> cells;
  std::vector<Style> styles;

  void add(std::string cell, Style style = Style::kPlain) {
    cells.push_back(std::move(cell));
    styles.push_back(style);
  }
  int width() const {
    int out = width_of(title);
    for (const auto& cell : cells) out = std::max(out, width_of(cell));
    return out;
  }
};

// A heading and a line for each row. The first column gives way where there is no room, but for `least` of it.
void add_table(std::vector<Line>& out, std::vector<Column> table, int columns, int least) {
  const auto rest = [&] {
    int all = 0;
    for (std::size_t i = 1; i < table.size(); ++i) all += table[i].width() + 2;
    return all;
  };
  while (table.size() > 2 && 1 + least + rest() > columns) {
    const auto least_wanted = std::max_element(table.begin() + 1, table.end(), [](const auto& a, const auto& b) { return a.importance <= b.importance; });
    if (least_wanted->importance == 0) break;
    table.erase(least_wanted);
  }
  const int first = std::clamp(table.front().width(), least, std::max(least, columns - 1 - rest()));
  const auto width = [&](std::size_t i) { return i == 0 ? first : table[i].width(); };
  Line head{{" ", Style::kPlain}};
  for (std::size_t i = 0; i < table.size(); ++i) head.push_back({(i == 0 ? "" : "  ") + fitted(table[i].title, width(i), i > 0 && table[i].right), Style::kDim});
  out.push_back(std::move(head));
  for (std::size_t row = 0; row < table.front().cells.size(); ++row) {
    Line line{{" ", Style::kPlain}};
    for (std::size_t i = 0; i < table.size(); ++i) {
      const auto& cell = table[i].cells[row];
      line.push_back({(i == 0 ? "" : "  ") + fitted(i == 0 ? terminal::clipped_left(cell, width(i)) : cell, width(i), i > 0 && table[i].right), table[i].styles[row]});
    }
    out.push_back(std::move(line));
  }
}

std::map<std::string, double> calls_of(const json::object& stats) {
  std::map<std::string, double> out;
  for (const auto& one : list_of(stats, "functions")) out[text_of(one.get_object(), "address")] = number_of(one.get_object(), "calls");
  return out;
}

std::string rate_text(double rate) {
  char text[24];
  std::snprintf(text, sizeof text, rate < 10 ? "%.1f" : "%.0f", rate);
  return text;
}

}  // namespace

std::string_view order_name(TopOrder order) { return order == TopOrder::kCalls ? "calls" : order == TopOrder::kSlowest ? "slowest" : "errors"; }

std::vector<Line> top_head(const json::object& stats, int columns) {
  std::vector<Line> out;
  const auto root = text_of(stats, "project");
  Line first{{" sabir top ", Style::kReversed}, {"  " + root.substr(root.rfind('/') + 1), Style::kBold}, {" " + text_of(stats, "environment"), Style::kDim}};
  const Line more{{"  pid " + std::to_string(whole_of(stats, "pid")) + ", up " + span_text(whole_of(stats, "uptime_ms")) + ", engine " + bytes_text(number_of(stats, "memory")), Style::kDim}};
  if (width_of(first) + width_of(more) <= columns) first.insert(first.end(), more.begin(), more.end());
  out.push_back(std::move(first));
  Line queues{{" waiting ", Style::kDim}};
  for (const auto& value : list_of(stats, "pools")) {
    const auto& pool = value.get_object();
    const auto* queue = pool.if_contains("queue");
    const auto length = queue && queue->is_object() ? whole_of(queue->get_object(), "length") : 0;
    queues.push_back({" " + text_of(pool, "pool") + " " + std::to_string(length), length > 0 ? Style::kWarning : Style::kPlain});
    if (length > 0) queues.push_back({" (oldest " + milliseconds_text(number_of(queue->get_object(), "oldest_ms")) + ")", Style::kWarning});
  }
  if (queues.size() == 1) queues.push_back({" nothing: no worker has been needed yet", Style::kPlain});
  out.push_back(std::move(queues));
  for (const auto& value : list_of(stats, "pools")) {
    const auto& pool = value.get_object();
    if (const auto why = text_of(pool, "start_failure"); !why.empty()) out.push_back({{" ✗ " + text_of(pool, "pool") + ": no worker starts: " + why, Style::kBad}});
    for (const auto& address : list_of(pool, "left_alone")) out.push_back({{" ✗ crash loop, left alone for a while: " + terminal::harmless(address.get_string()), Style::kBad}});
  }
  return out;
}

std::vector<Line> top_body(const json::object& stats, const std::optional<Earlier>& earlier, TopOrder order, int columns) {
  std::vector<Line> out;
  std::vector<const json::object*> functions;
  for (const auto& one : list_of(stats, "functions")) functions.push_back(&one.get_object());
  const auto before = earlier ? calls_of(earlier->stats) : std::map<std::string, double>();
  const auto rate = [&](const json::object& function) {
    const auto found = before.find(text_of(function, "address"));
    const double calls = number_of(function, "calls") - (found == before.end() ? 0 : found->second);
    return std::max(0.0, calls) * 1000 / std::max<double>(1, static_cast<double>(earlier ? earlier->ago.count() : 1));
  };
  const char* key = order == TopOrder::kCalls ? "calls" : order == TopOrder::kSlowest ? "p99_ms" : "failed";
  std::stable_sort(functions.begin(), functions.end(), [&](const auto* a, const auto* b) { return number_of(*a, key) > number_of(*b, key); });
  std::vector<Column> table{{"function", false}, {"calls"}, {"a second", true, 2}, {"errors", true, 1}, {"in flight", true, 3}, {"p50", true, 4}, {"p99"}};
  for (const auto* function : functions) {
    const auto failed = whole_of(*function, "failed");
    const auto running = whole_of(*function, "in_flight");
    table[0].add(text_of(*function, "address"));
    table[1].add(std::to_string(whole_of(*function, "calls")));
    table[2].add(rate_text(rate(*function)));
    table[3].add(std::to_string(failed), failed > 0 ? Style::kBad : Style::kPlain);
    table[4].add(std::to_string(running), running > 0 ? Style::kGood : Style::kPlain);
    table[5].add(milliseconds_text(number_of(*function, "p50_ms")));
    table[6].add(milliseconds_text(number_of(*function, "p99_ms")));
  }
  if (!earlier) table.erase(table.begin() + 2);
  if (functions.empty()) out.push_back({{" no function has been called yet", Style::kDim}});
  else add_table(out, std::move(table), columns, 16);
  std::vector<Column> workers{{"worker", false}, {"pid", true, 3}, {"state", false}, {"memory"}, {"calls", true, 1}, {"age", true, 2}, {"runs", false, 4}};
  for (const auto& value : list_of(stats, "pools")) {
    const auto& pool = value.get_object();
    for (const auto& each : list_of(pool, "workers")) {
      const auto& one = each.get_object();
      const auto state = text_of(one, "state");
      const auto runs = text_of(one, "running");
      workers[0].add(text_of(pool, "pool"), Style::kAccent);
      workers[1].add(std::to_string(whole_of(one, "pid")));
      workers[2].add(state, state == "busy" ? Style::kGood : state == "ready" ? Style::kPlain : Style::kWarning);
      workers[3].add(bytes_text(number_of(one, "memory")));
      workers[4].add(std::to_string(whole_of(one, "calls")));
      workers[5].add(span_text(whole_of(one, "age_ms")));
      workers[6].add(runs.empty() ? "" : runs + " for " + milliseconds_text(number_of(one, "running_ms")), Style::kDim);
    }
  }
  if (!workers.front().cells.empty()) {
    out.emplace_back();
    add_table(out, std::move(workers), columns, 8);
  }
  std::vector<Column> models{{"model", false}, {"calls"}, {"errors", true, 1}, {"in flight"}};
  for (const auto& value : list_of(stats, "models")) {
    const auto& one = value.get_object();
    const auto failed = whole_of(one, "failed");
    models[0].add(text_of(one, "alias"));
    models[1].add(std::to_string(whole_of(one, "calls")));
    models[2].add(std::to_string(failed), failed > 0 ? Style::kBad : Style::kPlain);
    models[3].add(std::to_string(whole_of(one, "in_flight")));
  }
  if (!models.front().cells.empty()) {
    out.emplace_back();
    add_table(out, std::move(models), columns, 8);
  }
  return out;
}

}  // namespace sabir::cli

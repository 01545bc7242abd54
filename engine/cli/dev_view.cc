#include "dev_view.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "dev_events.h"
#include "sabir/base/text.h"
#include "sabir/terminal/text.h"

namespace sabir::cli {
namespace {

using terminal::clipped;
using terminal::fitted;
using terminal::Key;
using terminal::Line;
using terminal::Size;
using terminal::Style;
using terminal::width_of;

constexpr int kWide = 100;    // columns from which a request has its function beside it
constexpr int kNarrow = 60;   // below which names stand for paths
constexpr int kTall = 14;     // rows from which the head has more than a line
constexpr std::size_t kMostFilter = 100;

std::string text_of(const json::object& object, std::string_view name) { return terminal::harmless(string_or(object, name)); }

std::int64_t number_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_number() ? value->to_number<std::int64_t>() : 0;
}

const json::array& list_of(const json::object& object, std::string_view name) {
  static const json::array kNone;
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->get_array() : kNone;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Style style_of_status(std::int64_t status) {
  if (status == 499) return Style::kDim;
  if (status >= 500) return Style::kBad;
  if (status >= 400) return Style::kWarning;
  return status >= 200 && status < 300 ? Style::kGood : Style::kPlain;
}

// Left and right of a line, the right one where there is room for it.
Line between(Line left, Line right, int columns) {
  const int gap = columns - width_of(left) - width_of(right);
  if (gap < 1) return left;
  left.push_back({std::string(static_cast<std::size_t>(gap), ' '), Style::kPlain});
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::string counted(std::int64_t count, const char* one, const char* many) { return std::to_string(count) + " " + (count == 1 ? one : many); }

std::string trace_command(const json::object& event, const json::object& ready) {
  const auto environment = text_of(ready, "environment");
  return "sabir trace " + text_of(event, "trace").substr(0, 8) + (environment.empty() || environment == "development" ? "" : " -e " + environment);
}

// With a blank behind it; without the hour where there is little room.
std::string clock_in(const json::object& event, int columns) { return (columns < kNarrow ? clock_of(event).substr(3) : clock_of(event)) + " "; }

// Without what the mark before it says, and what every file's path begins with.
std::string shortened(std::string text) {
  for (const std::string_view start : {"reloaded ", "functions/"}) {
    if (text.starts_with(start)) text.erase(0, start.size());
  }
  return text;
}

// What the workers of a language do, all its pools together.
struct Health {
  std::int64_t warm = 0, busy = 0, starting = 0, waiting = 0, lost = 0;
  double memory = 0;
  std::vector<std::string> wrong;
};

std::map<std::string, Health> health_of(const json::object& stats) {
  std::map<std::string, Health> out;
  for (const auto& value : list_of(stats, "pools")) {
    const auto& pool = value.get_object();
    auto& health = out[text_of(pool, "language")];
    for (const auto& one : list_of(pool, "workers")) {
      const auto state = string_or(one.get_object(), "state");
      ++(state == "starting" ? health.starting : state == "busy" ? health.busy : health.warm);
      health.memory += static_cast<double>(number_of(one.get_object(), "memory"));
    }
    if (const auto* queue = pool.if_contains("queue"); queue && queue->is_object()) health.waiting += number_of(queue->get_object(), "length");
    health.lost += number_of(pool, "crashed");
    if (const auto why = text_of(pool, "start_failure"); !why.empty()) health.wrong.push_back("no worker starts: " + why);
    for (const auto& address : list_of(pool, "left_alone")) health.wrong.push_back("crash loop, left alone for a while: " + terminal::harmless(address.get_string()));
  }
  return out;
}

}  // namespace

// ---- what happens ----------------------------------------------------------------------------------------------------------

void DevView::add_row(const json::object& event, std::string shown, bool bad) {
  Row row;
  row.number = next_++;
  row.event = event;
  row.bad = bad;
  row.is_log = string_or(event, "event") == "log";
  row.shown = terminal::harmless(shown);
  row.text = lower(plain_text(event) + " " + row.shown);
  rows_.push_back(std::move(row));
  if (rows_.size() > kMostRows) rows_.pop_front();
}

void DevView::add(json::object event) {
  const auto kind = string_or(event, "event");
  if (kind == "ready") {
    ready_ = std::move(event);
  } else if (kind == "draining") {
    draining_ = true;
  } else if (kind == "request") {
    add_row(event, {}, number_of(event, "status") >= 400 && number_of(event, "status") != 499);
  } else if (kind == "failed") {
    // The functions above one that failed fail of the same.
    const auto& error = event.at("error").get_object();
    if (!rows_.empty() && string_or(rows_.back().event, "event") == "failed" && !string_or(event, "trace").empty() &&
        string_or(rows_.back().event, "trace") == string_or(event, "trace")) {
      const std::string message(string_or(rows_.back().event.at("error").get_object(), "message"));
      if (string_or(error, "message").find(message) != std::string_view::npos) return;
    }
    add_row(event, {}, true);
  } else if (kind == "reloaded") {
    const std::size_t bad = list_of(event, "problems").size() + list_of(event, "unavailable").size();
    std::size_t at = 0;
    for (auto& line : reload_lines(event)) add_row(event, std::move(line), at++ < bad);
  } else if (kind == "log") {
    add_row(event, {}, false);
  } else {
    const auto* bad = event.if_contains("bad");
    add_row(event, {}, bad && bad->is_bool() && bad->get_bool());
  }
}

void DevView::health(json::object stats) { stats_ = std::move(stats); }

// ---- keys ------------------------------------------------------------------------------------------------------------------

bool DevView::fits(const Row& row) const {
  if (frozen_ != 0 && row.number > frozen_) return false;
  if (row.is_log && !logs_) return false;
  if (errors_only_ && !row.bad) return false;
  const std::string& filter = typing_ ? typed_ : filter_;
  return filter.empty() || row.text.find(lower(filter)) != std::string::npos;
}

std::vector<const DevView::Row*> DevView::fitting() const {
  std::vector<const Row*> out;
  for (const auto& row : rows_) {
    if (fits(row)) out.push_back(&row);
  }
  return out;
}

void DevView::move(int by) {
  const auto rows = fitting();
  if (rows.empty()) return;
  auto at = static_cast<int>(rows.size()) - 1;
  if (chosen_ == 0) {
    // Up chooses the newest first.
    if (by > 0) return;
    ++by;
  } else {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row* row) { return row->number >= chosen_; });
    if (found != rows.end()) at = static_cast<int>(found - rows.begin());
  }
  at += by;
  chosen_ = at >= static_cast<int>(rows.size()) ? 0 : rows[static_cast<std::size_t>(std::max(at, 0))]->number;
}

DevView::Action DevView::press(const Key& key) {
  using Code = Key::Code;
  if (typing_) {
    if (key.code == Code::kEnter) {
      filter_ = typed_;
      typing_ = false;
    } else if (key.code == Code::kEscape) {
      typing_ = false;
    } else if (key.code == Code::kBackspace) {
      while (!typed_.empty() && (static_cast<unsigned char>(typed_.back()) & 0xC0U) == 0x80U) typed_.pop_back();
      if (!typed_.empty()) typed_.pop_back();
    } else if (key.code == Code::kText && typed_.size() < kMostFilter) {
      typed_ += key.text;
    }
    return Action::kNone;
  }
  if (help_) {
    help_ = false;
    return key.code == Code::kText && key.text == "q" ? Action::kQuit : Action::kNone;
  }
  if (details_) {
    if (key.code == Code::kUp) scrolled_ = std::max(0, scrolled_ - 1);
    else if (key.code == Code::kDown) ++scrolled_;
    else if (key.code == Code::kEnter || key.code == Code::kEscape || key.code == Code::kBackspace) details_ = false;
    else if (key.code == Code::kText) {
      details_ = false;
      if (key.text != "q") return press_text(key.text);
    }
    return Action::kNone;
  }
  switch (key.code) {
    case Code::kUp: move(-1); break;
    case Code::kDown: move(1); break;
    case Code::kPageUp: move(-page_); break;
    case Code::kPageDown: move(page_); break;
    case Code::kHome: move(-static_cast<int>(kMostRows)); break;
    case Code::kEnd: chosen_ = 0; break;
    case Code::kEscape:
      chosen_ = 0;
      filter_.clear();
      errors_only_ = false;
      break;
    case Code::kEnter:
      if (chosen_ == 0) move(-1);
      details_ = chosen_ != 0;
      scrolled_ = 0;
      break;
    case Code::kText: return press_text(key.text);
    default: break;
  }
  return Action::kNone;
}

DevView::Action DevView::press_text(const std::string& text) {
  if (text == "q") return Action::kQuit;
  if (text == "r") return Action::kReload;
  if (text == "f" || text == "/") {
    typing_ = true;
    typed_ = filter_;
  } else if (text == "e") {
    errors_only_ = !errors_only_;
  } else if (text == "l") {
    logs_ = !logs_;
  } else if (text == " ") {
    frozen_ = frozen_ != 0 ? 0 : std::max<std::uint64_t>(next_ - 1, 1);
  } else if (text == "c") {
    rows_.clear();
    chosen_ = 0;
    if (frozen_ != 0) frozen_ = std::max<std::uint64_t>(next_ - 1, 1);
  } else if (text == "?" || text == "h") {
    help_ = true;
  } else if (text == "k") {
    move(-1);
  } else if (text == "j") {
    move(1);
  } else if (text == "G") {
    chosen_ = 0;
  }
  return Action::kNone;
}

// ---- lines -----------------------------------------------------------------------------------------------------------------

std::vector<Line> DevView::head(Size size) const {
  std::vector<Line> out;
  const int columns = size.columns;
  if (ready_.empty()) return {{{" sabir dev ", Style::kReversed}, {"  starting …", Style::kDim}}};
  Line left{{" sabir dev ", Style::kReversed}, {"  " + text_of(ready_, "project"), Style::kBold}, {" " + text_of(ready_, "environment"), Style::kDim}};
  const auto up = number_of(stats_, "uptime_ms");
  Line right{draining_ ? terminal::Span{"draining … ", Style::kWarning} : terminal::Span{"● serving ", Style::kGood}};
  // Seconds would be a change each second.
  if (!draining_ && up >= 60'000) right.insert(right.begin(), {"up " + span_text(up) + "  ", Style::kDim});
  out.push_back(between(std::move(left), std::move(right), columns));
  const auto labelled = [](const char* name, const std::string& value) { return Line{{std::string(" ") + name, Style::kDim}, {" " + value, Style::kAccent}}; };
  const auto address = labelled("address", text_of(ready_, "address"));
  if (size.rows < kTall) {
    out.push_back(address);
    return out;
  }
  const auto docs = labelled("docs   ", text_of(ready_, "docs"));
  const auto mcp = labelled("MCP    ", text_of(ready_, "mcp"));
  const auto openai = labelled("OpenAI ", text_of(ready_, "openai"));
  const int half = columns / 2;
  if (width_of(docs) < half && width_of(address) < half) {
    const auto beside = [&](Line a, const Line& b) {
      a.push_back({std::string(static_cast<std::size_t>(half - width_of(a)), ' '), Style::kPlain});
      a.insert(a.end(), b.begin(), b.end());
      return a;
    };
    out.push_back(beside(address, docs));
    out.push_back(beside(mcp, openai));
  } else {
    out.insert(out.end(), {address, docs});
    if (size.rows >= 20) out.insert(out.end(), {mcp, openai});
  }
  if (const auto* asks = ready_.if_contains("asks_who"); asks && asks->is_bool() && asks->get_bool()) out.push_back({{" callers need a token: sabir tokens add", Style::kDim}});
  return out;
}

std::vector<Line> DevView::languages(Size size) const {
  const int columns = size.columns;
  std::vector<Line> out;
  auto health = health_of(stats_);
  std::map<std::string, std::int64_t> counts;
  if (const auto* functions = ready_.if_contains("functions"); functions && functions->is_object()) {
    for (const auto& [language, count] : functions->get_object()) counts[std::string(language)] = count.to_number<std::int64_t>();
  }
  for (const auto& [language, one] : health) counts.try_emplace(language, 0);
  std::map<std::string, std::int64_t> unavailable;
  for (const auto& one : list_of(ready_, "unavailable")) {
    const auto language = text_of(one.get_object(), "language");
    ++unavailable[language];
    counts.try_emplace(language, 0);
  }
  int name_width = 6;
  for (const auto& [language, count] : counts) name_width = std::max(name_width, width_of(language));
  if (counts.empty() && !ready_.empty()) out.push_back({{" no functions yet: sabir add function hello", Style::kDim}});
  const auto most = static_cast<std::size_t>(std::max(1, size.rows / 3 - 1));
  if (counts.size() > most) {
    Line all{{" ", Style::kPlain}};
    for (const auto& [language, count] : counts) all.push_back({language + " " + std::to_string(count) + "  ", health[language].wrong.empty() ? Style::kPlain : Style::kBad});
    out.push_back(std::move(all));
  } else {
    for (const auto& [language, count] : counts) {
      Line line{{" " + fitted(language, name_width), Style::kAccent}, {fitted(" " + (columns < kNarrow ? std::to_string(count) : counted(count, "function", "functions")), columns < kNarrow ? 5 : 15), Style::kPlain}};
      const auto found = health.find(language);
      const bool runs = found != health.end() && found->second.warm + found->second.busy + found->second.starting > 0;
      if (const auto broken = unavailable[language]; broken > 0) line.push_back({std::to_string(broken) + " unavailable  ", Style::kBad});
      if (!runs) {
        line.push_back({columns < kNarrow ? "○ no worker" : "○ a worker starts with the first call", Style::kDim});
      } else {
        const auto& h = found->second;
        line.push_back({"● ", h.wrong.empty() ? Style::kGood : Style::kBad});
        std::string text = std::to_string(h.warm) + " warm";
        text += ", " + std::to_string(h.busy) + " busy";
        if (h.starting > 0) text += ", " + std::to_string(h.starting) + " starting";
        line.push_back({text, Style::kPlain});
        if (h.waiting > 0) line.push_back({", " + std::to_string(h.waiting) + " waiting", Style::kWarning});
        if (h.memory > 0) line.push_back({", " + bytes_text(h.memory), Style::kDim});
        if (h.lost > 0) line.push_back({", " + std::to_string(h.lost) + " lost", Style::kWarning});
      }
      out.push_back(std::move(line));
    }
  }
  for (const auto& [language, one] : health) {
    for (const auto& wrong : one.wrong) out.push_back({{" ✗ " + language + ": " + wrong, Style::kBad}});
  }
  std::size_t told = 0;
  const auto& missing = list_of(ready_, "unavailable");
  for (const auto& value : missing) {
    if (out.size() >= most + 2 && told > 0) break;
    ++told;
    const auto& error = value.get_object();
    const std::string place = terminal::harmless(place_of(error));
    out.push_back({{" ✗ " + terminal::clipped_left(place, std::max(10, columns / 2)), Style::kBad}, {"  " + text_of(error, "message"), Style::kPlain}});
  }
  if (told < missing.size()) out.push_back({{"   and " + std::to_string(missing.size() - told) + " more that cannot be called: sabir check", Style::kDim}});
  for (const auto& value : list_of(ready_, "disabled")) {
    const auto& one = value.get_object();
    out.push_back({{" ⏸ " + text_of(one, "address") + " is disabled by " + text_of(one, "who"), Style::kWarning}, {text_of(one, "reason").empty() ? "" : ": " + text_of(one, "reason"), Style::kDim}});
  }
  if (out.size() > most + 3) out.resize(most + 3);
  return out;
}

Line DevView::request_line(const Row& row, int columns) const {
  const auto& event = row.event;
  const auto status = number_of(event, "status");
  const auto* took = event.if_contains("ms");
  const std::string ms = milliseconds_text(took && took->is_number() ? took->to_number<double>() : 0);
  std::string what = terminal::harmless(what_of(event));
  const auto name = text_of(event, "name");
  const auto function = text_of(event, "function");
  if (string_or(event, "door") != "MCP" && !name.empty()) what += " " + name;
  if (columns < kNarrow) {
    if (!function.empty()) what = function;
    else if (!name.empty()) what = name;
  }
  const std::string who = text_of(event, "who");
  const auto error = text_of(event, "error");
  if (columns < kWide && columns >= kNarrow && !who.empty()) what += " by " + who;
  Line right;
  if (columns >= kWide) {
    right.push_back({fitted(function, 26), Style::kDim});
    right.push_back({" ", Style::kPlain});
  }
  right.push_back({fitted(std::to_string(status), 4), style_of_status(status)});
  right.push_back({fitted(ms, 8, true), Style::kPlain});
  if (columns >= kWide) right.push_back({"  " + fitted(who, 10), Style::kDim});
  Line out{{clock_in(event, columns), Style::kDim}};
  if (columns >= 80) out.push_back({fitted(text_of(event, "door"), 11), Style::kDim});
  if (!error.empty() && columns >= kNarrow) what += "  " + error;
  const int room = columns - width_of(out) - width_of(right) - 1;
  out.push_back({fitted(what, room), Style::kPlain});
  out.push_back({" ", Style::kPlain});
  out.insert(out.end(), right.begin(), right.end());
  return out;
}

Line DevView::line_of(const Row& row, int columns, bool chosen) const {
  const auto& event = row.event;
  const auto kind = string_or(event, "event");
  Line out;
  if (kind == "request") {
    out = request_line(row, columns);
  } else {
    out.push_back({clock_in(event, columns), Style::kDim});
    if (kind == "failed") {
      const auto& error = event.at("error").get_object();
      constexpr int kPlaceToo = 40;
      const std::string place = columns < kPlaceToo ? std::string() : terminal::clipped_left(terminal::harmless(place_of(error)), columns / 2);
      const int room = columns - width_of(out) - width_of(place) - 3;
      out.push_back({"✗ ", Style::kBad});
      out.push_back({fitted(text_of(error, "message"), place.empty() ? room + 1 : room), Style::kBad});
      if (!place.empty()) out.push_back({" " + place, Style::kAccent});
    } else if (kind == "log") {
      out.push_back({text_of(event, "language") + " ", Style::kAccent});
      out.push_back({text_of(event, "line"), Style::kDim});
    } else if (kind == "reloaded") {
      out.push_back({row.bad ? "✗ " : "↻ ", row.bad ? Style::kBad : Style::kGood});
      out.push_back({columns < kNarrow ? shortened(row.shown) : row.shown, row.bad ? Style::kBad : Style::kPlain});
    } else {
      const std::string pool = text_of(event, "pool");
      out.push_back({(pool.empty() ? std::string() : pool + ": ") + text_of(event, "message"), row.bad ? Style::kBad : Style::kPlain});
    }
  }
  if (!chosen) return out;
  std::string text;
  for (const auto& span : out) text += span.text;
  return {{fitted(text, columns), Style::kReversed}};
}

std::vector<Line> DevView::details(int columns) const {
  std::vector<Line> out;
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.number == chosen_; });
  if (found == rows_.end()) return {{{" it is no longer kept", Style::kDim}}};
  const auto& event = found->event;
  const auto field = [&](const char* name, const std::string& value, Style style = Style::kPlain) {
    if (value.empty()) return;
    bool first = true;
    for (const auto& line : terminal::wrapped(value, columns - 13)) {
      out.push_back({{" " + fitted(first ? name : "", 11), Style::kDim}, {line, style}});
      first = false;
    }
  };
  const auto error_fields = [&](const json::object& failure) {
    const auto& error = failure.at("error").get_object();
    field("function", text_of(failure, "function"));
    field("error", text_of(error, "type") + ": " + text_of(error, "message"), Style::kBad);
    field("at", terminal::harmless(place_of(error)), Style::kAccent);
    field("do", text_of(error, "hint"));
  };
  const auto kind = string_or(event, "event");
  const std::string trace = text_of(event, "trace");
  field("time", clock_of(event));
  if (kind == "request") {
    const auto status = number_of(event, "status");
    field("request", terminal::harmless(what_of(event)), Style::kBold);
    field("door", text_of(event, "door"));
    field("function", text_of(event, "function"));
    if (string_or(event, "door") != "MCP") field("name", text_of(event, "name"));
    field("status", std::to_string(status) + (text_of(event, "error").empty() ? "" : " " + text_of(event, "error")), style_of_status(status));
    const auto* took = event.if_contains("ms");
    field("took", milliseconds_text(took && took->is_number() ? took->to_number<double>() : 0));
    field("bytes", std::to_string(number_of(event, "bytes")));
    field("who", text_of(event, "who"));
    field("peer", text_of(event, "peer"));
    for (const auto& row : rows_) {
      if (string_or(row.event, "event") != "failed" || trace.empty() || string_or(row.event, "trace") != trace) continue;
      out.emplace_back();
      error_fields(row.event);
    }
  } else if (kind == "failed") {
    error_fields(event);
  } else if (kind == "reloaded") {
    for (const auto& line : reload_lines(event)) field("reload", terminal::harmless(line));
    field("took", std::to_string(number_of(event, "milliseconds")) + " ms");
  } else {
    field(kind == "log" ? "printed by" : "from", text_of(event, kind == "log" ? "language" : "pool"));
    field("text", text_of(event, kind == "log" ? "line" : "message"));
  }
  if (!trace.empty()) {
    out.emplace_back();
    field("run", trace);
    field("look", trace_command(event, ready_), Style::kBold);
    field("", "Arguments and results are there where sabir.yml's trace keeps texts.", Style::kDim);
  }
  return out;
}

std::vector<Line> DevView::help(int columns) {
  std::vector<Line> out;
  for (const auto& [key, text] : {std::pair("q, Ctrl-C", "end: answers what runs first; a second Ctrl-C does not wait"), std::pair("f, /", "filter by text: a function, a path, a status, who asks"),
                                  std::pair("e", "errors alone"), std::pair("l", "what workers print, or not"), std::pair("space", "pause; what happens meanwhile is kept"),
                                  std::pair("↑ ↓ PgUp PgDn", "go through the list; End follows again"), std::pair("enter", "all about one, and the command that shows its trace"),
                                  std::pair("c", "clear the list"), std::pair("r", "read everything again now"), std::pair("esc", "back; no filter")}) {
    bool first = true;
    for (const auto& line : terminal::wrapped(text, columns - 17)) {
      out.push_back({{" " + fitted(first ? key : "", 15), Style::kAccent}, {line, Style::kPlain}});
      first = false;
    }
  }
  return out;
}

Line DevView::foot(int columns, std::size_t fit, std::size_t below) const {
  if (typing_) return {{" filter: ", Style::kBold}, {typed_, Style::kPlain}};
  if (draining_) return {{" answers what runs … Ctrl-C again does not wait", Style::kDim}};
  Line right;
  if (frozen_ != 0) {
    const auto more = next_ - 1 > frozen_ ? next_ - 1 - frozen_ : 0;
    right.push_back({"paused" + (more > 0 ? ", " + std::to_string(more) + " new" : std::string()) + " ", Style::kWarning});
  }
  if (errors_only_) right.push_back({"errors ", Style::kWarning});
  if (!filter_.empty()) right.push_back({"filter: " + clipped(filter_, columns / 4) + " ", Style::kWarning});
  if (!logs_) right.push_back({"no logs ", Style::kDim});
  if (below > 0) right.push_back({std::to_string(below) + " below ", Style::kDim});
  else if (fit > 0) right.push_back({std::to_string(fit) + " ", Style::kDim});
  Line left;
  if (details_ || help_) {
    left = {{" esc", Style::kBold}, {" back", Style::kDim}};
  } else {
    for (const auto& [key, text] : {std::pair("q", "quit"), std::pair("f", "filter"), std::pair("e", "errors"), std::pair("?", "help"), std::pair("enter", "details"), std::pair("space", "pause"), std::pair("r", "reload")}) {
      Line more{{std::string(" ") + key, Style::kBold}, {std::string(" ") + text + " ", Style::kDim}};
      if (width_of(left) + width_of(more) + width_of(right) >= columns) break;
      left.insert(left.end(), more.begin(), more.end());
    }
  }
  return between(std::move(left), std::move(right), columns);
}

std::vector<Line> DevView::lines(Size size, int& cursor_line) {
  cursor_line = -1;
  auto out = head(size);
  if (size.rows >= kTall) {
    auto more = languages(size);
    out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  std::string rule;
  for (int i = 0; i < size.columns; ++i) rule += "─";
  if (size.rows >= 8) out.push_back({{rule, Style::kDim}});
  page_ = std::max(1, size.rows - static_cast<int>(out.size()) - (size.rows >= kTall ? 2 : 1));
  const auto rows = fitting();
  std::size_t below = 0;
  std::vector<Line> list;
  if (help_) {
    list = help(size.columns);
  } else if (details_) {
    list = details(size.columns);
    scrolled_ = std::clamp(scrolled_, 0, std::max(0, static_cast<int>(list.size()) - page_));
    list.erase(list.begin(), list.begin() + scrolled_);
  } else {
    std::size_t end = rows.size();
    if (chosen_ != 0) {
      const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row* row) { return row->number >= chosen_; });
      const auto at = static_cast<std::size_t>(found - rows.begin());
      // In the middle, as far as there are rows below it.
      end = std::min(rows.size(), std::max(at + 1 + static_cast<std::size_t>(page_ / 2), static_cast<std::size_t>(page_)));
    }
    const std::size_t begin = end > static_cast<std::size_t>(page_) ? end - static_cast<std::size_t>(page_) : 0;
    below = rows.size() - end;
    for (std::size_t i = begin; i < end; ++i) list.push_back(line_of(*rows[i], size.columns, rows[i]->number == chosen_));
    if (rows.empty() && !ready_.empty()) {
      const bool hidden = !rows_.empty();
      for (const auto& line : terminal::wrapped(hidden ? "Nothing fits. Esc shows everything." : "Nothing has been asked yet. " + text_of(ready_, "docs") + " shows what can be.", size.columns - 2)) {
        list.push_back({{" " + line, Style::kDim}});
      }
    }
  }
  if (list.size() > static_cast<std::size_t>(page_)) list.resize(static_cast<std::size_t>(page_));
  out.insert(out.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
  const int last = std::max(1, size.rows) - 1;
  const int ruled = size.rows >= kTall ? last - 1 : last;
  out.resize(static_cast<std::size_t>(ruled));
  if (ruled < last) out.push_back({{rule, Style::kDim}});
  out.push_back(foot(size.columns, rows.size(), below));
  if (typing_) cursor_line = last;
  return out;
}

}  // namespace sabir::cli

#include "waterfall.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "command.h"
#include "sabir/base/text.h"

namespace sabir::cli {
namespace {

using telemetry::StoredSpan;

constexpr std::size_t kTimeWidth = 10;
constexpr std::size_t kLeastBar = 10;
constexpr std::size_t kMostDepth = 24;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }

struct Row {
  const StoredSpan* span;
  std::string tree;   // what stands before its name
  std::string below;  // and before what stands below it
};

// The tree in the order of time. A span whose parent is not there stands at the top.
std::vector<Row> rows_of(const std::vector<StoredSpan>& spans) {
  std::map<std::string, std::vector<const StoredSpan*>> children;
  std::map<std::string, bool> known;
  for (const auto& span : spans) known[span.span] = true;
  for (const auto& span : spans) children[known.contains(span.parent) ? span.parent : std::string()].push_back(&span);
  std::vector<Row> out;
  const auto add = [&](const auto& self, const StoredSpan& span, const std::string& tree, const std::string& below, std::size_t depth) -> void {
    out.push_back({&span, tree, below});
    const auto found = children.find(span.span);
    if (found == children.end() || depth >= kMostDepth) return;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      const bool last = i + 1 == found->second.size();
      self(self, *found->second[i], below + (last ? "└ " : "├ "), below + (last ? "  " : "│ "), depth + 1);
    }
  };
  for (const auto* top : children[""]) add(add, *top, "", "", 0);
  return out;
}

// From `begin` to `end`, parts of the whole, in cells of eighths.
std::string bar(double begin, double end, std::size_t cells) {
  static constexpr std::string_view kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double wide = static_cast<double>(cells);
  const auto first = std::min(static_cast<std::size_t>(begin * wide), cells - 1);
  const auto eighths = std::max<std::int64_t>(1, std::llround((end * wide - static_cast<double>(first)) * 8));
  std::string out(first, ' ');
  std::int64_t left = std::min(eighths, static_cast<std::int64_t>((cells - first) * 8));
  for (; left >= 8; left -= 8) out += "█";
  return out + std::string(kParts[left]);
}

std::string shown(const json::value& value) { return value.is_string() ? std::string(value.get_string()) : compact_json(value); }

void add_details(std::vector<std::string>& out, const Row& row) {
  const std::string before = styled(row.below, "2") + "    ";
  for (const auto& member : row.span->attributes) out.push_back(before + styled(std::string(member.key()), "36") + " " + shown(member.value()));
  if (!row.span->error.empty()) {
    out.push_back(before + styled("error.type", "36") + " " + row.span->error);
    if (!row.span->message.empty()) out.push_back(before + styled("error", "36") + " " + row.span->message);
  }
  for (const auto& one : row.span->events) {
    if (!one.is_object()) continue;
    const auto& event = one.get_object();
    std::string line = before + "+" + duration_text(event.at("at_us").to_number<std::int64_t>()) + " " + styled(string_or(event, "name"), "36");
    if (const auto* attributes = event.if_contains("attributes"); attributes && attributes->is_object()) {
      for (const auto& member : attributes->get_object()) line += " " + std::string(member.key()) + "=" + shown(member.value());
    }
    out.push_back(std::move(line));
  }
  for (const auto& member : row.span->texts) {
    out.push_back(before + styled(std::string(member.key()), "36"));
    const std::string text = shown(member.value());
    const auto value = parse_json(text);
    const std::string laid_out = value && (value->is_object() || value->is_array()) ? pretty_json(*value) : text;
    for (const auto line : split_lines(laid_out)) out.push_back(before + "  " + std::string(line));
  }
}

}  // namespace

std::string duration_text(std::int64_t microseconds) {
  char text[48];
  const double ms = static_cast<double>(microseconds) / 1000;
  if (ms < 1) {
    std::snprintf(text, sizeof text, "%.2f ms", ms);
  } else if (ms < 1000) {
    std::snprintf(text, sizeof text, ms < 10 ? "%.1f ms" : "%.0f ms", ms);
  } else if (ms < 60'000) {
    std::snprintf(text, sizeof text, "%.2f s", ms / 1000);
  } else {
    const auto seconds = static_cast<long long>(ms / 1000);
    std::snprintf(text, sizeof text, "%lld min %lld s", seconds / 60, seconds % 60);
  }
  return text;
}

std::size_t width_of(std::string_view text) { return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character)); }

std::string clipped(std::string_view text, std::size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  std::string out;
  std::size_t taken = 0;
  for (const char c : text) {
    if (begins_character(c) && ++taken >= columns) break;
    out += c;
  }
  return out + "…";
}

std::vector<std::string> waterfall(const std::vector<StoredSpan>& spans, std::size_t columns, bool verbose) {
  std::vector<std::string> out;
  if (spans.empty()) return out;
  const auto rows = rows_of(spans);
  std::int64_t begin = spans.front().begun_us;
  std::int64_t end = spans.front().ended_us;
  for (const auto& span : spans) {
    begin = std::min(begin, span.begun_us);
    end = std::max(end, span.ended_us);
  }
  const double whole = static_cast<double>(std::max<std::int64_t>(1, end - begin));
  std::size_t names = 0;
  for (const auto& row : rows) names = std::max(names, width_of(row.tree) + width_of(row.span->name) + (row.span->error.empty() ? 0 : 2));
  names = std::min(names, std::max<std::size_t>(20, columns / 2));
  const std::size_t cells = std::max(kLeastBar, columns > names + kTimeWidth + 2 ? columns - names - kTimeWidth - 2 : 0);
  for (const auto& row : rows) {
    const auto& span = *row.span;
    const bool failed = !span.error.empty();
    const std::size_t room = names > width_of(row.tree) ? names - width_of(row.tree) : 1;
    const std::string name = clipped((failed ? "✗ " : "") + span.name, room);
    std::string line = styled(row.tree, "2") + (failed ? styled(name, "31") : row.tree.empty() ? styled(name, "1") : name);
    const std::size_t taken = width_of(row.tree) + width_of(name);
    line += std::string(names > taken ? names - taken : 0, ' ');
    line += padded(duration_text(span.ended_us - span.begun_us), kTimeWidth, true) + "  ";
    line += styled(bar(static_cast<double>(span.begun_us - begin) / whole, static_cast<double>(span.ended_us - begin) / whole, cells), failed ? "31" : "36");
    out.push_back(std::move(line));
    if (verbose) add_details(out, row);
  }
  return out;
}

}  // namespace sabir::cli

#include "sabir/peers/status.h"

#include <algorithm>

#include "sabir/base/text.h"

namespace sabir::peers {
namespace {

constexpr std::size_t kMostShown = 20'000;

// A definition as people read it: harmless, a line for each thing that may change.
std::vector<std::string> lines_of(const mcp::ToolDefinition& tool) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& text) {
    const std::string clean = mcp::harmless(text, kMostShown);
    for (const auto line : split_lines(clean)) out.emplace_back(line);
  };
  if (!tool.title.empty()) add("title: " + tool.title);
  add(tool.description.empty() ? "(no description)" : tool.description);
  add("input: " + pretty_json(tool.input_schema));
  if (!tool.output_schema.empty()) add("output: " + pretty_json(tool.output_schema));
  if (!tool.annotations.empty()) add("annotations: " + compact_json(tool.annotations));
  return out;
}

// The lines that only one of the two has, in the order of a difference: a longest common subsequence of what is not the same at
// both ends.
std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  constexpr std::size_t kMostLines = 2000;
  std::size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const std::size_t rows = a.size() - head - tail;
  const std::size_t columns = b.size() - head - tail;
  std::string out;
  const auto line = [&](char mark, const std::string& text) { out += std::string("  ") + mark + " " + text + "\n"; };
  if (rows > kMostLines || columns > kMostLines) {
    for (std::size_t i = 0; i < rows; ++i) line('-', a[head + i]);
    for (std::size_t j = 0; j < columns; ++j) line('+', b[head + j]);
    return out;
  }
  std::vector<std::vector<std::uint16_t>> common(rows + 1, std::vector<std::uint16_t>(columns + 1, 0));
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      common[i][j] = a[head + i] == b[head + j] ? static_cast<std::uint16_t>(common[i + 1][j + 1] + 1) : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && a[head + i] == b[head + j]) {
      ++i;
      ++j;
    } else if (j == columns || (i < rows && common[i + 1][j] >= common[i][j + 1])) {
      line('-', a[head + i++]);
    } else {
      line('+', b[head + j++]);
    }
  }
  return out;
}

}  // namespace

std::vector<ToolChange> changes(const std::string& server, const Pins& pins, const std::optional<std::vector<mcp::ToolDefinition>>& before, const std::vector<mcp::ToolDefinition>& now) {
  std::vector<ToolChange> out;
  for (const auto& tool : now) {
    const auto consent = pins.consent(server, tool);
    if (consent == Consent::kGiven) continue;
    ToolChange change{consent == Consent::kNew ? ToolChange::Kind::kNew : ToolChange::Kind::kChanged, tool.name, ""};
    const auto lines = lines_of(tool);
    if (consent == Consent::kChanged && before) {
      const auto old = std::find_if(before->begin(), before->end(), [&](const auto& one) { return one.name == tool.name; });
      if (old != before->end() && pins.consent(server, *old) == Consent::kGiven) change.text = difference(lines_of(*old), lines);
    }
    if (change.text.empty()) {
      if (consent == Consent::kChanged) change.text = "    (what it was is not on this machine; this is what it is now)\n";
      for (const auto& line : lines) change.text += "    " + line + "\n";
    }
    out.push_back(std::move(change));
  }
  for (const auto& name : pins.tools(server)) {
    if (std::none_of(now.begin(), now.end(), [&](const auto& tool) { return tool.name == name; })) out.push_back({ToolChange::Kind::kGone, name, ""});
  }
  return out;
}

json::array status_json(const project::Project& project, const std::map<std::string, ServerStatus>& live) {
  json::array out;
  const auto pins = Pins::read(project.root);
  const auto known = offered(project, pins ? *pins : Pins());
  for (const auto& server : project.mcp_servers) {
    json::object one{{"name", server.name}, {"prefix", server.prefix}, {"transport", server.url.empty() ? "stdio" : "http"}};
    if (server.url.empty()) {
      one["command"] = mcp::harmless(join(server.command, " "), 500);
    } else {
      one["url"] = server.url;
    }
    const auto kept = read_kept(project.state_dir(), server);
    std::string state = server.enabled ? "not running" : "disabled";
    std::string revision = kept ? kept->revision : "";
    std::string name = kept ? kept->server_name : "";
    const auto running = live.find(server.name);
    if (running != live.end()) {
      state = running->second.state;
      if (!running->second.revision.empty()) revision = running->second.revision;
      if (!running->second.server_name.empty()) name = running->second.server_name;
      if (running->second.error) one["error"] = to_json(*running->second.error);
      one["running"] = running->second.running;
    }
    one["state"] = state;
    if (!revision.empty()) one["revision"] = revision;
    if (!name.empty()) one["server"] = name;
    std::int64_t tools = 0;
    std::int64_t hidden = 0;
    json::array waiting;
    for (const auto& tool : known.tools) {
      if (tool.server->name != server.name) continue;
      if (!tool.is_allowed) {
        ++hidden;
      } else if (!tool.tool.problem.empty()) {
        waiting.push_back(json::object{{"tool", mcp::harmless(tool.tool.name, 256)}, {"address", tool.address}, {"why", tool.tool.problem}});
      } else if (tool.consent != Consent::kGiven) {
        waiting.push_back(json::object{{"tool", mcp::harmless(tool.tool.name, 256)}, {"address", tool.address}, {"why", tool.consent == Consent::kNew ? "new" : "changed"}});
      } else {
        ++tools;
      }
    }
    one["known"] = kept.has_value();
    one["tools"] = tools;
    if (hidden > 0) one["hidden"] = hidden;
    one["waiting"] = std::move(waiting);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace sabir::peers

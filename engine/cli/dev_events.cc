#include "dev_events.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <set>

#include "sabir/base/text.h"
#include "sabir/terminal/text.h"

namespace sabir::cli {
namespace {

json::object event_of(std::string_view kind) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return {{"event", kind}, {"time_ms", ms}};
}

std::string text_of(const json::object& object, std::string_view name) { return std::string(string_or(object, name)); }

double number_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_number() ? value->to_number<double>() : 0;
}

bool flag_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_bool() && value->get_bool();
}

const json::array& list_of(const json::object& object, std::string_view name) {
  static const json::array kNone;
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->get_array() : kNone;
}

json::array strings_of(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& one : list) out.push_back(json::value(one));
  return out;
}

std::string counted(std::size_t count, const char* word) { return count == 0 ? std::string() : std::to_string(count) + " " + word; }

std::string joined(const json::array& list) {
  std::string out;
  for (const auto& one : list) out += (out.empty() ? "" : ", ") + std::string(one.is_string() ? std::string_view(one.get_string()) : std::string_view());
  return out;
}

// By the pool's name.
std::map<std::string, const json::object*> pools_of(const json::object& stats) {
  std::map<std::string, const json::object*> out;
  for (const auto& pool : list_of(stats, "pools")) out[text_of(pool.get_object(), "pool")] = &pool.get_object();
  return out;
}

std::string error_text(const json::object& error) {
  const auto place = place_of(error);
  return (place.empty() ? "" : place + ": ") + text_of(error, "message");
}

}  // namespace

std::string_view door_of(std::string_view path) {
  if (path.starts_with("/v1/")) return "OpenAI";
  if (path.starts_with("/mcp")) return "MCP";
  if (path.starts_with("/assistants") || path.starts_with("/runs") || path.starts_with("/approvals")) return "assistant";
  if (path == "/healthz" || path == "/readyz" || path == "/metrics") return "operations";
  return "REST";
}

json::object request_event(std::string_view access_line) {
  auto value = parse_json(access_line);
  if (!value || !value->is_object() || string_or(value->get_object(), "event") != "request") return {};
  auto& line = value->get_object();
  json::object out = event_of("request");
  for (const char* member : {"method", "path", "status", "ms", "bytes", "peer", "function", "name", "rpc", "error", "trace"}) {
    if (auto* given = line.if_contains(member)) out[member] = std::move(*given);
  }
  out["door"] = door_of(string_or(out, "path"));
  std::string who = text_of(line, "user");
  if (who.empty()) who = text_of(line, "token");
  out["who"] = who;
  return out;
}

json::object failure_event(const functions::Failure& failure) {
  json::object out = event_of("failed");
  out["function"] = failure.address;
  out["error"] = to_json(failure.error);
  if (failure.span) out["trace"] = trace::hex(failure.span.trace);
  return out;
}

json::object reload_event(const runtime::ReloadReport& report, const std::filesystem::path& root) {
  json::object out = event_of("reloaded");
  // Not what an editor wrote beside a file and took away again.
  json::array files;
  std::error_code ec;
  for (const auto& path : report.paths) {
    if (path.find('.') != std::string::npos || std::filesystem::exists(root / path, ec)) files.push_back(json::value(path));
  }
  out["everything"] = report.paths.empty();
  out["files"] = std::move(files);
  out["languages"] = strings_of(report.languages);
  json::array problems;
  for (const auto& problem : report.problems) problems.push_back(to_json(problem));
  out["problems"] = std::move(problems);
  json::array unavailable;
  for (const auto& error : report.unavailable) unavailable.push_back(to_json(error));
  out["unavailable"] = std::move(unavailable);
  json::array changes;
  for (const auto& one : report.changes) {
    changes.push_back({{"file", one.file}, {"added", strings_of(one.added)}, {"changed", strings_of(one.changed)}, {"removed", strings_of(one.removed)}});
  }
  out["changes"] = std::move(changes);
  out["configuration"] = report.configuration;
  out["disabled"] = report.disabled;
  out["milliseconds"] = report.took.count();
  return out;
}

json::object log_event(std::string_view language, std::string_view line) {
  json::object out = event_of("log");
  out["language"] = language;
  out["line"] = line;
  return out;
}

json::object note_event(std::string_view text, bool bad) {
  json::object out = event_of("note");
  out["message"] = text;
  out["bad"] = bad;
  return out;
}

json::object ready_event(runtime::Engine& engine, const serve::Server& server) {
  json::object out = event_of("ready");
  const auto project = engine.current_project();
  const auto registry = engine.registry();
  const std::string& address = server.address();
  out["pid"] = ::getpid();
  out["project"] = project->name;
  out["root"] = project->root.string();
  out["environment"] = project->environment;
  out["address"] = address;
  out["docs"] = address + "/docs";
  out["mcp"] = address + "/mcp";
  out["openai"] = address + "/v1";
  out["asks_who"] = server.asks_who();
  std::map<std::string, int> counts;
  for (const auto& function : registry->functions()) ++counts[function.language];
  json::object functions;
  for (const auto& [language, count] : counts) functions[language] = count;
  out["functions"] = std::move(functions);
  json::array unavailable;
  for (const auto& missing : registry->unavailable()) {
    json::object one = to_json(missing.error);
    one["language"] = missing.language;
    if (string_or(one, "file").empty()) one["file"] = missing.relative;
    unavailable.push_back(std::move(one));
  }
  out["unavailable"] = std::move(unavailable);
  json::array disabled;
  for (const auto& function : registry->functions()) {
    if (function.disabled) disabled.push_back(functions::to_json(*function.disabled));
  }
  out["disabled"] = std::move(disabled);
  return out;
}

std::vector<json::object> health_events(const json::object& before, const json::object& stats) {
  std::vector<json::object> out;
  const auto was = pools_of(before);
  for (const auto& [name, pool] : pools_of(stats)) {
    static const json::object kNothing;
    const auto found = was.find(name);
    const json::object& earlier = found == was.end() ? kNothing : *found->second;
    const auto tell = [&](std::string message, bool bad) {
      json::object event = event_of("worker");
      event["pool"] = name;
      event["message"] = std::move(message);
      event["bad"] = bad;
      out.push_back(std::move(event));
    };
    const auto crashed = static_cast<std::int64_t>(number_of(*pool, "crashed") - number_of(earlier, "crashed"));
    if (crashed > 0) tell(std::to_string(crashed) + (crashed == 1 ? " worker was" : " workers were") + " lost while in use", true);
    const auto why = text_of(*pool, "start_failure");
    if (!why.empty() && why != text_of(earlier, "start_failure")) tell("no worker starts: " + why, true);
    if (why.empty() && !text_of(earlier, "start_failure").empty()) tell("workers start again", false);
    const auto alone = joined(list_of(*pool, "left_alone"));
    if (!alone.empty() && alone != joined(list_of(earlier, "left_alone"))) tell("crash loop: left alone for a while: " + alone, true);
  }
  return out;
}

std::string what_of(const json::object& request) {
  const auto path = text_of(request, "path");
  if (string_or(request, "door") == "MCP" && !string_or(request, "rpc").empty()) {
    const auto name = text_of(request, "name");
    return text_of(request, "rpc") + (name.empty() ? "" : " " + name);
  }
  return text_of(request, "method") + " " + path;
}

std::vector<std::string> reload_lines(const json::object& reload) {
  std::vector<std::string> out;
  const auto& problems = list_of(reload, "problems");
  for (const auto& problem : problems) out.push_back(error_text(problem.get_object()));
  for (const auto& error : list_of(reload, "unavailable")) out.push_back(error_text(error.get_object()));
  if (flag_of(reload, "disabled")) {
    out.emplace_back("functions were disabled or enabled");
    return out;
  }
  const bool settings = flag_of(reload, "configuration");
  if (!problems.empty()) out.emplace_back(settings ? "The configuration that worked before stays." : "What worked before keeps serving.");
  if (settings) {
    if (problems.empty()) out.push_back("reloaded " + joined(list_of(reload, "files")));
    return out;
  }
  std::set<std::string> broken;
  for (const auto* list : {&problems, &list_of(reload, "unavailable")}) {
    for (const auto& one : *list) broken.insert(text_of(one.get_object(), "file"));
  }
  // A line for each file: those with changed functions, then those of which only the code is another.
  std::set<std::string> told;
  for (const auto& value : list_of(reload, "changes")) {
    const auto& change = value.get_object();
    const auto file = text_of(change, "file");
    told.insert(file);
    const auto& removed = list_of(change, "removed");
    std::vector<std::string> parts;
    for (auto part : {counted(list_of(change, "changed").size(), "changed"), counted(list_of(change, "added").size(), "added"), counted(removed.size(), "gone")}) {
      if (!part.empty()) parts.push_back(std::move(part));
    }
    out.push_back("reloaded " + file + ": " + join(parts, ", ") + (removed.empty() ? "" : " (" + joined(removed) + ")"));
  }
  if (list_of(reload, "languages").empty()) return out;
  std::vector<std::string> others;
  for (const auto& file : list_of(reload, "files")) {
    std::string name(file.get_string());
    if (!told.contains(name) && !broken.contains(name)) others.push_back(std::move(name));
  }
  if (!others.empty()) out.push_back("reloaded " + join(others, ", "));
  else if (flag_of(reload, "everything")) out.push_back("reloaded everything: " + joined(list_of(reload, "languages")));
  return out;
}

std::string place_of(const json::object& error) {
  const auto file = text_of(error, "file");
  const auto line = static_cast<std::int64_t>(number_of(error, "line"));
  return file.empty() || line <= 0 ? file : file + ":" + std::to_string(line);
}

std::string clock_of(const json::object& event) {
  const std::time_t seconds = static_cast<std::time_t>(number_of(event, "time_ms") / 1000);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  return text;
}

std::string milliseconds_text(double ms) {
  char text[32];
  if (ms < 1) std::snprintf(text, sizeof text, "%.2f ms", ms);
  else if (ms < 10) std::snprintf(text, sizeof text, "%.1f ms", ms);
  else if (ms < 1000) std::snprintf(text, sizeof text, "%.0f ms", ms);
  else if (ms < 100'000) std::snprintf(text, sizeof text, "%.2f s", ms / 1000);
  else std::snprintf(text, sizeof text, "%.0f s", ms / 1000);
  return text;
}

std::string bytes_text(double bytes) {
  char text[32];
  if (bytes < 10e9) std::snprintf(text, sizeof text, "%.0f MB", bytes / 1e6);
  else std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

std::string span_text(std::int64_t ms) {
  const std::int64_t seconds = ms / 1000;
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172'800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86'400) + " days";
}

std::string plain_text(const json::object& event) {
  const auto kind = string_or(event, "event");
  const std::string at = clock_of(event) + " ";
  std::string out;
  if (kind == "request") {
    out = at + text_of(event, "door") + " " + what_of(event) + " " + std::to_string(static_cast<int>(number_of(event, "status"))) + " " + milliseconds_text(number_of(event, "ms"));
    if (const auto function = text_of(event, "function"); !function.empty()) out += " " + function;
    if (const auto name = text_of(event, "name"); !name.empty() && string_or(event, "door") != "MCP") out += " " + name;
    if (const auto who = text_of(event, "who"); !who.empty()) out += " by " + who;
    if (const auto error = text_of(event, "error"); !error.empty()) out += " " + error;
    if (const auto run = text_of(event, "trace"); !run.empty()) out += " trace " + run.substr(0, 8);
  } else if (kind == "failed") {
    const auto& error = event.at("error").get_object();
    out = at + "error in " + text_of(event, "function") + ": " + text_of(error, "message") + (place_of(error).empty() ? "" : " at " + place_of(error));
  } else if (kind == "reloaded") {
    for (const auto& line : reload_lines(event)) out += (out.empty() ? "" : "\n") + at + line;
  } else if (kind == "log") {
    out = at + "[" + text_of(event, "language") + "] " + text_of(event, "line");
  } else if (kind == "note" || kind == "worker") {
    out = at + (kind == "worker" ? text_of(event, "pool") + ": " : "") + text_of(event, "message");
  } else if (kind == "ready") {
    out = at + text_of(event, "address") + " serves " + text_of(event, "project") + " (" + text_of(event, "environment") + ")";
    if (flag_of(event, "asks_who")) out += "; callers need a token";
    out += "\n" + at + "docs " + text_of(event, "docs") + ", MCP " + text_of(event, "mcp") + ", OpenAI " + text_of(event, "openai");
    std::string functions;
    for (const auto& [language, count] : event.at("functions").get_object()) functions += (functions.empty() ? "" : ", ") + std::string(language) + " " + std::to_string(count.to_number<int>());
    out += "\n" + at + "functions: " + (functions.empty() ? "none yet" : functions);
    for (const auto& missing : list_of(event, "unavailable")) out += "\n" + at + "unavailable: " + error_text(missing.get_object());
    for (const auto& one : list_of(event, "disabled")) out += "\n" + at + "disabled: " + text_of(one.get_object(), "address") + " by " + text_of(one.get_object(), "who");
  } else if (kind == "stopped") {
    out = at + "stopped";
  } else if (kind == "draining") {
    out = at + "draining: answers what runs; once more Ctrl-C does not wait";
  }
  // What a program said must not steer whoever reads the lines.
  std::string lines;
  for (const auto& line : split_lines(out)) lines += (lines.empty() ? "" : "\n") + terminal::harmless(line);
  return lines;
}

}  // namespace sabir::cli

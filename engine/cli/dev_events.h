// What happens while a project is developed, as events: JSON objects with "event" and "time". `sabir dev --json` prints them, plain
// lines and the live view show them.
//
// Threads: pure functions.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/functions/functions.h"
#include "sabir/runtime/engine.h"
#include "sabir/serve/server.h"

namespace sabir::cli {

// Where requests enter: "REST", "OpenAI", "MCP", "assistant", "operations".
std::string_view door_of(std::string_view path);

// One line of the access log: {"event": "request", "time", "method", "path", "status", "ms", "door", "function"?, "name"?, "rpc"?,
// "who", "error"?, "trace"}; an empty object where it is none.
json::object request_event(std::string_view access_line);
json::object failure_event(const functions::Failure& failure);
json::object reload_event(const runtime::ReloadReport& report, const std::filesystem::path& root);
json::object log_event(std::string_view language, std::string_view line);
json::object note_event(std::string_view text, bool bad);
json::object ready_event(runtime::Engine& engine, const serve::Server& server);
// What of a worker's health is worth a line, compared with how it was: "worker" events, in the engine's own words.
std::vector<json::object> health_events(const json::object& before, const json::object& stats);

// What was done: "POST /functions/slugify", "tools/call slugify", "helper".
std::string what_of(const json::object& request);
// "reloaded functions/python/x.py: 1 changed, 2 added"; a line for each file and each problem.
std::vector<std::string> reload_lines(const json::object& reload);
// "functions/python/x.py:3" of an error that has a place.
std::string place_of(const json::object& error);
// The local time of an event: "12:01:03".
std::string clock_of(const json::object& event);
// "1.2 ms", "350 ms", "2.31 s".
std::string milliseconds_text(double ms);
// "41 MB".
std::string bytes_text(double bytes);
// "3 min".
std::string span_text(std::int64_t ms);

// The event as lines of text for a pipe, without a last newline; "" where it says nothing there.
std::string plain_text(const json::object& event);

}  // namespace sabir::cli

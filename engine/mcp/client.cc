#include "sabir/mcp/client.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr std::size_t kMostPages = 200;
constexpr int kMostRounds = 16;            // of questions within one call
constexpr std::size_t kMostAsked = 32;     // questions of a server at once
constexpr std::size_t kMostQuestions = 32; // of one round
constexpr std::size_t kMostState = std::size_t{1} << 20U;
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1000};

std::string meta_key(std::string_view name) { return "io.modelcontextprotocol/" + std::string(name); }

std::optional<json::object> object_of(std::string_view text) {
  auto value = parse_json(text);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(value->get_object());
}

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? &value->get_object() : nullptr;
}

bool is_true(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

// The newest of the names of revisions that begins each request by itself.
std::optional<Revision> newest_stateless(const json::object& object, const char* key) {
  const auto* list = object.if_contains(key);
  if (!list || !list->is_array()) return std::nullopt;
  for (const auto revision : kRevisions) {
    if (!is_stateless(revision)) continue;
    for (const auto& one : list->get_array()) {
      if (one.is_string() && one.get_string() == name_of(revision)) return revision;
    }
  }
  return std::nullopt;
}

bool has_older(const json::object& object, const char* key) {
  const auto* list = object.if_contains(key);
  if (!list || !list->is_array()) return true;  // it does not say
  return std::any_of(list->get_array().begin(), list->get_array().end(), [](const auto& one) {
    if (!one.is_string()) return false;
    const auto known = revision_of(one.get_string());
    return known && !is_stateless(*known);
  });
}

int rpc_of(const Error& error) {
  const auto data = object_of(error.data);
  const auto* code = data ? data->if_contains("rpc") : nullptr;
  return code && code->is_int64() ? static_cast<int>(code->get_int64()) : 0;
}

}  // namespace

struct Client::Call {
  std::uint64_t id = 0;
  ToolDefinition tool;
  std::string arguments;
  ToolCall events;
  RequestId request = 0;
  int rounds = 0;
  std::chrono::milliseconds pause = kFirstPause;
  double progressed = -1;
  std::string answers;  // raw JSON of this round; "" = none
  std::string state;    // raw JSON, as it came; "" = none
};

struct Client::Listing {
  std::vector<ToolDefinition> tools;
  std::size_t pages = 0;
  std::size_t bytes = 0;
  std::function<void(Result<std::vector<ToolDefinition>>)> done;
};

Client::Client(ClientOptions options, ClientEvents events) : options_(std::move(options)), events_(std::move(events)) {}
Client::~Client() { *alive_ = false; }

RequestId Client::request(const std::string& method, std::string members, Answer answer, std::uint64_t call, std::vector<std::pair<std::string, std::string>> headers,
                          const json::object* elicitation) {
  const RequestId id = next_++;
  const auto revision = revision_ ? revision_ : asking_;
  std::string meta;
  if (revision && is_stateless(*revision)) {
    json::object capabilities;
    if (elicitation && !elicitation->empty()) capabilities["elicitation"] = *elicitation;
    meta = "\"" + meta_key("protocolVersion") + "\":\"" + std::string(name_of(*revision)) + "\",\"" + meta_key("clientInfo") +
           "\":" + compact_json(json::object{{"name", options_.name}, {"version", options_.version}}) + ",\"" + meta_key("clientCapabilities") + "\":" + compact_json(capabilities);
    headers.emplace_back("MCP-Protocol-Version", name_of(*revision));
    headers.emplace_back("Mcp-Method", method);
    if (call != 0) meta += ",\"" + meta_key("logLevel") + "\":\"info\"";
  } else if (revision_) {
    headers.emplace_back("MCP-Protocol-Version", name_of(*revision_));
  }
  if (call != 0) meta += (meta.empty() ? "" : ",") + std::string("\"progressToken\":") + std::to_string(id);
  if (!meta.empty()) members += (members.empty() ? "" : ",") + std::string("\"_meta\":{") + meta + "}";
  open_[id] = {method, std::move(answer), call};
  events_.send({id, method, make_request(std::to_string(id), method, "{" + members + "}"), std::move(headers)});
  return id;
}

void Client::notify(const std::string& method, const std::string& params) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (revision_) headers.emplace_back("MCP-Protocol-Version", name_of(*revision_));
  events_.send({0, method, make_notification(method, params), std::move(headers)});
}

// ---- agreeing on a revision --------------------------------------------------------------------------------------------------

void Client::connect(std::function<void(Result<void>)> done) {
  connecting_ = std::move(done);
  if (options_.revision && !is_stateless(*options_.revision)) return initialize();
  discover(Revision::k2026_07_28);
}

void Client::discover(Revision revision) {
  asking_ = revision;
  discovering_ = next_;
  request("server/discover", "", [this, revision](Result<std::string> result) { discovered(std::move(result), revision); });
}

void Client::no_answer_to_discover() {
  if (discovering_ == 0 || !open_.erase(discovering_)) return;
  events_.abandon(discovering_);
  discovering_ = 0;
  if (options_.revision) return connected(fail(ErrorCode::kTimeout, options_.server + " has not answered"));
  initialize();
}

void Client::discovered(Result<std::string> result, Revision asked) {
  discovering_ = 0;
  const bool may_fall_back = !options_.revision;
  if (!result) {
    const int code = rpc_of(result.error());
    const auto data = object_of(result.error().data);
    if (code == kUnsupportedRevision && data) {
      const auto common = newest_stateless(*data, "supported");
      if (common && !has_asked_twice_) {
        has_asked_twice_ = true;
        return discover(*common);
      }
      if (!has_older(*data, "supported")) {
        return connected(fail(ErrorCode::kUnavailable, options_.server + " speaks no revision of the protocol that is spoken here", "This engine speaks 2025-06-18, 2025-11-25 and 2026-07-28."));
      }
    }
    // What is no verdict about the protocol is none about its revision.
    const bool is_verdict = code != 0 || result.error().code == ErrorCode::kProtocol;
    if (!may_fall_back || !is_verdict) return connected(fail(std::move(result.error())));
    return initialize();
  }
  const auto object = object_of(*result);
  const auto common = object ? newest_stateless(*object, "supportedVersions") : std::nullopt;
  if (!common) {
    if (!may_fall_back) return connected(fail(ErrorCode::kUnavailable, options_.server + " does not speak the revision " + std::string(name_of(asked)), "Take `revision` out of config/mcp.yml."));
    return initialize();
  }
  revision_ = *common;
  asking_.reset();
  if (const auto* capabilities = object_in(*object, "capabilities")) {
    const auto* tools = object_in(*capabilities, "tools");
    tells_changes_ = tools && is_true(*tools, "listChanged");
  }
  const auto* meta = object_in(*object, "_meta");
  const auto* info = meta ? object_in(*meta, meta_key("serverInfo")) : nullptr;
  if (!info) info = object_in(*object, "serverInfo");
  if (info) server_name_ = harmless(string_or(*info, "name"), 200);
  connected({});
}

void Client::initialize() {
  asking_.reset();
  const auto wanted = options_.revision.value_or(Revision::k2025_11_25);
  const std::string members = "\"protocolVersion\":\"" + std::string(name_of(wanted)) + "\",\"capabilities\":{\"elicitation\":{" +
                              (wanted == Revision::k2025_06_18 ? "" : "\"form\":{},\"url\":{}") +
                              "}},\"clientInfo\":" + compact_json(json::object{{"name", options_.name}, {"version", options_.version}});
  request("initialize", members, [this](Result<std::string> result) { initialized(std::move(result)); });
}

void Client::initialized(Result<std::string> result) {
  if (!result) {
    // It may have taken the question about the newer era after all, only too late to be heard.
    const auto data = object_of(result.error().data);
    const auto common = rpc_of(result.error()) == kUnsupportedRevision && data ? newest_stateless(*data, "supported") : std::nullopt;
    if (common && !has_asked_twice_ && !options_.revision) {
      has_asked_twice_ = true;
      return discover(*common);
    }
    return connected(fail(std::move(result.error())));
  }
  const auto object = object_of(*result);
  const std::string named(object ? string_or(*object, "protocolVersion") : "");
  const auto known = revision_of(named);
  if (!known || is_stateless(*known) || (options_.revision && *known != *options_.revision)) {
    return connected(fail(ErrorCode::kUnavailable, options_.server + " wants to speak the revision '" + harmless(named, 40) + "', which is not spoken here",
                          options_.revision ? "Take `revision` out of config/mcp.yml." : "This engine speaks 2025-06-18, 2025-11-25 and 2026-07-28."));
  }
  revision_ = *known;
  if (const auto* capabilities = object_in(*object, "capabilities")) {
    const auto* tools = object_in(*capabilities, "tools");
    tells_changes_ = tools && is_true(*tools, "listChanged");
    has_logging_ = object_in(*capabilities, "logging") != nullptr;
  }
  if (const auto* info = object_in(*object, "serverInfo")) server_name_ = harmless(string_or(*info, "name"), 200);
  notify("notifications/initialized", "{}");
  connected({});
}

void Client::connected(Result<void> outcome) {
  if (const auto done = std::exchange(connecting_, nullptr)) done(std::move(outcome));
}

void Client::listen() {
  if (!is_stateless(*revision_)) {
    if (has_logging_) request("logging/setLevel", "\"level\":\"info\"", [](const Result<std::string>&) {});
    return;
  }
  if (!tells_changes_) return;
  request("subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true}", [](const Result<std::string>&) {});
}

// ---- tools -----------------------------------------------------------------------------------------------------------------

void Client::list_tools(std::function<void(Result<std::vector<ToolDefinition>>)> done) {
  auto listing = std::make_shared<Listing>();
  listing->done = std::move(done);
  list_page(listing, "");
}

void Client::list_page(const std::shared_ptr<Listing>& listing, const std::string& cursor) {
  request("tools/list", cursor.empty() ? "" : "\"cursor\":" + protocol::quote(cursor), [this, listing, cursor](Result<std::string> result) {
    const auto too_much = [&](const std::string& what) { listing->done(fail(ErrorCode::kLimit, options_.server + " offers more than " + what, "Ask its maker, or leave it out of config/mcp.yml.")); };
    if (!result) {
      // A server without tools need not know the method.
      if (rpc_of(result.error()) == kMethodNotFound && listing->pages == 0) return listing->done(std::vector<ToolDefinition>());
      return listing->done(fail(std::move(result.error())));
    }
    listing->bytes += result->size();
    if (listing->bytes > kMostToolsText) return too_much(std::to_string(kMostToolsText >> 20U) + " MiB of tools");
    if (++listing->pages > kMostPages) return too_much(std::to_string(kMostPages) + " pages of tools");
    const auto object = object_of(*result);
    const auto* tools = object ? object->if_contains("tools") : nullptr;
    if (!tools || !tools->is_array()) return listing->done(fail(ErrorCode::kProtocol, options_.server + " answers tools/list without 'tools', a list"));
    for (const auto& one : tools->get_array()) {
      if (listing->tools.size() >= kMostTools) return too_much(std::to_string(kMostTools) + " tools");
      auto tool = read_tool(one, options_.over_http && is_stateless(*revision_));
      const bool is_known = std::any_of(listing->tools.begin(), listing->tools.end(), [&](const auto& other) { return other.name == tool.name; });
      if (!is_known) listing->tools.push_back(std::move(tool));
    }
    const std::string next(string_or(*object, "nextCursor"));
    if (next.empty() || next == cursor) return listing->done(std::move(listing->tools));
    list_page(listing, next);
  });
}

std::uint64_t Client::call_tool(const ToolDefinition& tool, std::string arguments, ToolCall events) {
  auto call = std::make_shared<Call>();
  call->id = next_call_++;
  call->tool = tool;
  call->arguments = std::move(arguments);
  call->events = std::move(events);
  calls_[call->id] = call;
  const auto id = call->id;
  try_call(call);
  return id;
}

void Client::try_call(const CallPtr& call) {
  std::string members = "\"name\":" + protocol::quote(call->tool.name) + ",\"arguments\":" + call->arguments;
  if (!call->answers.empty()) members += ",\"inputResponses\":" + call->answers;
  if (!call->state.empty()) members += ",\"requestState\":" + call->state;
  std::vector<std::pair<std::string, std::string>> headers;
  if (is_stateless(*revision_)) {
    headers = mirrored_headers(call->tool, call->arguments);
    headers.emplace_back("Mcp-Name", encoded_header(call->tool.name));
  }
  call->request = next_;
  request("tools/call", std::move(members), [this, call](Result<std::string> result) { call_answered(call, std::move(result)); }, call->id, std::move(headers),
          call->events.ask ? &call->events.elicitation : nullptr);
}

void Client::call_answered(const CallPtr& call, Result<std::string> result) {
  if (!calls_.contains(call->id)) return;
  call->request = 0;
  if (!result) return finish(call, fail(std::move(result.error())));
  if (is_stateless(*revision_)) {
    const auto members = protocol::raw_members(*result);
    const auto type = members ? protocol::find_member(*members, "resultType") : std::nullopt;
    if (type == "\"input_required\"") return input_required(call, *result);
    if (type && *type != "\"complete\"") return finish(call, fail(ErrorCode::kProtocol, options_.server + " answers with a result of a kind that is not known"));
  }
  finish(call, value_of_result(*result, "the tool " + harmless(call->tool.name, 100) + " of " + options_.server));
}

void Client::input_required(const CallPtr& call, std::string_view result) {
  const auto members = protocol::raw_members(result);
  const auto state = protocol::find_member(*members, "requestState");
  const auto asked = protocol::find_member(*members, "inputRequests").value_or("{}");
  if (++call->rounds > kMostRounds) return finish(call, fail(ErrorCode::kLimit, options_.server + " asks back more than " + std::to_string(kMostRounds) + " times within one call"));
  if (state && (state->front() != '"' || state->size() > kMostState)) return finish(call, fail(ErrorCode::kProtocol, options_.server + " gives a requestState that is no text, or too long a one"));
  call->state = state.value_or("");
  call->answers.clear();
  const auto questions = asked.front() == '{' ? protocol::raw_members(asked) : Result<std::vector<protocol::RawMember>>(fail(ErrorCode::kProtocol, ""));
  if (!questions || questions->size() > kMostQuestions) return finish(call, fail(ErrorCode::kProtocol, options_.server + " asks back in a way that cannot be read"));
  const auto again = [this, here = alive_, id = call->id] {
    if (!*here) return;
    if (const auto found = calls_.find(id); found != calls_.end()) try_call(CallPtr(found->second));
  };
  if (questions->empty()) {
    if (call->state.empty()) return finish(call, fail(ErrorCode::kProtocol, options_.server + " needs something, and does not say what"));
    const auto pause = call->pause;
    call->pause = std::min(pause * 2, kLongestPause);
    return events_.later(pause, again);
  }
  for (const auto& question : *questions) {
    const auto parts = question.value.front() == '{' ? protocol::raw_members(question.value) : Result<std::vector<protocol::RawMember>>(std::vector<protocol::RawMember>());
    const auto method = parts ? protocol::find_member(*parts, "method") : std::nullopt;
    if (method == "\"elicitation/create\"") continue;
    const std::string named = method && method->front() == '"' ? harmless(protocol::unquote(*method), 60) : "something";
    return finish(call, fail(ErrorCode::kUnavailable, options_.server + " asks for " + named + ", which a project does not give to servers",
                             "Sampling and roots are not offered to servers; a person can be asked."));
  }
  if (!call->events.ask) {
    return finish(call, fail(ErrorCode::kUnavailable, options_.server + " wants to ask a person, and nobody can be asked",
                             "Call it through a client of MCP that shows questions: `sabir mcp`, or /mcp of `sabir serve`."));
  }
  call->events.ask(std::string(asked), [this, here = alive_, id = call->id, again](Result<std::string> answers) {
    if (!*here) return;
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    if (!answers) return finish(CallPtr(found->second), fail(std::move(answers.error())));
    found->second->answers = std::move(*answers);
    again();
  });
}

void Client::finish(const CallPtr& call, Result<protocol::Payload> outcome) {
  if (calls_.erase(call->id) == 0) return;
  call->events.done(std::move(outcome));
}

void Client::cancel(std::uint64_t id, const std::string& reason) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const CallPtr call = found->second;
  calls_.erase(found);
  if (call->request == 0) return;
  open_.erase(call->request);
  // Over HTTP the newer era ends an exchange by closing it.
  if (!options_.over_http || !is_stateless(*revision_)) {
    notify("notifications/cancelled", "{\"requestId\":" + std::to_string(call->request) + ",\"reason\":" + protocol::quote(reason) + "}");
  }
  events_.abandon(call->request);
}

// ---- what comes ------------------------------------------------------------------------------------------------------------

Error Client::error_of(std::string_view error, const std::string& method) const {
  const auto object = object_of(error);
  const auto* code = object ? object->if_contains("code") : nullptr;
  const int number = code && code->is_int64() ? static_cast<int>(std::clamp<std::int64_t>(code->get_int64(), -1'000'000, 1'000'000)) : 0;
  const std::string said = object ? harmless(string_or(*object, "message"), 2000) : std::string();
  ErrorCode kind = ErrorCode::kUnavailable;
  if (method == "tools/call") kind = number == kInvalidParams ? ErrorCode::kInvalidArguments : ErrorCode::kFunctionError;
  Error out(kind, options_.server + " refuses " + method + ": " + (said.empty() ? "error " + std::to_string(number) : said));
  json::object data{{"rpc", number}};
  if (const auto* more = object ? object->if_contains("data") : nullptr) {
    if (more->is_object()) {
      if (const auto* supported = more->get_object().if_contains("supported")) data["supported"] = *supported;
    }
    if (const auto text = compact_json(*more); text.size() <= 4096) data["data"] = *more;
  }
  out.data = compact_json(data);
  return out;
}

void Client::receive(std::string_view text, RequestId exchange) {
  const auto here = alive_;
  const auto message = read_message(text);
  if (!message) {
    // Its answer will not come in another way.
    if (exchange != 0 && open_.contains(exchange)) return undelivered(exchange, Error(ErrorCode::kProtocol, options_.server + " answers with what is no message: " + harmless(message.error().refusal.message, 300)));
    if (events_.log) events_.log("warning", "what it sent is no message of the protocol: " + harmless(message.error().refusal.message, 300));
    return;
  }
  if (message->kind == Message::Kind::kRequest) return server_request(*message, exchange);
  if (message->kind == Message::Kind::kNotification) return server_notification(*message, exchange);
  const bool is_number = !message->id.empty() && message->id.size() < 19 && std::all_of(message->id.begin(), message->id.end(), [](char c) { return c >= '0' && c <= '9'; });
  const auto found = open_.find(is_number ? std::stoull(message->id) : 0);
  if (found == open_.end()) return;  // of a call that was cancelled
  const Open open = std::move(found->second);
  open_.erase(found);
  if (!message->error.empty()) return open.answer(fail(error_of(message->error, open.method)));
  open.answer(message->result);
}

void Client::undelivered(RequestId id, Error error, bool is_refused) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const Open open = std::move(found->second);
  open_.erase(found);
  if (is_refused && open.method == "server/discover") error.code = ErrorCode::kProtocol;
  open.answer(fail(std::move(error)));
}

void Client::close(const Error& error) {
  const auto here = alive_;
  auto open = std::exchange(open_, {});
  for (auto& [id, one] : open) {
    if (*here) one.answer(fail(error));
  }
  if (!*here) return;
  // Calls between two rounds.
  auto calls = std::exchange(calls_, {});
  for (auto& [id, call] : calls) {
    if (*here) call->events.done(fail(error));
  }
}

Client::CallPtr Client::call_behind(RequestId exchange) {
  if (const auto open = open_.find(exchange); open != open_.end() && open->second.call != 0) {
    const auto call = calls_.find(open->second.call);
    return call == calls_.end() ? nullptr : call->second;
  }
  // A process does not say for which call it asks: where there is one alone, it is that.
  return calls_.size() == 1 ? calls_.begin()->second : nullptr;
}

void Client::respond(std::string text) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (revision_) headers.emplace_back("MCP-Protocol-Version", name_of(*revision_));
  events_.send({0, "", std::move(text), std::move(headers)});
}

void Client::server_request(const Message& message, RequestId exchange) {
  const auto refuse = [&](int code, std::string why) { respond(make_error(message.id, {code, std::move(why), {}})); };
  if (revision_ && is_stateless(*revision_)) return refuse(kMethodNotFound, "in revision 2026-07-28 a server does not ask");
  if (message.method == "ping") return respond(make_result(message.id, "{}"));
  if (message.method != "elicitation/create") return refuse(kMethodNotFound, "this client does not offer " + harmless(message.method, 60));
  const auto call = call_behind(exchange);
  if (!call) return refuse(kInvalidRequest, "it cannot be told for which call this is asked");
  if (!call->events.ask) return refuse(kInvalidRequest, "nobody can be asked: whoever calls the tool is not a person");
  if (asked_ >= kMostAsked) return refuse(kInternalError, "too many questions at once");
  ++asked_;
  // Another question has another key, the same one has the same if the call is made again.
  const std::string key = "q" + fingerprint(message.params);
  call->events.ask("{\"" + key + "\":{\"method\":\"elicitation/create\",\"params\":" + message.params + "}}", [this, here = alive_, id = message.id, key](Result<std::string> answers) {
    if (!*here) return;
    --asked_;
    const auto answer = answers ? protocol::raw_at(*answers, "/" + key) : std::string_view();
    if (answer.empty() || answer.front() != '{') {
      return respond(make_error(id, {kInvalidRequest, answers ? std::string("the person has not answered") : answers.error().message, {}}));
    }
    respond(make_result(id, answer));
  });
}

void Client::server_notification(const Message& message, RequestId exchange) {
  if (message.method == "notifications/tools/list_changed") {
    if (events_.tools_changed) events_.tools_changed();
    return;
  }
  if (message.method == "notifications/progress") {
    const auto params = object_of(message.params);
    const auto* token = params ? params->if_contains("progressToken") : nullptr;
    if (!token || !token->is_int64()) return;
    const auto open = open_.find(static_cast<RequestId>(token->get_int64()));
    const auto call = open == open_.end() ? calls_.end() : calls_.find(open->second.call);
    const auto* done = params->if_contains("progress");
    if (call == calls_.end() || !call->second->events.progress || !done || !done->is_number()) return;
    const double value = done->to_number<double>();
    if (!(value > call->second->progressed)) return;
    call->second->progressed = value;
    json::object told{{"done", *done}};
    if (const auto* total = params->if_contains("total"); total && total->is_number()) told["total"] = *total;
    if (const auto said = harmless(string_or(*params, "message"), 1000); !said.empty()) told["message"] = said;
    const auto progress = call->second->events.progress;
    progress(compact_json(told));
    return;
  }
  if (message.method != "notifications/message") return;
  const auto params = object_of(message.params);
  if (!params) return;
  const auto* data = params->if_contains("data");
  const std::string text = harmless(!data ? std::string() : data->is_string() ? std::string(data->get_string()) : compact_json(*data), 4000);
  const std::string level = harmless(string_or(*params, "level", "info"), 20);
  if (const auto open = open_.find(exchange); open != open_.end() && open->second.call != 0) {
    const auto call = calls_.find(open->second.call);
    if (call != calls_.end() && call->second->events.log) {
      const auto tell = call->second->events.log;
      return tell(level, text);
    }
  }
  if (events_.log) events_.log(level, text);
}

}  // namespace sabir::mcp

// What comes in: the two eras, their handshakes, and who is told of changes. work.cc has the requests under way, lists.cc lists.
#include "sabir/mcp/server.h"

#include <algorithm>

#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr std::string_view kMeta = "io.modelcontextprotocol/";
constexpr std::size_t kMostConsumed = 100'000;

std::string meta_key(std::string_view name) { return std::string(kMeta) + std::string(name); }

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? &value->get_object() : nullptr;
}

json::object parsed_object(std::string_view text) {
  auto value = parse_json(text);
  return value && value->is_object() ? std::move(value->get_object()) : json::object();
}

std::string quoted_name(std::string_view method) { return "'" + std::string(method) + "'"; }

bool names_revision(const json::object& params) {
  const auto* meta = object_in(params, "_meta");
  return meta && meta->contains(meta_key("protocolVersion"));
}

}  // namespace

std::optional<Severity> severity_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Severity::kEmergency); ++i) {
    if (name_of(static_cast<Severity>(i)) == name) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

std::string_view name_of(Severity severity) {
  static constexpr std::string_view kNames[] = {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"};
  return kNames[static_cast<std::size_t>(severity)];
}

Server::Server(Host& host, ServerOptions options, Out out)
    : host_(host), options_(std::move(options)), out_(std::move(out)), seal_(options_.seal ? options_.seal : std::make_shared<const Seal>()),
      info_("\"" + meta_key("serverInfo") + "\":" + compact_json(implementation())) {}

Server::~Server() {
  // Whoever still holds a work finds that it has ended.
  for (auto& [exchange, work] : works_) work->server_ = nullptr;
  for (const auto& [uri, count] : watched_) {
    if (options_.watch) options_.watch(uri, false);
  }
}

json::object Server::implementation() const {
  json::object out{{"name", options_.name}, {"version", options_.version}};
  if (!options_.title.empty()) out["title"] = options_.title;
  return out;
}

json::object Server::capabilities(bool stateless) const {
  json::object lists;
  if (options_.tells_changes) lists["listChanged"] = true;
  json::object resources = lists;
  if (options_.tells_changes) resources["subscribe"] = true;
  // A change may bring the first of each kind, so that none depends on what there is now.
  json::object out{{"tools", lists}, {"prompts", lists}, {"resources", std::move(resources)}, {"completions", json::object()}, {"logging", json::object()}};
  (void)stateless;
  return out;
}

void Server::send(ExchangeId exchange, std::string text, bool is_last, int status) { out_({exchange, std::move(text), is_last, status}); }

void Server::receive(ExchangeId exchange, std::string_view text, const std::string& principal) {
  auto message = read_message(text);
  if (!message) return send(exchange, make_error(message.error().id, message.error().refusal), true, 400);
  receive(exchange, *message, principal);
}

void Server::receive(ExchangeId exchange, const Message& message, const std::string& principal) {
  switch (message.kind) {
    case Message::Kind::kRequest: return request(exchange, message, principal);
    case Message::Kind::kNotification:
      notification(message);
      return send(exchange, {}, true, 202);
    case Message::Kind::kResponse:
      response(message);
      return send(exchange, {}, true, 202);
  }
}

void Server::request(ExchangeId exchange, const Message& message, const std::string& principal) {
  const auto params = parsed_object(message.params);
  const bool stateless = options_.is_shared || names_revision(params);
  auto work = std::make_shared<Work>();
  work->server_ = this;
  work->exchange_ = exchange;
  work->id_ = message.id;
  work->method_ = message.method;
  work->principal_ = principal;
  work->key_ = new_id();
  work->revision_ = stateless ? Revision::k2026_07_28 : session_revision_.value_or(Revision::k2025_11_25);
  if (works_.size() >= options_.most_open) return work->refuse({kInternalError, "the server works on as many requests as it may; try again later", {}});
  const bool twice = !options_.is_shared && (std::any_of(works_.begin(), works_.end(), [&](const auto& one) { return one.second->id_ == message.id; }) ||
                                             std::any_of(listening_.begin(), listening_.end(), [&](const auto& one) { return one.second.id == message.id; }));
  if (twice) return work->refuse({kInvalidRequest, "the id " + message.id + " belongs to a request that is still open", {}});
  if (const auto* meta = object_in(params, "_meta")) {
    if (const auto* token = meta->if_contains("progressToken"); token && (token->is_string() || token->is_int64() || token->is_uint64())) {
      work->progress_token_ = json::serialize(*token);
    }
    work->traceparent_ = string_or(*meta, "traceparent");
  }
  const bool done = stateless ? (stateless_request(work, params), !work->is_open()) : (session_request(work, params), !work->is_open());
  if (done) return;
  if (works_.contains(exchange) || listening_.contains(exchange)) return;
  if (!common_request(work, message, params)) {
    work->refuse({kMethodNotFound, "there is no method " + quoted_name(message.method) + (stateless ? " in revision 2026-07-28" : ""), {}});
  }
}

// ---- the older era ---------------------------------------------------------------------------------------------------------

void Server::session_request(const WorkPtr& work, const json::object& params) {
  const auto& method = work->method_;
  if (method == "initialize") return initialize(*work, params);
  if (method == "ping") return work->answer({});
  if (method == "server/discover") {
    return work->refuse({kInvalidParams, "a request of revision 2026-07-28 needs '" + meta_key("protocolVersion") + "' in its _meta", {}});
  }
  if (!session_revision_) return work->refuse({kInvalidRequest, "the session has not been opened: send 'initialize' first", {}});
  work->capabilities_ = session_capabilities_;
  work->least_ = session_least_.value_or(Severity::kInfo);
  if (method == "logging/setLevel") {
    const auto level = severity_of(string_or(params, "level"));
    if (!level) return work->refuse({kInvalidParams, "'level' must be debug, info, notice, warning, error, critical, alert or emergency", {}});
    session_least_ = level;
    return work->answer({});
  }
  if (method == "resources/subscribe") return subscribe(*work, params, true);
  if (method == "resources/unsubscribe") return subscribe(*work, params, false);
}

void Server::initialize(Work& work, const json::object& params) {
  if (session_revision_) return work.refuse({kInvalidRequest, "the session has been opened already", {}});
  const auto* asked = params.if_contains("protocolVersion");
  if (!asked || !asked->is_string()) return work.refuse({kInvalidParams, "'protocolVersion' must be a string", {}});
  session_revision_ = agree_on(asked->get_string());
  if (const auto* capabilities = object_in(params, "capabilities")) session_capabilities_ = *capabilities;
  json::object result{{"protocolVersion", name_of(*session_revision_)}, {"capabilities", capabilities(false)}, {"serverInfo", implementation()}};
  if (!options_.instructions.empty()) result["instructions"] = options_.instructions;
  work.answer(std::move(result));
}

void Server::subscribe(Work& work, const json::object& params, bool wanted) {
  const auto* uri = params.if_contains("uri");
  if (!uri || !uri->is_string()) return work.refuse({kInvalidParams, "'uri' must be a string", {}});
  const std::string name(uri->get_string());
  if (wanted) {
    if (session_uris_.size() >= options_.most_subscriptions) return work.refuse({kInvalidParams, "this session subscribes to as many resources as it may", {}});
    if (session_uris_.insert(name).second) watch(name, true);
  } else if (session_uris_.erase(name) > 0) {
    watch(name, false);
  }
  work.answer({});
}

// ---- the newer era ---------------------------------------------------------------------------------------------------------

void Server::stateless_request(const WorkPtr& work, const json::object& params) {
  const auto* meta = object_in(params, "_meta");
  const auto need = [&](std::string_view what) { work->refuse({kInvalidParams, "the request needs '" + meta_key(what) + "' in its _meta", {}}); };
  if (!meta) return need("protocolVersion");
  const auto* asked = meta->if_contains(meta_key("protocolVersion"));
  if (!asked || !asked->is_string()) return need("protocolVersion");
  const auto revision = revision_of(asked->get_string());
  if (!revision || !is_stateless(*revision)) {
    json::array supported;
    for (const auto one : kRevisions) supported.emplace_back(name_of(one));
    const std::string shown(asked->get_string());
    return work->refuse({kUnsupportedRevision, "revision '" + shown + "' cannot be asked for in a request" + (revision ? ": it begins with 'initialize'" : " here"),
                         compact_json(json::object{{"supported", std::move(supported)}, {"requested", asked->get_string()}})});
  }
  const auto* capabilities = object_in(*meta, meta_key("clientCapabilities"));
  if (!capabilities) return need("clientCapabilities");
  work->capabilities_ = *capabilities;
  if (const auto* level = meta->if_contains(meta_key("logLevel"))) {
    work->least_ = level->is_string() ? severity_of(level->get_string()) : std::nullopt;
    if (!work->least_) return work->refuse({kInvalidParams, "'" + meta_key("logLevel") + "' must be debug, info, notice, warning, error, critical, alert or emergency", {}});
  }
  if (work->method_ == "server/discover") return discover(*work);
  if (work->method_ == "subscriptions/listen" && options_.tells_changes) return listen(*work, params);
}

void Server::discover(Work& work) {
  json::array supported;
  for (const auto one : kRevisions) supported.emplace_back(name_of(one));
  json::object result{{"supportedVersions", std::move(supported)}, {"capabilities", capabilities(true)}};
  if (!options_.instructions.empty()) result["instructions"] = options_.instructions;
  work.is_cacheable_ = true;
  work.may_keep(options_.ttl_ms, !options_.is_open);
  work.answer(std::move(result));
}

void Server::listen(Work& work, const json::object& params) {
  const auto* wanted = object_in(params, "notifications");
  if (!wanted) return work.refuse({kInvalidParams, "'notifications' must be an object", {}});
  if (listening_.size() >= options_.most_open) return work.refuse({kInternalError, "as many clients listen as may; try again later", {}});
  const auto is_true = [&](const char* key) {
    const auto* value = wanted->if_contains(key);
    return value && value->is_bool() && value->get_bool();
  };
  Listening listening{work.id_, is_true("toolsListChanged"), is_true("promptsListChanged"), is_true("resourcesListChanged"), {}};
  json::object agreed;
  if (listening.tools) agreed["toolsListChanged"] = true;
  if (listening.prompts) agreed["promptsListChanged"] = true;
  if (listening.resources) agreed["resourcesListChanged"] = true;
  if (const auto* uris = wanted->if_contains("resourceSubscriptions")) {
    if (!uris->is_array()) return work.refuse({kInvalidParams, "'resourceSubscriptions' must be a list of URIs", {}});
    json::array taken;
    for (const auto& uri : uris->get_array()) {
      if (!uri.is_string()) return work.refuse({kInvalidParams, "'resourceSubscriptions' must be a list of URIs", {}});
      if (listening.uris.size() >= options_.most_subscriptions) break;
      if (listening.uris.emplace(uri.get_string()).second) taken.push_back(uri);
    }
    if (!taken.empty()) agreed["resourceSubscriptions"] = std::move(taken);
  }
  for (const auto& uri : listening.uris) watch(uri, true);
  const ExchangeId exchange = work.exchange_;
  send(exchange, make_notification("notifications/subscriptions/acknowledged",
                                   "{\"_meta\":{\"" + meta_key("subscriptionId") + "\":" + work.id_ + "},\"notifications\":" + compact_json(agreed) + "}"));
  listening_.emplace(exchange, std::move(listening));
  work.server_ = nullptr;
}

// ---- both ------------------------------------------------------------------------------------------------------------------

bool Server::common_request(const WorkPtr& work, const Message& message, const json::object& params) {
  const auto& method = work->method_;
  if (method == "tools/list" || method == "prompts/list" || method == "resources/list" || method == "resources/templates/list") {
    work->is_cacheable_ = true;
    work->may_keep(options_.ttl_ms, !options_.is_open || method == "resources/list");
    list(work, params);
  } else if (method == "tools/call") {
    call_tool(work, message, params);
  } else if (method == "prompts/get") {
    if (take_round(*work, message, params, string_or(params, "name"), protocol::raw_at(message.params, "/arguments"))) get_prompt(work, params);
  } else if (method == "resources/read") {
    const auto* uri = params.if_contains("uri");
    if (!uri || !uri->is_string()) {
      work->refuse({kInvalidParams, "'uri' must be a string", {}});
    } else if (take_round(*work, message, params, uri->get_string(), {})) {
      begin(work);
      work->is_cacheable_ = true;
      work->may_keep(0, true);
      host_.read_resource(work, std::string(uri->get_string()));
    }
  } else if (method == "completion/complete") {
    complete(work, params);
  } else {
    return false;
  }
  return true;
}

void Server::call_tool(const WorkPtr& work, const Message& message, const json::object& params) {
  const auto* name = params.if_contains("name");
  if (!name || !name->is_string()) return work->refuse({kInvalidParams, "'name' must be a string", {}});
  const auto catalogue = host_.catalogue();
  const auto* tool = catalogue->tool(name->get_string());
  if (!tool) return work->refuse({kInvalidParams, "there is no tool " + quoted_name(name->get_string()), {}});
  // As it was written: numbers stay what they are.
  auto arguments = protocol::raw_at(message.params, "/arguments");
  if (arguments.empty() || arguments == "null") arguments = "{}";
  if (arguments.front() != '{') return work->refuse({kInvalidParams, "'arguments' must be an object", {}});
  if (!take_round(*work, message, params, name->get_string(), arguments)) return;
  begin(work);
  host_.call_tool(work, catalogue, *tool, std::string(arguments));
}

void Server::get_prompt(const WorkPtr& work, const json::object& params) {
  const auto catalogue = host_.catalogue();
  const auto* prompt = catalogue->prompt(string_or(params, "name"));
  if (!prompt) return work->refuse({kInvalidParams, "there is no prompt " + quoted_name(string_or(params, "name")), {}});
  const auto* given = params.if_contains("arguments");
  if (given && !given->is_object()) return work->refuse({kInvalidParams, "'arguments' must be an object", {}});
  json::object arguments;
  if (given) {
    // Names as the function's own language writes them are taken too.
    for (const auto& one : given->get_object()) {
      const auto is_known = [&](std::string_view name) { return std::any_of(prompt->arguments.begin(), prompt->arguments.end(), [&](const auto& known) { return known.name == name; }); };
      const std::string canonical = to_snake_case(one.key());
      arguments[!is_known(one.key()) && is_known(canonical) ? std::string_view(canonical) : std::string_view(one.key())] = one.value();
    }
  }
  for (const auto& argument : prompt->arguments) {
    if (argument.is_required && !arguments.contains(argument.name)) return work->refuse({kInvalidParams, "the prompt needs the argument '" + argument.name + "'", {}});
  }
  begin(work);
  host_.get_prompt(work, catalogue, *prompt, std::move(arguments));
}

bool Server::take_round(Work& work, const Message& message, const json::object& params, std::string_view name, std::string_view arguments) {
  if (!is_stateless(work.revision_)) return true;
  work.name_ = name;
  work.arguments_ = arguments;
  if (const auto* state = params.if_contains("requestState")) {
    const auto refused = [&](const char* why) {
      work.refuse({kInvalidParams, why, {}});
      return false;
    };
    auto opened = state->is_string() ? seal_->open(state->get_string()) : Result<RequestState>(fail(ErrorCode::kInvalidArguments, ""));
    if (!opened) return refused("'requestState' is not what this server gave");
    if (opened->request != digest_of(message.method, name, arguments)) return refused("'requestState' belongs to another request");
    if (opened->principal != work.principal_) return refused("'requestState' belongs to another caller");
    if (options_.now_ms && opened->expires_ms < options_.now_ms()) return refused("'requestState' is too old: begin anew");
    work.given_ = std::move(opened->answers);
    work.key_ = std::move(opened->nonce);
    work.has_state_ = true;
  }
  if (const auto* responses = params.if_contains("inputResponses")) {
    if (!responses->is_object()) {
      work.refuse({kInvalidParams, "'inputResponses' must be an object", {}});
      return false;
    }
    for (const auto& one : responses->get_object()) work.given_[one.key()] = one.value();
  }
  return true;
}

void Server::notification(const Message& message) {
  if (message.method == "notifications/initialized") {
    is_initialized_ = session_revision_.has_value();
  } else if (message.method == "notifications/cancelled" && !options_.is_shared) {
    const auto id = protocol::raw_at(message.params, "/requestId");
    for (auto it = listening_.begin(); it != listening_.end(); ++it) {
      if (it->second.id == id) {
        closed(it->first);
        return;
      }
    }
    for (const auto& [exchange, work] : works_) {
      if (work->id_ != id) continue;
      cancel(WorkPtr(work));
      return;
    }
  }
}

void Server::response(const Message& message) {
  const auto found = asked_.find(message.id);
  if (found == asked_.end()) return;
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  auto& asking = *asked.asking;
  if (!message.error.empty()) {
    drop_questions(*asked.work, true);
    const auto error = parsed_object(message.error);
    const auto answered = std::move(asking.answered);
    if (answered) answered(fail(ErrorCode::kApprovalRefused, "the client refused " + asked.method + ": " + std::string(string_or(error, "message", "no reason given"))));
    return;
  }
  asking.answers[asked.key] = parsed_object(message.result);
  if (--asking.missing > 0) return;
  const auto answered = std::move(asking.answered);
  if (answered) answered(std::move(asking.answers));
}

void Server::begin(const WorkPtr& work) { works_.emplace(work->exchange_, work); }

void Server::cancel(const WorkPtr& work) {
  if (!work->is_open()) return;
  const auto exchange = work->exchange_;
  drop_questions(*work, true);
  work->end();
  send(exchange, {}, true);
  const auto tell = std::move(work->when_cancelled);
  work->when_cancelled = nullptr;
  if (tell) tell();
}

void Server::closed(ExchangeId exchange) {
  if (const auto found = listening_.find(exchange); found != listening_.end()) {
    for (const auto& uri : found->second.uris) watch(uri, false);
    listening_.erase(found);
    send(exchange, {}, true);
    return;
  }
  if (const auto found = works_.find(exchange); found != works_.end()) cancel(WorkPtr(found->second));
}

// What was asked of the client for `work` and has no answer yet.
void Server::drop_questions(const Work& work, bool tell) {
  for (auto it = asked_.begin(); it != asked_.end();) {
    if (it->second.work.get() != &work) {
      ++it;
      continue;
    }
    if (tell) send(work.exchange_, make_notification("notifications/cancelled", "{\"requestId\":" + it->first + "}"));
    it = asked_.erase(it);
  }
}

void Server::watch(const std::string& uri, bool wanted) {
  int& count = watched_[uri];
  count += wanted ? 1 : -1;
  const bool first = wanted && count == 1;
  const bool last = !wanted && count <= 0;
  if (last) watched_.erase(uri);
  if ((first || last) && options_.watch) options_.watch(uri, wanted);
}

void Server::changed(ListKind kind) {
  static constexpr std::string_view kMethods[] = {"notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed"};
  const std::string method(kMethods[static_cast<std::size_t>(kind)]);
  if (is_initialized_) send(0, make_notification(method, "{}"));
  for (const auto& [exchange, listening] : listening_) {
    const bool wanted = kind == ListKind::kTools ? listening.tools : kind == ListKind::kPrompts ? listening.prompts : listening.resources;
    if (wanted) send(exchange, make_notification(method, "{\"_meta\":{\"" + meta_key("subscriptionId") + "\":" + listening.id + "}}"));
  }
}

void Server::updated(const std::string& uri) {
  if (session_uris_.contains(uri)) send(0, make_notification("notifications/resources/updated", "{\"uri\":" + protocol::quote(uri) + "}"));
  for (const auto& [exchange, listening] : listening_) {
    if (!listening.uris.contains(uri)) continue;
    send(exchange, make_notification("notifications/resources/updated", "{\"_meta\":{\"" + meta_key("subscriptionId") + "\":" + listening.id + "},\"uri\":" + protocol::quote(uri) + "}"));
  }
}

void Server::end_listening() {
  for (const auto& [exchange, listening] : listening_) {
    send(exchange, make_result(listening.id, "{\"resultType\":\"complete\",\"_meta\":{" + info_ + ",\"" + meta_key("subscriptionId") + "\":" + listening.id + "}}"), true);
  }
  listening_.clear();
}

void Server::shut_down() {
  end_listening();
  while (!works_.empty()) cancel(WorkPtr(works_.begin()->second));
}

// ---- requests under way ----------------------------------------------------------------------------------------------------

void Server::finish(Work& work, std::string text, int status) {
  const auto exchange = work.exchange_;
  drop_questions(work, true);
  work.end();
  send(exchange, std::move(text), true, status);
}

void Work::end() {
  server_->works_.erase(exchange_);  // REQUIRES: somebody else holds this
  server_ = nullptr;
}

void Work::may_keep(std::int64_t ttl_ms, bool is_private) {
  ttl_ms_ = ttl_ms;
  is_private_ = is_private;
}

void Work::answer(json::object result) {
  std::string members = compact_json(result);
  answer_members(std::string_view(members).substr(1, members.size() - 2));
}

void Work::answer_members(std::string_view members) {
  if (!server_) return;
  const auto self = shared_from_this();
  std::string result = "{";
  if (is_stateless(revision_)) {
    result += "\"resultType\":\"complete\",";
    if (is_cacheable_) result += "\"ttlMs\":" + std::to_string(ttl_ms_) + ",\"cacheScope\":" + (is_private_ ? "\"private\"," : "\"public\",");
    result.append("\"_meta\":{").append(server_->info_).append("}");
    if (!members.empty()) result += ',';
  }
  result.append(members);
  result += '}';
  server_->finish(*this, make_result(id_, result), 200);
}

void Work::refuse(const Refusal& refusal) {
  if (!server_) return;
  const auto self = shared_from_this();
  int status = 200;
  if (is_stateless(revision_)) {
    const bool is_malformed = refusal.code == kInvalidParams && capabilities_.empty() && refusal.message.find(kMeta) != std::string::npos;
    if (refusal.code == kMethodNotFound) status = 404;
    if (refusal.code == kHeaderMismatch || refusal.code == kMissingCapability || refusal.code == kUnsupportedRevision || refusal.code == kInvalidRequest || is_malformed) status = 400;
  }
  server_->finish(*this, make_error(id_, refusal), status);
}

bool Work::consume() {
  if (!server_) return false;
  if (!has_state_) return true;
  auto& consumed = server_->consumed_;
  const auto now = server_->options_.now_ms ? server_->options_.now_ms() : 0;
  std::erase_if(consumed, [&](const auto& one) { return one.second < now; });
  // Full: what cannot be told apart from a second time is refused.
  if (consumed.size() >= kMostConsumed) return false;
  return consumed.emplace(key_, now + server_->options_.state_ms).second;
}

}  // namespace sabir::mcp

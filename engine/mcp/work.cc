// What a request under way says to its client, and asks of it.
#include <algorithm>

#include "sabir/base/json.h"
#include "sabir/mcp/server.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {

constexpr std::size_t kMostQuestions = 32;  // of one ask()
constexpr std::size_t kMostCarried = std::size_t{1} << 20U;  // bytes of what a client carries for a request

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? &value->get_object() : nullptr;
}

// What of its capabilities a client lacks for being asked `method`; empty = nothing.
json::object lacking(const json::object& capabilities, std::string_view method, const json::object& params) {
  if (method == "roots/list") return capabilities.contains("roots") ? json::object() : json::object{{"roots", json::object()}};
  if (method == "sampling/createMessage") {
    const auto* sampling = object_in(capabilities, "sampling");
    const bool with_tools = params.contains("tools");
    if (sampling && (!with_tools || sampling->contains("tools"))) return {};
    return {{"sampling", with_tools ? json::object{{"tools", json::object()}} : json::object()}};
  }
  const auto* elicitation = object_in(capabilities, "elicitation");
  const bool by_url = string_or(params, "mode") == "url";
  // Without a mode named, a client has forms.
  if (elicitation && (by_url ? elicitation->contains("url") : elicitation->contains("form") || !elicitation->contains("url"))) return {};
  return {{"elicitation", json::object{{by_url ? "url" : "form", json::object()}}}};
}

bool fits(std::string_view method, const json::value& answer) {
  if (!answer.is_object()) return false;
  const auto& object = answer.get_object();
  if (method == "roots/list") {
    const auto* roots = object.if_contains("roots");
    return roots && roots->is_array();
  }
  if (method == "sampling/createMessage") return object.contains("content") && object.contains("role");
  const auto action = string_or(object, "action");
  const auto* content = object.if_contains("content");
  if (action != "accept" && action != "decline" && action != "cancel") return false;
  return !content || content->is_object();
}

Error ended() { return Error(ErrorCode::kCancelled, "the request has ended"); }

}  // namespace

void Work::progress(double done, std::optional<double> total, std::string_view message) {
  if (!server_ || progress_token_.empty() || done <= progressed_) return;
  progressed_ = done;
  json::object params{{"progress", done}};
  if (total) params["total"] = *total;
  if (!message.empty()) params["message"] = message;
  const std::string members = compact_json(params);
  server_->send(exchange_, make_notification("notifications/progress", "{\"progressToken\":" + progress_token_ + "," + members.substr(1)));
}

void Work::log(Severity severity, std::string_view logger, std::string_view text) {
  if (!server_ || !least_ || severity < *least_) return;
  json::object params{{"level", name_of(severity)}, {"data", text}};
  if (!logger.empty()) params["logger"] = logger;
  server_->send(exchange_, make_notification("notifications/message", compact_json(params)));
}

void Work::ask(const json::object& requests, Answered answered, Trust trust) {
  if (!server_) return answered(fail(ended()));
  if (requests.empty() || requests.size() > kMostQuestions) {
    return answered(fail(ErrorCode::kInvalidArguments, "a client is asked 1 to " + std::to_string(kMostQuestions) + " questions at a time"));
  }
  json::object missing;
  json::object lacks;
  json::object answers;
  for (const auto& request : requests) {
    if (!request.value().is_object()) return answered(fail(ErrorCode::kInvalidArguments, "a question has 'method' and 'params'"));
    const auto& object = request.value().get_object();
    const auto method = string_or(object, "method");
    if (method != "elicitation/create" && method != "sampling/createMessage" && method != "roots/list") {
      return answered(fail(ErrorCode::kInvalidArguments, "a client cannot be asked '" + std::string(method) + "'", "It can be asked elicitation/create, sampling/createMessage and roots/list."));
    }
    const auto* params = object_in(object, "params");
    const json::object none;
    const auto* given = given_.if_contains(request.key());
    if (given && (has_state_ || trust == Trust::kAnyAnswer) && fits(method, *given)) {
      answers[request.key()] = *given;
      continue;
    }
    for (const auto& one : lacking(capabilities_, method, params ? *params : none)) lacks[one.key()] = one.value();
    missing[request.key()] = json::object{{"method", method}, {"params", params ? *params : none}};
  }
  if (missing.empty()) return answered(std::move(answers));
  const auto self = shared_from_this();
  if (!lacks.empty()) {
    std::string names;
    for (const auto& one : lacks) names += (names.empty() ? "" : ", ") + std::string(one.key());
    Error error(ErrorCode::kUnavailable, "the client that asks cannot be asked back: it does not offer " + names, "Use a client that does, or call the function another way.");
    if (is_stateless(revision_)) {
      refuse({kMissingCapability, "the request needs a client that offers " + names, compact_json(json::object{{"requiredCapabilities", std::move(lacks)}})});
      const auto stop = std::move(when_cancelled);
      when_cancelled = nullptr;
      answered(fail(std::move(error)));
      if (stop) stop();
      return;
    }
    return answered(fail(std::move(error)));
  }
  if (is_stateless(revision_)) {
    for (const auto& one : answers) given_[one.key()] = one.value();
    const auto stop = std::move(when_cancelled);
    when_cancelled = nullptr;
    require_input(std::move(missing));
    answered(fail(ErrorCode::kCancelled, "the client is asked first, and calls again with its answers"));
    // Whatever the function makes of that, it is called again from its beginning.
    if (stop) stop();
    return;
  }
  auto asking = std::make_shared<Asking>();
  asking->answers = std::move(answers);
  asking->missing = missing.size();
  asking->answered = std::move(answered);
  for (const auto& one : missing) {
    const auto& question = one.value().get_object();
    const std::string method(string_or(question, "method"));
    const std::string id = "\"sabir-" + std::to_string(server_->next_question_++) + "\"";
    server_->asked_.emplace(id, Server::Asked{self, std::string(one.key()), method, asking});
    server_->send(exchange_, make_request(id, method, compact_json(question.at("params").as_object())));
    if (!server_) return;
  }
}

void Work::require_input(json::object requests) {
  const auto self = shared_from_this();
  RequestState state{principal_, digest_of(method_, name_, arguments_), key_, (server_->options_.now_ms ? server_->options_.now_ms() : 0) + server_->options_.state_ms, given_};
  const std::string token = server_->seal_->close(state);
  if (token.size() > kMostCarried) return refuse({kInternalError, "the answers to what was asked are too large to be carried on", {}});
  std::string result = "{\"resultType\":\"input_required\",\"inputRequests\":" + compact_json(requests) + ",\"requestState\":\"" + token + "\",\"_meta\":{" + server_->info_ + "}}";
  server_->finish(*this, make_result(id_, result), 200);
}

void refuse_unknown_resource(Work& work, const std::string& uri) {
  work.refuse({is_stateless(work.revision()) ? kInvalidParams : kResourceNotFound, "there is no resource '" + uri + "'", compact_json(json::object{{"uri", uri}})});
}

}  // namespace sabir::mcp

#include "sabir/runtime/client_session.h"

#include "sabir/base/json.h"

namespace sabir::runtime {

void end_caller(workers::Caller& caller) {
  caller.ended = true;
  const auto tasks = std::move(caller.when_ended);
  caller.when_ended.clear();
  for (const auto& task : tasks) task();
}

ClientSession::ClientSession(net::Loop& loop, int in_fd, int out_fd, std::string project, std::string environment, const trace::SpanContext& span,
                             workers::RequestHandler handler, std::function<void(ClientSession*)> closed)
    : loop_(loop), project_(std::move(project)), environment_(std::move(environment)), handler_(std::move(handler)),
      closed_(std::move(closed)), span_(span), peer_(loop, in_fd, out_fd, *this) {}

ClientSession::~ClientSession() {
  *alive_ = false;
  auto open = std::move(open_);
  for (auto& [id, caller] : open) end_caller(*caller);
}

void ClientSession::hello(const workers::Incoming& request) {
  auto params = parse_json(request.body);
  if (!params || !params->is_object()) {
    peer_.respond_error(request.id, Error(ErrorCode::kInvalidArguments, "hello needs an object"));
    return;
  }
  const auto& object = params->get_object();
  json::error_code ec;
  const json::value* min = params->find_pointer("/protocol/min", ec);
  const json::value* max = params->find_pointer("/protocol/max", ec);
  if (!min || !max || !min->is_int64() || !max->is_int64() || min->get_int64() > 1 || max->get_int64() < 1) {
    peer_.respond_error(request.id, Error(ErrorCode::kProtocol, "this engine speaks version 1 of the worker protocol",
                                          "Use the SDK that came with this engine: `sabir sdk path`.")
                                        .with_data(R"({"rpc":-32001})"));
    return;
  }
  language_ = string_or(object, "language", "client");
  if (const auto* context = object.if_contains("context"); context && context->is_object()) {
    const auto& c = context->get_object();
    context_.user = string_or(c, "user");
    context_.tenant = string_or(c, "tenant");
    context_.conversation = string_or(c, "conversation");
    context_.run = string_or(c, "run");
  }
  if (const auto span = trace::parse_traceparent(string_or(object, "traceparent"))) span_ = *span;
  const json::object answer{{"protocol", 1}, {"engine", SABIR_VERSION}, {"project", project_}, {"environment", environment_}};
  peer_.respond(request.id, json::serialize(answer));
}

void ClientSession::on_request(const workers::Incoming& request) {
  if (request.method == "hello") return hello(request);
  if (request.method == "ping") return peer_.respond(request.id, "{}");
  const std::string id(request.id);
  if (open_.size() >= kMostOpen || open_.contains(id)) {
    peer_.respond_error(request.id, Error(ErrorCode::kBusy, "too many open requests on one connection"));
    return;
  }
  auto caller = std::make_shared<workers::Caller>();
  caller->address = language_;
  caller->context = context_;
  caller->span = span_;
  caller->deadline = workers::Clock::time_point::max();
  open_.emplace(id, caller);
  workers::EngineRequest out;
  out.method = request.method;
  out.params = request.body;
  out.blobs = std::move(request.blobs);
  out.caller = caller;
  out.reply = [this, alive = alive_, id](Result<protocol::Payload> answer) {
    if (!*alive) return;
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    const auto ended = std::move(found->second);
    open_.erase(found);
    ended->when_ended.clear();
    if (answer) {
      std::vector<std::string_view> blobs;
      for (const auto& blob : answer->blobs) blobs.push_back(blob.data);
      peer_.respond(id, answer->json, blobs);
    } else {
      peer_.respond_error(id, answer.error());
    }
  };
  out.notify = [this, alive = alive_, id](std::string_view method, std::string_view members) {
    const auto found = *alive ? open_.find(id) : open_.end();
    if (!*alive || found == open_.end()) return;
    if (peer_.unsent() > kMostUnsent) {
      // It reads slower than the function yields; what the call started ends with it.
      const auto slow = std::move(found->second);
      open_.erase(found);
      peer_.respond_error(id, Error(ErrorCode::kLimit, "the stream was ended: " + std::to_string(kMostUnsent >> 20U) + " MB of it were not read yet"));
      end_caller(*slow);
      return;
    }
    peer_.notify(method, workers::with_id(id, members));
  };
  handler_(std::move(out));
}

void ClientSession::on_notification(const workers::Incoming& notification) {
  if (notification.method != "cancel") return;
  const auto members = protocol::raw_members(notification.body);
  if (!members) return;
  const auto id = protocol::find_member(*members, "id");
  if (!id) return;
  const auto found = open_.find(std::string(*id));
  if (found != open_.end()) end_caller(*found->second);
}

void ClientSession::on_closed(const Error&) {
  // The owner destroys the session; not from inside the peer's own callback.
  loop_.post([this, alive = alive_] {
    if (*alive) closed_(this);
  });
}

}  // namespace sabir::runtime

#include "sabir/workers/peer.h"

#include "sabir/base/log.h"

namespace sabir::workers {
namespace {
constexpr std::size_t kMostKept = std::size_t{1} << 16U;  // bytes of a message's memory that is used again
}

Peer::Peer(net::Loop& loop, int in_fd, int out_fd, Handler& handler)
    : handler_(handler), stream_(loop, in_fd, out_fd, *this) {}

Peer::~Peer() { *alive_ = false; }

// text_ is the message.
void Peer::send(const std::vector<std::string_view>& blobs) {
  std::string& out = stream_.output();
  protocol::append_head(out, text_.size(), blobs);
  out += text_;
  if (text_.size() > kMostKept) text_ = {};
  text_.clear();
  if (blobs.empty()) {
    stream_.flush_soon();
  } else {
    stream_.send(blobs);
  }
}

std::int64_t Peer::request(std::string_view method, std::string_view params, const std::vector<std::string_view>& blobs,
                           Answer answer) {
  const std::int64_t id = next_id_++;
  open_.emplace(id, std::move(answer));
  protocol::append_request(text_, id, method, params);
  send(blobs);
  return id;
}

void Peer::notify(std::string_view method, std::string_view params, const std::vector<std::string_view>& blobs) {
  protocol::append_notification(text_, method, params);
  send(blobs);
}

void Peer::respond(std::string_view id, std::string_view result, const std::vector<std::string_view>& blobs) {
  protocol::append_response(text_, id, result);
  send(blobs);
}

void Peer::respond_error(std::string_view id, const Error& error) {
  text_ = protocol::make_error(id, error);
  send({});
}

void Peer::close() { stream_.close(); }

void Peer::on_bytes(std::string_view bytes) {
  reader_.append(bytes);
  const auto alive = alive_;
  while (*alive) {
    auto frame = reader_.next();
    if (!frame) {
      respond_error("null", frame.error());
      stream_.flush_some();
      lose(frame.error());
      return;
    }
    if (!*frame) return;
    take(**frame);
  }
}

void Peer::take(protocol::Frame& frame) {
  auto message = protocol::parse_message(frame.json);
  if (!message) {
    respond_error("null", message.error());
    return;
  }
  switch (message->kind) {
    case protocol::MessageKind::kRequest:
      if (!message->params_fit) return respond_error(message->id, Error(ErrorCode::kInvalidArguments, "params is not an object"));
      handler_.on_request({message->id, message->method, message->params.empty() ? "{}" : message->params, frame.blobs});
      return;
    case protocol::MessageKind::kNotification:
      handler_.on_notification({{}, message->method, message->params.empty() ? "{}" : message->params, frame.blobs});
      return;
    case protocol::MessageKind::kResponse: {
      const auto number = message->number();
      if (!number) {
        if (message->id == "null" && !message->error.empty()) {
          log(LogLevel::kWarning, "the peer refused a frame: " + protocol::error_of(message->error).message);
        }
        return;
      }
      const auto found = open_.find(*number);
      if (found == open_.end()) return;
      const Answer answer = std::move(found->second);
      open_.erase(found);
      if (message->error.empty()) {
        answer(*number, Incoming{message->id, {}, message->result, frame.blobs});
      } else {
        answer(*number, fail(protocol::error_of(message->error)));
      }
      return;
    }
  }
}

void Peer::on_closed() { lose(Error(ErrorCode::kProtocol, "the connection ended")); }

void Peer::lose(const Error& error) {
  stream_.close();
  const auto alive = alive_;
  open_.clear();
  if (*alive) handler_.on_closed(error);
}

}  // namespace sabir::workers

#include "local_worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/protocol/message.h"
#include "sabir/protocol/payload.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kKeptOutput = 4096;

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// The member `name` of a result or a notification's params, with the frame's blobs in their places.
Result<json::value> member_with_blobs(std::string_view raw, std::vector<std::string> blobs, std::string_view name) {
  const auto members = protocol::raw_members(raw.empty() ? "{}" : raw);
  if (!members) return fail(members.error());
  const auto value = protocol::find_member(*members, name);
  if (!value) return json::value();
  auto placed = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(blobs), "/" + std::string(name));
  if (!placed) return fail(placed.error());
  const auto text = protocol::inflate({std::string(*value), std::move(*placed)});
  if (!text) return fail(text.error());
  return parse_json(*text);
}

}  // namespace

Result<std::unique_ptr<LocalWorker>> LocalWorker::start(const LocalFiles& files) {
  auto pair = process::socket_pair();
  if (!pair) return fail(pair.error());
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "no pipe for a local model's output");
  process::Fd read_end(out[0]);
  process::Fd write_end(out[1]);
  process::SpawnSpec spec;
  spec.argv = files.argv;
  spec.environment = files.environment;
  spec.environment.emplace_back("SABIR_FD=3");
  spec.descriptors = {{1, write_end.get()}, {2, write_end.get()}, {3, pair->second.get()}};
  auto child = process::spawn(spec);
  if (!child) return fail(child.error());
  set_nonblocking(pair->first.get());
  set_nonblocking(read_end.get());
  return std::unique_ptr<LocalWorker>(new LocalWorker(std::move(*child), std::move(pair->first), std::move(read_end)));
}

LocalWorker::~LocalWorker() {
  if (child_.pid() <= 0) return;
  socket_.reset();  // the end of its connection tells it to go
  if (child_.wait(milliseconds(0))) return;
  child_.signal_group(SIGKILL);
  (void)child_.wait(milliseconds(5'000));
}

bool LocalWorker::alive() {
  if (broken_) return false;
  pollfd ended{child_.pidfd(), POLLIN, 0};
  return ::poll(&ended, 1, 0) == 0;
}

void LocalWorker::drain_output() {
  char buffer[4096];
  while (true) {
    const auto n = ::read(output_fd_.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    output_.append(buffer, static_cast<std::size_t>(n));
    if (output_.size() > 2 * kKeptOutput) output_.erase(0, output_.size() - kKeptOutput);
  }
}

Error LocalWorker::died() {
  broken_ = true;
  // The output's last words may come just after the connection's end.
  pollfd ended{child_.pidfd(), POLLIN, 0};
  ::poll(&ended, 1, 500);
  drain_output();
  std::string how = "closed its connection";
  if (auto status = child_.wait(milliseconds(0))) {
    how = status->text();
    child_ = {};
  }
  std::string words(trim(std::string_view(output_).substr(output_.size() > 600 ? output_.size() - 600 : 0)));
  return Error(ErrorCode::kModel, "the local model's process " + how + (words.empty() ? "" : ": " + words),
               "Try again: the next call starts a new one. If it stays so, memory may be short for this model; `sabir model list` "
               "shows smaller ones.")
      .with_detail(output_);
}

Result<void> LocalWorker::write_all(std::string_view bytes, Clock::time_point deadline) {
  while (!bytes.empty()) {
    const auto n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return fail(died());
    if (Clock::now() >= deadline) {
      broken_ = true;
      return fail(ErrorCode::kTimeout, "the local model's process does not take its request");
    }
    pollfd writable[2] = {{socket_.get(), POLLOUT, 0}, {output_fd_.get(), POLLIN, 0}};
    ::poll(writable, 2, 50);
    drain_output();
  }
  return {};
}

Result<json::value> LocalWorker::request(const std::string& method, const std::string& params, const std::vector<std::string>& blobs,
                                         const Wait& wait) {
  const std::int64_t id = next_id_++;
  std::string frame;
  protocol::append_frame(frame, protocol::make_request(id, method, params), protocol::views_of(blobs));
  if (auto written = write_all(frame, wait.deadline); !written) return fail(written.error());
  std::optional<Error> given_up;  // the call was cancelled or is overdue; its answer is awaited until `until`
  Clock::time_point until = wait.deadline;
  while (true) {
    while (true) {
      auto next = reader_.next();
      if (!next) {
        broken_ = true;
        return fail(ErrorCode::kProtocol, "the local model's process sent a malformed frame: " + next.error().message);
      }
      if (!*next) break;
      const auto message = protocol::parse_message((*next)->json);
      if (!message) {
        broken_ = true;
        return fail(ErrorCode::kProtocol, "the local model's process: " + message.error().message);
      }
      if (message->kind == protocol::MessageKind::kRequest) {
        std::string answer;
        protocol::append_frame(answer, protocol::make_error(message->id, Error(ErrorCode::kNotGranted, "this worker may not call the engine")));
        if (auto written = write_all(answer, until); !written) return fail(written.error());
      } else if (message->kind == protocol::MessageKind::kNotification) {
        if (given_up) continue;
        const bool chunk = message->method == "chunk";
        if (!chunk && message->method != "progress") continue;
        const auto parsed = parse_json(message->params);
        if (!parsed || !parsed->is_object()) continue;
        const auto& listener = chunk ? wait.on_chunk : wait.on_progress;
        if (listener) listener(parsed->get_object());
      } else if (message->number() == id) {
        if (given_up) return fail(std::move(*given_up));
        if (!message->error.empty()) return fail(protocol::error_of(message->error));
        if (method != "call") return json::value();
        return member_with_blobs(message->result, std::move((*next)->blobs), "value");
      }
    }
    const auto now = Clock::now();
    const bool cancelled = wait.cancelled && wait.cancelled->load(std::memory_order_relaxed);
    if (!given_up && (cancelled || now >= wait.deadline)) {
      given_up = cancelled ? Error(ErrorCode::kCancelled, "the local model was cancelled")
                           : Error(ErrorCode::kTimeout, "the local model has not finished in time",
                                   "Ask for less at once, raise the timeout, or choose a smaller model.");
      std::string notice;
      protocol::append_frame(notice, protocol::make_notification("cancel", "{\"id\":" + std::to_string(id) + ",\"reason\":\"" +
                                                                               (cancelled ? "cancelled" : "deadline") + "\"}"));
      until = now + wait.grace;
      if (auto written = write_all(notice, until); !written) return fail(std::move(*given_up));
    } else if (given_up && now >= until) {
      broken_ = true;  // it did not stop; the owner ends the process
      return fail(std::move(*given_up));
    }
    pollfd ready[3] = {{socket_.get(), POLLIN, 0}, {output_fd_.get(), POLLIN, 0}, {child_.pidfd(), POLLIN, 0}};
    const auto left = std::chrono::duration_cast<milliseconds>(until - now).count();
    ::poll(ready, 3, static_cast<int>(std::clamp<long long>(left, 1, 50)));
    drain_output();
    char buffer[65536];
    const auto n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (n > 0) {
      reader_.append({buffer, static_cast<std::size_t>(n)});
    } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      if (given_up) {
        broken_ = true;
        return fail(std::move(*given_up));
      }
      return fail(died());
    }
  }
}

Result<void> LocalWorker::greet(const Wait& wait) {
  const std::string hello = "{\"protocol\":{\"min\":1,\"max\":1},\"engine\":\"" SABIR_VERSION "\",\"limits\":{\"frame\":67108864,\"blobs\":1024}}";
  for (const auto& [method, params] : {std::pair<std::string, std::string>{"hello", hello},
                                       {"start", R"({"project":"","environment":""})"}}) {
    if (auto answer = request(method, params, {}, wait); !answer) return fail(answer.error());
  }
  return {};
}

Result<json::value> LocalWorker::call(const std::string& function, const json::object& arguments, const Wait& wait) {
  const auto payload = protocol::deflate(json::serialize(arguments));
  std::vector<std::string> blobs;
  for (const auto& blob : payload.blobs) blobs.push_back(blob.data);
  const auto left = std::chrono::duration_cast<milliseconds>(wait.deadline - Clock::now()).count();
  std::string params = "{\"module\":\"model\",\"receiver\":\"\",\"function\":" + protocol::quote(function) +
                       ",\"arguments\":" + payload.json + ",\"positional\":[],\"context_parameter\":\"\",\"deadline_ms\":" +
                       std::to_string(std::max<long long>(1, left)) + ",\"depth\":1";
  params += protocol::blob_list(payload.blobs, "/arguments");
  return request("call", params + "}", blobs, wait);
}

}  // namespace sabir::models

#include "session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "sabir/protocol/payload.h"

namespace sabir::conformance {
namespace {

std::pair<process::Fd, process::Fd> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) fail_check(std::string("no pipe: ") + std::strerror(errno));
  return {process::Fd(fds[0]), process::Fd(fds[1])};
}

void unblock(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Puts `text` where the pointer leads; the pointer comes from the worker and may be anything.
void place(json::value& root, std::string_view pointer, const std::string& text) {
  boost::system::error_code error;
  auto* at = root.find_pointer(std::string(pointer), error);
  expect(at != nullptr && at->is_null(), "a blob's pointer leads to no null: " + std::string(pointer));
  *at = text;
}

}  // namespace

void fail_check(std::string detail) { throw Failure{std::move(detail)}; }

void expect(bool condition, const std::string& detail) {
  if (!condition) fail_check(detail);
}

std::string frame(std::string_view json_text, const std::vector<std::string>& blobs) {
  std::string out;
  protocol::append_frame(out, json_text, protocol::views_of(blobs));
  return out;
}

bool Message::is(std::string_view method) const { return string_or(object, "method") == method; }

const json::object& Message::error_data() const {
  static const json::object kNone;
  const auto* error = object.if_contains("error");
  if (error == nullptr || !error->is_object()) return kNone;
  const auto* data = error->get_object().if_contains("data");
  return data != nullptr && data->is_object() ? data->get_object() : kNone;
}

std::string Message::error_type() const { return std::string(string_or(error_data(), "type")); }

std::int64_t Message::error_code() const {
  const auto* error = object.if_contains("error");
  if (error == nullptr || !error->is_object()) return 0;
  const auto* code = error->get_object().if_contains("code");
  return code != nullptr && code->is_int64() ? code->get_int64() : 0;
}

std::string Message::error_message() const {
  const auto* error = object.if_contains("error");
  return error != nullptr && error->is_object() ? std::string(string_or(error->get_object(), "message")) : "";
}

json::value Message::value() const {
  const auto* result = object.if_contains("result");
  expect(result != nullptr && result->is_object() && result->get_object().contains("value"),
         "expected a result with a value, got " + text());
  json::value copy = *result;
  const auto* listed = result->get_object().if_contains("blobs");
  const std::size_t count = listed != nullptr && listed->is_array() ? listed->get_array().size() : 0;
  expect(count == blobs.size(), "the frame has " + std::to_string(blobs.size()) + " blobs and lists " + std::to_string(count));
  for (std::size_t i = 0; i < count; ++i) {
    const auto& entry = listed->get_array()[i];
    expect(entry.is_object(), "an entry of result.blobs is no object");
    place(copy, string_or(entry.get_object(), "at"), blobs[i]);
  }
  return copy.get_object()["value"];
}

std::string Message::text() const {
  std::string out = json::serialize(object);
  if (out.size() > 400) out = out.substr(0, 400) + "…";
  return out;
}

Session::Session(const Options& options, Transport transport, int descriptor) : options_(options) {
  process::SpawnSpec spec;
  spec.argv = options.command;
  spec.directory = options.directory;
  process::Fd theirs_read;
  process::Fd theirs_write;
  std::string named = std::to_string(descriptor);
  if (transport == Transport::kSocket) {
    auto pair = process::socket_pair();
    expect(pair.has_value(), "no socket pair");
    read_ = std::move(pair->first);
    theirs_read = std::move(pair->second);
    spec.descriptors[descriptor] = theirs_read.get();
  } else {
    auto to_worker = make_pipe();
    auto from_worker = make_pipe();
    theirs_read = std::move(to_worker.first);
    write_ = std::move(to_worker.second);
    read_ = std::move(from_worker.first);
    theirs_write = std::move(from_worker.second);
    spec.descriptors[descriptor] = theirs_read.get();
    spec.descriptors[descriptor + 1] = theirs_write.get();
    named += "," + std::to_string(descriptor + 1);
    unblock(write_.get());
  }
  auto [log_read, log_write] = make_pipe();
  spec.descriptors[1] = log_write.get();
  spec.descriptors[2] = log_write.get();
  spec.environment = process::environment_with({{"SABIR_FD", named}});
  auto child = process::spawn(spec);
  if (!child) fail_check("the worker does not start: " + child.error().message);
  child_ = std::move(*child);
  log_ = std::move(log_read);
  unblock(read_.get());
  unblock(log_.get());
}

Session::~Session() {
  close();
  if (!exit_ && child_.pid() > 0) {
    child_.signal_group(SIGKILL);
    wait_exit(milliseconds(5000));
  }
}

void Session::greet() {
  const auto id = request("hello", {{"protocol", {{"min", 1}, {"max", 1}}},
                                    {"engine", SABIR_VERSION},
                                    {"limits", {{"frame", 67108864}, {"blobs", 1024}}}});
  const auto hello = response(id);
  expect(!hello.is_error() && hello.object.contains("result") && hello.object.at("result").is_object(),
         "hello was answered with " + hello.text());
  hello_result = hello.object.at("result").get_object();
  auto project = options_.project.empty() ? std::filesystem::path(options_.testee).parent_path() : options_.project;
  const auto start = response(request("start", {{"project", project.string()}, {"environment", "test"}}));
  expect(!start.is_error(), "start was answered with " + start.text());
}

// Waits until there is something to read or, if wanted, room to write; takes and gives what it can.
// False when nothing happened until the deadline.
bool Session::pump(Clock::time_point until, bool want_write) {
  const int write_fd = write_ ? write_.get() : read_.get();
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
    std::array<pollfd, 3> waits{{{read_.get(), static_cast<short>(ended_ ? 0 : POLLIN), 0},
                                 {want_write && !unsent_.empty() ? write_fd : -1, POLLOUT, 0},
                                 {log_.get(), POLLIN, 0}}};
    if (ended_) waits[0].fd = -1;
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(std::max<long>(0, left)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    if (waits[2].revents != 0) read_output(0);
    bool progress = false;
    std::array<char, 65536> buffer;
    if (waits[0].revents != 0) {
      const auto count = ::read(read_.get(), buffer.data(), buffer.size());
      if (count > 0) {
        reader_.append({buffer.data(), static_cast<std::size_t>(count)});
      } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        ended_ = true;
      }
      progress = true;
    }
    if (waits[1].revents != 0) {
      const auto count = write_ ? ::write(write_fd, unsent_.data(), unsent_.size())
                                : ::send(write_fd, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (count > 0) {
        unsent_.erase(0, static_cast<std::size_t>(count));
      } else if (errno != EAGAIN && errno != EINTR) {
        unsent_.clear();
        ended_ = true;
      }
      progress = true;
    }
    if (progress) return true;
    if (Clock::now() >= until) return false;
  }
}

void Session::send_bytes(std::string_view bytes) {
  // Large frames leave in slices: erasing from the front of one long string would take quadratic time.
  constexpr std::size_t kSlice = 1U << 20U;
  const auto until = Clock::now() + options_.patience;
  for (std::size_t at = 0; at < bytes.size() && !ended_; at += kSlice) {
    unsent_ = bytes.substr(at, kSlice);
    while (!unsent_.empty() && !ended_) {
      if (!pump(until, true)) fail_check("the worker does not read its connection");
    }
  }
}

void Session::send(const json::object& message, const std::vector<std::string>& blobs) {
  send_bytes(frame(json::serialize(message), blobs));
}

void Session::notify(std::string_view method, json::object params) {
  send({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}});
}

std::int64_t Session::request(std::string_view method, json::value params, const std::vector<std::string>& blobs) {
  const auto id = next_id_++;
  send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}}, blobs);
  return id;
}

json::object Session::call_params(std::string_view function, json::object arguments, CallExtras extras) const {
  json::array positional;
  if (extras.positional.empty()) {
    for (const auto& member : arguments) positional.emplace_back(member.key());
  } else {
    for (const auto& name : extras.positional) positional.emplace_back(name);
  }
  json::object params{{"module", options_.testee}, {"receiver", options_.receiver}, {"function", function},
                      {"arguments", std::move(arguments)}, {"positional", std::move(positional)},
                      {"context", {{"user", "u1"}, {"tenant", "t1"}, {"conversation", "c1"}, {"run", "r1"}}},
                      {"context_parameter", ""}, {"deadline_ms", 30000}, {"depth", 1}, {"idempotency_key", "k1"}};
  for (auto& member : extras.more) params[member.key()] = member.value();
  return params;
}

std::int64_t Session::call(std::string_view function, json::object arguments, CallExtras extras) {
  auto blobs = extras.blobs;
  return request("call", call_params(function, std::move(arguments), std::move(extras)), blobs);
}

std::optional<Message> Session::next_buffered() {
  auto next = reader_.next();
  if (!next) fail_check("the worker sent bytes that are no frame: " + next.error().message);
  if (!*next) return std::nullopt;
  auto value = parse_json((*next)->json);
  if (!value) fail_check("the worker sent a frame whose JSON does not parse: " + value.error().message);
  expect(value->is_object(), "the worker sent JSON that is no object: " + (*next)->json.substr(0, 200));
  Message message{value->get_object(), std::move((*next)->blobs)};
  expect(string_or(message.object, "jsonrpc") == "2.0", "the worker sent no JSON-RPC 2.0 object: " + message.text());
  return message;
}

std::string Session::receive_raw() {
  const auto until = Clock::now() + options_.patience;
  while (true) {
    auto next = reader_.next();
    if (!next) fail_check("the worker sent bytes that are no frame: " + next.error().message);
    if (*next) return std::move((*next)->json);
    if (!ended_ && pump(until, false)) continue;
    fail_check(ended_ ? "the worker ended its connection" : "no answer within " + std::to_string(options_.patience.count()) + " ms");
  }
}

std::optional<Message> Session::receive_within(milliseconds time) {
  const auto until = Clock::now() + time;
  while (true) {
    if (auto message = next_buffered()) return message;
    if (ended_ || !pump(until, false)) return std::nullopt;
  }
}

Message Session::receive() {
  if (auto message = receive_within(options_.patience)) return std::move(*message);
  if (!ended_) fail_check("no answer within " + std::to_string(options_.patience.count()) + " ms");
  read_output(100);
  auto said = output_.size() > 600 ? output_.substr(output_.size() - 600) : output_;
  fail_check("the worker ended its connection" + (said.empty() ? std::string() : "; its log ends with: " + said));
}

Message Session::response(const json::value& id) {
  for (auto it = others.begin(); it != others.end(); ++it) {
    if (it->is_response() && it->object.contains("id") && it->object.at("id") == id) {
      auto found = std::move(*it);
      others.erase(it);
      return found;
    }
  }
  while (true) {
    auto message = receive();
    if (message.is_response() && message.object.contains("id") && message.object.at("id") == id) return message;
    others.push_back(std::move(message));
  }
}

Message Session::worker_request(std::string_view method) {
  while (true) {
    auto message = receive();
    if (message.is(method) && message.object.contains("id")) return message;
    expect(!message.is_response(), "expected the worker's request " + std::string(method) + ", got " + message.text());
    others.push_back(std::move(message));
  }
}

void Session::answer(const Message& request, json::object result, const std::vector<std::string>& blobs) {
  send({{"jsonrpc", "2.0"}, {"id", request.object.at("id")}, {"result", std::move(result)}}, blobs);
}

Message Session::ping() {
  auto message = response(request("ping", json::object()));
  expect(!message.is_error(), "ping was answered with " + message.text());
  return message;
}

std::vector<Message> Session::until_end() {
  std::vector<Message> all;
  const auto until = Clock::now() + options_.patience;
  while (true) {
    if (auto message = next_buffered()) {
      all.push_back(std::move(*message));
      continue;
    }
    if (ended_) return all;
    if (!pump(until, false)) fail_check("the worker does not end its connection");
  }
}

void Session::close() {
  read_.reset();
  write_.reset();
  ended_ = true;
}

std::optional<process::ExitStatus> Session::wait_exit(milliseconds time) {
  const auto until = Clock::now() + time;
  while (!exit_) {
    auto status = child_.wait(milliseconds(20));
    if (status) {
      exit_ = *status;
    } else if (Clock::now() >= until) {
      return std::nullopt;
    }
    // A full log pipe must not hold the worker.
    read_output(0);
  }
  return exit_;
}

void Session::read_output(int timeout_ms) {
  std::array<char, 4096> buffer;
  while (log_) {
    pollfd wait{log_.get(), POLLIN, 0};
    if (::poll(&wait, 1, timeout_ms) <= 0) return;
    const auto count = ::read(log_.get(), buffer.data(), buffer.size());
    if (count <= 0) {
      if (count == 0) log_.reset();
      return;
    }
    if (output_.size() < (1U << 20U)) output_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::string Session::output() {
  read_output(100);
  return output_;
}

}  // namespace sabir::conformance

// Connection: frames and messages of the worker protocol (spec/worker-protocol.md) over one or two descriptors.
//
// Threads: any thread may send. request() may run in several threads at once: one of them reads for all, the others wait
// for their answers. Everything else belongs to the thread that reads.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/error.hpp"
#include "sabir/value.hpp"

namespace sabir::detail {

// The peer's bytes are no frames; nothing after them can be read.
struct FrameError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The connection has ended; `sent` tells whether the request had left.
struct Closed {
  bool sent = false;
};

class Connection {
 public:
  static constexpr std::size_t kMaxFrame = std::size_t{64} << 20U;
  static constexpr std::size_t kMaxBlobs = 1024;
  static constexpr std::size_t kMaxHead = 16384;
  static constexpr std::size_t kRoom = 65536;

  // Called, in the thread that reads, with every request and notification that arrives while a request() waits.
  std::function<void(Json&&)> on_message;
  Json parent;             // id of the running call; null when there is none
  bool cancelled = false;  // the running call was cancelled

  Connection(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd), buffer_(kRoom, '\0') {
    on_message = [this](Json&& message) { refuse(message); };
  }
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool closed() const { return closed_; }
  int read_fd() const { return read_fd_; }
  bool has_unsent() {
    const std::lock_guard lock(out_mutex_);
    return !out_.empty();
  }

  // The next message that is a JSON-RPC object, its blobs in place; nothing at the connection's end. Unsent frames are
  // written before it blocks. Bad messages are answered here. Errors: FrameError, after it was answered.
  std::optional<Json> receive() {
    try {
      while (true) {
        Taken taken;
        if (!take(taken)) {
          if (ended_) return std::nullopt;
          flush();
          if (!fill()) return std::nullopt;
          continue;
        }
        Json message;
        try {
          message = Json::parse(taken.text.begin(), taken.text.end());
        } catch (const Json::exception& error) {
          answer_error(nullptr, -32700, "protocol", std::string("a frame's JSON text does not parse: ") + error.what());
          continue;
        }
        if (!is_message(message)) {
          answer_error(nullptr, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object");
          continue;
        }
        if (place_blobs(message, taken.blobs)) return message;
      }
    } catch (const FrameError& error) {
      answer_error(nullptr, -32600, "protocol", error.what());
      flush();
      throw;
    }
  }

  // Writes what is unsent. A peer that is gone shows at the next read.
  void flush() {
    const std::lock_guard writing(write_mutex_);
    {
      const std::lock_guard lock(out_mutex_);
      if (out_.empty()) return;
      writing_.swap(out_);
    }
    std::string_view rest = writing_;
    while (!rest.empty()) {
      auto count = ::send(write_fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == ENOTSOCK) count = ::write(write_fd_, rest.data(), rest.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        write_failed_ = true;
        break;
      }
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
    writing_.clear();
  }

  // Queues {"value": value} as the answer to `id`. Errors: Unfit.
  void answer_value(const Json& id, Json&& value) {
    std::string& body = body_;
    body.clear();
    body += R"({"jsonrpc":"2.0","id":)";
    append(body, id);
    if (is_plain(value)) {
      body += R"(,"result":{"value":)";
      append(body, value);
      body += "}}";
      put(body, {});
      return;
    }
    std::vector<std::string> blobs;
    Json listed = Json::array();
    externalize(value, "/value", blobs, listed);
    body += R"(,"result":{"value":)";
    append(body, value);
    if (!blobs.empty()) {
      body += R"(,"blobs":)";
      append(body, listed);
    }
    body += "}}";
    put(body, blobs);
  }

  // Queues a result without large values.
  void answer_result(const Json& id, const Json& result) {
    put(Json{{"jsonrpc", "2.0"}, {"id", id}, {"result", result}}.dump(), {});
  }

  void answer_error(const Json& id, int code, const std::string& type, const std::string& message, Json data = Json::object()) {
    data["type"] = type;
    const Json error{{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}, {"data", std::move(data)}}}};
    put(error.dump(-1, ' ', false, Json::error_handler_t::replace), {});
  }

  // Sends a notification. Errors: Unfit.
  void notify(const std::string& method, Json params) {
    put_message(Json{{"jsonrpc", "2.0"}, {"method", method}}, std::move(params));
    flush();
  }

  // Sends a request and waits for its result. Errors: Error as the peer answered; Closed.
  Json request(const std::string& method, Json params) {
    std::int64_t id = 0;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) throw Closed{false};
      id = next_id_++;
      expected_.insert(id);
    }
    struct Forget {
      Connection& connection;
      std::int64_t id;
      ~Forget() {
        const std::lock_guard lock(connection.mutex_);
        connection.expected_.erase(id);
      }
    } forget{*this, id};
    if (!parent.is_null()) params["parent"] = parent;
    try {
      put_message(Json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}}, std::move(params));
    } catch (const Unfit& unfit) {
      throw Error("invalid_arguments", method + " cannot be sent: " + unfit.what());
    }
    flush();
    if (write_failed_) throw Closed{false};
    Json message = await(id);
    if (const auto error = message.find("error"); error != message.end()) throw error_of(*error);
    return std::move(message["result"]);
  }

  // Keeps a response for the request that waits for it; others are dropped.
  void take_answer(Json&& message) {
    const auto& id = message["id"];
    if (!id.is_number_integer()) return;
    const std::lock_guard lock(mutex_);
    const auto number = id.get<std::int64_t>();
    if (!expected_.contains(number)) return;
    answers_[number] = std::move(message);
    if (waiters_ > 0) changed_.notify_all();
  }

  // Makes the calling thread the reader, or returns false when another thread reads now.
  bool acquire() {
    const std::lock_guard lock(mutex_);
    if (reading_) return false;
    return reading_ = true;
  }
  // Lets another thread read.
  void release() {
    const std::lock_guard lock(mutex_);
    reading_ = false;
    if (waiters_ > 0) changed_.notify_all();
  }
  // Waits until ready() or nobody reads.
  template <class Ready>
  void wait_change(Ready ready) {
    std::unique_lock lock(mutex_);
    ++waiters_;
    changed_.wait(lock, [&] { return !reading_ || closed_ || ready(); });
    --waiters_;
  }

  void close() {
    closed_ = true;
    if (read_fd_ >= 0) ::close(read_fd_);
    if (write_fd_ >= 0 && write_fd_ != read_fd_) ::close(write_fd_);
    read_fd_ = write_fd_ = -1;
  }

 private:
  struct Taken {
    std::string_view text;
    std::vector<std::string_view> blobs;
  };

  static void append(std::string& out, const Json& value) {
    try {
      if (value.is_number_integer()) {
        out += std::to_string(value.get<std::int64_t>());
      } else {
        out += value.dump();
      }
    } catch (const Json::exception& error) {
      throw Unfit(error.what());
    }
  }

  static bool is_message(const Json& message) {
    if (!message.is_object()) return false;
    const auto version = message.find("jsonrpc");
    if (version == message.end() || *version != "2.0") return false;
    const auto method = message.find("method");
    if (method != message.end()) return method->is_string();
    return message.contains("id") && (message.contains("result") || message.contains("error"));
  }

  static Error error_of(const Json& error) {
    if (!error.is_object()) return Error("protocol", "the engine answered with a malformed error");
    Json data = error.value("data", Json::object());
    if (!data.is_object()) data = Json::object();
    const auto text = [&](const Json& object, const char* name) {
      const auto found = object.find(name);
      return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    auto type = text(data, "type");
    auto hint = text(data, "hint");
    data.erase("type");
    data.erase("hint");
    return Error(type.empty() ? "internal" : type, text(error, "message"), hint, std::move(data));
  }

  // The head's numbers. Errors: FrameError.
  static void read_head(std::string_view head, std::vector<std::size_t>& sizes) {
    sizes.clear();
    std::size_t total = 0;
    std::size_t at = 0;
    while (true) {
      const auto begin = at;
      std::size_t number = 0;
      while (at < head.size() && head[at] >= '0' && head[at] <= '9') {
        if (at - begin >= 8) throw FrameError("frame larger than 67108864 bytes");
        number = number * 10 + static_cast<std::size_t>(head[at++] - '0');
      }
      if (at == begin || (head[begin] == '0' && at - begin > 1)) throw FrameError("malformed frame head");
      total += number;
      if (total > kMaxFrame) throw FrameError("frame larger than 67108864 bytes");
      sizes.push_back(number);
      if (sizes.size() > kMaxBlobs + 1) throw FrameError("more than 1024 blobs in a frame");
      if (at == head.size()) return;
      if (head[at++] != ' ') throw FrameError("malformed frame head");
    }
  }

  // The next frame, if it is here whole; its views hold until the next call. Errors: FrameError.
  bool take(Taken& taken) {
    const std::string_view have = std::string_view(buffer_).substr(start_, end_ - start_);
    if (have.empty()) return false;
    const auto cut = have.find('\n');
    if (cut == std::string_view::npos || cut > kMaxHead) {
      if (have.size() > kMaxHead) throw FrameError("frame head longer than 16384 bytes");
      if (have[0] < '0' || have[0] > '9') throw FrameError("malformed frame head");
      return false;
    }
    read_head(have.substr(0, cut), sizes_);
    std::size_t total = 0;
    for (const auto size : sizes_) total += size;
    std::string_view whole;
    if (cut + 1 + total <= have.size()) {
      whole = have.substr(cut + 1, total);
      start_ += cut + 1 + total;
    } else if (cut + 1 + total <= kRoom) {
      return false;
    } else {
      large_.assign(have.substr(cut + 1));
      start_ = end_ = 0;
      const auto begin = large_.size();
      large_.resize(total);
      flush();
      for (std::size_t at = begin; at < total;) {
        const auto count = read_some(large_.data() + at, total - at);
        if (count <= 0) {
          ended_ = true;
          return false;
        }
        at += static_cast<std::size_t>(count);
      }
      whole = large_;
    }
    taken.text = whole.substr(0, sizes_[0]);
    std::size_t at = sizes_[0];
    for (std::size_t i = 1; i < sizes_.size(); ++i) {
      taken.blobs.push_back(whole.substr(at, sizes_[i]));
      at += sizes_[i];
    }
    return true;
  }

  // One blocking read. False at the connection's end.
  bool fill() {
    if (start_ == end_) {
      start_ = end_ = 0;
    } else if (start_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + start_, end_ - start_);
      end_ -= start_;
      start_ = 0;
    }
    const auto count = read_some(buffer_.data() + end_, buffer_.size() - end_);
    if (count <= 0) return false;
    end_ += static_cast<std::size_t>(count);
    return true;
  }

  ssize_t read_some(char* to, std::size_t size) {
    ssize_t count = 0;
    do {
      count = ::read(read_fd_, to, size);
    } while (count < 0 && errno == EINTR);
    return count;
  }

  // Moves a frame's blobs into params or result. False when that was refused and answered.
  bool place_blobs(Json& message, const std::vector<std::string_view>& blobs) {
    const bool response = !message.contains("method");
    const auto content = message.find(response ? "result" : "params");
    Json listed = Json::array();
    if (content != message.end() && content->is_object()) {
      if (const auto found = content->find("blobs"); found != content->end()) {
        listed = std::move(*found);
        content->erase(found);
      }
    }
    if (blobs.empty() && (listed.is_null() || (listed.is_array() && listed.empty()))) return true;
    try {
      if (!listed.is_array() || listed.size() != blobs.size()) {
        throw std::invalid_argument("the frame has " + std::to_string(blobs.size()) + " blobs, its JSON lists others");
      }
      for (std::size_t i = 0; i < blobs.size(); ++i) place_one(*content, listed[i], blobs[i]);
      return true;
    } catch (const std::exception& error) {
      if (response) {
        message.erase("result");
        message["error"] = {{"code", -32602}, {"message", error.what()}, {"data", {{"type", "protocol"}}}};
        return true;
      }
      if (const auto id = message.find("id"); id != message.end()) answer_error(*id, -32602, "invalid_arguments", error.what());
      return false;
    }
  }

  static void place_one(Json& root, const Json& entry, std::string_view blob) {
    const auto text = [&](const char* name) {
      const auto found = entry.find(name);
      return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto type = entry.is_object() ? text("type") : std::string();
    if (type != "string" && type != "bytes") throw std::invalid_argument("a blob's entry has `at` and a `type` of string or bytes");
    const auto at = text("at");
    if (at.empty()) throw std::invalid_argument("a blob's place is a JSON Pointer to a member");
    Json& place = root.at(Json::json_pointer(at));
    if (!place.is_null()) throw std::invalid_argument("the blob's place " + at + " does not hold null");
    if (type == "bytes") {
      place = Json::binary(std::vector<std::uint8_t>(blob.begin(), blob.end()));
    } else {
      if (!valid_utf8(blob)) throw std::invalid_argument("a string blob is not UTF-8");
      place = std::string(blob);
    }
  }

  static bool valid_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
      const auto byte = [&](std::size_t offset) { return static_cast<unsigned char>(i + offset < text.size() ? text[i + offset] : 0); };
      const unsigned lead = byte(0);
      std::size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
      if (length == 0) return false;
      for (std::size_t j = 1; j < length; ++j) {
        if ((byte(j) & 0xC0U) != 0x80U) return false;
      }
      // Overlong forms, surrogates and what lies beyond U+10FFFF.
      if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
        return false;
      }
      i += length;
    }
    return true;
  }

  void put(const std::string& body, const std::vector<std::string>& blobs) {
    std::string head = std::to_string(body.size());
    std::size_t size = body.size();
    for (const auto& blob : blobs) {
      head += ' ';
      head += std::to_string(blob.size());
      size += blob.size();
    }
    if (size > kMaxFrame || blobs.size() > kMaxBlobs) throw Unfit("it is larger than 67108864 bytes");
    head += '\n';
    const std::lock_guard lock(out_mutex_);
    out_ += head;
    out_ += body;
    for (const auto& blob : blobs) out_ += blob;
  }

  void put_message(Json message, Json&& params) {
    std::vector<std::string> blobs;
    Json listed = Json::array();
    if (!is_plain(params)) externalize(params, "", blobs, listed);
    if (!blobs.empty()) params["blobs"] = std::move(listed);
    message["params"] = std::move(params);
    std::string body;
    append(body, message);
    put(body, blobs);
  }

  Json await(std::int64_t id) {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        ++waiters_;
        changed_.wait(lock, [&] { return answers_.contains(id) || !reading_ || closed_; });
        --waiters_;
        if (const auto found = answers_.find(id); found != answers_.end()) {
          Json answer = std::move(found->second);
          answers_.erase(found);
          return answer;
        }
        if (closed_) throw Closed{true};
        reading_ = true;
      }
      struct Release {
        Connection& connection;
        ~Release() { connection.release(); }
      } releaser{*this};
      read_until(id);
    }
  }

  void read_until(std::int64_t id) {
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        if (answers_.contains(id)) return;
      }
      if (cancelled) throw Error("cancelled", "the call was cancelled");
      std::optional<Json> message;
      try {
        message = receive();
      } catch (const FrameError&) {
        message.reset();
      }
      if (!message) {
        closed_ = true;
        return;
      }
      if (message->contains("method")) {
        on_message(std::move(*message));
      } else {
        take_answer(std::move(*message));
      }
    }
  }

  void refuse(const Json& message) {
    const auto id = message.find("id");
    if (id == message.end()) return;
    if (message["method"] == "ping") {
      answer_result(*id, Json::object());
    } else {
      answer_error(*id, -32601, "unknown_method", "unknown method " + message["method"].get<std::string>());
    }
    flush();
  }

  int read_fd_;
  int write_fd_;
  std::string buffer_;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::string large_;
  std::vector<std::size_t> sizes_;
  std::string body_;
  std::mutex out_mutex_;
  std::string out_;
  std::mutex write_mutex_;
  std::string writing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiters_ = 0;
  bool reading_ = false;
  bool ended_ = false;
  bool write_failed_ = false;
  bool closed_ = false;
  std::int64_t next_id_ = 1;
  std::set<std::int64_t> expected_;
  std::map<std::int64_t, Json> answers_;
};

}  // namespace sabir::detail

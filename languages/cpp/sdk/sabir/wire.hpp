// Connection: frames and messages of the worker protocol (spec/worker-protocol.md) over one or two descriptors.
//
// Threads: any thread may send. request() may run in several threads at once: one of them reads for all, the others wait
// for their answers. Everything else belongs to the thread that reads.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
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

// What is the same for each call of a function: the members of its params behind `arguments`, for which `place` is the worker's
// own to keep what it found for them.
struct KnownEnd {
  Json params;
  void* place = nullptr;
};

// A message. Of a call whose end is known only `id`, `arguments` and `context` were read; `json` has all others.
struct Message {
  Json json;
  std::shared_ptr<KnownEnd> end;
  std::shared_ptr<const Json> context;
  Json id;
  Json arguments;
};

class Connection {
 public:
  static constexpr std::size_t kMaxFrame = std::size_t{64} << 20U;
  static constexpr std::size_t kMaxBlobs = 1024;
  static constexpr std::size_t kMaxHead = 16384;
  static constexpr std::size_t kRoom = 65536;
  static constexpr std::size_t kMostKnown = 1000;

  // Called, in the thread that reads, with every request and notification that arrives while a request() waits.
  std::function<void(Message&&)> on_message;
  Json parent;             // id of the running call; null when there is none
  std::atomic<bool> cancelled = false;  // the running call was cancelled

  Connection(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd), buffer_(kRoom, '\0') {
    on_message = [this](Message&& message) { refuse(message); };
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
  std::optional<Message> receive() {
    try {
      while (true) {
        Taken taken;
        if (!take(taken)) {
          if (ended_) return std::nullopt;
          flush();
          if (!fill()) return std::nullopt;
          continue;
        }
        if (auto message = opened(taken)) return message;
      }
    } catch (const FrameError& error) {
      answer_error(nullptr, -32600, "protocol", error.what());
      flush();
      throw;
    }
  }

  // Hands over, without waiting, what has arrived whole; `readable`: first one read, which does not block. False at the
  // connection's end. REQUIRES: acquire().
  bool receive_available(bool readable) {
    try {
      if (readable && !fill()) return false;
      while (start_ != end_) {
        Taken taken;
        if (!take(taken)) return !ended_;
        if (auto message = opened(taken)) dispatch(std::move(*message));
      }
      return true;
    } catch (const FrameError&) {
      return false;
    }
  }

  // Wakes those that wait in wait_change() or for an answer.
  void notify_waiters() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
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

  // The message of a frame; nothing when it is none, which is answered here.
  std::optional<Message> opened(const Taken& taken) {
    if (taken.blobs.empty()) {
      if (auto call = known_call(taken.text)) return call;
    }
    auto json = parsed(taken);
    if (!json) return std::nullopt;
    return Message{std::move(*json), nullptr, nullptr, nullptr, nullptr};
  }

  // A call whose end was met before, with only its arguments parsed; nothing when it has to be looked at as a whole. The text is
  // split right if each part is JSON by itself, since an object ends where its brace does.
  std::optional<Message> known_call(std::string_view text) {
    constexpr std::string_view kBegin = R"({"jsonrpc":"2.0","id":)";
    constexpr std::string_view kCall = R"(,"method":"call","params":{"deadline_ms":)";
    constexpr std::string_view kContext = R"(,"context":)";
    constexpr std::string_view kArguments = R"(,"arguments":)";
    constexpr std::string_view kEnd = R"(,"module":)";
    if (!text.starts_with(kBegin)) return std::nullopt;
    const std::size_t end = text.rfind(kEnd);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view head = text.substr(kBegin.size(), end - kBegin.size());
    const auto digits = [&head]() -> std::optional<std::int64_t> {
      std::size_t count = 0;
      std::int64_t number = 0;
      for (; count < head.size() && count < 18 && head[count] >= '0' && head[count] <= '9'; ++count) number = number * 10 + (head[count] - '0');
      if (count == 0 || (count > 1 && head[0] == '0')) return std::nullopt;
      head.remove_prefix(count);
      return number;
    };
    const auto past = [&head](std::string_view word) {
      if (!head.starts_with(word)) return false;
      head.remove_prefix(word.size());
      return true;
    };
    const auto id = digits();
    if (!id || !past(kCall) || !digits() || !past(kContext)) return std::nullopt;
    const std::size_t cut = head.find(kArguments);
    if (cut == std::string_view::npos) return std::nullopt;
    Message call;
    call.end = known_end(text.substr(end));
    call.context = known_context(head.substr(0, cut));
    head.remove_prefix(cut + kArguments.size());
    if (!call.end || !call.context || unfit(head) != nullptr) return std::nullopt;
    call.arguments = Json::parse(head.begin(), head.end(), nullptr, false);
    if (!call.arguments.is_object()) return std::nullopt;
    call.id = *id;
    return call;
  }

  std::shared_ptr<KnownEnd> known_end(std::string_view text) {
    if (const auto found = ends_.find(text); found != ends_.end()) return found->second;
    if (!text.ends_with("}}") || unfit(text) != nullptr) return nullptr;
    auto params = Json::parse("{" + std::string(text.substr(1, text.size() - 2)), nullptr, false);
    if (!params.is_object()) return nullptr;
    for (const char* const name : {"arguments", "context", "blobs"}) {
      if (params.contains(name)) return nullptr;
    }
    if (ends_.size() >= kMostKnown) ends_.clear();
    return ends_.emplace(std::string(text), std::make_shared<KnownEnd>(KnownEnd{std::move(params)})).first->second;
  }

  std::shared_ptr<const Json> known_context(std::string_view text) {
    if (const auto found = contexts_.find(text); found != contexts_.end()) return found->second;
    if (unfit(text) != nullptr) return nullptr;
    auto context = Json::parse(text.begin(), text.end(), nullptr, false);
    if (!context.is_object()) return nullptr;
    if (contexts_.size() >= kMostKnown) contexts_.clear();
    return contexts_.emplace(std::string(text), std::make_shared<const Json>(std::move(context))).first->second;
  }

  std::optional<Json> parsed(const Taken& taken) {
    Json message;
    try {
      message = Json::parse(taken.text.begin(), taken.text.end(), nullptr, false);
      if (message.is_discarded()) {
        // Read again for its id alone: nothing is changed in silence.
        const std::string repaired = without_lone_surrogates(taken.text);
        message = Json::parse(repaired.begin(), repaired.end());
        return refused(message, "a string has a lone surrogate (\\ud800 to \\udfff), which is no character");
      }
      if (const char* const why = unfit(taken.text)) return refused(message, why);
    } catch (const Json::exception& error) {
      answer_error(nullptr, -32700, "protocol", std::string("a frame's JSON text does not parse: ") + error.what());
      return std::nullopt;
    }
    if (!is_message(message)) {
      answer_error(nullptr, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object");
      return std::nullopt;
    }
    if (!place_blobs(message, taken.blobs)) return std::nullopt;
    return message;
  }

  // Nothing for a request, which is answered, or a notification; a response that is an error.
  std::optional<Json> refused(const Json& message, const std::string& why) {
    const auto id = message.is_object() ? message.find("id") : message.end();
    if (!message.is_object() || id == message.end()) return std::nullopt;
    if (!message.contains("method")) {
      return Json{{"id", *id}, {"error", {{"code", -32602}, {"message", why}, {"data", {{"type", "protocol"}}}}}};
    }
    answer_error(*id, -32602, "invalid_arguments", why);
    return std::nullopt;
  }

  // Why valid JSON cannot be passed on, or null: the JSON library would round an integer that neither std::int64_t nor
  // std::uint64_t holds, and what walks through a value does so by recursion.
  static const char* unfit(std::string_view text) {
    constexpr int kDeepest = 500;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    int depth = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] == '"') {
        for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
      } else if (text[at] == '[' || text[at] == '{') {
        if (++depth > kDeepest) return "a value is nested more than 500 levels deep";
      } else if (text[at] == ']' || text[at] == '}') {
        --depth;
      } else if (is_digit(text[at])) {
        const std::size_t begin = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        const std::string_view digits = text.substr(begin, at - begin);
        const bool integer = at >= text.size() || (text[at] != '.' && (text[at] | 0x20) != 'e');
        const std::string_view most = begin > 0 && text[begin - 1] == '-' ? "9223372036854775808" : "18446744073709551615";
        if (integer && (digits.size() > most.size() || (digits.size() == most.size() && digits > most))) {
          return "an integer has more than 64 bits, which no C++ integer holds";
        }
        // A fraction and an exponent have digits of their own.
        while (at < text.size() && (is_digit(text[at]) || text[at] == '.' || text[at] == '+' || text[at] == '-' || (text[at] | 0x20) == 'e')) ++at;
        --at;
      }
    }
    return nullptr;
  }

  // With U+FFFD for each surrogate that is written alone.
  static std::string without_lone_surrogates(std::string_view text) {
    const auto surrogate = [&](std::size_t at, char least, char most) {
      if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u' || (text[at + 2] | 0x20) != 'd') return false;
      const char digit = static_cast<char>(text[at + 3] | 0x20);
      return digit >= least && digit <= most;
    };
    // The fourth digit, in ASCII with lower-case letters: 8 to b leads a pair, c to f ends one.
    const auto leads = [&](std::size_t at) { return surrogate(at, '8', '9') || surrogate(at, 'a', 'b'); };
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      std::size_t size = 1;
      if (leads(at) && surrogate(at + 6, 'c', 'f')) size = 12;
      else if (text[at] == '\\') size = 2;
      if (size == 2 && (leads(at) || surrogate(at, 'c', 'f'))) {
        out += "\\ufffd";
        at += 6;
        continue;
      }
      out += text.substr(at, size);
      at += size;
    }
    return out;
  }

  void dispatch(Message&& message) {
    if (message.end || message.json.contains("method")) {
      on_message(std::move(message));
    } else {
      take_answer(std::move(message.json));
    }
  }

  static void append(std::string& out, const Json& value) {
    try {
      if (value.is_number_integer() && !value.is_number_unsigned()) {
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
        changed_.wait(lock, [&] { return answers_.contains(id) || !reading_ || closed_ || cancelled; });
        --waiters_;
        if (const auto found = answers_.find(id); found != answers_.end()) {
          Json answer = std::move(found->second);
          answers_.erase(found);
          return answer;
        }
        if (closed_) throw Closed{true};
        if (cancelled) throw Error("cancelled", "the call was cancelled");
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
      std::optional<Message> message;
      try {
        message = receive();
      } catch (const FrameError&) {
        message.reset();
      }
      if (!message) {
        closed_ = true;
        return;
      }
      dispatch(std::move(*message));
    }
  }

  void refuse(const Message& received) {
    if (received.end) {
      answer_error(received.id, -32601, "unknown_method", "unknown method call");
      return flush();
    }
    const Json& message = received.json;
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
  // Of calls, by their text; used by the thread that reads.
  std::map<std::string, std::shared_ptr<KnownEnd>, std::less<>> ends_;
  std::map<std::string, std::shared_ptr<const Json>, std::less<>> contexts_;
};

}  // namespace sabir::detail

// The C++ worker's main program: serves the functions that glue has registered (spec/worker-protocol.md).
//
// Threads: the main thread runs the calls, one at a time, in the order of their arrival. While a function runs that knows
// of cancellation, a thread of its own reads.
#ifndef SABIR_WORKER
#define SABIR_WORKER
#endif

#include "sabir/worker.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "sabir/arguments_inline.hpp"
#include "sabir/exception_class.hpp"
#include "sabir/sabir.hpp"
#include "sabir/sabir_inline.hpp"
#include "sabir/yield.hpp"

namespace sabir::worker {
namespace {

using sabir::detail::Connection;
using sabir::detail::Message;

// A function, and whether its last run was quick enough to let other answers wait for its own.
struct Entry {
  Handler handler = nullptr;
  bool watched = false;
  bool quick = false;
};

// By "module\nfunction".
std::unordered_map<std::string, Entry>& entries() {
  static std::unordered_map<std::string, Entry> all;
  return all;
}

// Reads the connection while a function runs, until it is destroyed.
class Watch {
 public:
  Watch(Connection& connection, int wake) : connection_(connection), wake_(wake), thread_([this] { run(); }) {}
  ~Watch() {
    done_ = true;
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
    connection_.notify_waiters();
    thread_.join();
    std::uint64_t count = 0;
    (void)!::read(wake_, &count, sizeof count);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  void run() {
    while (!done_) {
      if (!connection_.acquire()) {
        connection_.wait_change([this] { return done_.load(); });
        continue;
      }
      bool alive = connection_.receive_available(false);
      while (alive && !done_) {
        pollfd both[2] = {{connection_.read_fd(), POLLIN, 0}, {wake_, POLLIN, 0}};
        if (::poll(both, 2, -1) < 0 && errno != EINTR) break;
        if (both[0].revents != 0 && !done_) alive = connection_.receive_available(true);
      }
      connection_.release();
      // The main thread meets the connection's end itself.
      if (!alive) return;
    }
  }

  Connection& connection_;
  const int wake_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

class Worker {
 public:
  Worker(int read_fd, int write_fd) : connection_(read_fd, write_fd) {
    connection_.on_message = [this](Message&& message) { meanwhile(std::move(message)); };
    sabir::detail::Channel::instance().set_worker(&connection_);
  }

  // Runs until the connection ends or drains. Returns the exit status.
  int serve() {
    try {
      while (true) {
        Message message;
        if (auto queued = next_of_queue()) {
          message = std::move(*queued);
        } else {
          if (!connection_.acquire()) {
            connection_.wait_change([this] { return has_queued(); });
            if (connection_.closed()) return 0;
            continue;
          }
          auto received = connection_.receive();
          connection_.release();
          if (!received) return 0;
          message = std::move(*received);
        }
        if (message.end) {
          call_known(message);
        } else if (const auto method = message.json.find("method"); method == message.json.end()) {
          connection_.take_answer(std::move(message.json));
        } else if (*method == "call") {
          if (message.json.contains("id")) call(message.json);
        } else if (other(message.json)) {
          return status_;
        }
        if (has_queued()) connection_.flush();
      }
    } catch (const sabir::detail::FrameError&) {
      return 1;
    }
  }

 private:
  bool has_queued() {
    const std::lock_guard lock(queue_mutex_);
    return !queue_.empty();
  }
  std::optional<Message> next_of_queue() {
    const std::lock_guard lock(queue_mutex_);
    if (queue_.empty()) return std::nullopt;
    std::optional<Message> message = std::move(queue_.front());
    queue_.pop_front();
    return message;
  }

  // Everything but calls. True when the worker ends.
  bool other(Json& message) {
    const auto& method = message["method"].get_ref<const std::string&>();
    const auto found = message.find("params");
    const Json params = found == message.end() || !found->is_object() ? Json::object() : std::move(*found);
    const auto id = message.find("id");
    if (id == message.end()) {
      if (method == "cancel") cancel(params);
      return false;
    }
    if (method == "ping") {
      connection_.answer_result(*id, Json::object());
    } else if (method == "hello") {
      return hello(*id, params);
    } else if (method == "start") {
      if (params.contains("project") && params["project"].is_string()) {
        root_ = params["project"].get<std::string>();
        ::setenv("SABIR_PROJECT", root_.c_str(), 0);
        if (params.contains("environment") && params["environment"].is_string()) {
          ::setenv("SABIR_ENV", params["environment"].get_ref<const std::string&>().c_str(), 0);
        }
        connection_.answer_result(*id, Json::object());
      } else {
        connection_.answer_error(*id, -32602, "invalid_arguments", "start needs the project's folder");
      }
    } else if (method == "drain") {
      connection_.answer_result(*id, Json::object());
      connection_.flush();
      status_ = 0;
      return true;
    } else {
      connection_.answer_error(*id, -32601, "unknown_method", "unknown method " + method);
    }
    return false;
  }

  bool hello(const Json& id, const Json& params) {
    const auto versions = params.value("protocol", Json());
    if (!versions.is_object() || !versions.value("min", Json()).is_number_integer() || !versions.value("max", Json()).is_number_integer()) {
      connection_.answer_error(id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max");
      return false;
    }
    if (versions["min"] > 1 || versions["max"] < 1) {
      connection_.answer_error(id, -32001, "protocol",
                               "this worker speaks protocol 1, the engine " + versions["min"].dump() + " to " + versions["max"].dump());
      connection_.flush();
      status_ = 1;
      return true;
    }
    connection_.answer_result(id, {{"protocol", 1}, {"language", "cpp"}, {"runtime", __VERSION__}, {"sdk", kVersion},
                                   {"capabilities", {{"blobs", true}, {"chunks", true}, {"cancel", true}}}});
    return false;
  }

  // A message that arrives while a function waits for the engine.
  void meanwhile(Message&& message) {
    if (is_call(message) || message.json["method"] == "drain") {
      const std::lock_guard lock(queue_mutex_);
      queue_.push_back(std::move(message));
    } else {
      other(message.json);
      connection_.flush();
    }
  }

  static bool is_call(const Message& message) { return message.end || message.json["method"] == "call"; }
  static Json id_of(const Message& message) { return message.end ? message.id : message.json.value("id", Json()); }

  void cancel(const Json& params) {
    const auto id = params.value("id", Json());
    if (id.is_null()) return;
    if (id == connection_.parent) {
      // Ends a wait for the engine and the next value of a function that yields; a std::stop_token is told.
      connection_.cancelled = true;
      connection_.notify_waiters();
      stop_.request_stop();
      return;
    }
    const std::lock_guard lock(queue_mutex_);
    for (auto it = queue_.begin(); it != queue_.end(); ++it) {
      if (is_call(*it) && id_of(*it) == id) {
        queue_.erase(it);
        connection_.answer_error(id, -32000, "cancelled", "the call was cancelled before it ran", {{"reason", params.value("reason", "")}});
        return;
      }
    }
  }

  // A module is registered under its file's path inside the project, its whole path, or its name without extension.
  Entry* find(const std::string& module, const std::string& receiver, const std::string& function) {
    auto& all = entries();
    const auto slash = module.rfind('/');
    const auto begin = slash == std::string::npos ? 0 : slash + 1;
    const auto dot = module.rfind('.');
    const auto name = std::string_view(module).substr(begin, dot == std::string::npos || dot < begin ? std::string::npos : dot - begin);
    const std::string_view whole = module;
    const auto inside = !root_.empty() && module.starts_with(root_ + "/") ? whole.substr(root_.size() + 1) : whole;
    for (const std::string_view known : {inside, whole, name}) {
      for (const bool qualified : {true, false}) {
        if (qualified && receiver.empty()) continue;
        key_.assign(known).append("\n");
        if (qualified) key_.append(receiver).append("::");
        key_.append(function);
        if (const auto found = all.find(key_); found != all.end()) return &found->second;
      }
    }
    return nullptr;
  }

  static const std::string& text(const Json& params, const char* name) {
    static const std::string kNone;
    const auto found = params.find(name);
    return found != params.end() && found->is_string() ? found->get_ref<const std::string&>() : kNone;
  }

  void call_known(const Message& message) {
    const Json& params = message.end->params;
    const auto positional = params.find("positional");
    if (text(params, "module").empty() || text(params, "function").empty() || (positional != params.end() && !positional->is_array())) {
      connection_.answer_error(message.id, -32602, "invalid_arguments", "a call needs `module` and `function`, and `positional` is an array");
      return;
    }
    const auto& function = text(params, "function");
    auto* entry = static_cast<Entry*>(message.end->place);
    if (entry == nullptr) message.end->place = entry = find(text(params, "module"), text(params, "receiver"), function);
    run_entry(message.id, entry, text(params, "module"), function, message.arguments, *message.context);
  }

  void call(Json& message) {
    const Json id = std::move(message["id"]);
    const auto found = message.find("params");
    static const Json kEmpty = Json::object();
    if (found == message.end() || !found->is_object() || text(*found, "module").empty() || text(*found, "function").empty()) {
      connection_.answer_error(id, -32602, "invalid_arguments", "a call needs `module` and `function`");
      return;
    }
    auto& params = *found;
    const auto& module = text(params, "module");
    const auto& function = text(params, "function");
    const auto arguments = params.find("arguments");
    const auto positional = params.find("positional");
    const auto context = params.find("context");
    if ((arguments != params.end() && !arguments->is_object()) || (positional != params.end() && !positional->is_array())) {
      connection_.answer_error(id, -32602, "invalid_arguments", "`arguments` is an object and `positional` an array");
      return;
    }
    run_entry(id, find(module, text(params, "receiver"), function), module, function, arguments == params.end() ? kEmpty : *arguments,
              context == params.end() ? kEmpty : *context);
  }

  // `entry`: null where there is no such function.
  void run_entry(const Json& id, Entry* entry, const std::string& module, const std::string& function, const Json& given, const Json& caller) {
    if (entry == nullptr) {
      connection_.answer_error(id, -32000, "unknown_function", shown(module) + " has no function " + function, {{"file", shown(module)}});
      return;
    }
    if (!entry->quick || entry->watched) connection_.flush();
    connection_.parent = id;
    const auto began = std::chrono::steady_clock::now();
    Json value;
    const bool done = run(id, function, [&] {
      if (!entry->watched) return entry->handler(Arguments(given, caller), value);
      stop_ = std::stop_source();
      const std::stop_token token = stop_.get_token();
      const Watch watch(connection_, wake_);
      entry->handler(Arguments(given, caller, &token), value);
    });
    entry->quick = std::chrono::steady_clock::now() - began < std::chrono::microseconds(200);
    connection_.parent = nullptr;
    connection_.cancelled = false;
    if (!done) return;
    try {
      connection_.answer_value(id, std::move(value));
    } catch (const std::exception& error) {
      connection_.answer_error(id, -32000, "invalid_result", function + " returned a value that JSON cannot carry: " + error.what(),
                               {{"hint", "return UTF-8 strings, finite numbers, booleans, vectors and maps"}});
    }
  }

  // Runs the function; what it throws becomes the call's answer, and the result is false.
  template <class Body>
  bool run(const Json& id, const std::string& function, Body body) {
    try {
      body();
      return true;
    } catch (const InvalidArgument& error) {
      connection_.answer_error(id, -32602, "invalid_arguments", error.what());
    } catch (const InvalidResult& error) {
      connection_.answer_error(id, -32000, "invalid_result", function + " returned a value that JSON cannot carry: " + error.what());
    } catch (const Cancelled&) {
      connection_.answer_error(id, -32000, "cancelled", "the call was cancelled");
    } catch (const Error& error) {
      if (error.type == "cancelled" && connection_.cancelled) {
        connection_.answer_error(id, -32000, "cancelled", "the call was cancelled");
        return false;
      }
      Json data{{"error_class", "sabir::Error"}, {"cause", {{"type", error.type}, {"data", error.data}}}};
      if (!error.hint.empty()) data["hint"] = error.hint;
      connection_.answer_error(id, -32000, "function_error", error.message, std::move(data));
    } catch (const std::exception& error) {
      connection_.answer_error(id, -32000, "function_error", error.what(), {{"error_class", sabir::detail::class_of_current_exception()}});
    } catch (...) {
      connection_.answer_error(id, -32000, "function_error", function + " threw a value that is no std::exception",
                               {{"error_class", sabir::detail::class_of_current_exception()}});
    }
    return false;
  }

  std::string shown(const std::string& path) const {
    return !root_.empty() && path.starts_with(root_ + "/") ? path.substr(root_.size() + 1) : path;
  }

  Connection connection_;
  const int wake_ = ::eventfd(0, EFD_CLOEXEC);
  std::stop_source stop_;  // of the running call, where its function takes a token
  std::mutex queue_mutex_;
  std::deque<Message> queue_;
  std::string root_;
  std::string key_;
  int status_ = 0;
};

}  // namespace

bool add(const char* module, const char* function, Handler handler, bool watched) {
  entries()[std::string(module) + "\n" + function] = {handler, watched};
  return true;
}

void Arguments::send(const Json& value) const {
  Connection* const connection = sabir::detail::Channel::instance().worker();
  if (connection->cancelled) throw Cancelled();
  connection->notify("chunk", {{"id", connection->parent}, {"value", value}});
}

namespace {

// Serves the connection that SABIR_FD names. Returns the process's exit status.
int serve() {
  const auto given = sabir::detail::variable("SABIR_FD");
  ::unsetenv("SABIR_FD");
  int fds[2] = {-1, -1};
  char rest = 0;
  const int count = std::sscanf(given.c_str(), "%d,%d%c", &fds[0], &fds[1], &rest);
  if (count == 1 && given.find(',') == std::string::npos) fds[1] = fds[0];
  for (const int fd : fds) {
    if (count < 1 || count > 2 || fd < 0 || ::fcntl(fd, F_GETFD) < 0) {
      std::fprintf(stderr, "a Sabir worker is started by the engine: SABIR_FD has to name its connection\n");
      return 2;
    }
    // Programs that a function starts must not hold the connection open.
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 1U << 16U);
  const int status = Worker(fds[0], fds[1]).serve();
  std::fflush(nullptr);
  // The process ends soon, whatever threads and destructors of the user's do.
  std::thread([status] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    std::_Exit(status);
  }).detach();
  return status;
}

}  // namespace
}  // namespace sabir::worker

int main() { return sabir::worker::serve(); }

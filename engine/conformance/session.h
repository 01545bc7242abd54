// Session: one worker process and the engine's side of its connection, as raw as a check wants it.
//
// Threads: one at a time. Lifetime: the worker is killed when the session ends.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/conformance/conformance.h"
#include "sabir/process/spawn.h"
#include "sabir/protocol/frame.h"

namespace sabir::conformance {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Why a check fails. Thrown inside checks, caught by run().
struct Failure {
  std::string detail;
};
[[noreturn]] void fail_check(std::string detail);

// Why a check says nothing of this language. Thrown inside checks, caught by run().
struct NotApplicable {
  std::string reason;
};
void expect(bool condition, const std::string& detail);

struct Message {
  json::object object;
  std::vector<std::string> blobs;

  bool is_response() const { return !object.contains("method"); }
  bool is(std::string_view method) const;
  bool is_error() const { return object.contains("error"); }
  // Members of error; "" and 0 where they are absent or of another kind.
  std::string error_type() const;
  std::int64_t error_code() const;
  std::string error_message() const;
  const json::object& error_data() const;
  // result.value with its blobs in place as strings; fails the check on an error answer.
  json::value value() const;
  std::string text() const;  // shortened, for details
};

enum class Transport { kSocket, kPipes };

// What a call may carry beside function and arguments.
struct CallExtras {
  std::vector<std::string> positional;
  json::object more;                  // further members of params
  std::vector<std::string> blobs;     // with their list in more["blobs"]
};

std::string frame(std::string_view json_text, const std::vector<std::string>& blobs = {});

class Session {
 public:
  // `descriptor`: the number that the worker sees (the reading one of two for pipes).
  Session(const Options& options, Transport transport = Transport::kSocket, int descriptor = 3);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // hello and start, as the engine does it.
  void greet();

  // Writes bytes as they are, reading what the worker sends meanwhile.
  void send_bytes(std::string_view bytes);
  void send(const json::object& message, const std::vector<std::string>& blobs = {});
  void notify(std::string_view method, json::object params);
  // Sends a request with the next id and returns that.
  std::int64_t request(std::string_view method, json::value params, const std::vector<std::string>& blobs = {});
  std::int64_t call(std::string_view function, json::object arguments, CallExtras extras = {});
  json::object call_params(std::string_view function, json::object arguments, CallExtras extras = {}) const;

  // The next message. Fails the check after the deadline, at the connection's end and for bytes that are no frame.
  Message receive();
  std::optional<Message> receive_within(milliseconds time);
  // The next frame's JSON text as it came.
  std::string receive_raw();
  // The response with that id; whatever else arrives before it is kept in `others`.
  Message response(const json::value& id);
  // The worker's next request with that method.
  Message worker_request(std::string_view method);
  void answer(const Message& request, json::object result, const std::vector<std::string>& blobs = {});
  Message ping();

  // Everything until the worker closes the connection. Fails the check if it does not within the deadline.
  std::vector<Message> until_end();
  bool ended() const { return ended_; }
  void close();
  // The worker's exit, or nothing when it still runs after `time`.
  std::optional<process::ExitStatus> wait_exit(milliseconds time);

  // What the worker wrote to standard output and standard error.
  std::string output();

  std::deque<Message> others;
  json::object hello_result;

 private:
  bool pump(Clock::time_point until, bool want_write);
  std::optional<Message> next_buffered();
  void read_output(int timeout_ms);

  const Options& options_;
  process::Fd read_;
  process::Fd write_;
  process::Fd log_;
  process::Child child_;
  protocol::FrameReader reader_;
  std::string unsent_;
  std::string output_;
  std::optional<process::ExitStatus> exit_;
  std::int64_t next_id_ = 1;
  bool ended_ = false;
};

}  // namespace sabir::conformance

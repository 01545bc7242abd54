// One running call of the exec adapter: the interpreter's process, what it writes, and what it asks of the engine meanwhile.
//
// Threads: the loop's. Lifetimes: `done` is called once, never from inside start(); the call may be destroyed in it. Its
// destructor ends every process that the call has started.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "exec_arguments.h"
#include "sabir/net/loop.h"
#include "sabir/process/spawn.h"
#include "sabir/protocol/payload.h"
#include "sabir/workers/peer.h"

namespace sabir::adapter {

struct ExecSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::filesystem::path directory;
  std::string own_folder;      // of the language's files: no place of the user's
  std::string file;
  const ExecFunction* function = nullptr;  // copied
  ExecInput input;
  bool terminal = false;
};

struct ExecEvents {
  std::function<void(Result<protocol::Payload>)> done;
  std::function<void(protocol::Payload)> chunk;
  std::function<void(std::string_view method, std::string_view members)> notify;  // progress, log: without the id
  std::function<std::size_t()> unsent;  // bytes that the engine has not taken yet
};

class ExecCall {
 public:
  // Errors: whatever starting the process gives.
  static Result<std::unique_ptr<ExecCall>> start(net::Loop& loop, ExecSpec spec, ExecEvents events);
  ~ExecCall();

  // SIGTERM to all of its processes, and SIGKILL a moment later.
  void cancel(const std::string& reason);
  // The engine has answered a request of this call's with an error: what a failure is due to, if there is one.
  void engine_failed(const Error& error) { cause_ = error; }

 private:
  // One of the process's streams.
  struct Reader : net::Stream::Handler {
    std::function<void(std::string_view)> bytes;
    std::function<void()> ended;
    std::unique_ptr<net::Stream> stream;
    void on_bytes(std::string_view b) override { bytes(b); }
    void on_closed() override {
      if (ended) ended();
    }
  };

  ExecCall(net::Loop& loop, ExecSpec spec, ExecEvents events);
  Result<void> spawn();
  Result<void> open(Reader& reader, std::map<int, int>& descriptors, int number, std::vector<process::Fd>& theirs);
  void take_output(std::string_view bytes);
  void take_log(std::string_view bytes);
  void take_control(std::string_view bytes);
  void record(const std::vector<std::string>& words);
  void yield_line(std::string line);
  void hold_back();
  void give_up(Error error);
  void process_ended();
  void stream_ended();
  void finish();
  Result<protocol::Payload> outcome();
  Error failure() const;
  bool is_ours(const std::string& file) const;  // of the language's own files, not of the user's
  std::pair<std::string, int> place_in_log(std::string* message) const;

  net::Loop& loop_;
  ExecSpec spec_;
  ExecFunction function_;
  ExecEvents events_;
  process::Child child_;
  Reader output_reader_;
  Reader log_reader_;
  Reader control_reader_;
  int open_streams_ = 0;
  bool process_gone_ = false;
  bool finished_ = false;
  process::ExitStatus status_;
  net::Loop::WatchId watch_ = 0;
  net::Loop::TimerId kill_timer_ = 0;
  net::Loop::TimerId settle_timer_ = 0;
  net::Loop::TimerId resume_timer_ = 0;

  std::string output_;           // standard output; of a stream the line that has not ended yet
  protocol::Payload yielded_{"[", {}};
  std::size_t yielded_count_ = 0;
  std::size_t yielded_bytes_ = 0;
  std::string log_tail_;
  std::string control_;
  std::vector<std::string> words_;   // of the record that is being read
  bool loaded_ = false;
  bool unknown_ = false;
  bool told_ = false;                // it has said what it failed with
  std::string error_class_;
  std::string error_message_;
  std::string at_file_;
  int at_line_ = 0;
  std::string told_file_;
  int told_line_ = 0;
  std::optional<std::string> returned_;
  std::optional<Error> stopped_;     // why the call was ended from here
  std::optional<std::string> cancelled_;
  std::optional<Error> cause_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sabir::adapter

// StdioTransport: a server that is a process of ours: one message a line on its standard input and output. Private to the room.
//
// Threads: the loop's.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sabir/net/loop.h"
#include "sabir/process/spawn.h"
#include "transport.h"

namespace sabir::peers {

struct StdioLaunch {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // the whole of it
  std::filesystem::path directory;
};

class StdioTransport : public Transport {
 public:
  // Errors: kUnavailable where the program is not there, kIo.
  static Result<std::unique_ptr<StdioTransport>> start(net::Loop& loop, const StdioLaunch& launch, TransportEvents events);
  ~StdioTransport() override;

  void send(mcp::ClientMessage message) override;
  void abandon(mcp::RequestId) override {}
  void opened(const mcp::Client&) override {}
  void close(std::function<void()> done) override;

 private:
  struct Output : net::Stream::Handler {
    StdioTransport* owner = nullptr;
    void on_bytes(std::string_view bytes) override { owner->take_output(bytes); }
    void on_closed() override { owner->output_closed(); }
  };
  struct Errors : net::Stream::Handler {
    StdioTransport* owner = nullptr;
    void on_bytes(std::string_view bytes) override { owner->take_errors(bytes); }
    void on_closed() override { owner->errors_closed_ = true; }
  };
  StdioTransport(net::Loop& loop, TransportEvents events) : loop_(loop), events_(std::move(events)) {}
  void take_output(std::string_view bytes);
  void output_closed();
  void take_errors(std::string_view bytes);
  void process_ended();
  void lose(Error error);
  void next_step();

  net::Loop& loop_;
  TransportEvents events_;
  process::Child child_;
  net::Loop::WatchId watch_ = 0;
  net::Loop::TimerId timer_ = 0;
  std::string program_;
  std::string line_;
  std::string error_line_;
  std::deque<std::string> last_lines_;  // of standard error
  std::string ended_;                   // how the process did; "" = it runs
  bool has_lost_ = false;
  bool errors_closed_ = false;
  int step_ = 0;                        // of ending
  std::function<void()> closed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Output output_;
  Errors errors_;
  std::unique_ptr<net::Stream> error_stream_;
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace sabir::peers

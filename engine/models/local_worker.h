// LocalWorker: one process that speaks the worker protocol and evaluates one model (models/local/worker.mjs).
//
// Threads: one call at a time; `alive` and `last_output` belong to the caller that holds the worker.
// Lifetimes: start() must run on a thread that lasts, since the process dies with it. The destructor kills the process.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/local_runtime.h"
#include "sabir/process/spawn.h"
#include "sabir/protocol/frame.h"

namespace sabir::models {

class LocalWorker {
 public:
  // Errors: kUnavailable when the program is missing, kIo.
  static Result<std::unique_ptr<LocalWorker>> start(const LocalFiles& files);
  ~LocalWorker();
  LocalWorker(const LocalWorker&) = delete;
  LocalWorker& operator=(const LocalWorker&) = delete;

  struct Wait {
    std::chrono::steady_clock::time_point deadline;
    std::shared_ptr<std::atomic<bool>> cancelled;        // may be null
    std::chrono::milliseconds grace{3'000};              // between cancel and giving up
    std::function<void(const json::object&)> on_chunk;     // may be empty; the chunk's params
    std::function<void(const json::object&)> on_progress;  // may be empty; the progress' params
  };

  // hello and start. Errors: kProtocol, kTimeout, kUnavailable with what the process printed.
  Result<void> greet(const Wait& wait);
  // One `call`; the function's value. Errors: the function's own; kTimeout and kCancelled, after which alive() says
  // whether the process obeyed; kModel when it died.
  Result<json::value> call(const std::string& function, const json::object& arguments, const Wait& wait);

  bool alive();
  std::string last_output() const { return output_; }

 private:
  LocalWorker(process::Child child, process::Fd socket, process::Fd output)
      : child_(std::move(child)), socket_(std::move(socket)), output_fd_(std::move(output)) {}

  Result<json::value> request(const std::string& method, const std::string& params, const std::vector<std::string>& blobs,
                              const Wait& wait);
  Result<void> write_all(std::string_view bytes, std::chrono::steady_clock::time_point deadline);
  void drain_output();
  Error died();

  process::Child child_;
  process::Fd socket_;
  process::Fd output_fd_;
  protocol::FrameReader reader_;
  std::string output_;   // the last of what the process printed
  std::int64_t next_id_ = 1;
  bool broken_ = false;
};

}  // namespace sabir::models

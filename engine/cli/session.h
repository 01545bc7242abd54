// Session: one project's engine as a command sees it: the running one over its socket, or one made for the command.
//
// Threads: one at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sabir/base/context.h"
#include "sabir/protocol/frame.h"
#include "sabir/protocol/payload.h"
#include "sabir/runtime/engine.h"

namespace sabir::cli {

struct SessionOptions {
  std::filesystem::path directory;  // where to look for the project; "" = the current folder
  std::string environment = "development";
  CallContext context;
  bool join_running = true;
};

class Session {
 public:
  // Errors: kNoProject, kConfig, whatever opening the engine gives.
  static Result<std::unique_ptr<Session>> open(const SessionOptions& options);
  ~Session();

  // The method's result object. Errors: the method's own; kTimeout.
  Result<protocol::Payload> request(const std::string& method, protocol::Payload params, std::chrono::milliseconds timeout);
  // The same with JSON in and out, blobs put in their places.
  Result<json::object> ask(const std::string& method, const json::object& params,
                           std::chrono::milliseconds timeout = std::chrono::seconds(60));

  bool remote() const { return fd_ >= 0; }
  // Only for a session that is not remote.
  runtime::Engine& engine() { return *engine_; }
  const std::filesystem::path& root() const { return root_; }

 private:
  Session() = default;
  Result<protocol::Payload> remote_request(const std::string& method, const protocol::Payload& params, std::chrono::milliseconds timeout);

  std::filesystem::path root_;
  CallContext context_;
  std::unique_ptr<runtime::Engine> engine_;
  int fd_ = -1;
  bool greeted_ = false;
  std::string hello_;
  std::int64_t next_id_ = 1;
  protocol::FrameReader reader_;
};

// Opens the engine in this process, whether or not one runs already.
Result<std::unique_ptr<runtime::Engine>> open_engine(const SessionOptions& options);

}  // namespace sabir::cli

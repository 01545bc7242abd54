// Session: one project's engine as a command sees it: the running one over its socket, one made for the command, or one elsewhere over
// HTTP.
//
// Threads: one at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "remote_engine.h"
#include "sabir/base/context.h"
#include "sabir/protocol/frame.h"
#include "sabir/protocol/payload.h"
#include "sabir/runtime/engine.h"

namespace sabir::cli {

// What a command line says of recordings; the environment says the rest.
struct RecordingWords {
  std::string record;
  std::string replay;
  bool functions = false;
  std::string name;                 // what the command is called in a folder of recordings
};

struct SessionOptions {
  std::filesystem::path directory;  // where to look for the project; "" = the current folder
  std::string environment = "development";
  CallContext context;
  bool join_running = true;
  bool debug = false;               // workers run on this terminal
  RecordingWords recording;
  EngineAddress engine;             // of an engine elsewhere; the folder does not count then
};

class Session {
 public:
  // Errors: kNoProject, kConfig, whatever opening the engine gives; kUsage for what an engine elsewhere cannot do.
  static Result<std::unique_ptr<Session>> open(const SessionOptions& options);
  // The running engine's, or that of the call that this command belongs to; null where there is neither. Errors: kNoProject, kIo.
  static Result<std::unique_ptr<Session>> join(const SessionOptions& options);
  ~Session();

  // The method's result object. Errors: the method's own; kTimeout.
  Result<protocol::Payload> request(const std::string& method, protocol::Payload params, std::chrono::milliseconds timeout,
                                    runtime::Engine::OnNotice on_notice = {});
  // The same with JSON in and out, blobs put in their places.
  Result<json::object> ask(const std::string& method, const json::object& params,
                           std::chrono::milliseconds timeout = std::chrono::seconds(60));
  // `params` is the text of an object.
  Result<json::object> ask_text(const std::string& method, std::string params, std::chrono::milliseconds timeout = std::chrono::seconds(60));

  // Ends the request that runs when it becomes true; for an engine elsewhere.
  void cancel_by(std::shared_ptr<std::atomic<bool>> cancelled) { cancelled_ = std::move(cancelled); }

  bool remote() const { return fd_ >= 0 || elsewhere_; }
  // Only for a session that is not remote.
  runtime::Engine& engine() { return *engine_; }
  const std::filesystem::path& root() const { return root_; }  // "" for an engine elsewhere

 private:
  Session() = default;
  Result<protocol::Payload> remote_request(const std::string& method, const protocol::Payload& params, std::chrono::milliseconds timeout,
                                           const runtime::Engine::OnNotice& on_notice);

  std::filesystem::path root_;
  CallContext context_;
  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<RemoteEngine> elsewhere_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  int fd_ = -1;
  bool greeted_ = false;
  std::string hello_;
  std::int64_t next_id_ = 1;
  protocol::FrameReader reader_;
};

// What to record or replay by the command line and the environment, the former stronger. Errors: kUsage.
Result<recordings::Choice> recording_choice(const SessionOptions& options, const std::filesystem::path& root);

// The same with live models, whatever the environment says of recordings.
Result<std::unique_ptr<runtime::Engine>> open_live_engine(const SessionOptions& options);

// An engine that shares the project and not what it keeps: its store is another, and what it records or replays is `recording`,
// whatever the command line and the environment say.
Result<std::unique_ptr<runtime::Engine>> open_engine_apart(const SessionOptions& options, const std::filesystem::path& store, recordings::Choice recording = {});

// A folder for such a store, which goes with it.
class ThrownAway {
 public:
  // Errors: kIo.
  static Result<ThrownAway> make();
  ThrownAway(ThrownAway&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ThrownAway& operator=(ThrownAway&&) = delete;
  ~ThrownAway();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ThrownAway(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// What is heard of an engine in this process; as runtime::EngineOptions has them.
struct EngineHooks {
  std::function<void(const runtime::ReloadReport&)> reloaded;
  std::function<void(const std::string& language, std::string_view line)> output;
  std::function<void(const functions::Failure&)> failed;
};

// Opens the engine in this process, whether or not one runs already.
Result<std::unique_ptr<runtime::Engine>> open_engine(const SessionOptions& options, EngineHooks hooks = {});

}  // namespace sabir::cli

// Handover: a running server gives its listening socket to a new process, which may be another version of the program or of the
// project, and ends once that one serves. They speak over the Unix socket serve.sock of the environment's state folder, which only
// this user can reach.
//
// Threads: HandoverOffer's callbacks come on a thread of its own; all else any, blocking. Processes: one offer for each state folder.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "sabir/base/error.h"

namespace sabir::serve {

// The old server's side.
struct OfferOptions {
  int descriptor = -1;                                   // the listening socket; stays the caller's
  std::string address;                                   // of it, for people
  // The new process `pid` serves: lets go of what only one may hold, such as engine.json. Then the new one takes it.
  std::function<void(pid_t pid)> taken;
  std::function<void(const std::string& why)> failed;    // it was not taken over after all; offered again
};

class HandoverOffer {
 public:
  // Errors: kExists when another server offers here, kIo.
  static Result<std::unique_ptr<HandoverOffer>> open(const std::filesystem::path& state_dir, OfferOptions options);
  // Waits for a callback that runs.
  ~HandoverOffer();

 private:
  struct State;
  explicit HandoverOffer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The new process's side: begin(), then be ready, then ready(). Ending before that leaves the old server as it was.
class Handover {
 public:
  // Errors: kNotFound when no server offers here, kBusy when another process takes over at this moment, kIo, kProtocol.
  static Result<std::unique_ptr<Handover>> begin(const std::filesystem::path& state_dir);
  ~Handover();

  int release_descriptor();           // the listening socket, the caller's from now on
  const std::string& address() const { return address_; }
  // Tells the old server, before this process ends, why it does not take over.
  void failed(const std::string& why);
  // From now on this process serves. True once the old one has let go of the rest; false when it said nothing for `most`.
  bool ready(std::chrono::milliseconds most);

 private:
  Handover() = default;
  int socket_ = -1;
  int descriptor_ = -1;
  std::string address_;
};

}  // namespace sabir::serve

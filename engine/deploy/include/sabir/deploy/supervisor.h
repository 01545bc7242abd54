// Supervisor: the process that keeps a local environment's engine running. It reads what is wanted from <folder>/run/wanted.json, and writes
// what is to <folder>/run/supervisor.json. A new release takes the listening socket over from the old one (decision 0024); one that is not
// ready in its time, or ends before, leaves the old one as it was. An engine that dies is started again, after pauses that grow to 30 s.
//
// It outlives the shell that started it. When it is killed, the engine goes on, and the next supervisor takes charge of it.
//
// Threads: the main thread of a process of its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::deploy {

// What shall run.
struct Wanted {
  int serial = 0;             // grows with each wish
  bool stop = false;          // the engine shall end, and the supervisor with it
  std::string release;        // "r5"
  std::string bundle;         // its hash
  std::filesystem::path root;    // the unpacked project
  std::filesystem::path engine;  // the program
  std::string environment;
  std::string host;
  int port = 0;
  int start_seconds = 300;    // in which a new engine has to be ready
};
json::object to_json(const Wanted& wanted);
Result<Wanted> wanted_from(std::string_view bytes);

enum class Phase { kStarting, kServing, kFailed, kPausing, kStopped };

// What is.
struct Supervised {
  int serial = 0;             // the wish that this answers
  Phase phase = Phase::kStarting;
  std::string message;        // of kFailed, kPausing: why
  int pid = 0;                // the supervisor's
  std::uint64_t pid_started = 0;
  std::string release;        // what serves; "" = nothing
  std::string bundle;
  std::filesystem::path root;
  std::filesystem::path engine;
  int engine_pid = 0;
  std::uint64_t engine_started = 0;
  std::string url;
  int restarts = 0;
  std::int64_t since_ms = 0;  // of the engine's start
};
json::object to_json(const Supervised& state);
Result<Supervised> supervised_from(std::string_view bytes);

// Until it is told to stop. The exit status. SIGHUP: what is wanted is read at once (it is every second anyway). SIGUSR1: it ends, and the engine goes
// on for the next supervisor. SIGTERM, SIGINT: it ends the engine and then itself.
int run_supervisor(const std::filesystem::path& folder);

}  // namespace sabir::deploy

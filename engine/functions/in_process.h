// Functions that run inside the engine's own process, because sabir.yml says so: a library that a build made, opened with
// dlopen and called across a C interface with JSON (languages/cpp/sdk/sabir/in_process.h). Nothing protects the engine from
// them but the catch at that interface.
//
// A call runs on a thread of its own kind. A function whose last calls each took a few microseconds is called by the loop
// instead, since waking a thread takes longer; one that then takes long loses that, and when it takes very long another thread
// goes on with the loop (net::Loop::enter_foreign). What runs cannot be stopped: a call beyond its deadline is answered, and
// its thread is lost until it returns.
//
// Threads: the loop's. Lifetimes: a library stays open until the process ends. Calls that still run at destruction end
// unheard.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sabir/net/loop.h"
#include "sabir/workers/pool.h"

struct sabir_output;

namespace sabir::functions {

// The three functions of an opened library.
class Library {
 public:
  // Errors: kBuildFailed when it cannot be opened or is of another version.
  static Result<std::shared_ptr<const Library>> open(const std::filesystem::path& path);
  // Null when it has no such function.
  const void* find(const std::string& key) const { return find_(key.data(), key.size()); }
  // `context`: a JSON object, or "" for a function that takes none.
  Result<protocol::Payload> call(const void* function, std::string_view arguments, std::string_view context) const;

 private:
  const void* (*find_)(const char*, std::size_t) = nullptr;
  int (*call_)(const void*, const char*, std::size_t, const char*, std::size_t, sabir_output*) = nullptr;
};

class InProcess {
 public:
  explicit InProcess(net::Loop& loop);
  ~InProcess();
  InProcess(const InProcess&) = delete;
  InProcess& operator=(const InProcess&) = delete;

  // A function of a library, and what is known of its calls.
  struct Target {
    std::shared_ptr<const Library> library;
    const void* function = nullptr;
    int proven = 0;
  };
  // `module` is the source's path as the build knew it. It stays valid as long as this object. Errors: kBuildFailed,
  // kUnknownFunction.
  Result<Target*> find(const std::filesystem::path& library, const std::string& module, const std::string& receiver, const std::string& function);

  struct Call {
    Target* target = nullptr;
    std::string address;   // for messages
    std::string arguments; // a JSON object
    std::string context;   // another, or "" for a function that takes none
    workers::Clock::time_point deadline;
    bool read = false;
  };
  using CallId = std::uint64_t;
  // `done` gets the outcome and the time at which it was there. It is never called from inside call().
  using Done = std::function<void(Result<protocol::Payload> outcome, workers::Clock::time_point ended)>;
  CallId call(Call call, Done done);
  void cancel(CallId id, ErrorCode code, const std::string& reason);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sabir::functions

// The SDK's channel to an engine: the worker's own connection, or, in any other process, one to the project's running
// engine or to a private one that it starts (spec/worker-protocol.md, 9).
//
// Threads: any. Lifetime: one connection per process, remade after a fork, closed at exit.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sabir/sabir.hpp"
#include "sabir/wire.hpp"

extern "C" char** environ;

namespace sabir {

namespace detail {

inline constexpr int kDeadlineSeconds = 10;

inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// $SABIR_PROJECT, or the nearest folder upward that has sabir.yml. Errors: Error no_project.
inline std::filesystem::path find_project() {
  const auto given = variable("SABIR_PROJECT");
  std::error_code error;
  const auto start = std::filesystem::absolute(given.empty() ? std::filesystem::current_path(error) : std::filesystem::path(given), error);
  for (auto folder = start;; folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "sabir.yml", error)) return folder;
    if (!given.empty() || folder == folder.parent_path()) break;
  }
  throw Error("no_project", "no Sabir project at " + start.string() + (given.empty() ? " or above it" : "") + ": there is no sabir.yml",
              "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`");
}

inline std::string program(const std::string& name) {
  const auto runs = [](const std::string& path) { return std::filesystem::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0; };
  if (name.find('/') != std::string::npos) return runs(name) ? name : "";
  const auto path = variable("PATH");
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find(':', at), path.size());
    if (auto candidate = path.substr(at, end - at) + "/" + name; end > at && runs(candidate)) return candidate;
    at = end + 1;
  }
  return "";
}

// The engine's binary: $SABIR_BIN, on PATH. Errors: Error unavailable.
inline std::string find_engine() {
  if (const auto given = variable("SABIR_BIN"); !given.empty()) {
    if (auto found = program(given); !found.empty()) return found;
    throw Error("unavailable", "the engine `sabir` was not found: SABIR_BIN names " + given + ", which is no program",
                "set SABIR_BIN to the engine's path, or unset it");
  }
  if (auto found = program("sabir"); !found.empty()) return found;
  throw Error("unavailable", "the engine `sabir` was not found", "put it on PATH, or set SABIR_BIN to its path");
}

class Client {
 public:
  static std::unique_ptr<Client> connect() {
#ifdef SABIR_IN_PROCESS
    throw Error("unavailable", "a function that runs inside the engine cannot ask it for anything", "remove its in_process from sabir.yml's isolation");
#endif
    const auto root = find_project();
    auto environment = variable("SABIR_ENV");
    if (environment.empty()) environment = "development";
    if (const int fd = running(root, environment); fd >= 0) {
      auto client = std::make_unique<Client>(fd, -1);
      try {
        client->hello(root);
        return client;
      } catch (const Error&) {
        // Another version, or an engine that is ending: a private one serves as well.
      }
    }
    auto client = attach(root, environment);
    client->hello(root);
    return client;
  }

  Client(int fd, pid_t pid) : connection(fd, fd), pid_(pid), owner_(::getpid()) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    connection.close();
    // In a forked child the engine is the parent's.
    if (pid_ <= 0 || owner_ != ::getpid()) return;
    for (int i = 0; i < 500; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  Connection connection;

 private:
  static int running(const std::filesystem::path& root, const std::string& environment) {
    for (const char* name : {"SABIR_RECORD", "SABIR_REPLAY", "SABIR_STATE_DIR", "SABIR_ENGINE"}) {
      // What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
      if (const char* value = std::getenv(name); value && *value) return -1;
    }
    std::ifstream file(root / ".sabir" / environment / "engine.json");
    if (!file) return -1;
    const auto published = Json::parse(file, nullptr, false);
    if (!published.is_object() || published.value("format", Json()) != 1 || !published.contains("socket") || !published["socket"].is_string()) return -1;
    const auto path = published["socket"].get<std::string>();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return -1;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    for (int i = 0; result != 0 && errno == EAGAIN && i < kDeadlineSeconds * 100; ++i) {
      // The engine's backlog is full.
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    if (result != 0) {
      ::close(fd);
      return -1;
    }
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
  }

  static std::unique_ptr<Client> attach(const std::filesystem::path& root, const std::string& environment) {
    const auto binary = find_engine();
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) throw Error("io", std::string("no socket: ") + std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<std::string> texts = {binary, "attach", "--project", root.string(), "--env", environment};
    std::vector<char*> argv;
    for (auto& text : texts) argv.push_back(text.data());
    argv.push_back(nullptr);
    std::string named = "SABIR_FD=3";
    std::vector<char*> env;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      if (std::strncmp(*entry, "SABIR_FD=", 9) != 0) env.push_back(*entry);
    }
    env.push_back(named.data());
    env.push_back(nullptr);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, binary.c_str(), &actions, &attributes, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    ::close(fds[1]);
    if (failed != 0) {
      ::close(fds[0]);
      throw Error("unavailable", "the engine " + binary + " does not start: " + std::strerror(failed), "set SABIR_BIN to the engine's path");
    }
    return std::make_unique<Client>(fds[0], pid);
  }

  void hello(const std::filesystem::path& root) {
    Json params{{"protocol", {{"min", 1}, {"max", 1}}}, {"role", "client"}, {"sdk", kVersion}, {"language", "cpp"}, {"project", root.string()}};
    if (const auto user = variable("SABIR_USER"); !user.empty()) params["context"] = {{"user", user}};
    // A silent engine ends the read with an error, which counts as the connection's end.
    timeval deadline{kDeadlineSeconds, 0};
    ::setsockopt(connection.read_fd(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    try {
      connection.request("hello", std::move(params));
    } catch (const Closed&) {
      throw Error("protocol", "the engine did not answer, or not within " + std::to_string(kDeadlineSeconds) + " seconds",
                  "`sabir doctor` looks for the cause; its messages are on standard error");
    }
    deadline = {0, 0};
    ::setsockopt(connection.read_fd(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  }

  pid_t pid_;
  pid_t owner_;
};

// Which connection requests take.
class Channel {
 public:
  static Channel& instance() {
    static Channel channel;
    return channel;
  }

  // The worker's connection, set by serve(); null in every other process.
  void set_worker(Connection* connection) { worker_ = connection; }
  Connection* worker() {
    leave_parent();
    return worker_;
  }

  // Ends this process's connection; the next request makes another.
  void close() {
    const std::lock_guard lock(mutex_);
    client_.reset();
  }

  // again: the request may be repeated when the engine went away in between. Errors: Error.
  Json request(const std::string& method, const Json& params, bool again = false) {
    if (auto* own = worker(); own != nullptr) {
      try {
        return own->request(method, params);
      } catch (const Closed&) {
        throw Error("protocol", "the engine ended its connection during " + method);
      }
    }
    for (int tries = 1;; ++tries) {
      const auto client = connected();
      try {
        return client->connection.request(method, params);
      } catch (const Closed& closed) {
        {
          const std::lock_guard lock(mutex_);
          if (client_ == client) client_.reset();
        }
        if (tries < 2 && (again || !closed.sent)) continue;
        throw Error(closed.sent ? "outcome_unknown" : "protocol",
                    "the engine went away during " + method + (closed.sent ? "; it may or may not have happened" : ""),
                    "try again; `sabir engine status` tells whether an engine runs");
      }
    }
  }

 private:
  std::shared_ptr<Client> connected() {
    const std::lock_guard lock(mutex_);
    if (!client_) client_ = Client::connect();
    return client_;
  }

  // In a forked child: the parent goes on using the connection, the child makes its own.
  void leave_parent() {
    if (owner_ == ::getpid()) return;
    owner_ = ::getpid();
    worker_ = nullptr;
    client_.reset();
  }

  std::mutex mutex_;
  std::shared_ptr<Client> client_;
  Connection* worker_ = nullptr;
  pid_t owner_ = ::getpid();
};

}  // namespace detail
}  // namespace sabir

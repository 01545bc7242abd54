// StandIn: a server program of tests/stand_ins/, started on a free port for as long as the object lives.
//
// Threads: one owner. The program ends when its standard input does, so it does not outlive a test that crashes.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

extern char** environ;

namespace sabir::tests {

class StandIn {
 public:
  // `program` is a Python file under tests/stand_ins/ that prints "PORT <n>".
  explicit StandIn(const std::string& program) {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    const std::string path = std::string(SABIR_STAND_INS) + "/" + program;
    std::string name = "python3";
    std::string quick = "-S";
    char* argv[] = {name.data(), quick.data(), const_cast<char*>(path.c_str()), nullptr};
    const int failed = ::posix_spawnp(&pid_, "python3", &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    if (failed != 0) throw std::runtime_error("python3 does not start");
    std::string line;
    char c = 0;
    while (::read(out[0], &c, 1) == 1 && c != '\n') line += c;
    ::close(out[0]);
    if (!line.starts_with("PORT ")) throw std::runtime_error("the stand-in says: " + line);
    port_ = std::stoi(line.substr(5));
  }
  ~StandIn() {
    ::close(input_);
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& path = {}) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int port_ = 0;
};

}  // namespace sabir::tests

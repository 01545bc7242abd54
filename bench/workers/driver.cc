// Measures a worker against the best hand-written loop in its language: the same frames, the same window, the same
// placement on the cores, blocking reads on both sides, rounds of the two taken in turn, medians of the rounds.
//
//   bench_workers LANGUAGE MODULE "OURS…" "REFERENCE…" [--json] [--rounds N]
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& why) {
  std::cerr << "bench_workers: " << why << "\n";
  std::exit(2);
}

std::string framed(const std::string& body) { return std::to_string(body.size()) + "\n" + body; }

void pin(pid_t pid, int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  ::sched_setaffinity(pid, sizeof cores, &cores);
}

class Worker {
 public:
  Worker(const std::string& command, const std::string& module, const std::string& project) : module_(module) {
    std::istringstream words(command);
    std::vector<std::string> argv;
    for (std::string word; words >> word;) argv.push_back(word);
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) die("no socket pair");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(fds[0]);
      ::setenv("SABIR_FD", std::to_string(fds[1]).c_str(), 1);
      std::vector<char*> args;
      for (auto& word : argv) args.push_back(word.data());
      args.push_back(nullptr);
      ::execvp(args[0], args.data());
      ::_exit(127);
    }
    ::close(fds[1]);
    fd_ = fds[0];
    ask(R"({"jsonrpc":"2.0","id":"h","method":"hello","params":{"protocol":{"min":1,"max":1},"engine":"bench"}})");
    ask(R"({"jsonrpc":"2.0","id":"s","method":"start","params":{"project":")" + project + R"(","environment":"bench"}})");
  }
  ~Worker() {
    ::close(fd_);
    for (int i = 0; i < 300; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
      ::usleep(10'000);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  pid_t pid() const { return pid_; }

  // Calls per second with `window` calls in flight.
  double run(int window, std::chrono::milliseconds time) {
    const auto began = Clock::now();
    const auto until = began + time;
    std::string out;
    for (int i = 0; i < window; ++i) out += next_call();
    write(out);
    long answered = 0;
    int in_flight = window;
    bool more = true;
    while (in_flight > 0) {
      const int count = read_answers();
      answered += count;
      in_flight -= count;
      more = more && Clock::now() < until;
      if (!more) continue;
      out.clear();
      for (int i = 0; i < count; ++i) out += next_call();
      in_flight += count;
      write(out);
    }
    return static_cast<double>(answered) / std::chrono::duration<double>(Clock::now() - began).count();
  }

 private:
  std::string next_call() {
    return framed(R"({"jsonrpc":"2.0","id":)" + std::to_string(next_id_++) + R"(,"method":"call","params":{"module":")" + module_ +
                  R"(","receiver":"","function":"add","arguments":{"a":19,"b":23},"positional":["a","b"],"context":{"user":"u1",)"
                  R"("tenant":"","conversation":"","run":"01JAAAAAAAAAAAAAAAAAAAAAAA"},"context_parameter":"","deadline_ms":30000,"depth":1}})");
  }

  void ask(const std::string& body) {
    write(framed(body));
    while (read_frames([](std::string_view) {}) == 0) {
    }
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) die("the worker is gone");
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  int read_answers() {
    return read_frames([](std::string_view body) {
      if (!body.ends_with(R"("result":{"value":42}})") && body.find(R"("result":{"value":42})") == std::string_view::npos) {
        die("a wrong answer: " + std::string(body));
      }
    });
  }

  template <class Each>
  int read_frames(Each each) {
    pollfd wait{fd_, POLLIN, 0};
    ssize_t count = ::recv(fd_, buffer_ + end_, sizeof buffer_ - end_, MSG_DONTWAIT);
    if (count < 0) {
      if (::poll(&wait, 1, 20'000) <= 0) die("no answer within 20 s");
      count = ::recv(fd_, buffer_ + end_, sizeof buffer_ - end_, 0);
    }
    if (count <= 0) die("the worker ended");
    end_ += static_cast<std::size_t>(count);
    std::size_t start = 0;
    int frames = 0;
    while (const void* found = std::memchr(buffer_ + start, '\n', end_ - start)) {
      const auto body = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_) + 1;
      const auto size = static_cast<std::size_t>(std::atol(buffer_ + start));
      if (body + size > end_) break;
      each(std::string_view(buffer_ + body, size));
      start = body + size;
      ++frames;
    }
    std::memmove(buffer_, buffer_ + start, end_ - start);
    end_ -= start;
    return frames;
  }

  std::string module_;
  pid_t pid_ = -1;
  int fd_ = -1;
  long next_id_ = 1;
  char buffer_[1U << 18U];
  std::size_t end_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void print_row(bool as_json, const std::string& measure, double value, const char* unit, double reference, double ratio, double target, bool met) {
  if (as_json) {
    std::printf(R"({"measure":"%s","value":%.2f,"unit":"%s","reference":%.2f,"ratio":%.3f,"target":%.2f,"met":%s})"
                "\n",
                measure.c_str(), value, unit, reference, ratio, target, met ? "true" : "false");
  } else {
    std::printf("%-36s %12.1f %-8s  by hand %12.1f  ratio %5.2f  target %s %.2f  %s\n", measure.c_str(), value, unit, reference, ratio,
                unit[0] == 'c' ? ">=" : "<=", target, met ? "met" : "MISSED");
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words;
  bool as_json = false;
  int rounds = 15;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      as_json = true;
    } else if (word == "--rounds" && i + 1 < argc) {
      rounds = std::max(1, std::atoi(argv[++i]));
    } else {
      words.push_back(word);
    }
  }
  if (words.size() != 4) die("usage: bench_workers LANGUAGE MODULE \"OURS\" \"REFERENCE\" [--json] [--rounds N]");
  const auto slash = words[1].rfind('/');
  const auto project = words[1].substr(0, slash == std::string::npos ? 0 : slash);
  bool all_met = true;
  Worker ours(words[2], words[1], project);
  Worker reference(words[3], words[1], project);
  const int last = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) - 1;
  struct Setting {
    int window;
    bool one_core;
  };
  for (const auto& [window, one_core] : {Setting{1, true}, Setting{1, false}, Setting{64, false}}) {
    pin(0, 0);
    for (const auto* worker : {&ours, &reference}) pin(worker->pid(), one_core ? 0 : last);
    std::vector<double> own;
    std::vector<double> hand;
    for (int round = -1; round < rounds; ++round) {
      const auto time = std::chrono::milliseconds(round < 0 ? 300 : 120);
      // In turn, and each goes first as often as the other.
      const bool first = round % 2 == 0;
      const double a = (first ? ours : reference).run(window, time);
      const double b = (first ? reference : ours).run(window, time);
      if (round < 0) continue;
      own.push_back(first ? a : b);
      hand.push_back(first ? b : a);
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < own.size(); ++i) ratios.push_back(own[i] / hand[i]);
    const std::string measure = words[0] + ", " + std::to_string(window) + " in flight" + (one_core ? ", one core" : ", two cores");
    if (window == 1) {
      const double ratio = 1 / median(ratios);
      print_row(as_json, measure, 1e6 / median(own), "us", 1e6 / median(hand), ratio, 1.5, ratio <= 1.5);
      all_met = all_met && ratio <= 1.5;
    } else {
      const double ratio = median(ratios);
      print_row(as_json, measure, median(own), "calls/s", median(hand), ratio, 0.67, ratio >= 0.67);
      all_met = all_met && ratio >= 0.67;
    }
  }
  return all_met ? 0 : 1;
}

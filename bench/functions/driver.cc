// Measures calls through the engine's functions room against the best hand-written loop of the same interpreter: one
// process, one event loop, the same connections and placement, rounds of the two taken in turn, medians of the rounds.
//
//   bench_functions RESOURCES PROJECT CACHE LANGUAGE "LOOP…" [LANGUAGE "LOOP…"]… [--raw "PROGRAM…"] [--json] [--rounds N]
//   bench_functions RESOURCES PROJECT CACHE --rates LANGUAGE [--window N] [--large]
//
// The second form prints calls/s with N calls in flight (64) for each line that it reads, and on standard error its worker's pid:
// for comparisons that take turns with it, and for profiles; --large: with a string of 100 KB, in Python. With one in flight everything runs on one core.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <iostream>
#include <sstream>
#include <thread>

#include "sabir/functions/functions.h"
#include "sabir/net/loop.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/workers/peer.h"

namespace {

using namespace sabir;
using Clock = std::chrono::steady_clock;
const std::string kText(100, 'x');

[[noreturn]] void die(const std::string& why) {
  std::cerr << "bench_functions: " << why << "\n";
  std::_Exit(2);
}

// All of a process's threads; 0: the calling thread.
void pin(pid_t pid, int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  std::vector<pid_t> threads{pid};
  if (pid != 0) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
      threads.push_back(std::atoi(entry.path().filename().c_str()));
    }
  }
  for (const pid_t thread : threads) {
    if (::sched_setaffinity(thread, sizeof cores, &cores) != 0 && thread == pid) die("process " + std::to_string(pid) + " cannot be bound to a core");
  }
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Figures {
  double p50_us = 0;
  double calls_s = 0;
};

// Keeps `window` calls in flight for a while; `call` starts one and says when it is answered. On the loop's thread.
class Run {
 public:
  using Start = std::function<void(std::function<void()> answered)>;
  Run(net::Loop& loop, Start start, int window, std::chrono::milliseconds time) : loop_(loop), start_(std::move(start)), window_(window), time_(time) {}

  Figures run() {
    loop_.post([this] {
      began_ = Clock::now();
      until_ = began_ + time_;
      for (int i = 0; i < window_; ++i) next();
    });
    auto done = done_.get_future();
    if (done.wait_for(std::chrono::seconds(60)) != std::future_status::ready) die("no answer within 60 s");
    const double seconds = std::chrono::duration<double>(ended_ - began_).count();
    return {median(took_), static_cast<double>(took_.size()) / seconds};
  }

 private:
  void next() {
    ++open_;
    start_([this, begin = Clock::now()] {
      const auto now = Clock::now();
      took_.push_back(std::chrono::duration<double, std::micro>(now - begin).count());
      --open_;
      if (now < until_) return next();
      if (open_ > 0) return;
      ended_ = now;
      done_.set_value();
    });
  }

  net::Loop& loop_;
  Start start_;
  int window_;
  std::chrono::milliseconds time_;
  Clock::time_point began_;
  Clock::time_point until_;
  Clock::time_point ended_;
  int open_ = 0;
  std::vector<double> took_;
  std::promise<void> done_;
};

// A program with a socket to it, whose number it finds in SABIR_FD.
std::pair<process::Child, process::Fd> started(const std::string& command) {
  process::SpawnSpec spec;
  std::istringstream words(command);
  for (std::string word; words >> word;) spec.argv.push_back(word);
  auto pair = process::socket_pair();
  if (!pair) die("no socket pair");
  spec.environment = process::environment_with({{"SABIR_FD", "3"}});
  spec.descriptors = {{2, 2}, {3, pair->second.get()}};
  auto child = process::spawn(spec);
  if (!child) die(to_text(child.error()));
  return {std::move(*child), std::move(pair->first)};
}

// A hand-written loop, spoken to through the engine's own Peer.
class HandWritten : public workers::Peer::Handler {
 public:
  HandWritten(net::Loop& loop, const std::string& command, std::string module) : loop_(loop), module_(std::move(module)) {
    auto [child, socket] = started(command);
    child_ = std::move(child);
    const int fd = socket.release();
    std::promise<void> made;
    loop_.post([&] {
      peer_ = std::make_unique<workers::Peer>(loop_, fd, fd, *this);
      made.set_value();
    });
    made.get_future().wait();
  }
  ~HandWritten() {
    std::promise<void> gone;
    loop_.post([&] {
      peer_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
    child_.signal_group(SIGKILL);
    (void)child_.wait(std::chrono::seconds(5));
  }
  pid_t pid() const { return child_.pid(); }

  void call(const std::string& text, std::function<void()> answered) {
    const std::string params = "{\"deadline_ms\":30000,\"context\":{\"user\":\"\",\"tenant\":\"\",\"conversation\":\"\",\"run\":\"\"},\"arguments\":{\"text\":\"" +
                               text + "\"},\"module\":\"" + module_ +
                               "\",\"receiver\":\"\",\"function\":\"echo\",\"positional\":[\"text\"],\"context_parameter\":\"\",\"depth\":1}";
    // The loop then waits for it as it does for the engine's calls.
    loop_.hold();
    peer_->request("call", params, {}, [this, answered = std::move(answered)](std::int64_t, const Result<workers::Incoming>& answer) {
      loop_.release();
      if (!answer) die("the loop: " + to_text(answer.error()));
      answered();
    });
  }

 private:
  void on_request(const workers::Incoming&) override {}
  void on_notification(const workers::Incoming&) override {}
  void on_closed(const Error& error) override { die("the loop ended: " + to_text(error)); }

  net::Loop& loop_;
  std::string module_;
  process::Child child_;
  std::unique_ptr<workers::Peer> peer_;
};

// Sends `size` bytes to a program that sends them back; microseconds of each round trip.
class RawEcho {
 public:
  RawEcho(const std::string& command, std::size_t size) : bytes_(size, 'x'), back_(size, '\0') {
    auto [child, socket] = started(command);
    child_ = std::move(child);
    fd_ = std::move(socket);
    ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
    auto head = std::to_string(size);
    head.insert(0, 8 - head.size(), '0');
    if (::write(fd_.get(), head.data(), head.size()) != 8) die("the raw program does not read");
  }
  ~RawEcho() {
    child_.signal_group(SIGKILL);
    (void)child_.wait(std::chrono::seconds(5));
  }
  pid_t pid() const { return child_.pid(); }

  double median_us(std::chrono::milliseconds time) {
    std::vector<double> took;
    for (const auto until = Clock::now() + time; Clock::now() < until;) {
      const auto begin = Clock::now();
      for (std::size_t at = 0; at < bytes_.size();) at += moved(::write(fd_.get(), bytes_.data() + at, bytes_.size() - at));
      for (std::size_t at = 0; at < back_.size();) at += moved(::read(fd_.get(), back_.data() + at, back_.size() - at));
      took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    return median(std::move(took));
  }

 private:
  static std::size_t moved(ssize_t count) {
    if (count <= 0) die("the raw program ended");
    return static_cast<std::size_t>(count);
  }
  std::string bytes_;
  std::string back_;
  process::Child child_;
  process::Fd fd_;
};

bool all_met = true;
void print_row(bool as_json, const std::string& measure, double value, const char* unit, double reference, double ratio, double target) {
  const bool at_most = unit[0] != 'c';
  const bool met = at_most ? ratio <= target : ratio >= target;
  all_met = all_met && met;
  if (as_json) {
    std::printf(R"({"measure":"%s","value":%.2f,"unit":"%s","reference":%.2f,"ratio":%.3f,"target":%.2f,"met":%s})"
                "\n",
                measure.c_str(), value, unit, reference, ratio, target, met ? "true" : "false");
  } else {
    std::printf("%-40s %12.1f %-8s  by hand %12.1f  ratio %5.2f  target %s %.2f  %s\n", measure.c_str(), value, unit, reference, ratio,
                at_most ? "<=" : ">=", target, met ? "met" : "MISSED");
  }
  std::fflush(stdout);
}

// functions.call of a worker's, as runtime/ answers it.
void nested(functions::Functions& functions, workers::EngineRequest request) {
  const auto members = protocol::raw_members(request.params);
  if (request.method != "functions.call" || !members) return request.reply(fail(ErrorCode::kProtocol, "the bench answers functions.call alone"));
  functions::CallRequest call;
  call.address = protocol::unquote(protocol::find_member(*members, "address").value_or("\"\""));
  call.arguments.json = std::string(protocol::find_member(*members, "arguments").value_or("{}"));
  call.deadline = request.caller->deadline;
  call.depth = request.caller->depth + 1;
  workers::CallEvents events;
  events.done = [reply = std::move(request.reply)](Result<protocol::Payload> outcome) {
    if (outcome) {
      reply(protocol::Payload{"{\"value\":" + outcome->json + "}", {}});
    } else {
      reply(fail(std::move(outcome.error())));
    }
  };
  functions.call(std::move(call), std::move(events));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words;
  bool as_json = false;
  int rounds = 9;
  std::string raw;
  std::string rates;
  int rates_window = 64;
  bool rates_large = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      as_json = true;
    } else if (word == "--raw" && i + 1 < argc) {
      raw = argv[++i];
    } else if (word == "--rates" && i + 1 < argc) {
      rates = argv[++i];
    } else if (word == "--large") {
      rates_large = true;
    } else if (word == "--window" && i + 1 < argc) {
      rates_window = std::max(1, std::atoi(argv[++i]));
    } else if (word == "--rounds" && i + 1 < argc) {
      rounds = std::max(1, std::atoi(argv[++i]));
    } else {
      words.push_back(word);
    }
  }
  if (rates.empty() ? words.size() < 5 || words.size() % 2 == 0 : words.size() != 3) {
    die("usage: bench_functions RESOURCES PROJECT CACHE LANGUAGE \"LOOP\" […], or RESOURCES PROJECT CACHE --rates LANGUAGE");
  }
  auto languages = project::load_languages(std::filesystem::path(words[0]) / "languages");
  if (!languages) die(to_text(languages.error()));
  auto loaded = project::load(std::filesystem::canonical(words[1]), "bench", *languages);
  if (!loaded) die(to_text(loaded.error()));

  net::Loop loop;
  std::vector<std::jthread> background;
  std::unique_ptr<functions::Functions> functions;
  functions::Setup setup;
  setup.project = std::make_shared<const project::Project>(std::move(*loaded));
  const auto root = setup.project->root;
  setup.languages = *languages;
  setup.build_cache = words[2];
  setup.background = [&background](std::function<void()> work) { background.emplace_back(std::move(work)); };
  setup.output = [](const std::string& language, std::string_view line) { std::cerr << "[" << language << "] " << line << "\n"; };
  setup.requests = [&functions](workers::EngineRequest request) { nested(*functions, std::move(request)); };
  functions = std::make_unique<functions::Functions>(loop, std::move(setup));
  std::jthread turning([&loop] { loop.run(); });
  const int last = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) - 1;

  const auto ours = [&](const std::string& address, const std::string& text) {
    return [&functions, address, json = "{\"text\":\"" + text + "\"}"](std::function<void()> answered) {
      functions::CallRequest call;
      call.address = address;
      call.arguments.json = json;
      workers::CallEvents events;
      events.done = [answered = std::move(answered)](const Result<protocol::Payload>& outcome) {
        if (!outcome) die(to_text(outcome.error()));
        answered();
      };
      functions->call(std::move(call), std::move(events));
    };
  };
  // Building and starting is not a call's.
  std::promise<void> prepared;
  loop.post([&] {
    functions->prepare([&](const std::vector<json::object>& report) {
      for (const auto& line : report) {
        if (!line.at("ok").as_bool()) std::cerr << "bench_functions: " << json::serialize(line) << "\n";
      }
      prepared.set_value();
    });
  });
  if (prepared.get_future().wait_for(std::chrono::minutes(10)) != std::future_status::ready) die("not built within 10 minutes");

  static constexpr std::size_t kLarge = 100'000;
  const auto large = [&](std::function<void()> answered) {
    functions::CallRequest call;
    call.address = "python/bench.echo";
    call.arguments = {R"({"text":null})", {{"/text", false, std::string(kLarge, 'x')}}};
    workers::CallEvents events;
    events.done = [answered = std::move(answered)](const Result<protocol::Payload>& outcome) {
      if (!outcome) die(to_text(outcome.error()));
      if (outcome->blobs.size() != 1 || outcome->blobs[0].data.size() != kLarge) die("the large string came back as something else");
      answered();
    };
    functions->call(std::move(call), std::move(events));
  };
  const auto workers_of = [&](const std::string& language) {
    std::promise<std::vector<pid_t>> promise;
    loop.post([&] { promise.set_value(functions->stats()[language].pids); });
    return promise.get_future().get();
  };

  const auto pin_loop = [&] {
    pin(0, 0);
    std::promise<void> pinned;
    loop.post([&] {
      pin(0, 0);
      pinned.set_value();
    });
    pinned.get_future().wait();
  };

  if (!rates.empty()) {
    const auto call = rates_large ? std::function<void(std::function<void()>)>(large) : ours(rates + "/bench.echo", kText);
    (void)Run(loop, call, 1, std::chrono::milliseconds(500)).run();
    for (const pid_t pid : workers_of(rates)) {
      if (rates_window == 1) pin(pid, 0);
      std::fprintf(stderr, "worker %d\n", pid);
    }
    if (rates_window == 1) pin_loop();
    for (std::string line; std::getline(std::cin, line);) {
      std::printf("%.1f\n", Run(loop, call, rates_window, std::chrono::milliseconds(1000)).run().calls_s);
      std::fflush(stdout);
    }
  }

  bool has_python = false;
  for (std::size_t i = 3; i + 1 < words.size(); i += 2) {
    const auto& language = words[i];
    const std::string address = language + "/bench.echo";
    has_python = has_python || language == "python";
    // Started and warm, and the pool knows that the function is quick.
    (void)Run(loop, ours(address, kText), 1, std::chrono::milliseconds(300)).run();
    HandWritten loop_worker(loop, words[i + 1], root / "functions" / language / "bench");
    const auto by_hand = [&](std::function<void()> answered) { loop_worker.call(kText, std::move(answered)); };
    struct Setting {
      int window;
      bool one_core;
    };
    for (const auto& [window, one_core] : {Setting{1, true}, Setting{1, false}, Setting{64, false}}) {
      pin_loop();
      for (const pid_t pid : workers_of(language)) pin(pid, one_core ? 0 : last);
      pin(loop_worker.pid(), one_core ? 0 : last);
      std::vector<double> own;
      std::vector<double> hand;
      std::vector<double> ratios;
      for (int round = -1; round < rounds; ++round) {
        const auto time = std::chrono::milliseconds(round < 0 ? 200 : 150);
        Figures a;
        Figures b;
        for (const bool mine : {round % 2 == 0, round % 2 != 0}) {
          if (mine) {
            a = Run(loop, ours(address, kText), window, time).run();
          } else {
            b = Run(loop, by_hand, window, time).run();
          }
        }
        if (round < 0) continue;
        own.push_back(window == 1 ? a.p50_us : a.calls_s);
        hand.push_back(window == 1 ? b.p50_us : b.calls_s);
        ratios.push_back(own.back() / hand.back());
      }
      const std::string measure = "engine to " + language + ", 100 B, " + std::to_string(window) + " in flight" + (one_core ? ", one core" : "");
      if (window == 1) {
        print_row(as_json, measure, median(own), "us", median(hand), median(ratios), 1.3);
      } else {
        print_row(as_json, measure, median(own), "calls/s", median(hand), median(ratios), 0.8);
      }
    }
  }
  if (!raw.empty() && has_python) {
    RawEcho echo(raw, kLarge);
    for (const pid_t pid : workers_of("python")) pin(pid, last);
    pin(echo.pid(), last);
    std::vector<double> own;
    std::vector<double> bare;
    std::vector<double> ratios;
    for (int round = -1; round < rounds; ++round) {
      const double a = Run(loop, large, 1, std::chrono::milliseconds(200)).run().p50_us;
      const double b = echo.median_us(std::chrono::milliseconds(200));
      if (round < 0) continue;
      own.push_back(a);
      bare.push_back(b);
      ratios.push_back(a / b);
    }
    print_row(as_json, "engine to python, 100 KB string there and back", median(own), "us", median(bare), median(ratios), 2.0);
  }
  // From one language to another: two hops, whose loops take turns with it.
  for (std::size_t i = 5; i + 1 < words.size() && words[3] == "python"; i += 2) {
    const auto& language = words[i];
    HandWritten first(loop, words[4], root / "functions" / "python" / "bench");
    HandWritten second(loop, words[i + 1], root / "functions" / language / "bench");
    pin_loop();
    for (const auto& name : {words[3], language}) {
      for (const pid_t pid : workers_of(name)) pin(pid, last);
    }
    pin(first.pid(), last);
    pin(second.pid(), last);
    const auto hop = [&](HandWritten& one) {
      const auto call = [&](std::function<void()> answered) { one.call(kText, std::move(answered)); };
      return Run(loop, call, 1, std::chrono::milliseconds(150)).run().p50_us;
    };
    std::vector<double> own;
    std::vector<double> hops;
    std::vector<double> ratios;
    for (int round = -1; round < rounds; ++round) {
      std::promise<double> promise;
      loop.post([&] {
        functions::CallRequest call;
        call.address = "python/bench.relay";
        call.arguments.json = "{\"address\":\"" + language + "/bench.echo\",\"text\":\"" + kText + "\",\"times\":2000}";
        workers::CallEvents events;
        events.done = [&promise](const Result<protocol::Payload>& outcome) {
          if (!outcome) die(to_text(outcome.error()));
          promise.set_value(std::atof(outcome->json.c_str()));
        };
        functions->call(std::move(call), std::move(events));
      });
      const double relayed = promise.get_future().get();
      const double two_hops = hop(first) + hop(second);
      if (round < 0) continue;
      own.push_back(relayed);
      hops.push_back(two_hops);
      ratios.push_back(relayed / two_hops);
    }
    print_row(as_json, "python to " + language + " through the engine", median(own), "us", median(hops), median(ratios), 1.3);
  }
  std::promise<void> stopped;
  loop.post([&] { functions->shutdown([&] { stopped.set_value(); }); });
  stopped.get_future().wait_for(std::chrono::seconds(5));
  std::promise<void> cleared;
  loop.post([&] {
    functions.reset();
    cleared.set_value();
  });
  cleared.get_future().wait();
  loop.stop();
  return all_met ? 0 : 1;
}

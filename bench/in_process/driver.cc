// Measures calls of C++ functions inside the engine's process, in rounds that take turns:
//
//   the interface   the call across the C interface alone: arguments decoded, the function, its result encoded
//   the room        the whole call as every call in the engine goes, through the functions room: the function found by its
//                   address, the arguments and the result checked against their schemas, deadline, statistics
//
// and of both what of the processor's time a call takes, with that of every thread that has to do with it.
//
//   bench_in_process RESOURCES PROJECT CACHE [--json]
#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <future>
#include <iostream>
#include <thread>

#include "in_process.h"
#include "sabir/functions/functions.h"

namespace {

using namespace sabir;
using Clock = std::chrono::steady_clock;
constexpr int kRounds = 9;
constexpr int kCalls = 20'000;
constexpr double kTarget = 2.0;  // microseconds

[[noreturn]] void die(const std::string& why) {
  std::cerr << "bench_in_process: " << why << "\n";
  std::_Exit(2);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

// User's and system's time of the process.
double processor_microseconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec); };
  return of(used.ru_utime) + of(used.ru_stime);
}

bool all_met = true;
void print_row(bool as_json, const std::string& measure, double value) {
  const bool met = value <= kTarget;
  all_met = all_met && met;
  if (as_json) {
    std::printf(R"({"measure":"%s","value":%.3f,"unit":"us","reference":null,"ratio":null,"target":%.1f,"met":%s})"
                "\n", measure.c_str(), value, kTarget, met ? "true" : "false");
  } else {
    std::printf("%-60s %8.3f us  target <= %.1f  %s\n", measure.c_str(), value, kTarget, met ? "met" : "MISSED");
  }
}

// Without a target.
void print_processor_row(bool as_json, const std::string& measure, double value) {
  if (as_json) {
    std::printf(R"({"measure":"%s","value":%.3f,"unit":"us","reference":null,"ratio":null,"target":null,"met":null})"
                "\n", measure.c_str(), value);
  } else {
    std::printf("%-60s %8.3f us\n", measure.c_str(), value);
  }
}

struct Case {
  std::string name;
  std::string function;
  std::string arguments;
  std::string answer;
};

// One per round of a case and a way to call it.
struct Figures {
  std::vector<double> p50;
  std::vector<double> processor;
  void add(std::vector<double> took, double processor_time) {
    processor.push_back(processor_time / static_cast<double>(took.size()));
    p50.push_back(median(std::move(took)));
  }
};

// Calls one after the other, from the loop's own thread.
class Chain {
 public:
  Chain(net::Loop& loop, functions::Functions& functions, const Case& what) : loop_(loop), functions_(functions), case_(what) {}
  // The times from call to answer.
  std::vector<double> run(int count) {
    took_.clear();
    took_.reserve(static_cast<std::size_t>(count));
    left_ = count;
    auto done = done_.get_future();
    loop_.post([this] { next(); });
    if (done.wait_for(std::chrono::seconds(120)) != std::future_status::ready) die("no answer within 120 s");
    done_ = {};
    return std::move(took_);
  }

 private:
  void next() {
    functions::CallRequest call;
    call.address = "inside." + case_.function;
    call.arguments.json = case_.arguments;
    workers::CallEvents events;
    const auto begin = Clock::now();
    events.done = [this, begin](const Result<protocol::Payload>& outcome) {
      took_.push_back(microseconds(Clock::now() - begin));
      if (!outcome) die(to_text(outcome.error()));
      if (outcome->json != case_.answer) die("a wrong answer: " + outcome->json);
      if (--left_ > 0) return next();
      done_.set_value();
    };
    functions_.call(std::move(call), std::move(events));
  }

  net::Loop& loop_;
  functions::Functions& functions_;
  const Case& case_;
  std::vector<double> took_;
  std::promise<void> done_;
  int left_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) die("usage: bench_in_process RESOURCES PROJECT CACHE [--json]");
  const bool as_json = argc > 4 && std::string(argv[4]) == "--json";
  auto languages = project::load_languages(std::filesystem::path(argv[1]) / "languages");
  if (!languages) die(to_text(languages.error()));
  auto loaded = project::load(std::filesystem::canonical(argv[2]), "bench", *languages);
  if (!loaded) die(to_text(loaded.error()));
  const auto project = std::make_shared<const project::Project>(std::move(*loaded));
  const std::string text = "\"" + std::string(100, 'x') + "\"";
  const std::vector<Case> cases{{"100 B", "echo", "{\"text\":" + text + "}", text}, {"two numbers", "scaled", R"({"value":1.25,"times":3})", "3.75"}};

  const auto cpp = std::find_if(languages->begin(), languages->end(), [](const auto& l) { return l.name == "cpp"; });
  if (cpp == languages->end()) die("no language cpp");
  const std::atomic<bool> stopping = false;
  auto built = functions::build_language(*project, *cpp, *functions::Registry::build(*project, *languages), argv[3], stopping);
  if (!built) die(to_text(built.error()));
  auto library = functions::Library::open(built->library);
  if (!library) die(to_text(library.error()));
  net::Loop loop;
  std::vector<std::jthread> background;
  functions::Setup setup;
  setup.project = project;
  setup.languages = *languages;
  setup.build_cache = argv[3];
  setup.background = [&background](std::function<void()> work) { background.emplace_back(std::move(work)); };
  auto functions = std::make_unique<functions::Functions>(loop, std::move(setup));
  std::jthread turning([&loop] { loop.run(); });

  const auto interface = [&](const Case& one, const void* function) {
    std::vector<double> took;
    took.reserve(kCalls);
    for (int i = 0; i < kCalls; ++i) {
      const auto begin = Clock::now();
      auto outcome = (*library)->call(function, one.arguments, "");
      took.push_back(microseconds(Clock::now() - begin));
      if (!outcome || outcome->json != one.answer) die("a wrong answer");
    }
    return took;
  };
  std::vector<std::pair<Figures, Figures>> figures(cases.size());
  for (int round = -1; round < kRounds; ++round) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto* const function = (*library)->find("functions/cpp/inside.cpp\n" + cases[i].function);
      if (!function) die("no " + cases[i].function + " in " + built->library.string());
      Chain chain(loop, *functions, cases[i]);
      // Which of the two comes first changes from round to round.
      for (const bool in_room : {round % 2 == 0, round % 2 != 0}) {
        const double before = processor_microseconds();
        auto took = in_room ? chain.run(kCalls) : interface(cases[i], function);
        const double processor = processor_microseconds() - before;
        if (round >= 0) (in_room ? figures[i].second : figures[i].first).add(std::move(took), processor);
      }
    }
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = "C++ in the engine, " + cases[i].name + ", ";
    print_row(as_json, name + "the interface, p50", median(figures[i].first.p50));
    print_processor_row(as_json, name + "the interface, processor", median(figures[i].first.processor));
    print_row(as_json, name + "through the room, p50", median(figures[i].second.p50));
    print_processor_row(as_json, name + "through the room, processor", median(figures[i].second.processor));
  }

  std::promise<void> cleared;
  loop.post([&] {
    functions->shutdown([&] {
      loop.post([&] {
        functions.reset();
        cleared.set_value();
      });
    });
  });
  cleared.get_future().wait_for(std::chrono::seconds(10));
  loop.stop();
  return all_met ? 0 : 1;
}

// Measures what a trace adds to a call, in rounds in which the three take turns: not traced, its structure alone, with its texts. The
// calls go through the functions room, one after the other: C++ inside the engine, where a trace weighs most, and a Python worker. The
// spans are kept as in an engine, in a file of a temporary folder, by the thread that does it there.
//
//   bench_traces RESOURCES PROJECT CACHE [--json]
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <future>
#include <iostream>
#include <thread>

#include "sabir/functions/functions.h"
#include "sabir/telemetry/telemetry.h"

namespace {

using namespace sabir;
using Clock = std::chrono::steady_clock;
constexpr int kRounds = 11;
constexpr double kTarget = 1.0;  // microseconds that a trace may add

[[noreturn]] void die(const std::string& why) {
  std::cerr << "bench_traces: " << why << "\n";
  std::_Exit(2);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

double processor_microseconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec); };
  return of(used.ru_utime) + of(used.ru_stime);
}

bool all_met = true;
void print_row(bool as_json, const std::string& measure, double value, bool with_target) {
  const bool met = !with_target || value <= kTarget;
  all_met = all_met && met;
  if (as_json) {
    std::printf(R"({"measure":"%s","value":%.3f,"unit":"us","reference":null,"ratio":null,"target":%s,"met":%s})"
                "\n", measure.c_str(), value, with_target ? "1.0" : "null", with_target ? (met ? "true" : "false") : "null");
  } else {
    std::printf("%-60s %8.3f us%s\n", measure.c_str(), value, with_target ? (met ? "  target <= 1.0  met" : "  target <= 1.0  MISSED") : "");
  }
}

// One way to call: with telemetry of its own, or none.
class Way {
 public:
  Way(net::Loop& loop, const project::Project& project, const std::vector<project::Language>& languages, const std::filesystem::path& cache,
      std::optional<project::Capture> capture)
      : loop_(loop) {
    if (capture) {
      auto kept = std::make_shared<project::Project>(project);
      std::string pattern = (std::filesystem::temp_directory_path() / "sabir-bench-XXXXXX").string();
      folder_ = ::mkdtemp(pattern.data());
      kept->root = folder_;
      kept->tracing.capture = *capture;
      telemetry_ = telemetry::Telemetry::start(kept, std::make_shared<secrets::Secrets>(folder_), [] {});
    }
    functions::Setup setup;
    setup.project = std::make_shared<const project::Project>(project);
    setup.languages = languages;
    setup.build_cache = cache;
    setup.tracer = telemetry_ ? &telemetry_->tracer() : nullptr;
    setup.background = [this](std::function<void()> work) { background_.emplace_back(std::move(work)); };
    functions_ = std::make_unique<functions::Functions>(loop, std::move(setup));
  }
  ~Way() {
    std::promise<void> cleared;
    loop_.post([&] {
      functions_->shutdown([&] {
        loop_.post([&] {
          functions_.reset();
          cleared.set_value();
        });
      });
    });
    cleared.get_future().wait_for(std::chrono::seconds(10));
    telemetry_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;

  // The median time of a call, from the loop's own thread, and what of the processor's time one takes.
  std::pair<double, double> run(const std::string& address, int count) {
    took_.clear();
    left_ = count;
    address_ = address;
    auto done = done_.get_future();
    const double before = processor_microseconds();
    loop_.post([this] { next(); });
    if (done.wait_for(std::chrono::seconds(120)) != std::future_status::ready) die("no answer within 120 s");
    done_ = {};
    return {median(took_), (processor_microseconds() - before) / count};
  }

 private:
  void next() {
    functions::CallRequest call;
    call.address = address_;
    call.arguments.json = R"({"text":")" + std::string(100, 'x') + "\"}";
    workers::CallEvents events;
    const auto begin = Clock::now();
    events.done = [this, begin](const Result<protocol::Payload>& outcome) {
      took_.push_back(microseconds(Clock::now() - begin));
      if (!outcome) die(to_text(outcome.error()));
      if (--left_ > 0) return next();
      done_.set_value();
    };
    functions_->call(std::move(call), std::move(events));
  }

  net::Loop& loop_;
  std::filesystem::path folder_;
  std::unique_ptr<telemetry::Telemetry> telemetry_;
  std::vector<std::jthread> background_;
  std::unique_ptr<functions::Functions> functions_;
  std::string address_;
  std::vector<double> took_;
  std::promise<void> done_;
  int left_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) die("usage: bench_traces RESOURCES PROJECT CACHE [--json]");
  const bool as_json = argc > 4 && std::string(argv[4]) == "--json";
  auto languages = project::load_languages(std::filesystem::path(argv[1]) / "languages");
  if (!languages) die(to_text(languages.error()));
  auto project = project::load(std::filesystem::canonical(argv[2]), "bench", *languages);
  if (!project) die(to_text(project.error()));
  net::Loop loop;
  std::jthread turning([&loop] { loop.run(); });
  {
    Way off(loop, *project, *languages, argv[3], std::nullopt);
    Way structure(loop, *project, *languages, argv[3], project::Capture::kNone);
    Way texts(loop, *project, *languages, argv[3], project::Capture::kAll);
    const std::array<Way*, 3> ways{&off, &structure, &texts};
    const std::array<const char*, 3> names{"not traced", "structure", "with texts"};
    struct Case {
      const char* name;
      const char* address;
      int calls;
      std::array<std::vector<double>, 3> p50;
      std::array<std::vector<double>, 3> processor;
    };
    std::array<Case, 2> cases{Case{"C++ in the engine", "inside.echo", 20'000, {}, {}}, Case{"Python", "worker.echo", 4'000, {}, {}}};
    for (int round = -1; round < kRounds; ++round) {
      for (auto& one : cases) {
        for (std::size_t i = 0; i < ways.size(); ++i) {
          // Who comes first changes from round to round.
          const std::size_t way = (i + static_cast<std::size_t>(round + 1)) % ways.size();
          const auto [p50, processor] = ways[way]->run(one.address, one.calls);
          if (round < 0) continue;
          one.p50[way].push_back(p50);
          one.processor[way].push_back(processor);
        }
      }
    }
    for (const auto& one : cases) {
      for (std::size_t way = 0; way < ways.size(); ++way) {
        print_row(as_json, std::string(one.name) + ", " + names[way] + ", p50", median(one.p50[way]), false);
        print_row(as_json, std::string(one.name) + ", " + names[way] + ", processor", median(one.processor[way]), false);
      }
    }
    for (std::size_t way = 1; way < ways.size(); ++way) {
      // Where other noise is smallest.
      print_row(as_json, std::string("added to a call: ") + names[way], median(cases[0].p50[way]) - median(cases[0].p50[0]), true);
    }
  }
  loop.stop();
  return all_met ? 0 : 1;
}

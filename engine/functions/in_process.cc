#include "in_process.h"

#include <dlfcn.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>

#include "sabir/in_process.h"
#include "sabir/protocol/message.h"

namespace sabir::functions {
namespace {

using workers::Clock;
constexpr std::chrono::microseconds kQuick{50};   // a call by the loop takes no longer
constexpr int kProven = 8;                        // quick calls in a row until the loop calls by itself
constexpr int kMostThreads = 16;
constexpr std::size_t kMostWaiting = 10'000;
constexpr std::chrono::milliseconds kTick{10};
constexpr int kQuietTicks = 100;                  // without a call, until nobody looks for deadlines
constexpr std::size_t kNear = 4096;               // bytes of a result that need no buffer of their own

}  // namespace

Result<std::shared_ptr<const Library>> Library::open(const std::filesystem::path& path) {
  const auto wrong = [&](const std::string& why) {
    return fail(ErrorCode::kBuildFailed, "the functions that run inside the engine cannot be loaded: " + why,
                "What they use has to be linked into their library; without `in_process` in sabir.yml they run in a worker.");
  };
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* const why = ::dlerror();
    return wrong(why ? why : path.string());
  }
  auto library = std::make_shared<Library>();
  const auto version = reinterpret_cast<int (*)()>(::dlsym(handle, "sabir_in_process_version"));
  library->find_ = reinterpret_cast<decltype(library->find_)>(::dlsym(handle, "sabir_in_process_find"));
  library->call_ = reinterpret_cast<decltype(library->call_)>(::dlsym(handle, "sabir_in_process_call"));
  if (!version || version() != SABIR_IN_PROCESS_VERSION || !library->find_ || !library->call_) return wrong(path.string() + " has another interface");
  return library;
}

Result<protocol::Payload> Library::call(const void* function, std::string_view arguments, std::string_view context) const {
  char near[kNear];
  std::string far;
  sabir_output output{near, 0, sizeof near, nullptr, &far};
  output.grow = [](sabir_output* out, std::size_t capacity) noexcept {
    try {
      auto& text = *static_cast<std::string*>(out->user);
      const bool first = text.empty();
      text.resize(capacity);
      if (first) std::memcpy(text.data(), out->data, out->size);
      out->data = text.data();
      out->capacity = capacity;
      return 0;
    } catch (...) {
      return 1;
    }
  };
  const int result = call_(function, arguments.data(), arguments.size(), context.data(), context.size(), &output);
  protocol::Payload answer;
  if (output.data == near) {
    answer.json.assign(near, output.size);
  } else {
    far.resize(output.size);
    answer.json = std::move(far);
  }
  if (result == 0) return answer;
  if (result == 1) return fail(protocol::error_of(answer.json));
  return fail(ErrorCode::kFunctionError, "there was no memory for the function's result");
}

// Threads hold it too, so that one which ends late finds it.
struct InProcess::State : std::enable_shared_from_this<State> {
  explicit State(net::Loop& l) : loop(l), heard(true) {}

  // What a thread needs of a call.
  struct Task {
    CallId id = 0;
    std::shared_ptr<const Library> library;
    const void* function = nullptr;
    std::string arguments;
    std::string context;

    Result<protocol::Payload> run() const { return library->call(function, arguments, context); }
  };
  struct Running {
    Call call;
    Done done;
  };

  // Of the loop's thread alone.
  net::Loop& loop;
  std::unordered_map<std::string, std::shared_ptr<const Library>> libraries;  // by path
  std::unordered_map<std::string, Target> targets;                            // by library and function
  std::unordered_map<CallId, Running> calls;
  CallId next_id = 1;
  net::Loop::TimerId ticker = 0;
  int quiet_ticks = 0;

  // Under the mutex.
  std::mutex mutex;
  std::condition_variable wake;
  bool heard;  // false once nobody hears of an end: the loop may be gone
  std::deque<Task> tasks;
  int threads = 0;
  int idle = 0;

  void finish(CallId id, Result<protocol::Payload> outcome, Clock::time_point ended) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const auto done = std::move(found->second.done);
    calls.erase(found);
    loop.release();
    if (done) done(std::move(outcome), ended);
  }

  static void note(Target& target, Clock::duration took) { target.proven = took <= kQuick ? std::min(target.proven + 1, kProven) : 0; }

  // Of a call that ran on another thread. REQUIRES: the mutex is held.
  void hear(CallId id, Clock::time_point begun, Result<protocol::Payload> outcome) {
    if (!heard) return;
    loop.post([self = shared_from_this(), id, begun, ended = Clock::now(), outcome = std::move(outcome)]() mutable {
      const auto found = self->calls.find(id);
      if (found == self->calls.end()) return;
      note(*found->second.call.target, ended - begun);
      self->finish(id, std::move(outcome), ended);
    });
  }

  // Waits for tasks until there is none for a while.
  void work() {
    std::unique_lock lock(mutex);
    while (heard) {
      ++idle;
      const bool any = wake.wait_for(lock, std::chrono::seconds(10), [&] { return !tasks.empty() || !heard; });
      --idle;
      if (!any || !heard) break;
      const Task task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      const auto begun = Clock::now();
      auto outcome = task.run();
      lock.lock();
      hear(task.id, begun, std::move(outcome));
    }
    --threads;
  }

  // False when too many wait.
  bool submit(Task task) {
    const std::lock_guard lock(mutex);
    if (tasks.size() >= kMostWaiting) return false;
    tasks.push_back(std::move(task));
    if (static_cast<int>(tasks.size()) > idle && threads < kMostThreads) {
      ++threads;
      std::thread([self = shared_from_this()] { self->work(); }).detach();
    }
    wake.notify_one();
    return true;
  }

  // At the end of the turn that made the call. Another thread may own the loop, and all that is its own, when this returns.
  void begin(CallId id) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    auto& [call, done] = found->second;
    Target& target = *call.target;
    Task task{id, target.library, target.function, std::move(call.arguments), std::move(call.context)};
    const auto ticket = target.proven >= kProven ? loop.enter_foreign() : 0;
    if (ticket == 0) {
      if (!submit(std::move(task))) finish(id, fail(ErrorCode::kBusy, "too many calls wait for a thread of the engine", "Try again later."), Clock::now());
      return;
    }
    const auto self = shared_from_this();
    // The turn's other calls do not count: what waits behind many is no slower for it.
    const auto begun = Clock::now();
    auto outcome = task.run();
    if (!net::Loop::leave_foreign(ticket)) {
      const std::lock_guard lock(mutex);
      hear(id, begun, std::move(outcome));
      return;
    }
    const auto ended = Clock::now();
    note(target, ended - begun);
    finish(id, std::move(outcome), ended);
  }

  // Looks for deadlines that have passed, as long as there are calls and a little longer: a timer costs more than a call.
  void arm() {
    quiet_ticks = 0;
    if (ticker == 0) tick();
  }

  void tick() {
    ticker = loop.after(kTick, [self = shared_from_this()] {
      self->ticker = 0;
      std::vector<CallId> overdue;
      const auto now = Clock::now();
      for (const auto& [id, running] : self->calls) {
        if (running.call.deadline <= now) overdue.push_back(id);
      }
      for (const CallId id : overdue) self->end(id, ErrorCode::kTimeout, "its deadline passed");
      if ((!self->calls.empty() || ++self->quiet_ticks < kQuietTicks) && self->ticker == 0) self->tick();
    });
  }

  void end(CallId id, ErrorCode code, const std::string& reason) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const auto& call = found->second.call;
    Error error(code, call.address + (code == ErrorCode::kTimeout ? " took too long: " : " was cancelled: ") + reason,
                "It runs inside the engine, where it cannot be stopped: it goes on until it returns.");
    if (!call.read) error.data = R"({"outcome":"unknown"})";
    finish(id, fail(std::move(error)), Clock::now());
  }
};

InProcess::InProcess(net::Loop& loop) : state_(std::make_shared<State>(loop)) {}

InProcess::~InProcess() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->heard = false;
    state_->tasks.clear();
  }
  state_->calls.clear();
  state_->loop.cancel(state_->ticker);
  state_->wake.notify_all();
}

Result<InProcess::Target*> InProcess::find(const std::filesystem::path& library, const std::string& module, const std::string& receiver, const std::string& function) {
  State& s = *state_;
  const std::string key = module + "\n" + (receiver.empty() ? std::string() : receiver + "::") + function;
  auto& target = s.targets[library.string() + "\n" + key];
  if (target.function) return &target;
  auto& opened = s.libraries[library.string()];
  if (!opened) {
    auto made = Library::open(library);
    if (!made) return fail(std::move(made.error()));
    opened = std::move(*made);
  }
  target.library = opened;
  target.function = opened->find(key);
  if (!target.function) return fail(ErrorCode::kUnknownFunction, "the library of " + module + " has no function " + function);
  return &target;
}

InProcess::CallId InProcess::call(Call call, Done done) {
  State& s = *state_;
  const CallId id = s.next_id++;
  s.loop.hold();
  s.calls.emplace(id, State::Running{std::move(call), std::move(done)});
  s.loop.soon([self = state_, id] { self->begin(id); });
  s.arm();
  return id;
}

void InProcess::cancel(CallId id, ErrorCode code, const std::string& reason) { state_->end(id, code, reason); }

}  // namespace sabir::functions

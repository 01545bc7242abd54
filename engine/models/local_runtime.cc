#include "sabir/models/local_runtime.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "local_worker.h"
#include "sabir/base/log.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kPoll = milliseconds(50);

// One configured model and, while it is loaded, its process.
struct Seat {
  LocalSpec spec;
  std::timed_mutex busy;                // held during a call
  std::unique_ptr<LocalWorker> worker;  // under `busy`
  std::string model;                    // its own name, once loaded; under `busy`
  Clock::time_point last_used = Clock::now();  // under `busy`
};

class ProcessRuntime final : public LocalRuntime {
 public:
  explicit ProcessRuntime(LocalRuntimeOptions options) : options_(std::move(options)), keeper_([this] { keep(); }) {}

  ~ProcessRuntime() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    keeper_.join();
  }

  Result<Reply> complete(const LocalSpec& spec, const Request& request, const OnEvent& on_event) override {
    auto done = call(spec, "complete", arguments_of(request), {request.timeout, request.cancelled}, on_event);
    if (!done) return fail(std::move(done.error()));
    return read_reply(done->value, done->model);
  }

  Result<Embeddings> embed(const LocalSpec& spec, const EmbedRequest& request) override {
    json::array texts;
    for (const auto& text : request.texts) texts.push_back(json::value(text));
    auto done = call(spec, "embed", {{"texts", std::move(texts)}}, {request.timeout, request.cancelled}, {});
    if (!done) return fail(std::move(done.error()));
    return read_vectors(done->value, request.texts.size(), done->model);
  }

  void shutdown() override {
    std::map<Key, std::shared_ptr<Seat>> seats;
    {
      const std::lock_guard lock(mutex_);
      seats.swap(seats_);
    }
    for (auto& [key, seat] : seats) {
      const std::lock_guard busy(seat->busy);
      seat->worker.reset();
    }
  }

 private:
  using Key = std::tuple<std::string, int, int>;

  struct Bounds {
    milliseconds timeout;
    std::shared_ptr<std::atomic<bool>> cancelled;  // may be null
  };
  struct Done {
    json::value value;
    std::string model;  // the file's own name
  };

  // Loads the model where it is not loaded, and calls one of its process' functions.
  Result<Done> call(const LocalSpec& spec, const std::string& function, const json::object& arguments, const Bounds& bounds, const OnEvent& on_event) {
    const auto seat = seat_for(spec);
    std::unique_lock held(seat->busy, std::defer_lock);
    const auto asked = Clock::now();
    while (!held.try_lock_for(kPoll)) {
      if (bounds.cancelled && bounds.cancelled->load(std::memory_order_relaxed)) return fail(ErrorCode::kCancelled, "the local model was cancelled");
      if (Clock::now() - asked >= bounds.timeout) {
        return fail(ErrorCode::kTimeout, "the local model is still busy with earlier requests", "Raise the timeout, or send fewer at once.");
      }
    }
    if (seat->worker && !seat->worker->alive()) seat->worker.reset();
    if (!seat->worker) {
      make_room(seat);
      if (auto loaded = load(*seat, bounds, on_event); !loaded) {
        seat->worker.reset();
        return fail(std::move(loaded.error()));
      }
    }
    LocalWorker::Wait wait{Clock::now() + bounds.timeout, bounds.cancelled, options_.grace, {}, {}};
    if (on_event) {
      wait.on_chunk = [&](const json::object& params) {
        const auto* value = params.if_contains("value");
        const auto* delta = value != nullptr && value->is_object() ? value->get_object().if_contains("delta") : nullptr;
        if (delta == nullptr || !delta->is_object()) return;
        if (const auto text = string_or(delta->get_object(), "content"); !text.empty()) on_event(Event{.content = std::string(text)});
      };
    }
    auto value = seat->worker->call(function, arguments, wait);
    seat->last_used = Clock::now();
    if (!value) {
      if (!seat->worker->alive()) seat->worker.reset();
      Error error = std::move(value.error());
      if (error.code == ErrorCode::kInternal || error.code == ErrorCode::kFunctionError) error.code = ErrorCode::kModel;
      return fail(std::move(error));
    }
    return Done{std::move(*value), seat->model};
  }

  std::shared_ptr<Seat> seat_for(const LocalSpec& spec) {
    const std::lock_guard lock(mutex_);
    auto& seat = seats_[{spec.name, spec.context_tokens, spec.threads}];
    if (!seat) {
      seat = std::make_shared<Seat>();
      seat->spec = spec;
    }
    return seat;
  }

  // Ends the longest idle processes while there are too many. Busy ones are left alone.
  void make_room(const std::shared_ptr<Seat>& for_seat) {
    while (true) {
      std::shared_ptr<Seat> oldest;
      std::size_t loaded = 0;
      for (const auto& seat : all_seats()) {
        if (seat == for_seat) continue;
        const std::unique_lock busy(seat->busy, std::try_to_lock);
        if (!busy) {
          ++loaded;
          continue;
        }
        if (!seat->worker) continue;
        ++loaded;
        if (!oldest || seat->last_used < oldest->last_used) oldest = seat;
      }
      if (loaded < options_.most_processes || !oldest) return;
      const std::unique_lock busy(oldest->busy, std::try_to_lock);
      if (!busy) return;
      oldest->worker.reset();
    }
  }

  std::vector<std::shared_ptr<Seat>> all_seats() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Seat>> out;
    for (const auto& [key, seat] : seats_) out.push_back(seat);
    return out;
  }

  Result<void> load(Seat& seat, const Bounds& bounds, const OnEvent& on_event) {
    auto files = options_.find(seat.spec);
    if (!files) return fail(std::move(files.error()));
    if (on_event) on_event(Event{.progress = 0});
    // A process dies with the thread that started it, and callers' threads come and go: the keeper starts it.
    auto started = start_on_keeper(*files);
    if (!started) return fail(std::move(started.error()));
    seat.worker = std::move(*started);
    LocalWorker::Wait wait{Clock::now() + options_.startup, bounds.cancelled, milliseconds(0), {}, {}};
    if (auto greeted = seat.worker->greet(wait); !greeted) {
      Error error = std::move(greeted.error());
      if (error.code == ErrorCode::kModel || error.code == ErrorCode::kProtocol) {
        error.code = ErrorCode::kUnavailable;
        error.hint = "Run `sabir model pull " + seat.spec.name + "`, which also installs what runs it; `sabir doctor` checks node.";
      }
      return fail(std::move(error));
    }
    json::object arguments{{"path", files->weights.string()}};
    if (seat.spec.context_tokens > 0) arguments["context"] = seat.spec.context_tokens;
    if (seat.spec.threads > 0) arguments["threads"] = seat.spec.threads;
    if (!files->cache.empty()) arguments["cache"] = files->cache.string();
    // An alias such as "default" is no name: who answered is what the file says.
    arguments["name"] = files->weights.stem().string();
    wait.deadline = Clock::now() + options_.load;
    if (on_event) {
      wait.on_progress = [&](const json::object& params) {
        const auto* done = params.if_contains("done");
        const auto* total = params.if_contains("total");
        if (done == nullptr || total == nullptr || !done->is_number() || !total->is_number()) return;
        const double whole = total->to_number<double>();
        if (whole > 0) on_event(Event{.progress = std::clamp(done->to_number<double>() / whole, 0.0, 1.0)});
      };
    }
    auto value = seat.worker->call("load", arguments, wait);
    if (!value) {
      Error error = std::move(value.error());
      if (error.code == ErrorCode::kTimeout) {
        error.message = "the local model '" + seat.spec.name + "' has not loaded within " + std::to_string(options_.load.count() / 1000) + " s";
        error.hint = "Choose a smaller model, or free some memory.";
      } else if (error.code == ErrorCode::kInternal || error.code == ErrorCode::kFunctionError) {
        error.code = ErrorCode::kModel;
      }
      return fail(std::move(error));
    }
    seat.model = value->is_object() ? std::string(string_or(value->get_object(), "model", files->weights.stem().string())) : files->weights.stem().string();
    if (on_event) on_event(Event{.progress = 1});
    return {};
  }

  static json::object arguments_of(const Request& request) {
    json::object arguments{{"messages", request.messages}};
    if (!request.tools.empty()) arguments["tools"] = request.tools;
    if (request.output_schema) arguments["json_schema"] = *request.output_schema;
    for (const auto& member : request.parameters) {
      const auto key = member.key();
      const bool most = key == "max_completion_tokens" || key == "max_output_tokens";
      arguments[most ? json::string_view("max_tokens") : key] = member.value();
    }
    return arguments;
  }

  static Result<Reply> read_reply(const json::value& value, const std::string& model) {
    const auto* object = value.if_object();
    const auto* message = object != nullptr ? object->if_contains("message") : nullptr;
    if (message == nullptr || !message->is_object()) return fail(ErrorCode::kModel, "the local model's process answered without a message");
    Reply reply;
    reply.content = string_or(message->get_object(), "content");
    if (const auto* calls = message->get_object().if_contains("tool_calls"); calls != nullptr && calls->is_array()) {
      for (const auto& call : calls->get_array()) {
        const auto* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
        if (function == nullptr || !function->is_object()) continue;
        const auto* arguments = function->get_object().if_contains("arguments");
        reply.tool_calls.push_back({std::string(string_or(call.get_object(), "id")), std::string(string_or(function->get_object(), "name")),
                                    arguments == nullptr       ? "{}"
                                    : arguments->is_string() ? std::string(arguments->get_string())
                                                             : json::serialize(*arguments)});
      }
    }
    reply.finish_reason = string_or(*object, "finish_reason", reply.tool_calls.empty() ? "stop" : "tool_calls");
    reply.model = string_or(*object, "model", model);
    reply.provider = "local";
    if (const auto* usage = object->if_contains("usage"); usage != nullptr && usage->is_object()) {
      const auto number = [&](const char* key) {
        const auto* count = usage->get_object().if_contains(key);
        return count != nullptr && count->is_int64() ? count->get_int64() : 0;
      };
      reply.usage = {number("prompt_tokens"), number("completion_tokens")};
    }
    return reply;
  }

  static Result<Embeddings> read_vectors(const json::value& value, std::size_t texts, const std::string& model) {
    const auto wrong = [](const std::string& what) { return fail(ErrorCode::kModel, "the local model's process answered " + what); };
    const auto* object = value.if_object();
    const auto* vectors = object != nullptr ? object->if_contains("vectors") : nullptr;
    if (vectors == nullptr || !vectors->is_array() || vectors->get_array().size() != texts) return wrong("without a vector for each text");
    Embeddings out;
    for (const auto& item : vectors->get_array()) {
      if (!item.is_array() || item.get_array().empty()) return wrong("with an empty vector");
      auto& into = out.vectors.emplace_back();
      into.reserve(item.get_array().size());
      for (const auto& number : item.get_array()) {
        if (!number.is_number()) return wrong("with a vector of something else than numbers");
        into.push_back(number.to_number<float>());
      }
      if (into.size() != out.vectors.front().size()) return wrong("with vectors of several lengths");
    }
    out.model = string_or(*object, "model", model);
    out.provider = "local";
    if (const auto* tokens = object->if_contains("tokens"); tokens != nullptr && tokens->is_int64()) out.usage.input_tokens = tokens->get_int64();
    return out;
  }

  // Starts a process on the keeper's thread and waits for it.
  Result<std::unique_ptr<LocalWorker>> start_on_keeper(const LocalFiles& files) {
    std::packaged_task<Result<std::unique_ptr<LocalWorker>>()> task([&] { return LocalWorker::start(files); });
    auto result = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back([&task] { task(); });
    }
    wake_.notify_all();
    return result.get();
  }

  // The lasting thread: starts processes and ends those idle for too long.
  void keep() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_ || !jobs_.empty(); });
      while (!jobs_.empty()) {
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        lock.lock();
      }
      std::vector<std::shared_ptr<Seat>> seats;
      for (const auto& [key, seat] : seats_) seats.push_back(seat);
      lock.unlock();
      for (const auto& seat : seats) {
        const std::unique_lock busy(seat->busy, std::try_to_lock);
        if (!busy || !seat->worker) continue;
        const bool idle = Clock::now() - seat->last_used >= seat->spec.idle;
        if (idle) log(LogLevel::kInfo, "local model '" + seat->spec.name + "' unloaded after " + std::to_string(seat->spec.idle.count() / 1000) + " s without a call");
        if (idle || !seat->worker->alive()) seat->worker.reset();
      }
      seats.clear();
      lock.lock();
    }
    // Every process dies here, before the thread that it hangs on ends.
    auto seats = std::move(seats_);
    seats_.clear();
    lock.unlock();
    for (auto& [key, seat] : seats) {
      const std::lock_guard busy(seat->busy);
      seat->worker.reset();
    }
  }

  const LocalRuntimeOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Key, std::shared_ptr<Seat>> seats_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread keeper_;  // last: it uses the rest
};

}  // namespace

std::shared_ptr<LocalRuntime> make_process_runtime(LocalRuntimeOptions options) {
  return std::make_shared<ProcessRuntime>(std::move(options));
}

}  // namespace sabir::models

#include "sabir/workers/pool.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <unordered_map>

#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "worker.h"

namespace sabir::workers {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kTick{10};
constexpr milliseconds kStuck{20};        // a call sent ahead waits this long behind another, then goes elsewhere
constexpr double kQuick = 200;            // microseconds; slower functions are never sent ahead
constexpr int kQuickSamples = 3;

struct Call {
  Pool::CallId id = 0;
  CallSpec spec;
  CallEvents events;
  std::shared_ptr<Caller> caller;
  int attempts = 0;
};

// One frame on its way: `call` is 0 once nobody waits for the answer any more.
struct InFlight {
  std::int64_t rpc = 0;
  Pool::CallId call = 0;
  bool quick = false;
};

struct Slot {
  std::unique_ptr<Worker> worker;
  int reserve = 0;  // 0 = of the pool proper; else the only depth it serves
  bool retiring = false;
  bool draining = false;
  std::deque<InFlight> in_flight;  // in the order sent; the first one runs
  Clock::time_point head_since;
  std::optional<Clock::time_point> kill_at;
};

struct Speed {
  double average_us = 0;
  int samples = 0;
  bool quick() const { return samples >= kQuickSamples && average_us < kQuick; }
  void add(double us) {
    average_us = samples == 0 ? us : average_us * 0.8 + us * 0.2;
    ++samples;
  }
};

std::string context_json(const CallContext& context) {
  std::string out = "{\"user\":";
  protocol::append_quoted(out, context.user);
  out += ",\"tenant\":";
  protocol::append_quoted(out, context.tenant);
  out += ",\"conversation\":";
  protocol::append_quoted(out, context.conversation);
  out += ",\"run\":";
  protocol::append_quoted(out, context.run);
  return out + "}";
}

std::string call_params(const CallSpec& spec, Clock::time_point now) {
  std::string out = "{\"module\":";
  out.reserve(256 + spec.arguments.json.size());
  protocol::append_quoted(out, spec.module);
  out += ",\"receiver\":";
  protocol::append_quoted(out, spec.receiver);
  out += ",\"function\":";
  protocol::append_quoted(out, spec.function);
  out += ",\"arguments\":" + spec.arguments.json;
  if (!spec.binding.empty()) out += "," + spec.binding;
  out += ",\"context\":" + context_json(spec.context);
  out += ",\"context_parameter\":";
  protocol::append_quoted(out, spec.context_parameter);
  const auto left = duration_cast<milliseconds>(spec.deadline - now).count();
  out += ",\"deadline_ms\":" + std::to_string(std::max<std::int64_t>(0, left));
  out += ",\"depth\":" + std::to_string(spec.depth);
  if (!spec.idempotency_key.empty()) {
    out += ",\"idempotency_key\":";
    protocol::append_quoted(out, spec.idempotency_key);
  }
  out += protocol::blob_list(spec.arguments.blobs, "/arguments");
  return out + "}";
}

std::vector<std::string> blob_bytes(const protocol::Payload& payload) {
  std::vector<std::string> out;
  out.reserve(payload.blobs.size());
  for (const auto& blob : payload.blobs) out.push_back(blob.data);
  return out;
}

// The "value" member of an answer or a chunk, with its blobs.
Result<protocol::Payload> value_of(const Incoming& incoming) {
  auto members = protocol::raw_members(incoming.body);
  if (!members) return fail(ErrorCode::kProtocol, "the worker's answer is no object");
  const auto value = protocol::find_member(*members, "value");
  if (!value) return fail(ErrorCode::kProtocol, "the worker's answer has no value");
  auto blobs = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(incoming.blobs), "/value");
  if (!blobs) return fail(ErrorCode::kProtocol, blobs.error().message);
  return protocol::Payload{std::string(*value), std::move(*blobs)};
}

}  // namespace

struct Pool::State {
  State(net::Loop& l, PoolSpec s, RequestHandler h) : loop(l), spec(std::move(s)), handler(std::move(h)) {}

  net::Loop& loop;
  const PoolSpec spec;
  RequestHandler handler;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  CallId next_id = 1;
  std::unordered_map<CallId, std::unique_ptr<Call>> calls;
  std::map<int, std::deque<CallId>, std::greater<>> queues;  // by depth, the deepest first
  std::size_t queued = 0;
  std::vector<std::unique_ptr<Slot>> slots;
  std::unordered_map<std::string, Speed> speeds;
  net::Loop::TimerId ticker = 0;
  bool pumping = false;
  bool pump_posted = false;
  bool stopping = false;
  std::function<void()> stopped;
  int failed_starts = 0;
  std::optional<Error> start_failure;
  Clock::time_point retry_at;
  std::uint64_t started = 0;
  std::uint64_t crashed = 0;

  // ---- calls ---------------------------------------------------------------------------------------------------------

  void finish(CallId id, Result<protocol::Payload> outcome) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const std::unique_ptr<Call> call = std::move(found->second);
    calls.erase(found);
    loop.release();
    call->caller->ended = true;
    const auto when_ended = std::move(call->caller->when_ended);
    for (const auto& task : when_ended) task();
    if (call->events.done) call->events.done(std::move(outcome));
  }

  void enqueue(CallId id, int depth, bool first) {
    auto& queue = queues[depth];
    if (first) {
      queue.push_front(id);
    } else {
      queue.push_back(id);
    }
    ++queued;
  }

  // Soon, and once for many.
  void pump_soon() {
    if (pump_posted) return;
    pump_posted = true;
    loop.post([this, alive_here = alive] {
      if (!*alive_here) return;
      pump_posted = false;
      pump();
    });
  }

  // ---- dispatch ------------------------------------------------------------------------------------------------------

  int base_count() const {
    return static_cast<int>(std::count_if(slots.begin(), slots.end(), [](const auto& s) { return s->reserve == 0 && !s->retiring; }));
  }

  Slot* reserve_of(int depth) const {
    for (const auto& slot : slots) {
      if (slot->reserve == depth && !slot->retiring) return slot.get();
    }
    return nullptr;
  }

  static bool usable(const Slot& slot) {
    return !slot.retiring && !slot.draining && slot.worker->state() == Worker::State::kReady && !slot.kill_at;
  }

  Slot* idle_slot(int depth) const {
    Slot* reserve = nullptr;
    for (const auto& slot : slots) {
      if (!usable(*slot) || !slot->in_flight.empty()) continue;
      if (slot->reserve == 0) return slot.get();
      if (slot->reserve == depth) reserve = slot.get();
    }
    return reserve;
  }

  // A worker whose calls are all quick reads and that has room for one more.
  Slot* ahead_slot() const {
    Slot* best = nullptr;
    for (const auto& slot : slots) {
      if (!usable(*slot) || slot->reserve != 0 || slot->in_flight.size() >= static_cast<std::size_t>(spec.pipeline)) continue;
      if (!std::all_of(slot->in_flight.begin(), slot->in_flight.end(), [](const InFlight& f) { return f.quick && f.call != 0; })) continue;
      if (!best || slot->in_flight.size() < best->in_flight.size()) best = slot.get();
    }
    return best;
  }

  bool starting(int reserve) const {
    return std::any_of(slots.begin(), slots.end(), [&](const auto& s) {
      return s->reserve == reserve && !s->retiring && s->worker->state() == Worker::State::kStarting;
    });
  }

  void pump() {
    if (pumping || stopping) return;
    pumping = true;
    for (auto queue = queues.begin(); queue != queues.end();) {
      const int depth = queue->first;
      auto& ids = queue->second;
      while (!ids.empty()) {
        const auto found = calls.find(ids.front());
        if (found == calls.end()) {
          ids.pop_front();
          --queued;
          continue;
        }
        Call& call = *found->second;
        Slot* slot = idle_slot(depth);
        const bool quick = call.spec.read && speeds[call.spec.address].quick();
        if (!slot && quick) slot = ahead_slot();
        if (!slot) break;
        ids.pop_front();
        --queued;
        send(*slot, call, quick);
      }
      queue = ids.empty() ? queues.erase(queue) : std::next(queue);
    }
    grow();
    pumping = false;
    arm();
  }

  void grow() {
    if (queued == 0 || Clock::now() < retry_at) return;
    std::size_t wanted = queued;
    for (const auto& slot : slots) {
      if (slot->reserve == 0 && !slot->retiring && slot->worker->state() == Worker::State::kStarting && wanted > 0) --wanted;
    }
    while (wanted > 0 && base_count() < spec.max) {
      if (!spawn(0)) return;
      --wanted;
    }
    for (const auto& [depth, ids] : queues) {
      if (depth < 2 || ids.empty() || reserve_of(depth) || starting(0)) continue;
      if (!spawn(depth)) return;
      break;  // `queues` may have changed
    }
  }

  void send(Slot& slot, Call& call, bool quick) {
    const auto now = Clock::now();
    if (slot.in_flight.empty()) slot.head_since = now;
    const CallId id = call.id;
    Slot* const at = &slot;
    const auto rpc = slot.worker->peer().request("call", call_params(call.spec, now), blob_bytes(call.spec.arguments),
                                                 [this, at](std::int64_t id_sent, Result<Incoming> answer) { answered(*at, id_sent, std::move(answer)); });
    slot.in_flight.push_back({rpc, id, quick});
  }

  // Answers come in the order of the calls, because a worker runs one at a time; the id decides all the same.
  void answered(Slot& slot, std::int64_t rpc, Result<Incoming> answer) {
    if (slot.worker->state() == Worker::State::kDead) return;
    auto entry = std::find_if(slot.in_flight.begin(), slot.in_flight.end(), [&](const InFlight& f) { return f.rpc == rpc; });
    if (entry == slot.in_flight.end()) return;
    const auto now = Clock::now();
    const InFlight done = *entry;
    const bool head = entry == slot.in_flight.begin();
    slot.in_flight.erase(entry);
    const double took = static_cast<double>(duration_cast<microseconds>(now - slot.head_since).count());
    if (head) {
      slot.head_since = now;
      slot.kill_at.reset();
    }
    const auto found = done.call == 0 ? calls.end() : calls.find(done.call);
    if (found != calls.end()) {
      if (found->second->spec.read && head) speeds[found->second->spec.address].add(took);
      Result<protocol::Payload> outcome = answer ? value_of(*answer) : Result<protocol::Payload>(fail(std::move(answer.error())));
      finish(done.call, std::move(outcome));
    }
    after_answer(slot);
  }

  void after_answer(Slot& slot) {
    if (slot.in_flight.empty() && slot.retiring && !slot.draining) {
      slot.draining = true;
      slot.worker->drain(spec.grace);
    }
    if (queued > 0) pump_soon();
  }

  // ---- workers -------------------------------------------------------------------------------------------------------

  bool spawn(int reserve) {
    auto launch = spec.launch();
    Result<std::unique_ptr<Worker>> worker = fail(ErrorCode::kInternal, "");
    auto slot = std::make_unique<Slot>();
    Slot* const at = slot.get();
    if (launch) {
      Worker::Events events;
      events.ready = [this](Worker&) {
        failed_starts = 0;
        start_failure.reset();
        pump_soon();
      };
      events.request = [this, at](Worker&, const Incoming& request) { requested(*at, request); };
      events.notification = [this, at](Worker&, const Incoming& notification) { notified(*at, notification); };
      events.ended = [this, at](Worker&, const std::string& why) { lost(*at, why); };
      worker = Worker::start(loop, spec, *launch, std::move(events));
    } else {
      worker = fail(std::move(launch.error()));
    }
    if (!worker) {
      start_failed(std::move(worker.error()));
      return false;
    }
    ++started;
    slot->worker = std::move(*worker);
    slot->reserve = reserve;
    slots.push_back(std::move(slot));
    return true;
  }

  // Nothing can run until a worker starts, so whatever waits is told why.
  void start_failed(Error error) {
    ++failed_starts;
    start_failure = std::move(error);
    const auto pause = milliseconds(100) * (1 << std::min(failed_starts - 1, 6));
    retry_at = Clock::now() + std::min<Clock::duration>(pause, milliseconds(5000));
    const bool any_ready = std::any_of(slots.begin(), slots.end(), [](const auto& s) { return usable(*s); });
    if (any_ready) return;
    fail_queued(*start_failure);
  }

  void fail_queued(const Error& error) {
    auto waiting = std::move(queues);
    queues.clear();
    queued = 0;
    for (auto& [depth, ids] : waiting) {
      for (const CallId id : ids) {
        loop.post([this, alive_here = alive, id, error] {
          if (*alive_here) finish(id, fail(error));
        });
      }
    }
  }

  void lost(Slot& slot, const std::string& why) {
    const bool was_starting = !slot.worker->was_ready() && !slot.draining;
    auto in_flight = std::move(slot.in_flight);
    slot.in_flight.clear();
    const std::string tail = slot.worker->tail();
    if (was_starting && !stopping) {
      Error error = slot.worker->start_error().value_or(Error(ErrorCode::kUnavailable, ""));
      const std::string said = error.message.empty() ? "the " + spec.language + " worker " + why + " before it was ready" : error.message;
      Error told(error.code == ErrorCode::kProtocol ? ErrorCode::kUnavailable : error.code, said,
                 tail.empty() ? "Run `sabir doctor` to see what is missing." : "It printed:\n" + tail + (tail.ends_with('\n') ? "" : "\n") + "`sabir doctor` checks its version.");
      retire(slot);
      start_failed(std::move(told));
      return;
    }
    if (!stopping && !slot.draining) ++crashed;
    bool head = true;
    std::vector<CallId> again;
    for (const auto& entry : in_flight) {
      const auto found = entry.call == 0 ? calls.end() : calls.find(entry.call);
      if (found != calls.end()) {
        Call& call = *found->second;
        if (stopping) {
          finish(call.id, fail(ErrorCode::kCancelled, "the engine stopped while " + call.spec.address + " ran"));
        } else if (call.spec.read && (call.attempts == 0 || !head)) {
          if (head) ++call.attempts;
          again.push_back(call.id);
        } else if (call.spec.read) {
          finish(call.id, fail(Error(ErrorCode::kWorkerCrashed,
                                     "the " + spec.language + " worker " + why + " twice while it ran " + call.spec.address,
                                     "The function, or a library it uses, ends its process; run it alone to see how.")
                                   .with_detail(tail)));
        } else {
          finish(call.id, fail(Error(ErrorCode::kOutcomeUnknown,
                                     "the " + spec.language + " worker " + why + " while it ran " + call.spec.address +
                                         ": its effects may or may not have happened",
                                     "Look before you repeat it. A function without effects can say so: `Effect: read`.")
                                   .with_detail(tail)));
        }
      }
      head = false;
    }
    for (auto it = again.rbegin(); it != again.rend(); ++it) {
      const auto found = calls.find(*it);
      if (found != calls.end()) enqueue(*it, found->second->spec.depth, true);
    }
    retire(slot);
    if (stopping) {
      check_stopped();
    } else {
      pump_soon();
    }
  }

  // Removes the slot once the worker's own callbacks have returned.
  void retire(Slot& slot) {
    slot.retiring = true;
    const auto found = std::find_if(slots.begin(), slots.end(), [&](const auto& s) { return s.get() == &slot; });
    if (found == slots.end()) return;
    std::shared_ptr<Slot> gone(found->release());
    slots.erase(found);
    loop.post([gone] {});
  }

  // ---- messages from workers -----------------------------------------------------------------------------------------

  Call* call_of(Slot& slot, std::optional<std::int64_t> rpc) {
    for (const auto& entry : slot.in_flight) {
      if (rpc && entry.rpc != *rpc) continue;
      const auto found = entry.call == 0 ? calls.end() : calls.find(entry.call);
      return found == calls.end() ? nullptr : found->second.get();
    }
    return nullptr;
  }

  static std::optional<std::int64_t> number_member(std::string_view object, std::string_view key) {
    const auto members = protocol::raw_members(object);
    if (!members) return std::nullopt;
    const auto text = protocol::find_member(*members, key);
    std::int64_t value = 0;
    if (!text) return std::nullopt;
    const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (ec != std::errc()) return std::nullopt;
    return value;
  }

  void requested(Slot& slot, const Incoming& request) {
    Worker* const worker = slot.worker.get();
    if (request.method == "ping") {
      worker->peer().respond(request.id, "{}");
      return;
    }
    // Without `parent` it is made for the call that runs.
    Call* const call = call_of(slot, number_member(request.body, "parent"));
    if (!call) {
      worker->peer().respond_error(request.id, Error(ErrorCode::kCancelled, "the call behind this request has ended"));
      return;
    }
    EngineRequest out;
    out.method = request.method;
    out.params = request.body;
    out.blobs = std::move(request.blobs);
    out.caller = call->caller;
    out.reply = [this, alive_here = alive, at = &slot, worker, id = std::string(request.id)](Result<protocol::Payload> answer) {
      if (!*alive_here) return;
      const bool there = std::any_of(slots.begin(), slots.end(), [&](const auto& s) { return s.get() == at && s->worker.get() == worker; });
      if (!there || worker->state() == Worker::State::kDead) return;
      if (answer) {
        worker->peer().respond(id, answer->json, blob_bytes(*answer));
      } else {
        worker->peer().respond_error(id, answer.error());
      }
    };
    handler(std::move(out));
  }

  void notified(Slot& slot, const Incoming& notification) {
    Call* const call = call_of(slot, number_member(notification.body, "id"));
    if (notification.method == "log") {
      const auto value = parse_json(notification.body);
      if (value && value->is_object() && spec.output) spec.output(string_or(value->get_object(), "message"));
      return;
    }
    if (!call) return;
    if (notification.method == "chunk" && call->events.chunk) {
      if (auto value = value_of(notification)) call->events.chunk(std::move(*value));
    } else if (notification.method == "progress" && call->events.progress) {
      call->events.progress(std::string(notification.body));
    }
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  void arm() {
    if (ticker != 0) return;
    const bool pending_kill = std::any_of(slots.begin(), slots.end(), [](const auto& s) { return s->kill_at.has_value(); });
    if (calls.empty() && !pending_kill) return;
    ticker = loop.after(kTick, [this, alive_here = alive] {
      if (!*alive_here) return;
      ticker = 0;
      tick();
      arm();
    });
  }

  void tick() {
    const auto now = Clock::now();
    std::vector<CallId> overdue;
    for (const auto& [id, call] : calls) {
      if (call->spec.deadline <= now) overdue.push_back(id);
    }
    for (const CallId id : overdue) end_call(id, ErrorCode::kTimeout, "its deadline passed");
    for (const auto& slot : slots) {
      if (slot->kill_at && *slot->kill_at <= now) {
        slot->kill_at = now + std::chrono::hours(1);
        slot->worker->kill();
      }
      if (slot->in_flight.size() > 1 && now - slot->head_since > kStuck) free_those_behind(*slot);
    }
    if (queued > 0) pump();
  }

  void free_those_behind(Slot& slot) {
    if (const auto found = calls.find(slot.in_flight.front().call); found != calls.end()) {
      speeds[found->second->spec.address] = {duration_cast<microseconds>(kStuck).count() * 1.0, kQuickSamples};
    }
    for (std::size_t i = slot.in_flight.size(); i-- > 1;) {
      auto& entry = slot.in_flight[i];
      const auto found = entry.call == 0 ? calls.end() : calls.find(entry.call);
      if (found == calls.end()) continue;
      slot.worker->peer().notify("cancel", "{\"id\":" + std::to_string(entry.rpc) + ",\"reason\":\"moved\"}");
      enqueue(entry.call, found->second->spec.depth, true);
      entry.call = 0;
    }
  }

  void end_call(CallId id, ErrorCode code, const std::string& reason) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const CallSpec& call = found->second->spec;
    Error error(code, call.address + (code == ErrorCode::kTimeout ? " took too long: " : " was cancelled: ") + reason);
    if (code == ErrorCode::kTimeout) {
      error.hint = "Give it more time with `Timeout: 60s` in its doc comment, or --timeout on the command line.";
    }
    for (const auto& slot : slots) {
      for (auto& entry : slot->in_flight) {
        if (entry.call != id) continue;
        slot->worker->peer().notify("cancel", "{\"id\":" + std::to_string(entry.rpc) + ",\"reason\":" + protocol::quote(reason) + "}");
        if (&entry == &slot->in_flight.front()) slot->kill_at = Clock::now() + spec.grace;
        if (!call.read) error.data = R"({"outcome":"unknown"})";
        entry.call = 0;
      }
    }
    finish(id, fail(std::move(error)));
    arm();
  }

  void check_stopped() {
    if (!stopped || !slots.empty()) return;
    const auto done = std::move(stopped);
    stopped = nullptr;
    done();
  }
};

Pool::Pool(net::Loop& loop, PoolSpec spec, RequestHandler handler)
    : state_(std::make_unique<State>(loop, std::move(spec), std::move(handler))) {}

Pool::~Pool() {
  *state_->alive = false;
  state_->loop.cancel(state_->ticker);
}

Pool::CallId Pool::call(CallSpec spec, CallEvents events) {
  State& s = *state_;
  const CallId id = s.next_id++;
  auto call = std::make_unique<Call>();
  call->id = id;
  call->spec = std::move(spec);
  call->events = std::move(events);
  call->caller = std::make_shared<Caller>();
  call->caller->address = call->spec.address;
  call->caller->context = call->spec.context;
  call->caller->deadline = call->spec.deadline;
  call->caller->depth = call->spec.depth;
  const int depth = call->spec.depth;
  const std::string address = call->spec.address;
  s.loop.hold();
  s.calls.emplace(id, std::move(call));

  std::optional<Error> refused;
  if (s.stopping) {
    refused = Error(ErrorCode::kCancelled, "the engine is stopping");
  } else if (depth > kMostDepth) {
    refused = Error(ErrorCode::kDepthExceeded, address + " is nested more than " + std::to_string(kMostDepth) + " calls deep",
                    "Functions that call each other without end look like this.");
  } else if (s.queued >= s.spec.queue) {
    refused = Error(ErrorCode::kBusy, std::to_string(s.queued) + " calls wait for a " + s.spec.language + " worker",
                    "Try again later, or raise pools." + s.spec.language + ".max in sabir.yml.");
  } else if (s.start_failure && Clock::now() < s.retry_at &&
             std::none_of(s.slots.begin(), s.slots.end(), [](const auto& slot) { return State::usable(*slot); })) {
    refused = *s.start_failure;
  }
  if (refused) {
    s.loop.post([this, alive = s.alive, id, error = std::move(*refused)] {
      if (*alive) state_->finish(id, fail(error));
    });
    return id;
  }
  s.enqueue(id, depth, false);
  s.pump_soon();
  return id;
}

void Pool::cancel(CallId id, ErrorCode code, const std::string& reason) { state_->end_call(id, code, reason); }

void Pool::warm() {
  if (state_->slots.empty() && !state_->stopping) state_->spawn(0);
}

void Pool::reload() {
  for (const auto& slot : state_->slots) {
    if (slot->retiring) continue;
    slot->retiring = true;
    state_->after_answer(*slot);
  }
  state_->start_failure.reset();
  state_->retry_at = {};
  state_->pump_soon();
}

void Pool::shutdown(std::function<void()> done) {
  State& s = *state_;
  s.stopping = true;
  s.stopped = std::move(done);
  s.fail_queued(Error(ErrorCode::kCancelled, "the engine is stopping"));
  for (const auto& slot : s.slots) {
    slot->draining = true;
    slot->worker->drain(s.spec.grace);
  }
  s.loop.post([this, alive = s.alive] {
    if (*alive) state_->check_stopped();
  });
}

PoolStats Pool::stats() const {
  PoolStats out;
  for (const auto& slot : state_->slots) {
    ++out.workers;
    if (slot->worker->state() == Worker::State::kStarting) ++out.starting;
    out.running += slot->in_flight.size();
    out.pids.push_back(slot->worker->pid());
  }
  out.queued = state_->queued;
  out.started = state_->started;
  out.crashed = state_->crashed;
  return out;
}

}  // namespace sabir::workers

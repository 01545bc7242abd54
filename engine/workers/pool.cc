#include "sabir/workers/pool.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "bounds.h"
#include "call_message.h"
#include "call_queue.h"
#include "function_history.h"
#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "slot.h"
#include "starts.h"
#include "worker.h"

namespace sabir::workers {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kTick{10};
constexpr milliseconds kStuck{20};        // a call sent ahead waits this long behind another, then goes elsewhere
constexpr milliseconds kMemoryWatch{250}, kSandboxWatch{50}, kIdleSandboxWatch{500};

}  // namespace

struct Pool::State {
  State(net::Loop& l, PoolSpec s, RequestHandler h) : loop(l), spec(std::move(s)), handler(std::move(h)) {}

  net::Loop& loop;
  const PoolSpec spec;
  RequestHandler handler;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  CallId next_id = 1;
  std::unordered_map<CallId, std::unique_ptr<Call>> calls;
  CallQueue queue;
  std::unordered_map<std::string, int> running_of;   // calls at once of the addresses that are limited
  std::vector<std::unique_ptr<Slot>> slots;
  FunctionHistory history{spec.language};
  net::Loop::TimerId ticker = 0, shrinker = 0, watch = 0;
  Clock::time_point memory_seen;
  bool kept = false;  // warm() was called: `min` workers are kept up
  std::string params;  // of the call that is being sent
  bool pumping = false;
  bool pump_posted = false;
  bool stopping = false;
  std::function<void()> stopped;
  Starts starts{loop};
  std::uint64_t started = 0;
  std::uint64_t crashed = 0;
  std::uint64_t renewed = 0;
  BootProcesses boots{loop, spec};

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

  void enqueue(Call& call, bool first) {
    call.queued_at = Clock::now();
    queue.push(call.id, call.spec.depth, call.address(), first);
  }

  // One call fewer of an address whose calls at once are limited.
  void let_go(InFlight& entry) {
    if (!entry.limited) return;
    const auto found = running_of.find(entry.limited->address);
    if (found != running_of.end() && --found->second <= 0) running_of.erase(found);
    entry.limited.reset();
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
    return !slot.retiring && !slot.draining && slot.worker->state() == Worker::State::kReady && !slot.kill_at && !slot.worker->is_gone();
  }

  Slot* idle_slot(int depth, const std::string& address) const {
    Slot* reserve = nullptr;
    Slot* express = nullptr;
    for (const auto& slot : slots) {
      if (!usable(*slot) || !slot->in_flight.empty()) continue;
      if (slot->reserve == 0) return slot.get();
      if (slot->reserve == depth) reserve = slot.get();
      if (slot->reserve == kExpress) express = slot.get();
    }
    if (!reserve && express && !slow(address)) return express;
    return reserve;
  }

  // Whether `address` is known to be slow, or one of its calls has been running for long.
  bool slow(const std::string& address) const {
    if (history.slow(address)) return true;
    const auto now = Clock::now();
    return std::any_of(slots.begin(), slots.end(), [&](const auto& slot) {
      if (slot->in_flight.empty() || now - slot->head_since < FunctionHistory::kSlow) return false;
      const auto head = calls.find(slot->in_flight.front().call);
      return head != calls.end() && head->second->address() == address;
    });
  }

  // A worker whose calls are all quick reads and that has room for one more.
  Slot* ahead_slot() const {
    Slot* best = nullptr;
    for (const auto& slot : slots) {
      if (!usable(*slot) || slot->reserve != 0 || slot->in_flight.size() >= static_cast<std::size_t>(spec.pipeline)) continue;
      if (slot->holding > 0) continue;
      if (!best || slot->in_flight.size() < best->in_flight.size()) best = slot.get();
    }
    return best;
  }

  bool starting(int reserve) const {
    return std::any_of(slots.begin(), slots.end(), [&](const auto& s) {
      return s->reserve == reserve && !s->retiring && s->worker->state() == Worker::State::kStarting;
    });
  }

  // A worker for this call now; null when it has to wait.
  Slot* slot_for(const Call& call, int depth, bool quick) const {
    if (call.spec.callee->concurrency > 0) {
      const auto running = running_of.find(call.address());
      if (running != running_of.end() && running->second >= call.spec.callee->concurrency) return nullptr;
    }
    Slot* const idle = idle_slot(depth, call.address());
    return idle || !quick ? idle : ahead_slot();
  }

  bool send_at_once(Call& call) {
    const bool quick = call.read() && history.quick(call.address());
    Slot* const slot = slot_for(call, call.spec.depth, quick);
    if (!slot) return false;
    send(*slot, call, quick);
    arm();
    return true;
  }

  void pump() {
    if (pumping || stopping) return;
    pumping = true;
    queue.offer([this](CallId id, int depth) {
      using Verdict = CallQueue::Verdict;
      const auto found = calls.find(id);
      if (found == calls.end()) return Verdict::kDrop;
      Call& call = *found->second;
      const bool quick = call.read() && history.quick(call.address());
      Slot* const slot = slot_for(call, depth, quick);
      if (!slot) return Verdict::kSkipLine;
      send(*slot, call, quick);
      return Verdict::kTake;
    });
    grow();
    pumping = false;
    arm();
  }

  // Calls that wait for a worker, not for another call of their own function.
  bool waits_for_worker(const Call& call) const {
    if (call.spec.callee->concurrency == 0) return true;
    const auto running = running_of.find(call.address());
    return running == running_of.end() || running->second < call.spec.callee->concurrency;
  }

  void grow() {
    if (!starts.may_be_tried()) return;
    while (kept && base_count() < std::min(spec.min, spec.max)) {
      if (!spawn(0)) return;
    }
    if (queue.empty()) return;
    std::size_t wanted = 0;
    for (const int depth : queue.depths()) {
      for (const CallId id : queue.heads(depth)) {
        const auto found = calls.find(id);
        if (found != calls.end() && waits_for_worker(*found->second)) wanted = queue.size();
      }
    }
    for (const auto& slot : slots) {
      if (slot->reserve == 0 && !slot->retiring && slot->worker->state() == Worker::State::kStarting && wanted > 0) --wanted;
    }
    while (wanted > 0 && base_count() < spec.max) {
      if (!spawn(0)) return;
      --wanted;
    }
    for (const int depth : queue.depths()) {
      if (depth < 2 || reserve_of(depth) || starting(0)) continue;
      if (!spawn(depth)) return;
      break;
    }
    if (wants_express()) spawn(kExpress);
  }

  // Every worker has been busy with one call for a while, and a function that is not slow waits.
  bool wants_express() const {
    if (reserve_of(kExpress) || starting(0) || base_count() < spec.max) return false;
    const auto now = Clock::now();
    for (const auto& slot : slots) {
      if (slot->reserve != 0 || slot->retiring) continue;
      if (slot->in_flight.empty() || now - slot->head_since < FunctionHistory::kSlow) return false;
    }
    for (const CallId id : queue.heads(1)) {
      const auto found = calls.find(id);
      if (found == calls.end() || now - found->second->queued_at < kStuck) continue;
      if (waits_for_worker(*found->second) && !slow(found->second->address())) return true;
    }
    return false;
  }

  void send(Slot& slot, Call& call, bool quick) {
    const auto now = Clock::now();
    if (slot.in_flight.empty()) slot.head_since = now;
    if (call.spec.span && call.queued_at != Clock::time_point()) note_wait(*call.spec.span, slot, now - call.queued_at);
    const CallId id = call.id;
    Slot* const at = &slot;
    params.clear();
    append_call_params(params, call.spec, now);
    const auto rpc = slot.worker->peer().request("call", params, blob_bytes(call.spec.arguments),
                                                 [this, at](std::int64_t id_sent, Result<Incoming> answer) { answered(*at, id_sent, std::move(answer)); });
    slot.add({rpc, id, quick, call.spec.callee->concurrency > 0 ? call.spec.callee : nullptr});
    ++slot.calls;
    if (call.spec.callee->concurrency > 0) ++running_of[call.address()];
  }

  // Answers come in the order of the calls, because a worker runs one at a time; the id decides all the same.
  void answered(Slot& slot, std::int64_t rpc, Result<Incoming> answer) {
    if (slot.worker->state() == Worker::State::kDead) return;
    auto entry = std::find_if(slot.in_flight.begin(), slot.in_flight.end(), [&](const InFlight& f) { return f.rpc == rpc; });
    if (entry == slot.in_flight.end()) return;
    const auto now = Clock::now();
    let_go(*entry);
    const CallId answered_call = entry->call;
    const bool head = entry == slot.in_flight.begin();
    slot.remove(entry);
    const auto took = duration_cast<microseconds>(now - slot.head_since);
    if (head) {
      slot.head_since = now;
      slot.kill_at.reset();
    }
    const auto found = answered_call == 0 ? calls.end() : calls.find(answered_call);
    if (found != calls.end()) {
      if (head) history.took(found->second->address(), took);
      Result<protocol::Payload> outcome = answer ? value_of(*answer) : Result<protocol::Payload>(fail(std::move(answer.error())));
      finish(answered_call, std::move(outcome));
    }
    after_answer(slot, now);
  }

  void after_answer(Slot& slot, Clock::time_point now) {
    renew_if_due(slot);
    if (slot.in_flight.empty()) {
      slot.idle_since = now;
      if (slot.retiring && !slot.draining) {
        slot.draining = true;
        slot.worker->drain(spec.grace);
      }
      arm_shrinker();
    }
    if (!queue.empty()) pump_soon();
  }

  // A worker that has run enough calls, is old or has grown is replaced; it goes once its successor is ready.
  void renew_if_due(Slot& slot) {
    if (slot.renewing || slot.retiring || slot.reserve != 0 || stopping || starting(0)) return;
    bool due = spec.max_calls > 0 && slot.calls >= spec.max_calls;
    if (!due && spec.max_age.count() > 0) due = Clock::now() - slot.born >= spec.max_age;
    if (!due && spec.max_memory > 0 && Clock::now() - memory_seen >= kMemoryWatch) {
      memory_seen = Clock::now();
      due = memory_of(spec, slot.worker->pid()) > spec.max_memory / 5 * 4;
    }
    if (!due || !starts.may_be_tried()) return;
    slot.renewing = true;
    if (spawn(0)) {
      ++renewed;
    } else {
      slot.renewing = false;
    }
  }

  void successor_ready() {
    for (const auto& slot : slots) {
      if (!slot->renewing || slot->retiring) continue;
      slot->retiring = true;
      after_answer(*slot, Clock::now());
      return;
    }
  }

  // ---- idle workers --------------------------------------------------------------------------------------------------

  bool may_leave(const Slot& slot) const {
    return usable(slot) && slot.in_flight.empty() && (slot.reserve != 0 || base_count() > std::max(spec.min, 0));
  }

  void arm_shrinker() {
    if (shrinker != 0 || stopping) return;
    std::optional<Clock::time_point> next;
    for (const auto& slot : slots) {
      if (may_leave(*slot) && (!next || slot->idle_since < *next)) next = slot->idle_since;
    }
    if (!next) return;
    const auto wait = std::max<Clock::duration>(milliseconds(1), *next + spec.idle - Clock::now());
    shrinker = loop.after(duration_cast<milliseconds>(wait) + milliseconds(1), [this, alive_here = alive] {
      if (!*alive_here) return;
      shrinker = 0;
      const auto now = Clock::now();
      // Draining may end a worker at once: each is looked for anew.
      for (bool again = true; again;) {
        again = false;
        for (const auto& slot : slots) {
          if (!may_leave(*slot) || now - slot->idle_since < spec.idle) continue;
          slot->retiring = true;
          slot->draining = true;
          slot->worker->drain(spec.grace);
          again = true;
          break;
        }
      }
      arm_shrinker();
    });
  }

  // ---- workers -------------------------------------------------------------------------------------------------------

  bool spawn(int reserve) {
    auto launch = spec.launch();
    Result<std::unique_ptr<Worker>> worker = fail(ErrorCode::kInternal, "");
    auto slot = std::make_unique<Slot>();
    Slot* const at = slot.get();
    if (launch) {
      Worker::Events events;
      events.ready = [this, at](Worker&) {
        at->ready = at->idle_since = Clock::now();
        starts.succeeded();
        if (at->reserve == 0) successor_ready();
        arm_shrinker();
        pump_soon();
      };
      events.request = [this, at](Worker&, const Incoming& request) { requested(*at, request); };
      events.notification = [this, at](Worker&, const Incoming& notification) { notified(*at, notification); };
      events.ended = [this, at](Worker&, const std::string& why) { lost(*at, why); };
      worker = Worker::start(loop, spec, *launch, std::move(events), &boots);
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
    slot->born = Clock::now();
    slot->idle_since = slot->born;
    slots.push_back(std::move(slot));
    arm_watch();
    return true;
  }

  void replace_workers() {
    int successors = 0;
    std::vector<Slot*> old;
    for (const auto& slot : slots) {
      if (slot->retiring) continue;
      if (slot->reserve == 0) ++successors;
      old.push_back(slot.get());
      slot->retiring = true;
    }
    starts.forget();
    history.forget();
    // The next calls find the new ones on their way.
    while (successors-- > 0 && !stopping && spawn(0)) {
    }
    for (Slot* const slot : old) after_answer(*slot, Clock::now());
    pump_soon();
  }

  // Nothing can run until a worker starts, so whatever waits is told why.
  void start_failed(Error error) {
    starts.failed(std::move(error));
    for (const auto& slot : slots) slot->renewing = false;
    if (std::any_of(slots.begin(), slots.end(), [](const auto& slot) { return usable(*slot); })) return;
    fail_queued(*starts.failure());
    starts.tell(starts.failure());
  }

  void fail_queued(const Error& error) {
    for (const CallId id : queue.drain()) {
      loop.post([this, alive_here = alive, id, error] {
        if (*alive_here) finish(id, fail(error));
      });
    }
  }

  void lost(Slot& slot, const std::string& why) {
    const bool was_starting = !slot.worker->was_ready() && !slot.draining;
    auto in_flight = slot.take_all();
    for (auto& entry : in_flight) let_go(entry);
    const std::string tail = slot.worker->tail();
    if (was_starting && !stopping && !slot.worker->start_error() && why.starts_with("was killed") && starts.was_only_killed()) {
      for (const auto& other : slots) other->renewing = false;
      retire(slot);
      arm();
      return;
    }
    if (was_starting && !stopping) {
      Error error = slot.worker->start_error().value_or(Error(ErrorCode::kUnavailable, ""));
      const std::string said = error.message.empty() ? "the " + spec.language + " worker " + why + " before it was ready" : error.message;
      Error told(error.code == ErrorCode::kProtocol ? ErrorCode::kUnavailable : error.code, said,
                 tail.empty() ? "Run `sabir doctor` to see what is missing." : "It printed:\n" + tail + (tail.ends_with('\n') ? "" : "\n") + "`sabir doctor` checks its version.");
      // A boot file that does not load says where and why itself.
      if (error.code == ErrorCode::kLoadFailed) told = std::move(error);
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
        if (head && !stopping) history.crashed(call.address(), why);
        if (head && slot.ended_for && !stopping) {
          finish(call.id, fail(*slot.ended_for));
        } else if (stopping) {
          finish(call.id, fail(ErrorCode::kCancelled, "the engine stopped while " + call.address() + " ran"));
        } else if (call.read() && (call.attempts == 0 || !head)) {
          if (head) ++call.attempts;
          if (call.spec.span) call.spec.span->event("worker.lost", {{"sabir.why", why}});
          again.push_back(call.id);
        } else if (call.read()) {
          finish(call.id, fail(Error(ErrorCode::kWorkerCrashed,
                                     "the " + spec.language + " worker " + why + " twice while it ran " + call.address(),
                                     "The function, or a library it uses, ends its process; run it alone to see how.")
                                   .with_detail(tail)));
        } else {
          finish(call.id, fail(Error(ErrorCode::kOutcomeUnknown,
                                     "the " + spec.language + " worker " + why + " while it ran " + call.address() +
                                         ": its effects may or may not have happened",
                                     "Look before you repeat it. A function without effects can say so: `Effect: read`.")
                                   .with_detail(tail)));
        }
      }
      head = false;
    }
    for (auto it = again.rbegin(); it != again.rend(); ++it) {
      const auto found = calls.find(*it);
      if (found != calls.end()) enqueue(*found->second, true);
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
    out.notify = [this, alive_here = alive, at = &slot, worker, id = std::string(request.id)](std::string_view method, std::string_view members) {
      if (!*alive_here) return;
      const bool there = std::any_of(slots.begin(), slots.end(), [&](const auto& s) { return s.get() == at && s->worker.get() == worker; });
      if (there && worker->state() != Worker::State::kDead) worker->peer().notify(method, with_id(id, members));
    };
    handler(std::move(out));
  }

  void notified(Slot& slot, const Incoming& notification) {
    Call* const call = call_of(slot, number_member(notification.body, "id"));
    if (notification.method == "log") {
      const auto value = parse_json(notification.body);
      if (!value || !value->is_object()) return;
      const auto text = string_or(value->get_object(), "message");
      slot.worker->say(text);
      if (call && call->caller->client) call->caller->client->log(string_or(value->get_object(), "level", "info"), call->address(), text);
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
    if (spec.max_memory > 0 && now - memory_seen >= (spec.max_processes > 0 ? kSandboxWatch : kMemoryWatch)) watch_memory();
    if (!queue.empty()) pump();
  }

  void watch_memory() {
    memory_seen = Clock::now();
    for (const auto& slot : slots) {
      if (slot->ended_for || !slot->worker->was_ready() || (slot->in_flight.empty() && spec.max_processes == 0)) continue;
      const auto head = slot->in_flight.empty() ? calls.end() : calls.find(slot->in_flight.front().call);
      auto error = beyond_bounds(spec, slot->worker->pid(), slot->in_flight.empty() ? "" : head == calls.end() ? "a call" : head->second->address(),
                                 slot->idle_since, slot->left);
      if (!error) continue;
      if (head != calls.end() && !head->second->read()) error->data = R"({"outcome":"unknown"})";
      if (slot->in_flight.empty() && spec.output) spec.output(to_text(*error));
      slot->ended_for = std::move(error);
      slot->worker->kill();
    }
  }

  void arm_watch() {
    if (spec.max_processes == 0 || watch != 0 || slots.empty()) return;
    watch = loop.after(kIdleSandboxWatch, [this, alive_here = alive] {
      if (!*alive_here) return;
      watch = 0;
      watch_memory();
      arm_watch();
    });
  }

  void free_those_behind(Slot& slot) {
    if (const auto found = calls.find(slot.in_flight.front().call); found != calls.end()) {
      history.overran(found->second->address(), kStuck);
    }
    for (std::size_t i = slot.in_flight.size(); i-- > 1;) {
      auto& entry = slot.in_flight[i];
      const auto found = entry.call == 0 ? calls.end() : calls.find(entry.call);
      if (found == calls.end()) continue;
      slot.worker->peer().notify("cancel", "{\"id\":" + std::to_string(entry.rpc) + ",\"reason\":\"moved\"}");
      enqueue(*found->second, true);
      let_go(entry);
      slot.abandon(entry);
    }
  }

  void end_call(CallId id, ErrorCode code, const std::string& reason) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    const Call& call = *found->second;
    Error error(code, call.address() + (code == ErrorCode::kTimeout ? " took too long: " : " was cancelled: ") + reason);
    if (code == ErrorCode::kTimeout) {
      error.hint = "Give it more time with `Timeout: 60s` in its doc comment, or --timeout on the command line.";
    }
    for (const auto& slot : slots) {
      for (auto& entry : slot->in_flight) {
        if (entry.call != id) continue;
        slot->worker->peer().notify("cancel", "{\"id\":" + std::to_string(entry.rpc) + ",\"reason\":" + protocol::quote(reason) + "}");
        if (&entry == &slot->in_flight.front()) slot->kill_at = Clock::now() + spec.grace;
        if (!call.read()) error.data = R"({"outcome":"unknown"})";
        slot->abandon(entry);
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
  state_->loop.cancel(state_->shrinker);
  state_->loop.cancel(state_->watch);
}

Pool::CallId Pool::call(CallSpec spec, CallEvents events) {
  State& s = *state_;
  const CallId id = s.next_id++;
  auto call = std::make_unique<Call>();
  call->id = id;
  call->spec = std::move(spec);
  call->events = std::move(events);
  call->caller = std::make_shared<Caller>();
  call->caller->address = call->address();
  call->caller->context = call->spec.context;
  call->caller->deadline = call->spec.deadline;
  call->caller->depth = call->spec.depth;
  call->caller->entry = call->spec.entry;
  call->caller->client = call->spec.client;
  if (call->spec.span) call->caller->span = call->spec.span->context;
  const int depth = call->spec.depth;
  const std::shared_ptr<const Callee> callee = call->spec.callee;
  const std::string& address = callee->address;
  s.loop.hold();
  s.calls.emplace(id, std::move(call));

  std::optional<Error> refused;
  if (s.stopping) {
    refused = Error(ErrorCode::kCancelled, "the engine is stopping");
  } else if (depth > kMostDepth) {
    refused = Error(ErrorCode::kDepthExceeded, address + " is nested more than " + std::to_string(kMostDepth) + " calls deep",
                    "Functions that call each other without end look like this.");
  } else if (auto alone = s.history.refusal(address)) {
    refused = std::move(alone);
  } else if (s.queue.size() >= s.spec.queue) {
    refused = Error(ErrorCode::kBusy, std::to_string(s.queue.size()) + " calls wait for a " + s.spec.language + " worker",
                    "Try again later, or raise pools." + s.spec.language + ".max in sabir.yml.");
  } else if (s.starts.failure() && !s.starts.may_be_tried() &&
             std::none_of(s.slots.begin(), s.slots.end(), [](const auto& slot) { return State::usable(*slot); })) {
    refused = *s.starts.failure();
  }
  if (refused) {
    s.loop.post([this, alive = s.alive, id, error = std::move(*refused)] {
      if (*alive) state_->finish(id, fail(error));
    });
    return id;
  }
  // Nobody waits and a worker is free: no detour through the queue.
  if (s.queue.empty() && !s.pumping && s.send_at_once(*s.calls.at(id))) return id;
  s.enqueue(*s.calls.at(id), false);
  s.pump_soon();
  return id;
}

void Pool::cancel(CallId id, ErrorCode code, const std::string& reason) { state_->end_call(id, code, reason); }

void Pool::warm(std::function<void(const std::optional<Error>&)> done) {
  if (done) state_->starts.listen(std::move(done));
  if (state_->stopping) return state_->starts.tell(Error(ErrorCode::kCancelled, "the engine is stopping"));
  state_->kept = true;
  if (std::any_of(state_->slots.begin(), state_->slots.end(), [](const auto& slot) { return State::usable(*slot); })) state_->starts.tell(std::nullopt);
  const int wanted = std::clamp(state_->spec.min, 1, std::max(1, state_->spec.max));
  while (state_->base_count() < wanted && state_->spawn(0)) {
  }
}

void Pool::reload(Boot boot) {
  if (!state_->boots.serving() || state_->stopping) return state_->replace_workers();
  if (boot == Boot::kAsNeeded && state_->boots.reloads()) return state_->history.forget();
  state_->boots.anew([s = state_.get()] { s->replace_workers(); });
}

void Pool::shutdown(std::function<void()> done) {
  State& s = *state_;
  s.stopping = true;
  s.boots.stop_loading();
  s.stopped = std::move(done);
  s.fail_queued(Error(ErrorCode::kCancelled, "the engine is stopping"));
  s.starts.tell(Error(ErrorCode::kCancelled, "the engine is stopping"));
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
  out.queued = state_->queue.size();
  out.started = state_->started;
  out.crashed = state_->crashed;
  out.renewed = state_->renewed;
  return out;
}

PoolStats Pool::details() const {
  const auto now = Clock::now();
  PoolStats out = stats();
  for (const CallId id : state_->queue.waiting()) {
    if (const auto found = state_->calls.find(id); found != state_->calls.end()) out.oldest_wait = std::max(out.oldest_wait, duration_cast<milliseconds>(now - found->second->queued_at));
  }
  if (const auto& failure = state_->starts.failure()) out.start_failure = failure->message;
  out.left_alone = state_->history.refused();
  for (const auto& slot : state_->slots) {
    auto& one = out.each.emplace_back(stats_of(*slot, now));
    const auto head = slot->in_flight.empty() ? state_->calls.end() : state_->calls.find(slot->in_flight.front().call);
    if (head != state_->calls.end()) one.running = head->second->address();
  }
  return out;
}

}  // namespace sabir::workers

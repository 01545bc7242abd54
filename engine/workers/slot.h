// Slot: what a pool keeps of one worker, and of the calls that it has on their way. Private to the room.
//
// Threads: the loop's. Lifetimes: owned by the pool; a slot stays at its address while its worker lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bounds.h"
#include "sabir/workers/pool.h"
#include "worker.h"

namespace sabir::workers {

constexpr int kExpress = -1;  // Slot::reserve of the worker that slow functions never use

struct Call {
  Pool::CallId id = 0;
  CallSpec spec;
  CallEvents events;
  std::shared_ptr<Caller> caller;
  int attempts = 0;
  Clock::time_point queued_at;

  const std::string& address() const { return spec.callee->address; }
  bool read() const { return spec.callee->read; }
};

// One frame on its way: `call` is 0 once nobody waits for the answer any more.
struct InFlight {
  std::int64_t rpc = 0;
  Pool::CallId call = 0;
  bool quick = false;
  std::shared_ptr<const Callee> limited;  // set where its calls at once are limited

  // Whether no further call may be sent behind it.
  bool holds() const { return !quick || call == 0; }
};

struct Slot {
  std::unique_ptr<Worker> worker;
  int reserve = 0;  // 0 = of the pool proper; kExpress; else the only depth it serves
  bool retiring = false;
  bool renewing = false;           // to be replaced once its successor is ready
  Clock::time_point born;
  Clock::time_point ready;
  Clock::time_point idle_since;
  std::uint64_t calls = 0;
  std::optional<Error> ended_for;  // why the pool itself killed it while it ran a call
  bool draining = false;
  LeftBehind left;
  std::deque<InFlight> in_flight;  // in the order sent; the first one runs
  std::size_t holding = 0;         // how many of them hold others up
  Clock::time_point head_since;
  std::optional<Clock::time_point> kill_at;

  void add(InFlight entry) {
    holding += entry.holds() ? 1 : 0;
    in_flight.push_back(std::move(entry));
  }
  void remove(std::deque<InFlight>::iterator entry) {
    holding -= entry->holds() ? 1 : 0;
    in_flight.erase(entry);
  }
  // Nobody waits for its answer any more.
  void abandon(InFlight& entry) {
    holding += entry.holds() ? 0 : 1;
    entry.call = 0;
  }
  std::deque<InFlight> take_all() {
    holding = 0;
    return std::exchange(in_flight, {});
  }
};

// That a call waited for a worker, and for how long one had to be started for it.
void note_wait(trace::Span& span, const Slot& slot, Clock::duration wait);

// But for `running`.
WorkerStats stats_of(const Slot& slot, Clock::time_point now);

}  // namespace sabir::workers

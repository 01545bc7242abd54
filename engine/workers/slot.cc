#include "slot.h"

namespace sabir::workers {

void note_wait(trace::Span& span, const Slot& slot, Clock::duration wait) {
  const auto ms = [](Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
  std::vector<trace::Attribute> with{{"sabir.wait.ms", ms(wait)}, {"sabir.worker.pid", static_cast<std::int64_t>(slot.worker->pid())}};
  if (slot.calls == 0) with.push_back({"sabir.worker.boot.ms", ms(slot.ready - slot.born)});
  span.event("worker.found", std::move(with));
}

WorkerStats stats_of(const Slot& slot, Clock::time_point now) {
  const auto since = [now](Clock::time_point then) { return std::chrono::duration_cast<std::chrono::milliseconds>(now - then); };
  WorkerStats out;
  out.pid = slot.worker->pid();
  out.in_flight = slot.in_flight.size();
  out.calls = slot.calls;
  out.age = since(slot.born);
  out.state = slot.worker->state() == Worker::State::kStarting ? "starting" : slot.retiring || slot.draining ? "leaving" : slot.in_flight.empty() ? "ready" : "busy";
  if (!slot.in_flight.empty()) out.running_for = since(slot.head_since);
  return out;
}

}  // namespace sabir::workers

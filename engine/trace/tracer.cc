#include "sabir/trace/tracer.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sabir::trace {
namespace {

std::int64_t count_ns(std::chrono::nanoseconds span) { return span.count(); }

}  // namespace

Tracer::Tracer(TextPolicy texts)
    : text_threshold_(texts.part <= 0 ? 0 : static_cast<std::uint64_t>(std::ldexp(std::min(texts.part, 0.9999999999), 64))), all_texts_(texts.part >= 1) {
  set_clock();
  ring_.reserve(kMostCalls);
}

void Tracer::set_clock() {
  offset_ns_ = count_ns(std::chrono::system_clock::now().time_since_epoch()) - count_ns(Clock::now().time_since_epoch());
}

std::int64_t Tracer::unix_ns(Clock::time_point at) const { return count_ns(at.time_since_epoch()) + offset_ns_.load(std::memory_order_relaxed); }

bool Tracer::keeps_text(const TraceId& trace) const { return all_texts_ || trace.low < text_threshold_; }

std::shared_ptr<Span> Tracer::begin(const SpanContext& parent, Clock::time_point now) {
  auto span = std::make_shared<Span>();
  span->context = parent ? SpanContext{parent.trace, new_span_id(), parent.sampled, false} : SpanContext{new_trace_id(), new_span_id()};
  span->parent = parent.span;
  span->root = !parent || parent.remote;
  span->keeps_text = keeps_text(span->context.trace);
  span->begun_ns = unix_ns(now);
  if (!begun_.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    begun_ = true;
    changed_.notify_all();
  }
  return span;
}

void Tracer::end(std::shared_ptr<Span> span, Clock::time_point now) {
  span->ended_ns = std::max(unix_ns(now), span->begun_ns);
  const std::size_t most = span->operation == kCall ? kMostCalls : kMostWaiting;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || ring_.size() >= most) {
      ++dropped_;
      return;
    }
    first = ring_.empty();
    ring_.push_back(std::move(span));
  }
  if (first) changed_.notify_all();
}

bool Tracer::wait_for_first() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return begun_.load() || closed_; });
  return begun_;
}

Tracer::Batch Tracer::drain(std::chrono::milliseconds gather) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ring_.empty() || closed_; });
  // Those that end meanwhile wake nobody: the ring is not empty.
  changed_.wait_for(lock, gather, [this] { return closed_; });
  Batch batch;
  batch.spans = std::exchange(ring_, {});
  ring_.reserve(std::min(batch.spans.size() * 2, kMostCalls));
  batch.dropped = std::exchange(dropped_, 0);
  batch.closed = closed_;
  lock.unlock();
  set_clock();
  return batch;
}

void Tracer::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace sabir::trace

#include "exporter.h"

#include <algorithm>
#include <random>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/net/pauses.h"

namespace sabir::telemetry {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{60'000};
constexpr std::size_t kMostAnswerBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostShown = 300;

bool worth_a_retry(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

std::size_t bytes_of(const trace::Span& span) {
  std::size_t bytes = 256;
  for (const auto& one : span.attributes) {
    if (const auto* text = std::get_if<std::string>(&one.value)) bytes += text->size();
  }
  return bytes;
}

// Half to all of it.
milliseconds jittered(milliseconds pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto half = static_cast<std::uint64_t>(pause.count() / 2);
  return milliseconds(static_cast<std::int64_t>(half + random() % (half + 1)));
}

}  // namespace

Exporter::Exporter(ExportOptions options) : options_(std::move(options)), thread_([this] { work(); }) {}

Exporter::~Exporter() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  give_up_at_ = Clock::now() + kMostAtEnd;
  changed_.notify_all();
  changed_.wait_until(lock, give_up_at_, [this] { return finished_; });
  lock.unlock();
  given_up_->store(true);
  thread_.join();
}

void Exporter::add(std::shared_ptr<const trace::Span> span) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMostWaiting) {
    ++dropped_;
    return;
  }
  waiting_.push_back(std::move(span));
  changed_.notify_all();
}

void Exporter::work() {
  while (true) {
    std::vector<std::shared_ptr<const trace::Span>> batch;
    std::uint64_t dropped = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty() || given_up_->load()) break;
      for (std::size_t bytes = 0; !waiting_.empty() && batch.size() < kMostInBatch && bytes < kMostBatchBytes;) {
        bytes += bytes_of(*waiting_.front());
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      dropped = std::exchange(dropped_, 0);
    }
    if (dropped > 0) warn("dropped", std::to_string(dropped) + " spans were not exported: " + net::host_and_port(options_.url) + " is slower than they come");
    send(batch);
  }
  const std::lock_guard lock(mutex_);
  if (!waiting_.empty()) log(LogLevel::kWarning, std::to_string(waiting_.size()) + " spans were not exported: the engine ended first");
  finished_ = true;
  changed_.notify_all();
}

bool Exporter::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  // At the end a pause that would not end in time is not begun.
  const auto until = Clock::now() + time;
  while (Clock::now() < until) {
    if (given_up_->load() || until > give_up_at_) return false;
    changed_.wait_until(lock, std::min(until, Clock::now() + milliseconds(200)));
  }
  return true;
}

void Exporter::warn(const std::string& kind, const std::string& message) {
  if (warned_ == kind) return;
  warned_ = kind;
  log(LogLevel::kWarning, "traces: " + message);
}

void Exporter::send(const std::vector<std::shared_ptr<const trace::Span>>& batch) {
  const std::string where = net::host_and_port(options_.url);
  const std::string lost = std::to_string(batch.size()) + " spans were not exported: ";
  net::HttpRequest request;
  request.method = "POST";
  request.url = options_.url;
  request.body = trace::export_request(options_.resource, batch);
  request.total_timeout = options_.timeout;
  request.most_body_bytes = kMostAnswerBytes;
  request.cancelled = given_up_;
  const auto last = Clock::now() + options_.patience;
  for (milliseconds next = options_.first_pause;; next = std::min(next * 2, kLongestPause)) {
    auto headers = options_.headers();
    if (!headers) return warn("headers", lost + headers.error().message);
    request.headers = std::move(*headers);
    request.headers.emplace_back("Content-Type", "application/json");
    std::string answer;
    const auto response = client_.send(request, [&](const net::HttpResponse&, std::string_view piece) {
      answer += piece;
      return true;
    });
    std::string trouble;
    std::optional<milliseconds> asked;
    if (response && response->status >= 200 && response->status < 300) {
      warned_.clear();
      const auto read = trace::parse_export_response(answer);
      if (!read) return warn("answer", where + " took the spans, but " + read.error().message + "; is it an OTLP/HTTP server?");
      if (read->rejected > 0) return warn("rejected", where + " refused " + std::to_string(read->rejected) + " of " + std::to_string(batch.size()) + " spans: " + read->message.substr(0, kMostShown));
      if (!read->message.empty()) return warn("said", where + " says: " + read->message.substr(0, kMostShown));
      return;
    }
    if (response) {
      trouble = where + " answered " + std::to_string(response->status);
      if (const auto said = trim(response->body); !said.empty()) trouble += ": " + std::string(said.substr(0, kMostShown));
      if (!worth_a_retry(response->status)) return warn("refused", lost + trouble);
      asked = net::parse_reset(response->header("retry-after"), net::WallClock::now());
    } else {
      trouble = response.error().message;
      // No connection, a broken one, no answer in time: that passes. What the request itself lacks does not.
      if (response.error().code != ErrorCode::kModelUnreachable && response.error().code != ErrorCode::kTimeout) return warn("refused", lost + trouble);
    }
    const milliseconds wait = asked ? *asked : jittered(next);
    if (Clock::now() + wait >= last || !pause(wait)) return warn("unreachable", lost + trouble);
  }
}

}  // namespace sabir::telemetry

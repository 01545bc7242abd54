// Exporter: sends spans to an OTLP/HTTP server, as its specification asks
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp): in batches, again after what passes, never what was taken in part.
// Private to the room.
//
// Threads: add() from one thread, which never waits; it sends on a thread of its own. Lifetimes: the destructor sends what waits for
// at most kMostAtEnd, then gives up.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sabir/net/http_client.h"
#include "sabir/trace/otlp.h"

namespace sabir::telemetry {

struct ExportOptions {
  std::string url;
  // Asked before each request; an error is said once, and the batch is given up.
  std::function<Result<net::HttpHeaders>()> headers;
  std::chrono::milliseconds timeout{10'000};      // of one request
  std::chrono::milliseconds first_pause{1000};    // between two tries; doubles, up to a minute
  std::chrono::milliseconds patience{120'000};    // with one batch
  trace::Resource resource;
};

class Exporter {
 public:
  static constexpr std::size_t kMostWaiting = 8192;  // spans; what comes then is dropped and counted
  static constexpr std::size_t kMostInBatch = 512;
  static constexpr std::size_t kMostBatchBytes = std::size_t{8} << 20U;  // of the texts in it
  static constexpr std::chrono::milliseconds kMostAtEnd{2000};

  explicit Exporter(ExportOptions options);
  ~Exporter();
  void add(std::shared_ptr<const trace::Span> span);

 private:
  void work();
  void send(const std::vector<std::shared_ptr<const trace::Span>>& batch);
  // False when the engine ends first.
  bool pause(std::chrono::milliseconds time);
  // Once for each kind of trouble, until a batch went well.
  void warn(const std::string& kind, const std::string& message);

  const ExportOptions options_;
  net::HttpClient client_;
  const std::shared_ptr<std::atomic<bool>> given_up_ = std::make_shared<std::atomic<bool>>(false);
  std::string warned_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const trace::Span>> waiting_;
  std::uint64_t dropped_ = 0;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point give_up_at_ = std::chrono::steady_clock::time_point::max();
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace sabir::telemetry

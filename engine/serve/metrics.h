// Metrics: what has been served, in Prometheus' text format.
//
// Threads: count() on one thread; text() from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "sabir/net/http_server.h"
#include "sabir/workers/pool.h"

namespace sabir::serve {

class Metrics {
 public:
  // `route` is the pattern, `function` the address where it is a call: both from bounded sets.
  void count(std::string_view method, std::string_view route, std::string_view function, int status, std::chrono::nanoseconds took);
  std::string text(const net::HttpCounts& counts, const std::map<std::string, workers::PoolStats>& pools) const;

 private:
  struct Series {
    std::map<int, std::uint64_t> by_status;
    std::vector<std::uint64_t> buckets;
    double sum_s = 0;
    std::uint64_t count = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, std::string>, Series, std::less<>> series_;
};

}  // namespace sabir::serve

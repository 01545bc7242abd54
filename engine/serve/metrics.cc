#include "metrics.h"

#include <array>
#include <cstdio>

namespace sabir::serve {
namespace {

constexpr std::array kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};
constexpr std::size_t kMostSeries = 5000;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace

void Metrics::count(std::string_view method, std::string_view route, std::string_view function, int status, std::chrono::nanoseconds took) {
  const std::lock_guard lock(mutex_);
  auto key = std::make_tuple(std::string(method), std::string(route), std::string(function));
  auto found = series_.find(key);
  if (found == series_.end()) {
    if (series_.size() >= kMostSeries) return;
    found = series_.emplace(std::move(key), Series{}).first;
    found->second.buckets.resize(kBounds.size());
  }
  auto& series = found->second;
  const double seconds = std::chrono::duration<double>(took).count();
  ++series.by_status[status];
  ++series.count;
  series.sum_s += seconds;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    if (seconds <= kBounds[i]) {
      ++series.buckets[i];
      break;
    }
  }
}

std::string Metrics::text(const net::HttpCounts& counts, const std::map<std::string, workers::PoolStats>& pools) const {
  std::string out;
  const auto head = [&](const char* name, const char* kind, const char* help) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + kind + "\n";
  };
  const auto line = [&](const std::string& name, const std::string& labels, const std::string& value) {
    out += name + (labels.empty() ? "" : "{" + labels + "}") + " " + value + "\n";
  };
  {
    const std::lock_guard lock(mutex_);
    const auto labels_of = [](const auto& key) {
      std::string labels = "method=\"" + escaped(std::get<0>(key)) + "\",route=\"" + escaped(std::get<1>(key)) + "\"";
      if (!std::get<2>(key).empty()) labels += ",function=\"" + escaped(std::get<2>(key)) + "\"";
      return labels;
    };
    head("sabir_http_requests_total", "counter", "Requests answered.");
    for (const auto& [key, series] : series_) {
      for (const auto& [status, count] : series.by_status) {
        line("sabir_http_requests_total", labels_of(key) + ",status=\"" + std::to_string(status) + "\"", std::to_string(count));
      }
    }
    head("sabir_http_request_duration_seconds", "histogram", "From the first byte of a request to the last of its answer.");
    for (const auto& [key, series] : series_) {
      const std::string labels = labels_of(key);
      std::uint64_t below = 0;
      for (std::size_t i = 0; i < kBounds.size(); ++i) {
        below += series.buckets[i];
        line("sabir_http_request_duration_seconds_bucket", labels + ",le=\"" + number(kBounds[i]) + "\"", std::to_string(below));
      }
      line("sabir_http_request_duration_seconds_bucket", labels + ",le=\"+Inf\"", std::to_string(series.count));
      line("sabir_http_request_duration_seconds_sum", labels, number(series.sum_s));
      line("sabir_http_request_duration_seconds_count", labels, std::to_string(series.count));
    }
  }
  const auto single = [&](const char* name, const char* kind, const char* help, std::uint64_t value) {
    head(name, kind, help);
    line(name, "", std::to_string(value));
  };
  single("sabir_http_connections", "gauge", "Open connections.", counts.connections);
  single("sabir_http_requests_running", "gauge", "Requests that are being answered.", counts.running);
  single("sabir_http_connections_total", "counter", "Connections accepted.", counts.accepted);
  single("sabir_http_refused_total", "counter", "Requests refused before any handler saw them.", counts.refused);
  struct OfPool {
    const char* name;
    const char* kind;
    const char* help;
    std::uint64_t (*value)(const workers::PoolStats&);
  };
  static constexpr std::array kOfPool = {
      OfPool{"sabir_workers", "gauge", "Workers of a language.", [](const workers::PoolStats& s) { return static_cast<std::uint64_t>(s.workers); }},
      OfPool{"sabir_calls_queued", "gauge", "Calls that wait for a worker.", [](const workers::PoolStats& s) { return static_cast<std::uint64_t>(s.queued); }},
      OfPool{"sabir_calls_running", "gauge", "Calls that run in a worker.", [](const workers::PoolStats& s) { return static_cast<std::uint64_t>(s.running); }},
      OfPool{"sabir_workers_started_total", "counter", "Workers ever started.", [](const workers::PoolStats& s) { return s.started; }},
      OfPool{"sabir_workers_crashed_total", "counter", "Workers lost while in use.", [](const workers::PoolStats& s) { return s.crashed; }},
  };
  for (const auto& one : kOfPool) {
    head(one.name, one.kind, one.help);
    for (const auto& [pool, stats] : pools) line(one.name, "pool=\"" + escaped(pool) + "\"", std::to_string(one.value(stats)));
  }
  return out;
}

}  // namespace sabir::serve

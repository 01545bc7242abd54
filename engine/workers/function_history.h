// What a pool has learned about the functions it runs: how long they take, and which of them end their workers.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/workers/pool.h"

namespace sabir::workers {

class FunctionHistory {
 public:
  using microseconds = std::chrono::microseconds;

  // A function slower than this never uses the express worker.
  static constexpr microseconds kSlow{50'000};

  explicit FunctionHistory(std::string language) : language_(std::move(language)) {}

  void took(const std::string& address, microseconds time);  // and it did not end its worker
  void overran(const std::string& address, microseconds so_far);
  void crashed(const std::string& address, const std::string& why);

  // So fast that calls may be sent ahead of their turn.
  bool quick(const std::string& address) const;
  bool slow(const std::string& address) const;

  // Why it may not be called now: it ended too many workers in a row.
  std::optional<Error> refusal(const std::string& address) const;
  // The addresses of which that holds.
  std::vector<std::string> refused() const;

  void forget();

 private:
  struct Speed {
    double average_us = 0;
    int samples = 0;
  };
  struct Crashes {
    int in_a_row = 0;
    Clock::time_point until;  // it is left alone so long
    std::string last;
  };

  std::string language_;
  std::unordered_map<std::string, Speed> speeds_;
  std::unordered_map<std::string, Crashes> crashes_;  // of those whose last call ended a worker
};

}  // namespace sabir::workers

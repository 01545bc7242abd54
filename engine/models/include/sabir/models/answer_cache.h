// AnswerCache: answers of models, to be given again to the very same question, in cache.db beside the project's other stores.
// A question is kept as a hash alone.
//
// Threads: any; methods block for a transaction. Processes: any number of engines share one file, which is made with the first
// use. The same asked by several threads at once is asked once (Turn); other processes do not wait.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/models/model.h"

namespace sabir::models {

// "10m", "1h", "7d": up to a year; nothing when it is no such time.
std::optional<std::chrono::milliseconds> parse_ttl(std::string_view text);

class AnswerCache {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;
  // Whether a text has a secret's value in it; an answer that has is not kept.
  using HasSecret = std::function<bool(std::string_view text)>;
  // Beyond them, what was not used for longest goes.
  struct Limits {
    std::int64_t answers;
    std::int64_t bytes;
  };
  static const Limits kLimits;
  struct Size {
    std::int64_t answers = 0;
    std::int64_t bytes = 0;
  };

  AnswerCache(const std::filesystem::path& directory, HasSecret has_secret, const Limits& limits = kLimits,
              Now now = [] { return std::chrono::system_clock::now(); });
  ~AnswerCache();
  AnswerCache(const AnswerCache&) = delete;
  AnswerCache& operator=(const AnswerCache&) = delete;

  // The answer kept under `key` that is younger than `ttl`, and that whoever kept it still lets stand. Errors: the store's.
  Result<std::optional<Reply>> find(const std::string& key, std::chrono::milliseconds ttl);
  // False when the answer is not to be kept: broken off, declined, with a secret in it, or larger than a fourth of the whole.
  // Errors: the store's.
  Result<bool> keep(const std::string& key, const Reply& reply, std::chrono::milliseconds ttl);

  Result<Size> size();
  // How many there were; their bytes are gone from the disk too.
  Result<std::int64_t> clear();

  // One thread's turn to ask. Where another has the turn for this key it waits for that one to be over, until `deadline` or
  // `cancelled` at most, and has none itself.
  class Turn {
   public:
    Turn(AnswerCache& cache, std::string key, std::chrono::steady_clock::time_point deadline, const std::atomic<bool>* cancelled);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // Another had it: there may be an answer now.
    bool waited() const { return !has_it_; }

   private:
    AnswerCache& cache_;
    const std::string key_;
    bool has_it_ = false;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::models

// Answers: what was answered under an Idempotency-Key, so that a repeated request gets the same again and is not carried out twice.
// Kept in <project>/.sabir/<environment>/answers.db for a bounded time.
//
// Threads: any; every method blocks (SQLite). Processes: several engines may share the file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/store/connection.h"

namespace sabir::serve {

struct KeptAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
  std::string trace;        // of the request that was carried out
};

class Answers {
 public:
  static constexpr std::size_t kMostKey = 255;
  static constexpr std::size_t kMostBody = std::size_t{4} << 20U;  // of an answer that is kept

  // Errors: kStoreNewer, kStorage, kStorageFull.
  static Result<std::unique_ptr<Answers>> open(const std::filesystem::path& state_dir, std::chrono::milliseconds keep);

  enum class State {
    kBegun,      // the request is this caller's to carry out; finish() or release() must follow
    kKept,       // it was carried out before
    kRunning,    // it is being carried out now
    kOther,      // the key was used for another request
    kUnknown,    // whoever carried it out died meanwhile: nobody knows whether it happened
    kTooLarge,   // it was carried out, and its answer was too large to be kept
  };
  struct Found {
    State state = State::kBegun;
    KeptAnswer answer;       // with kKept
  };
  // `caller` and `key` name it; `request` is a digest of what is asked.
  Result<Found> begin(const std::string& caller, const std::string& key, const std::string& request);
  Result<void> finish(const std::string& caller, const std::string& key, const KeptAnswer& answer);
  // It was not carried out after all.
  Result<void> release(const std::string& caller, const std::string& key);

 private:
  Answers(std::unique_ptr<store::Connection> connection, std::chrono::milliseconds keep) : connection_(std::move(connection)), keep_(keep) {}
  std::mutex mutex_;
  std::unique_ptr<store::Connection> connection_;
  const std::chrono::milliseconds keep_;
  std::int64_t purged_ms_ = 0;
};

}  // namespace sabir::serve

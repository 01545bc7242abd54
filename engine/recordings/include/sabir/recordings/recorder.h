// Recorder: what is called while a run goes on, in an order that does not depend on which of several calls was quicker: as they
// were begun, and what a call asked for after the call itself.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "sabir/recordings/recording.h"
#include "sabir/recordings/scrub.h"

namespace sabir::recordings {

class Recorder {
 public:
  struct Options {
    std::filesystem::path file;
    std::string name;
    std::string override_alias;
    std::filesystem::path lock;   // held while a file is read and written that several engines add to
    std::int64_t since_ms = 0;    // Unix time: a file changed since then is added to, at the end alone; 0 = always a new one
    std::function<void()> changed;  // there is something to flush
  };
  Recorder(Options options, Scrubber scrubber) : options_(std::move(options)), scrubber_(std::move(scrubber)) {}

  // A place in the order; `parent` is the entry of the call that asks, 0 = none. Never 0.
  std::uint64_t begin(std::uint64_t parent);
  // Entries that are never finished are left out.
  void finish(std::uint64_t id, Entry entry);
  // Writes the file when there is something new. What is still going on is left out. Errors: kIo, kStorageFull, kConfig.
  Result<void> flush(bool last);

  Recording recording() const;

 private:
  struct Node {
    std::uint64_t parent = 0;
    std::optional<Entry> entry;
  };
  Result<void> write(const Recording& recording);

  const Options options_;
  const Scrubber scrubber_;
  std::mutex writing_;  // held while the file is written; taken before mutex_
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Node> nodes_;
  std::uint64_t next_ = 1;
  std::size_t unwritten_ = 0;
  std::size_t written_ = 0;
  bool full_ = false;
};

}  // namespace sabir::recordings

// SqliteMemory: Memory over one store.db.
//
// Threads: as Memory. Writes go through one connection with group commit; reads through a small pool.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "sabir/memory/memory.h"
#include "sabir/store/connection.h"
#include "sabir/store/writer.h"

namespace sabir::memory {

using Clock = std::function<std::int64_t()>;  // Unix milliseconds

class SqliteMemory final : public Memory {
 public:
  static Result<std::unique_ptr<SqliteMemory>> open(const std::filesystem::path& directory, Clock clock);
  ~SqliteMemory() override;

  Result<std::int64_t> put(const CallContext& scope, const std::string& name_space, const std::string& key,
                           const std::string& value_json, const PutOptions& options) override;
  Result<std::optional<Item>> get(const CallContext& scope, const std::string& name_space,
                                  const std::string& key) override;
  Result<std::vector<Item>> list(const CallContext& scope, const std::string& name_space, const std::string& prefix,
                                 const std::string& after, int limit) override;
  Result<bool> remove(const CallContext& scope, const std::string& name_space, const std::string& key) override;
  Result<std::int64_t> append(const CallContext& scope, const std::string& conversation,
                              const std::string& message_json) override;
  Result<std::vector<Message>> messages(const CallContext& scope, const std::string& conversation, int limit) override;

 private:
  SqliteMemory(std::filesystem::path file, std::unique_ptr<store::Connection> writer, Clock clock);

  Result<std::int64_t> put_in(store::Connection& connection, const CallContext& scope, const std::string& name_space,
                              const std::string& key, const std::string& value_json, const PutOptions& options);
  // Deletes a bounded number of expired items, at most once a second.
  Result<void> purge(store::Connection& connection);
  Result<void> read(const std::function<Result<void>(store::Connection&)>& body);

  std::filesystem::path file_;
  Clock clock_;
  store::Writer writer_;
  std::int64_t purged_ms_ = 0;  // touched only inside a write

  std::mutex readers_mutex_;
  std::condition_variable reader_returned_;
  std::vector<std::unique_ptr<store::Connection>> idle_readers_;
  int readers_ = 0;
};

}  // namespace sabir::memory

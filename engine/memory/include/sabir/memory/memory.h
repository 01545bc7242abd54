// Memory: key-value items and conversation logs over the project's one store. Every language and every process of a
// project sees the same data; only the engine opens the database.
//
// Threads: every method may be called from any thread and blocks (SQLite); call it from a job pool. Processes: several
// engines may hold the same store open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/context.h"
#include "sabir/base/error.h"

namespace sabir::memory {

// Items are seen only in the scope they were written in: the caller's tenant and user. Conversation logs are keyed by
// tenant, user and conversation.
struct Item {
  std::string key;
  std::string value_json;       // any JSON value
  std::int64_t version = 0;     // 1 on creation, +1 per write
  std::int64_t updated_ms = 0;  // Unix milliseconds
  std::optional<std::int64_t> expires_ms;
  std::string source;           // who wrote it: "cli", "python/memory_management", …
};

struct Message {
  std::int64_t seq = 0;     // order within the conversation
  std::string message_json; // {"role", "content", …} in Chat Completions' form
  std::int64_t created_ms = 0;
};

struct PutOptions {
  std::optional<std::int64_t> if_version;  // compare-and-swap: 0 = must not exist; else kConflict on a mismatch
  std::optional<std::int64_t> ttl_ms;
  std::string source;
};

class Memory {
 public:
  virtual ~Memory() = default;

  // Returns the new version. Errors: kConflict, kInvalidArguments (value not JSON, key empty or over 512 bytes, value
  // over 16 MiB), kStorageFull, kStorage.
  virtual Result<std::int64_t> put(const CallContext& scope, const std::string& name_space, const std::string& key,
                                   const std::string& value_json, const PutOptions& options) = 0;
  // nullopt when absent or expired.
  virtual Result<std::optional<Item>> get(const CallContext& scope, const std::string& name_space,
                                          const std::string& key) = 0;
  // Sorted by key, from the first key greater than `after`.
  virtual Result<std::vector<Item>> list(const CallContext& scope, const std::string& name_space,
                                         const std::string& prefix, const std::string& after, int limit) = 0;
  // False when there was nothing.
  virtual Result<bool> remove(const CallContext& scope, const std::string& name_space, const std::string& key) = 0;

  // Appends to the log of `conversation`; returns the message's seq.
  virtual Result<std::int64_t> append(const CallContext& scope, const std::string& conversation,
                                      const std::string& message_json) = 0;
  // The newest `limit` messages, oldest first.
  virtual Result<std::vector<Message>> messages(const CallContext& scope, const std::string& conversation,
                                                int limit) = 0;
};

// Opens or creates `directory`/store.db. Errors: kStoreNewer, kStorage, kStorageFull.
Result<std::unique_ptr<Memory>> open_sqlite(const std::filesystem::path& directory);

}  // namespace sabir::memory

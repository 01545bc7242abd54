// Formats: what a database file holds, as a number in it (PRAGMA user_version) and a mark of whose it is
// (PRAGMA application_id).
//
// Threads: as Connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/store/connection.h"

namespace sabir::store {

// steps[i] is the SQL that turns format i into format i + 1; format 0 is the empty file. The format this engine knows
// is the number of steps.
struct Format {
  std::int32_t application_id = 0;
  std::vector<std::string_view> steps;
};

// Opens `file` and brings it to the known format. Older: the file is first copied to `<file>.format-N.bak`, as it stood
// under the lock that the migration holds, then migrated in one transaction; readers see the old format or the new.
// Errors: kStoreNewer (the file is left as it is), kStorage (another program's database; corrupt), kStorageFull, kBusy.
Result<std::unique_ptr<Connection>> open_format(const std::filesystem::path& file, const Format& format,
                                                const OpenOptions& options = {});

}  // namespace sabir::store

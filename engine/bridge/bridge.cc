#include "sabir/bridge/bridge.h"

#include <sqlite3.h>

#include <cstddef>

// The layouts that bridge/src writes; a change on one side only must not compile.
static_assert(sizeof(sb_str) == 2 * sizeof(void*));
static_assert(sizeof(sb_buf) == 2 * sizeof(void*));
static_assert(sizeof(sb_node) == 36);
static_assert(offsetof(sb_node, kind) == 28 && offsetof(sb_node, is_named) == 32);

// Older versions may lose writes when two connections reset the write-ahead log at once.
static_assert(SQLITE_VERSION_NUMBER >= 3051003);

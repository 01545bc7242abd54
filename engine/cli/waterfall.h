// Waterfall: a trace as a tree with bars over time, for a terminal.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "sabir/telemetry/trace_store.h"

namespace sabir::cli {

// "3.1 ms", "2.31 s", "4 min 10 s".
std::string duration_text(std::int64_t microseconds);

// A line for each span, at most `columns` wide; with `verbose`, attributes, events and texts below each.
std::vector<std::string> waterfall(const std::vector<telemetry::StoredSpan>& spans, std::size_t columns, bool verbose);

// Columns that `text` takes in a terminal, styles aside.
std::size_t width_of(std::string_view text);
// At most `columns` of it, ending in … where something is left out.
std::string clipped(std::string_view text, std::size_t columns);

}  // namespace sabir::cli

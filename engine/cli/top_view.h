// What `sabir top` shows of an engine: its answer to engine.stats as lines.
//
// Threads: pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/terminal/screen.h"

namespace sabir::cli {

enum class TopOrder { kCalls, kSlowest, kErrors };
std::string_view order_name(TopOrder order);

// The same engine a while before, for what happens in a second.
struct Earlier {
  json::object stats;
  std::chrono::milliseconds ago{0};
};

// Which engine it is, and what waits.
std::vector<terminal::Line> top_head(const json::object& stats, int columns);
// Functions, workers and models; as many lines as it takes.
std::vector<terminal::Line> top_body(const json::object& stats, const std::optional<Earlier>& earlier, TopOrder order, int columns);

}  // namespace sabir::cli

// Revision: the dated editions of the Model Context Protocol that are spoken here, and which one a client gets.
//
// The older era agrees on a revision once, by `initialize`, and keeps a session; the newer one names it in every request.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace sabir::mcp {

enum class Revision { k2025_06_18, k2025_11_25, k2026_07_28 };

inline constexpr std::array kRevisions = {Revision::k2026_07_28, Revision::k2025_11_25, Revision::k2025_06_18};  // newest first

constexpr std::string_view name_of(Revision revision) {
  switch (revision) {
    case Revision::k2025_06_18: return "2025-06-18";
    case Revision::k2025_11_25: return "2025-11-25";
    default: return "2026-07-28";
  }
}

// Whether each request stands for itself: no `initialize`, no session.
constexpr bool is_stateless(Revision revision) { return revision == Revision::k2026_07_28; }

constexpr std::optional<Revision> revision_of(std::string_view name) {
  for (const auto revision : kRevisions) {
    if (name_of(revision) == name) return revision;
  }
  return std::nullopt;
}

// What `initialize` is answered with: what was asked for where it has sessions and is spoken, else the newest that has.
constexpr Revision agree_on(std::string_view asked) {
  const auto known = revision_of(asked);
  return known && !is_stateless(*known) ? *known : Revision::k2025_11_25;
}

}  // namespace sabir::mcp

#include "sabir/net/router.h"

#include <algorithm>

namespace sabir::net {
namespace {

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

bool is_rest(std::string_view segment) { return segment.starts_with('{') && segment.ends_with("...}"); }
bool is_name(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}') && !is_rest(segment); }
int rank(std::string_view segment) { return is_rest(segment) ? 2 : is_name(segment) ? 1 : 0; }

// Plain segments go first, compared from the left.
bool goes_before(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (rank(a[i]) != rank(b[i])) return rank(a[i]) < rank(b[i]);
  }
  return a.size() > b.size();
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, HttpHandler handler) {
  Route route{std::string(method), {}, std::move(handler)};
  if (pattern.find('{') == std::string_view::npos) {
    plain_[std::string(pattern)].push_back(std::move(route));
    return;
  }
  for (const auto segment : segments_of(pattern)) route.segments.emplace_back(segment);
  const auto place = std::find_if(named_.begin(), named_.end(), [&](const Route& other) { return goes_before(route.segments, other.segments); });
  named_.insert(place, std::move(route));
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  std::vector<std::string_view> allowed;
  const auto serves = [&](const Route& route) {
    if (route.method == method || (method == "HEAD" && route.method == "GET")) return true;
    if (std::find(allowed.begin(), allowed.end(), route.method) == allowed.end()) allowed.push_back(route.method);
    return false;
  };
  if (const auto found = plain_.find(std::string(path)); found != plain_.end()) {
    for (const auto& route : found->second) {
      if (serves(route)) {
        match.handler = &route.handler;
        if (route.method == method) return match;
      }
    }
    if (match.handler) return match;
  }
  if (!named_.empty() && path.starts_with('/')) {
    std::vector<std::string> parts;
    for (const auto segment : segments_of(path)) {
      auto decoded = percent_decoded(segment);
      if (!decoded) {
        match.malformed = true;
        return match;
      }
      parts.push_back(std::move(*decoded));
    }
    for (const auto& route : named_) {
      const auto& wanted = route.segments;
      const bool open = is_rest(wanted.back());
      if (open ? parts.size() < wanted.size() : parts.size() != wanted.size()) continue;
      const std::size_t fixed = wanted.size() - (open ? 1 : 0);
      bool fits = true;
      for (std::size_t i = 0; i < fixed && fits; ++i) fits = is_name(wanted[i]) ? !parts[i].empty() : wanted[i] == parts[i];
      if (!fits || !serves(route)) continue;
      for (std::size_t i = 0; i < fixed; ++i) {
        if (is_name(wanted[i])) match.captures.emplace_back(wanted[i].substr(1, wanted[i].size() - 2), parts[i]);
      }
      if (open) {
        std::string rest = parts[fixed];
        for (std::size_t i = fixed + 1; i < parts.size(); ++i) rest += "/" + parts[i];
        match.captures.emplace_back(wanted.back().substr(1, wanted.back().size() - 5), std::move(rest));
      }
      match.handler = &route.handler;
      return match;
    }
  }
  for (const auto one : allowed) {
    if (!match.allowed.empty()) match.allowed += ", ";
    match.allowed += one;
    if (one == "GET" && std::find(allowed.begin(), allowed.end(), "HEAD") == allowed.end()) match.allowed += ", HEAD";
  }
  return match;
}

}  // namespace sabir::net

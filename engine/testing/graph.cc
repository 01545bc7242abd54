#include "graph.h"

#include <fnmatch.h>

#include <algorithm>

#include "graph_builder.h"

namespace sabir::testing {
namespace {

std::uint64_t mixed(std::uint64_t value) {
  // The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace

Graph::Graph(std::vector<FileNode> files, const Layout& layout) : files_(std::move(files)) {
  GraphBuilder builder(files_, layout);
  builder.build();
  edges_ = std::move(builder.edges);
  group_names_ = std::move(builder.group_names);
  seen_.assign(edges_.size(), 0);
}

std::string Graph::name(Node node) const { return is_group(node) ? "(" + group_names_[node - files_.size()] + ")" : files_[node].path; }

Graph::Node Graph::find(std::string_view path) const {
  const auto at = std::lower_bound(files_.begin(), files_.end(), path, [](const FileNode& file, std::string_view other) { return file.path < other; });
  return at != files_.end() && at->path == path ? static_cast<Node>(at - files_.begin()) : kNoNode;
}

std::vector<Graph::Node> Graph::reaches(Node from) const {
  ++round_;
  std::vector<Node> found{from};
  seen_[from] = round_;
  for (std::size_t at = 0; at < found.size(); ++at) {
    for (const Node next : edges_[found[at]]) {
      if (seen_[next] == round_) continue;
      seen_[next] = round_;
      found.push_back(next);
    }
  }
  return found;
}

Closure Graph::closure(Node from, std::uint64_t mode) const {
  Closure sum{mixed(mode), mixed(mode + 1)};
  for (const Node node : reaches(from)) {
    // A group counts by what is in it.
    if (is_group(node)) continue;
    const std::uint64_t name = std::hash<std::string>{}(files_[node].path);
    sum.low += mixed(files_[node].content ^ mixed(name));
    sum.high += mixed(mixed(files_[node].content + 0x9e3779b97f4a7c15U) ^ name);
  }
  return sum;
}

std::vector<Graph::Node> Graph::path_to(Node from, const std::vector<bool>& goals) const {
  ++round_;
  std::vector<std::pair<Node, std::size_t>> found{{from, 0}};
  seen_[from] = round_;
  for (std::size_t at = 0; at < found.size(); ++at) {
    const Node node = found[at].first;
    if (goals[node]) {
      std::vector<Node> path;
      for (std::size_t step = at;; step = found[step].second) {
        path.push_back(found[step].first);
        if (step == 0) break;
      }
      std::reverse(path.begin(), path.end());
      return path;
    }
    for (const Node next : edges_[node]) {
      if (seen_[next] == round_) continue;
      seen_[next] = round_;
      found.emplace_back(next, at);
    }
  }
  return {};
}

}  // namespace sabir::testing

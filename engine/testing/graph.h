// Graph: which of a project's files each file depends on, from what their texts refer to (scan.h) and where they lie. Functions are the
// files that hold them, prompts and their parts theirs. A group stands for many files at once: a folder, a language's files, all functions.
//
// Threads: one thread uses it at a time: questions share their working memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scan.h"

namespace sabir::testing {

struct FileNode {
  std::string path;            // from the project's root
  std::uint64_t content = 0;   // hash of its bytes
  const std::vector<Ref>* refs = nullptr;  // not null; outlives the graph
};

// What the project says of its files, besides their texts.
struct Layout {
  struct Source {
    std::string module;    // "billing.invoice"
    std::string language;
    std::string path;
    bool is_assistant = false;
    std::string group;     // of code that is loaded as a whole: its boot file; "" = by itself
  };
  std::vector<Source> sources;
  std::map<std::string, std::string> test_language;   // test file -> "python", "ruby", …
  std::map<std::string, std::vector<std::string>> linked;  // C++ test file -> what is linked with it
};

// Two sums over a set of files, by which it is known whatever the order.
struct Closure {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Closure&) const = default;
};

class Graph {
 public:
  using Node = std::uint32_t;
  static constexpr Node kNoNode = 0xffffffffU;

  // REQUIRES: `files` sorted by path.
  Graph(std::vector<FileNode> files, const Layout& layout);

  std::size_t file_count() const { return files_.size(); }
  std::size_t node_count() const { return edges_.size(); }
  const FileNode& file(Node node) const { return files_[node]; }
  bool is_group(Node node) const { return node >= files_.size(); }
  // A file's path; "(every prompt)" for a group.
  std::string name(Node node) const;
  Node find(std::string_view path) const;
  const std::vector<Node>& edges(Node node) const { return edges_[node]; }

  // Everything that `from` depends on, itself included, groups too; `mode` is mixed into it: what holds for all tests alike.
  Closure closure(Node from, std::uint64_t mode) const;
  std::vector<Node> reaches(Node from) const;
  // The nodes from `from` to the nearest of those in `goals`, both included; empty where none is reached.
  std::vector<Node> path_to(Node from, const std::vector<bool>& goals) const;

 private:
  class Builder;

  std::vector<FileNode> files_;
  std::vector<std::vector<Node>> edges_;
  std::vector<std::string> group_names_;
  mutable std::vector<std::uint32_t> seen_;
  mutable std::uint32_t round_ = 0;
};

}  // namespace sabir::testing

// GraphBuilder: turns what files refer to into edges between them. See graph.h.
//
// Threads: one thread.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph.h"

namespace sabir::testing {

class GraphBuilder {
 public:
  using Node = Graph::Node;
  GraphBuilder(const std::vector<FileNode>& files, const Layout& layout) : files_(files), layout_(layout) {}

  void build();

  std::vector<std::vector<Node>> edges;
  std::vector<std::string> group_names;

 private:
  using Nodes = std::vector<Node>;
  using Index = std::unordered_map<std::string, Nodes>;

  void index();
  void make_groups();
  void connect(Node node);
  void surroundings(Node node);
  void resolve(Node node, const Ref& ref);

  void python_module(Node node, std::string_view text);
  bool python_file(Node node, const std::string& folder, std::string_view dotted, std::string_view name);
  void ruby_module(Node node, std::string_view text);
  void javascript_module(Node node, std::string_view text);
  void rust_module(Node node, std::string_view text);
  void file_reference(Node node, std::string_view text);
  void text_reference(Node node, std::string_view text);
  bool call_reference(Node node, std::string_view text);
  bool prompt_reference(Node node, std::string_view text);
  bool assistant_reference(Node node, std::string_view text);
  void said_reference(Node node, std::string_view text);

  void edge(Node from, Node to) {
    if (from != to) edges[from].push_back(to);
  }
  // An edge to the file of that path, if there is one.
  bool file_edge(Node from, const std::string& path);
  // To every file below the folder, if there is one.
  bool folder_edge(Node from, const std::string& folder);
  // To every file whose path ends in "/tail", or is it.
  bool tail_edges(Node from, const std::string& tail);
  // To files of that name in the node's folder or one above it.
  void above(Node node, std::string_view name);
  Node group(const std::string& name);

  const std::vector<FileNode>& files_;
  const Layout& layout_;
  std::vector<Language> languages_;
  std::unordered_map<std::string_view, Node> by_path_;
  Index by_name_;       // "stats.cpp"
  Index by_stem_;       // "stats.py", with the language's own extensions alike: "python:stats"
  Index in_folder_;     // "functions/go" -> files right in it
  Index declared_;      // "java:Gardens"
  Index modules_;       // "reports", "python/reports"
  Index prompts_;
  Index assistants_;
  Index by_source_group_;
  std::unordered_map<std::string, Node> groups_;
};

}  // namespace sabir::testing

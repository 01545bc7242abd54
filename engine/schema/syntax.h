// Syntax: one source text and its flat tree from the bridge, with handles to walk it.
//
// Threads: immutable once made. A Node is valid for as long as its Syntax lives at the same address.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/bridge/bridge.h"

namespace sabir::schema {

class Syntax;

// A handle to one node; false when there is none. Walking from an empty handle gives empty handles.
class Node {
 public:
  Node() = default;
  Node(const Syntax* syntax, std::uint32_t index) : syntax_(syntax), index_(index) {}
  explicit operator bool() const { return syntax_ != nullptr; }
  bool operator==(const Node&) const = default;

  std::string_view kind() const;
  bool is(std::string_view name) const { return syntax_ != nullptr && kind() == name; }
  std::string_view field_name() const;
  std::string_view text() const;
  int line() const;    // 1-based
  int column() const;  // 1-based, in bytes
  int row() const { return line() - 1; }
  int end_row() const;
  std::size_t start() const;
  std::size_t end() const;
  bool is_named() const;
  bool has_error() const;
  std::uint32_t index() const { return index_; }

  Node parent() const;
  Node next() const;                             // any sibling
  std::vector<Node> children() const;            // named ones, comments left out
  Node child(std::string_view field_name) const;
  std::vector<Node> children_of(std::string_view field_name) const;
  Node first(std::string_view kind_name) const;  // first child of that kind, named or not
  bool has_descendant(std::string_view kind_name, std::string_view but_not_below_a, std::string_view nor = {}) const;

 private:
  const sb_node& raw() const;
  const Syntax* syntax_ = nullptr;
  std::uint32_t index_ = 0;
};

class Syntax {
 public:
  // Errors: kUnavailable for an unknown grammar; kLoadFailed when a bound is passed. Faulty source is no error here.
  static Result<std::unique_ptr<Syntax>> parse(std::string_view grammar, std::string_view source, const std::string& file);
  ~Syntax();
  Syntax(const Syntax&) = delete;
  Syntax& operator=(const Syntax&) = delete;

  Node root() const { return {this, 0}; }
  std::string_view source() const { return source_; }
  const std::string& file() const { return file_; }

  // The first place where the parser stumbled, as kLoadFailed with what stands there, quoted. An error below a node of
  // kind `tolerant` does not count. Message "" = none.
  Error first_error(std::string_view tolerant = {}) const;

  // The lines of the comments that end on the row above `row` or touch them, comment marks kept, top first. Comments that
  // stand behind code do not count.
  std::vector<std::string> comment_above(int row) const;

 private:
  friend class Node;
  Syntax() = default;
  std::string source_;
  std::string file_;
  sb_tree* tree_ = nullptr;
  const sb_node* nodes_ = nullptr;
  std::size_t count_ = 0;
  std::map<int, std::uint32_t> comments_;  // last row -> node
};

}  // namespace sabir::schema

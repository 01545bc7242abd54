#include "syntax.h"

#include "sabir/base/json.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {
constexpr std::uint32_t kNone = 0xffffffff;
std::string_view view(sb_str text) { return {text.data, text.size}; }
sb_str str(std::string_view text) { return {text.data(), text.size()}; }
}  // namespace

const sb_node& Node::raw() const { return syntax_->nodes_[index_]; }
std::string_view Node::kind() const { return syntax_ ? view(sb_tree_kind_name(syntax_->tree_, raw().kind)) : std::string_view(); }
std::string_view Node::field_name() const {
  return syntax_ ? view(sb_tree_field_name(syntax_->tree_, raw().field)) : std::string_view();
}
std::size_t Node::start() const { return syntax_ ? raw().start_byte : 0; }
std::size_t Node::end() const { return syntax_ ? raw().end_byte : 0; }
std::string_view Node::text() const {
  return syntax_ ? std::string_view(syntax_->source_).substr(start(), end() - start()) : std::string_view();
}
int Node::line() const { return syntax_ ? static_cast<int>(raw().start_row) + 1 : 0; }
int Node::column() const { return syntax_ ? static_cast<int>(raw().start_column) + 1 : 0; }
int Node::end_row() const {
  if (!syntax_) return 0;
  int row_ = static_cast<int>(raw().start_row);
  const auto body = text();
  for (std::size_t i = 0; i < body.size(); ++i) row_ += body[i] == '\n' && i + 1 < body.size() ? 1 : 0;
  return row_;
}
bool Node::is_named() const { return syntax_ && raw().is_named != 0; }
bool Node::has_error() const { return syntax_ && raw().has_error != 0; }

Node Node::parent() const {
  if (!syntax_ || raw().parent == kNone) return {};
  return {syntax_, raw().parent};
}
Node Node::next() const {
  if (!syntax_ || raw().next_sibling == kNone) return {};
  return {syntax_, raw().next_sibling};
}
std::vector<Node> Node::children() const {
  std::vector<Node> out;
  if (!syntax_ || raw().child_count == 0) return out;
  for (Node at(syntax_, index_ + 1); at; at = at.next()) {
    if (at.is_named() && at.kind() != "comment") out.push_back(at);
  }
  return out;
}
std::vector<Node> Node::children_of(std::string_view name) const {
  std::vector<Node> out;
  if (!syntax_ || raw().child_count == 0) return out;
  for (Node at(syntax_, index_ + 1); at; at = at.next()) {
    if (at.raw().field != 0 && at.field_name() == name) out.push_back(at);
  }
  return out;
}
Node Node::child(std::string_view name) const {
  if (!syntax_ || raw().child_count == 0) return {};
  for (Node at(syntax_, index_ + 1); at; at = at.next()) {
    if (at.raw().field != 0 && at.field_name() == name) return at;
  }
  return {};
}
Node Node::first(std::string_view name) const {
  if (!syntax_ || raw().child_count == 0) return {};
  for (Node at(syntax_, index_ + 1); at; at = at.next()) {
    if (at.kind() == name) return at;
  }
  return {};
}

bool Node::has_descendant(std::string_view name, std::string_view stop, std::string_view nor) const {
  if (!syntax_) return false;
  const std::size_t stop_at = end();
  std::size_t skip_to = 0;
  for (std::uint32_t i = index_ + 1; i < syntax_->count_ && syntax_->nodes_[i].start_byte < stop_at; ++i) {
    const Node at(syntax_, i);
    if (at.start() < skip_to) continue;
    const auto kind_name = at.kind();
    if (kind_name == name) return true;
    if (kind_name == stop || (!nor.empty() && kind_name == nor)) skip_to = at.end();
  }
  return false;
}

Result<std::unique_ptr<Syntax>> Syntax::parse(std::string_view grammar, std::string_view source, const std::string& file) {
  if (grammar != "python" && grammar != "ruby" && grammar != "cpp" && grammar != "java") {
    return fail(Error(ErrorCode::kUnavailable, "no reader for the grammar '" + std::string(grammar) + "'",
                      "python, ruby and cpp are the ones there are.").at(file));
  }
  if (const std::size_t bad = find_invalid_utf8(source); bad != std::string_view::npos) {
    int line = 1;
    for (const char c : source.substr(0, bad)) line += c == '\n' ? 1 : 0;
    return fail(Error(ErrorCode::kLoadFailed, file + " is not UTF-8 text", "Save it as UTF-8.").at(file, line));
  }
  std::unique_ptr<Syntax> out(new Syntax);
  out->source_ = source;
  out->file_ = file;
  sb_buf error{};
  out->tree_ = sb_tree_parse(str(grammar), str(out->source_), &error);
  if (!out->tree_) {
    std::string text(error.data ? error.data : "", error.size);
    sb_free(error);
    if (auto parsed = parse_json(text); parsed && parsed->is_object()) text = string_or(parsed->get_object(), "message");
    return fail(Error(ErrorCode::kLoadFailed, file + " cannot be read: " + text).at(file));
  }
  out->nodes_ = sb_tree_nodes(out->tree_);
  out->count_ = sb_tree_node_count(out->tree_);
  for (std::uint32_t i = 0; i < out->count_; ++i) {
    const Node node(out.get(), i);
    if (node.kind() != "comment") continue;
    const std::size_t line_start = out->source_.rfind('\n', node.start() == 0 ? 0 : node.start() - 1);
    const std::size_t from = node.start() == 0 || line_start == std::string::npos ? 0 : line_start + 1;
    const auto before = std::string_view(out->source_).substr(from, node.start() - from);
    if (trim(before).empty()) out->comments_[node.end_row()] = i;
  }
  return out;
}

Syntax::~Syntax() { sb_tree_free(tree_); }

Error Syntax::first_error(std::string_view tolerant) const {
  Error none(ErrorCode::kLoadFailed, "");
  if (count_ == 0 || nodes_[0].has_error == 0) return none;
  std::size_t skip_to = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Node node(this, i);
    if (node.start() < skip_to) continue;
    if (!tolerant.empty() && nodes_[i].has_error != 0 && node.kind() == tolerant) {
      skip_to = node.end();
      continue;
    }
    if (nodes_[i].is_missing != 0) {
      std::string wanted(node.kind());
      // `int f(T x = {})` and `int f() = delete` read like this, and both are right.
      if (!tolerant.empty() && (wanted == "type_identifier" || wanted == "identifier")) continue;
      if (wanted == "_newline" || wanted == "newline") wanted = "end of the line";
      return Error(ErrorCode::kLoadFailed, "syntax error: '" + wanted + "' is missing", "Correct it and save the file.")
          .at(file_, node.line(), node.column());
    }
    if (nodes_[i].is_error == 0) continue;
    // The innermost error inside says best where it went wrong.
    Node at = node;
    for (std::uint32_t k = i + 1; k < count_ && nodes_[k].start_byte < node.end(); ++k) {
      if (nodes_[k].is_error != 0) at = Node(this, k);
    }
    // Where a whole statement fell apart, its beginning is the better place to look.
    if (node.index() != 0 && at.line() != node.line() && at.line() - node.line() <= 3) at = node;
    std::string_view snippet = trim(at.text());
    snippet = snippet.substr(0, snippet.find('\n'));
    std::string quoted(snippet.substr(0, 60));
    while (!quoted.empty() && find_invalid_utf8(quoted) != std::string_view::npos) quoted.pop_back();
    if (quoted.size() < snippet.size()) quoted += "…";
    const std::string what = quoted.empty() ? "the file ends too early" : "cannot make sense of '" + quoted + "'";
    const char* const hint = tolerant.empty() ? "Correct it and save the file."
                                              : "Correct it and save the file. A macro that stands for syntax cannot be read here: keep it in a header.";
    return Error(ErrorCode::kLoadFailed, "syntax error: " + what, hint)
        .at(file_, at.line(), at.column());
  }
  return none;
}

std::vector<std::string> Syntax::comment_above(int row) const {
  std::vector<std::vector<std::string>> blocks;
  for (int at = row - 1; at >= 0;) {
    const auto found = comments_.find(at);
    if (found == comments_.end()) break;
    const Node node(this, found->second);
    std::vector<std::string> lines;
    for (const auto line : split_lines(node.text())) lines.emplace_back(line);
    blocks.push_back(std::move(lines));
    at = node.row() - 1;
  }
  std::vector<std::string> out;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) out.insert(out.end(), block->begin(), block->end());
  return out;
}

}  // namespace sabir::schema

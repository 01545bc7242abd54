// The classes of Ruby sources whose objects functions take and give: Structs, Data, and classes with readers.
#include <algorithm>
#include <cctype>

#include "doc.h"
#include "ruby_types.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 32;

std::string_view without_mark(std::string_view line) {
  line = trim(line);
  if (line.starts_with('#')) line.remove_prefix(1);
  return trim(line);
}

// "[Type] rest" -> type; `rest` moves on.
std::string take_type(std::string_view& rest) {
  rest = trim(rest);
  if (!rest.starts_with('[')) return "";
  int depth = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '[') ++depth;
    if (rest[i] == ']' && --depth == 0) {
      std::string type(trim(rest.substr(1, i - 1)));
      rest = trim(rest.substr(i + 1));
      return type;
    }
  }
  return "";
}

std::string take_word(std::string_view& rest) {
  rest = trim(rest);
  const std::size_t end = std::min(rest.find_first_of(" \t["), rest.size());
  std::string word(rest.substr(0, end));
  rest = trim(rest.substr(end));
  return word;
}

struct Attribute {
  std::string type;
  std::string text;
};

// @attr, @attr_reader, @attr_accessor and @!attribute of a class's comment.
std::map<std::string, Attribute> attributes_of(const std::vector<std::string>& comment) {
  std::map<std::string, Attribute> out;
  std::string open;  // of an @!attribute
  for (const auto& line : comment) {
    std::string_view text = without_mark(line);
    if (text.starts_with("@!attribute")) {
      text.remove_prefix(11);
      take_type(text);  // [r], [rw]
      open = take_word(text);
    } else if (text.starts_with("@return") && !open.empty()) {
      text.remove_prefix(7);
      Attribute one;
      one.type = take_type(text);
      one.text = text;
      out[open] = std::move(one);
    } else if (text.starts_with("@attr")) {
      text.remove_prefix(std::min(text.find(' '), text.size()));
      Attribute one;
      one.type = take_type(text);
      const std::string name = take_word(text);
      if (one.type.empty()) one.type = take_type(text);
      one.text = text;
      out[name] = std::move(one);
      open.clear();
    }
  }
  return out;
}

// The type of `attr_reader :name #: String`.
std::optional<RbsType> trailing_rbs(const Syntax& syntax, const Node& node) {
  const std::string_view source = syntax.source();
  const std::string_view rest = source.substr(node.end(), source.substr(node.end()).find('\n'));
  const std::size_t at = rest.find("#:");
  return at == std::string_view::npos ? std::nullopt : rbs_type(rest.substr(at + 2));
}

std::vector<std::string> symbols_of(const Node& arguments) {
  std::vector<std::string> out;
  for (const auto& argument : arguments.children()) {
    if (argument.is("simple_symbol")) out.emplace_back(argument.text().substr(1));
  }
  return out;
}

bool is_struct_call(const Node& node) {
  if (!node.is("call")) return false;
  const auto receiver = node.child("receiver").text();
  const auto method = node.child("method").text();
  return (receiver == "Struct" && method == "new") || (receiver == "Data" && method == "define");
}

}  // namespace

RbsComments rbs_comments(const std::vector<std::string>& lines) {
  RbsComments out;
  for (const auto& line : lines) {
    std::string_view text = trim(line);
    const bool typed = text.starts_with("#:");
    std::string_view inner = without_mark(text);
    if (!typed && !inner.starts_with("@rbs ")) {
      out.rest.push_back(line);
      continue;
    }
    inner.remove_prefix(typed ? 1 : 5);
    inner = trim(inner);
    std::string_view behind;
    if (const std::size_t dashes = inner.find(" -- "); dashes != std::string_view::npos) {
      behind = trim(inner.substr(dashes + 4));
      inner = trim(inner.substr(0, dashes));
    }
    if (typed || inner.starts_with('(') || inner.starts_with("->") || inner.starts_with('[')) {
      // The first of several overloads counts.
      if (out.method) continue;
      out.method = rbs_method(inner);
      if (!out.method) out.problems.push_back("the signature '" + std::string(inner.substr(0, 80)) + "' is no RBS method type");
      continue;
    }
    const std::size_t colon = inner.find(": ");
    if (colon == std::string_view::npos) continue;
    std::string name(trim(inner.substr(0, colon)));
    while (name.starts_with('*') || name.starts_with('&') || name.starts_with('?')) name.erase(0, 1);
    auto type = rbs_type(inner.substr(colon + 2));
    if (!type) {
      out.problems.push_back("the type '" + std::string(inner.substr(colon + 2, 80)) + "' of '" + name + "' is no RBS type");
      continue;
    }
    if (!behind.empty()) out.texts[name] = behind;
    if (name == "return") out.result = std::move(type);
    else out.parameters[name] = std::move(*type);
  }
  return out;
}

void RubyTypes::add(const Syntax& syntax) { collect(syntax, syntax.root(), "", 0); }

void RubyTypes::collect(const Syntax& syntax, const Node& body, const std::string& scope, int depth) {
  if (depth > kMaxDepth) return;
  const auto qualify = [&](std::string_view name) { return scope.empty() ? std::string(name) : scope + "::" + std::string(name); };
  for (const auto& statement : body.children()) {
    if (statement.is("assignment") && statement.child("left").is("constant") && is_struct_call(statement.child("right"))) {
      struct_class(syntax, statement.child("right"), statement, qualify(statement.child("left").text()));
    } else if (statement.is("module")) {
      collect(syntax, statement.child("body"), qualify(statement.child("name").text()), depth + 1);
    } else if (statement.is("class")) {
      const std::string name = qualify(statement.child("name").text());
      const auto parents = statement.child("superclass").children();
      if (!parents.empty() && is_struct_call(parents.front())) struct_class(syntax, parents.front(), statement, name);
      else plain_class(syntax, statement, name);
      collect(syntax, statement.child("body"), name, depth + 1);
    }
  }
}

void RubyTypes::struct_class(const Syntax& syntax, const Node& call, const Node& at, const std::string& name) {
  RubyClass known;
  const bool data = call.child("receiver").text() == "Data";
  known.made = data ? RubyClass::Made::kKeywords : RubyClass::Made::kPositional;
  const auto comment = syntax.comment_above(at.row());
  const auto attributes = attributes_of(comment);
  const Doc doc = yard_doc(comment);
  const auto inline_types = rbs_comments(comment);
  const auto declared = signatures_.classes.find(name);
  for (const auto& argument : call.child("arguments").children()) {
    if (argument.is("pair") && argument.child("key").text() == "keyword_init" && argument.child("value").text() == "true") {
      known.made = RubyClass::Made::kKeywords;
    }
    if (!argument.is("simple_symbol")) continue;
    RubyClass::Member member;
    member.name = argument.text().substr(1);
    if (const auto found = attributes.find(member.name); found != attributes.end()) {
      member.yard = found->second.type;
      member.doc = found->second.text;
    } else if (const auto parameter = doc.parameters.find(member.name); parameter != doc.parameters.end()) {
      member.yard = parameter->second.type;
      member.doc = parameter->second.text;
    }
    if (const auto found = inline_types.parameters.find(member.name); found != inline_types.parameters.end()) member.rbs = found->second;
    if (!member.rbs) member.rbs = trailing_rbs(syntax, argument);
    if (declared != signatures_.classes.end()) {
      for (const auto& [attribute, type] : declared->second.attributes) {
        if (attribute == member.name) member.rbs = type;
      }
    }
    // A Struct's member that is not given is nil; where its type is not known, that is as good.
    member.required = data || member.rbs || !member.yard.empty();
    known.members.push_back(std::move(member));
  }
  classes_[name] = std::move(known);
}

void RubyTypes::constructor(const Syntax& syntax, const Node& method, RubyClass& known) {
  const auto inline_types = rbs_comments(syntax.comment_above(method.row()));
  const Doc doc = yard_doc(inline_types.rest);
  const Heredocs none;
  bool keywords = false;
  bool positional = false;
  std::vector<RubyClass::Member> taken;
  for (const auto& node : method.child("parameters").children()) {
    const bool keyword = node.is("keyword_parameter");
    if (!keyword && !node.is("identifier") && !node.is("optional_parameter")) {
      if (!node.is("block_parameter")) known.problem = "has a constructor that takes any number of arguments";
      continue;
    }
    (keyword ? keywords : positional) = true;
    RubyClass::Member member;
    member.name = node.is("identifier") ? node.text() : node.child("name").text();
    const Node value = node.child("value");
    member.required = !value;
    if (value) {
      if (auto literal = ruby_literal(value, none)) member.default_value = std::move(*literal);
    }
    if (const auto found = doc.parameters.find(member.name); found != doc.parameters.end()) {
      member.yard = found->second.type;
      member.doc = found->second.text;
    }
    if (const auto found = inline_types.parameters.find(member.name); found != inline_types.parameters.end()) member.rbs = found->second;
    if (inline_types.method) {
      std::size_t index = 0;
      for (const auto& parameter : inline_types.method->parameters) {
        const bool same = parameter.kind == RbsParameter::Kind::kKeyword ? keyword && parameter.name == member.name
                                                                         : !keyword && parameter.kind == RbsParameter::Kind::kPositional && index++ == taken.size();
        if (same) member.rbs = parameter.type;
      }
    }
    taken.push_back(std::move(member));
  }
  if (keywords && positional) known.problem = "has a constructor with both positional and keyword arguments";
  known.made = keywords ? RubyClass::Made::kKeywords : RubyClass::Made::kPositional;
  // What readers say of a member's type counts where the constructor says nothing.
  for (auto& member : taken) {
    const auto read = std::find_if(known.members.begin(), known.members.end(), [&](const auto& m) { return m.name == member.name; });
    if (read == known.members.end()) {
      known.problem = "has no reader for '" + member.name + "', which its constructor takes";
      continue;
    }
    if (member.yard.empty()) member.yard = read->yard;
    if (!member.rbs) member.rbs = read->rbs;
    if (member.doc.empty()) member.doc = read->doc;
    known.members.erase(read);
  }
  for (auto& member : known.members) member.required = member.built = false;
  known.members.insert(known.members.begin(), std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
}

void RubyTypes::plain_class(const Syntax& syntax, const Node& node, const std::string& name) {
  RubyClass known;
  known.made = RubyClass::Made::kSetters;
  const auto comment = attributes_of(syntax.comment_above(node.row()));
  const auto declared = signatures_.classes.find(name);
  Node initialize;
  for (const auto& statement : node.child("body").children()) {
    if (statement.is("method") && statement.child("name").text() == "initialize") initialize = statement;
    if (!statement.is("call") || statement.child("receiver")) continue;
    const auto word = statement.child("method").text();
    if (word != "attr_reader" && word != "attr_accessor") continue;
    const auto above = rbs_comments(syntax.comment_above(statement.row()));
    const Doc doc = yard_doc(above.rest);
    for (const auto& symbol : symbols_of(statement.child("arguments"))) {
      RubyClass::Member member;
      member.name = symbol;
      member.yard = doc.return_type;
      member.doc = doc.summary.empty() ? doc.return_text : doc.summary;
      member.rbs = trailing_rbs(syntax, statement);
      if (const auto found = comment.find(symbol); found != comment.end() && member.yard.empty()) {
        member.yard = found->second.type;
        if (member.doc.empty()) member.doc = found->second.text;
      }
      if (declared != signatures_.classes.end()) {
        for (const auto& [attribute, type] : declared->second.attributes) {
          if (attribute == symbol) member.rbs = type;
        }
      }
      member.built = word == "attr_accessor";
      member.required = false;
      known.members.push_back(std::move(member));
    }
  }
  // A class without readers holds functions, not values.
  if (known.members.empty()) return;
  if (initialize) constructor(syntax, initialize, known);
  else if (std::none_of(known.members.begin(), known.members.end(), [](const auto& m) { return m.built; })) known.problem = "has no constructor that fills its readers";
  classes_[name] = std::move(known);
}

}  // namespace sabir::schema

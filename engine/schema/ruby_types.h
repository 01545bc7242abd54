// Ruby's types: YARD's and RBS's notation, and the classes of a project whose objects functions take and give.
//
// Threads: RubyTypes is filled once, then read.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rbs.h"
#include "ruby_literals.h"
#include "syntax.h"
#include "types.h"

namespace sabir::schema {

// A class with a Struct's members, a Data's, or readers that its constructor fills.
struct RubyClass {
  struct Member {
    std::string name;
    std::string yard;            // its type, "" where none is written
    std::optional<RbsType> rbs;  // before `yard`
    std::string doc;
    bool required = true;
    bool built = true;  // the constructor takes it
    json::value default_value;
  };
  enum class Made { kPositional, kKeywords, kSetters };
  std::vector<Member> members;
  Made made = Made::kPositional;
  std::string problem;  // why there is no making one
};

// RBS in comments: `#: (String, ?Integer) -> bool` and `# @rbs name: String -- its name`.
struct RbsComments {
  std::optional<RbsMethod> method;
  std::map<std::string, RbsType> parameters;
  std::map<std::string, std::string> texts;  // what stands behind `--`
  std::optional<RbsType> result;
  std::vector<std::string> rest;  // the other lines
  std::vector<std::string> problems;
};
RbsComments rbs_comments(const std::vector<std::string>& lines);

class RubyTypes {
 public:
  // The classes that `syntax` defines; those of a file read later replace earlier ones.
  void add(const Syntax& syntax);
  void add_signatures(std::string_view rbs) { rbs_read(rbs, signatures_); }

  // `scope` is the module around ("Shop::Billing").
  TypeSchema yard(std::string_view text, const std::string& scope) const;
  TypeSchema rbs(const RbsType& type, const std::string& scope) const;
  // What sig/*.rbs says of a method; nullptr when nothing. receiver "" = the top level.
  const RbsMethod* signature(const std::string& receiver, const std::string& name, bool singleton) const;

 private:
  friend class YardParser;
  using Open = std::set<std::string>;
  void collect(const Syntax& syntax, const Node& body, const std::string& scope, int depth);
  void struct_class(const Syntax& syntax, const Node& call, const Node& at, const std::string& name);
  void plain_class(const Syntax& syntax, const Node& node, const std::string& name);
  void constructor(const Syntax& syntax, const Node& method, RubyClass& known);
  TypeSchema named(std::string name, std::vector<TypeSchema> arguments, const std::string& scope, Open& open) const;
  TypeSchema object(const std::string& name, const RubyClass& known, Open& open) const;
  TypeSchema yard(std::string_view text, const std::string& scope, Open& open) const;
  TypeSchema rbs(const RbsType& type, const std::string& scope, Open& open) const;
  // The qualified name of a class as seen from `scope`; nothing when it is not known.
  std::optional<std::string> find(const std::string& name, const std::string& scope) const;

  std::map<std::string, RubyClass> classes_;
  RbsDeclarations signatures_;
};

// Any of `choices`, with their ways of being built.
TypeSchema any_type(std::vector<TypeSchema> choices);

}  // namespace sabir::schema

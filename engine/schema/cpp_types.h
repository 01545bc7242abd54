// C++ types: text -> JSON Schema, with the structs and enumerations of a file and of its headers.
//
// Threads: CppTypes is filled once, then read.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "syntax.h"
#include "types.h"

namespace sabir::schema {

// A parsed type such as `const std::map<std::string, int>&`.
struct CppType {
  std::string name;  // without std:: in front
  std::vector<CppType> arguments;
  bool is_const = false;
  int pointers = 0;
  int references = 0;  // 1 = &, 2 = &&
  std::string number;  // a template argument that is a number
};

class CppTypes {
 public:
  // What `syntax` defines; a later file's definition replaces an earlier one of its name.
  void add(const Syntax& syntax);

  // `text` without the declarator; `scope` is the namespace it stands in ("a::b"). Types of this file that it names are
  // added to `used`, each after those that it uses itself.
  TypeSchema resolve(std::string_view text, const std::string& scope, std::vector<std::string>& used) const;
  // As Description::types has it.
  json::object glue_of(const std::string& qualified) const;
  // As Description::defines has it.
  const json::array& defines() const { return defines_; }
  // The member of the enumeration `type` that a default such as Color::kRed names; "" when it is none.
  std::string enumerator(std::string_view type, std::string_view value, const std::string& scope) const;
  // `type` with the names of this file's namespace aliases written out.
  static bool parse(std::string_view text, CppType& out);

 private:
  struct Known {
    Node node;            // struct_specifier, class_specifier, enum_specifier
    std::string scope;    // the namespace or struct around it
    std::string alias;    // the type text, for using X = …;
    const Syntax* syntax = nullptr;
  };
  struct Member {
    std::string name;
    std::string type;
    bool has_default = false;
    json::value default_value;
    std::string default_text;
    std::string doc;
    std::string scope;  // of the struct that has it
  };
  void collect(const Syntax& syntax, const Node& body, const std::string& scope, int depth);
  void define(const Syntax& syntax, std::string_view name);
  std::string written_out(const std::string& name) const;
  TypeSchema standard(const CppType& type, const std::string& scope, std::vector<std::string>& used, std::set<std::string>& open) const;
  const Known* find(const std::string& name, const std::string& scope, std::string& qualified) const;
  TypeSchema of(const CppType& type, const std::string& scope, std::vector<std::string>& used, std::set<std::string>& open) const;
  TypeSchema of_known(const Known& known, const std::string& qualified, std::vector<std::string>& used, std::set<std::string>& open) const;
  std::vector<Member> members(const Known& structure, const std::string& qualified, std::string& problem, int depth = 0) const;
  std::map<std::string, Known, std::less<>> known_;
  std::vector<std::string> used_namespaces_;
  std::map<std::string, std::string, std::less<>> namespace_aliases_;
  json::array defines_;
};

// The value of a default argument; nothing when it is not a literal.
std::optional<json::value> cpp_literal(const Node& node, int depth = 0);

}  // namespace sabir::schema

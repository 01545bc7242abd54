// C++ types: text -> JSON Schema, with the structs and enumerations of one file.
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
  explicit CppTypes(const Node& root);

  // `text` without the declarator; `scope` is the namespace it stands in ("a::b"). Types of this file that it names are
  // added to `used`, each after those that it uses itself.
  TypeSchema resolve(std::string_view text, const std::string& scope, std::vector<std::string>& used) const;
  // As Description::types has it.
  json::object glue_of(const std::string& qualified) const;
  static bool parse(std::string_view text, CppType& out);

 private:
  struct Known {
    Node node;            // struct_specifier, class_specifier, enum_specifier
    std::string scope;    // the namespace around it
    std::string alias;    // the type text, for using X = …;
  };
  struct Member {
    std::string name;
    std::string type;
    bool has_default = false;
    json::value default_value;
    std::string doc;
  };
  void collect(const Node& body, const std::string& scope, int depth);
  const Known* find(const std::string& name, const std::string& scope, std::string& qualified) const;
  TypeSchema of(const CppType& type, const std::string& scope, std::vector<std::string>& used, std::set<std::string>& open) const;
  TypeSchema of_known(const Known& known, const std::string& qualified, std::vector<std::string>& used, std::set<std::string>& open) const;
  static std::vector<Member> members(const Node& structure, std::string& problem);
  std::map<std::string, Known, std::less<>> known_;
};

// The value of a default argument; nothing when it is not a literal.
std::optional<json::value> cpp_literal(const Node& node, int depth = 0);

}  // namespace sabir::schema

// RBS, Ruby's language of signatures: what sig/*.rbs files declare, and method types as comments have them.
//
// Threads: pure functions. Bounds: 64 levels of nesting, 20,000 declarations; what cannot be read is skipped.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::schema {

struct RbsType {
  enum class Kind { kUntyped, kName, kUnion, kOptional, kTuple, kRecord, kLiteral, kOther };
  Kind kind = Kind::kUntyped;
  std::string name;                  // kName: a class, an alias, `bool`, `nil`, `void`; kOther: as written
  std::vector<RbsType> inner;        // arguments, choices, positions or a record's values
  std::vector<std::pair<std::string, bool>> keys;  // kRecord: name and whether it is required
  json::value literal;               // kLiteral
  bool is_symbol = false;            // kLiteral
};

struct RbsParameter {
  enum class Kind { kPositional, kRest, kKeyword, kKeywordRest };
  Kind kind = Kind::kPositional;
  std::string name;  // "" where a positional one has none
  bool required = true;
  RbsType type;
};

struct RbsMethod {
  std::vector<RbsParameter> parameters;
  RbsType result;
  bool overloaded = false;  // the first of several
};

struct RbsClass {
  bool is_module = false;
  std::string superclass;
  std::vector<std::pair<std::string, RbsType>> attributes;
  std::map<std::string, RbsMethod> methods;
  std::map<std::string, RbsMethod> singleton_methods;
};

struct RbsDeclarations {
  std::map<std::string, RbsClass> classes;  // by qualified name; "" is Object, for methods at the top level
  std::map<std::string, RbsType> aliases;   // by qualified name: "Shop::money"
};

// Adds what `source` declares.
void rbs_read(std::string_view source, RbsDeclarations& into);
// `(String, ?Integer) -> Array[String]`; nothing when it is no method type.
std::optional<RbsMethod> rbs_method(std::string_view text);
// `Array[Integer]?`; nothing when it is no type.
std::optional<RbsType> rbs_type(std::string_view text);

}  // namespace sabir::schema

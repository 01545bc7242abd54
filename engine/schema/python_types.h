// Python's type hints as JSON Schema.
//
// Threads: one at a time. Lifetimes: the modules outlive it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "python_modules.h"
#include "types.h"

namespace sabir::schema {

// One schema in the making. What goes in and what comes out differ: aliases, computed fields, members that are not initialised.
struct PythonScope {
  bool output = false;
  std::string bytes_format;                   // of bytes inside a pydantic model: "binary" (text) or "base64url"; "" = base64
  json::object definitions;                   // classes and aliases that contain themselves, for "$defs"
  std::set<std::string> open;                 // classes and aliases that are being described
  std::map<std::string, std::string> names;   // theirs, in `definitions`
  std::set<std::string> referenced;
  int inlined = 0;
};

// What type variables stand for.
using PythonBindings = std::map<std::string, TypeSchema, std::less<>>;

// What Field(…), field(…), conint(…) and the like say beside the type.
struct PythonField {
  json::object constraints;   // by pydantic's name: "ge", "min_length", …
  std::string doc;
  std::string alias;
  std::string validation_alias;
  std::string serialization_alias;
  std::optional<json::value> default_value;  // of a literal
  bool has_default = false;
  bool init = true;
  bool exclude = false;
};

class PythonTypes {
 public:
  explicit PythonTypes(PythonModules& modules) : modules_(modules) {}
  // `hint` as the module's source writes it.
  TypeSchema resolve(const PythonModule& module, std::string_view hint, PythonScope& scope, const PythonBindings* bindings = nullptr,
                     int depth = 0);
  // A literal's value, or that of an enumeration's member: Color.RED.
  std::optional<json::value> value_of(const PythonModule& module, const Node& expression);
  std::optional<json::value> member_value(const PythonModule& module, std::string_view path);
  void read_field(const PythonModule& module, const Node& call, PythonField& out);
  static void constrain(json::object& schema, const json::object& constraints);

 private:
  class Parser;
  enum class Kind { kOther, kEnum, kTypedDict, kDataclass, kNamedTuple, kModel, kUnknown };
  struct Member;
  struct Fields;
  struct Config;

  TypeSchema of_name(const PythonName& name, const std::string& written, PythonScope& scope, std::vector<TypeSchema> arguments, int depth);
  TypeSchema of_class(const PythonModule& module, const Node& definition, PythonScope& scope, const PythonBindings& bindings, int depth);
  TypeSchema of_call(const PythonModule& module, const Node& call, PythonScope& scope, int depth);
  TypeSchema of_enum(const PythonModule& module, const Node& definition);
  Kind kind_of(const PythonModule& module, const Node& definition, int depth, std::string& why);
  std::string dataclass_decorator(const PythonModule& module, const Node& definition, Node& call);
  std::vector<std::string> bases_of(const Node& definition) const;
  std::vector<std::string> parameters_of(const PythonModule& module, const Node& definition) const;
  void collect(const PythonModule& module, const Node& definition, Kind kind, PythonScope& scope, const PythonBindings& bindings, int depth,
               Fields& fields);
  void collect_statement(const PythonModule& module, const Node& statement, Kind kind, PythonScope& scope, const PythonBindings& bindings,
                         int depth, Fields& fields);
  void configure(const Node& definition, Config& config) const;

  PythonModules& modules_;
};

}  // namespace sabir::schema
